"""The few errors of mcdist, and the wording of "unknown name"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["Diverged", "McdistError", "RequestError", "StoreError", "TaskError", "unknown_name"]


class McdistError(Exception):
    """Base of every error that mcdist raises on purpose; its message is meant for the user."""


class RequestError(McdistError):
    """The request is wrong: a spec, an option, a data set that is not there (exit code 2, nothing written)."""


class StoreError(RequestError):
    """The store is not a store, cannot be read or written, or holds a file that is not what it should be."""


class TaskError(McdistError):
    """One task failed for a reason that its own work shows; the rest of the sweep goes on."""


class Diverged(TaskError):
    """A loss left the finite numbers; `step` is the first training step (from 0) at which it did."""

    def __init__(self, message: str, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


def unknown_name(what: str, got: object, allowed: Iterable[str], *, also: str = "") -> str:
    """The message for a name that no registry holds: what was got, the nearest name, what is allowed.

    >>> unknown_name("data set", "digit", ["digits", "mnist"])
    "unknown data set 'digit'; did you mean 'digits'? allowed: digits, mnist"
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(str(got), names, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"unknown {what} {got!r}{hint} allowed: {', '.join(names)}{also}"
