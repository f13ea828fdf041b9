"""A command line, as tests run it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Command"]

Command = Callable[..., tuple[int, str, str]]
"""The words of a command line -> exit code, standard output, standard error."""
