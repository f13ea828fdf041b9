"""Sweeps as files, for commands that take one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

__all__ = ["repository", "written"]


@contextmanager
def written(sweep: Mapping[str, Any]) -> Iterator[Path]:
    """The sweep in a file, as long as this is entered."""
    with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
        file = Path(folder) / "sweep.yaml"
        file.write_text(yaml.safe_dump(dict(sweep)))
        yield file


def repository() -> Path:
    """The checkout that this package lies in; without one there are neither jobs nor tests beside it."""
    return Path(__file__).resolve().parents[2]
