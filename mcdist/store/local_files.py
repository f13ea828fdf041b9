"""Files in a local (or mounted) folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from mcdist.store.attempts import attempt
from mcdist.store.files import Entry, Files, Threads
from mcdist.store.layout import TEMPORARY

__all__ = ["LocalFiles"]

_THREADS = 8
_MANY = 64  # files, from which on threads repay themselves; on a network's file system each is a round trip
_LARGE = 1 << 20  # bytes

Item = TypeVar("Item")
Result = TypeVar("Result")


class LocalFiles(Files):
    """Files in a folder: written to a temporary name, flushed to disk, renamed into place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)
        self._threads = Threads(_THREADS)

    def path(self, name: str) -> str:  # noqa: D102
        return f"{self.uri}/{name}" if name else self.uri

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102
        def call() -> bytes:
            with open(self.path(name), "rb") as file:
                file.seek(start or 0)
                return file.read(-1 if end is None else end - (start or 0))

        return attempt("read", self.path(name), call)

    def source(self, name: str, size: int) -> Any:  # noqa: D102
        if size < _LARGE:
            return self.read(name)
        return attempt("read", self.path(name), lambda: pa.OSFile(self.path(name)))

    def write(self, name: str, data: bytes) -> None:  # noqa: D102
        def call() -> None:
            with self._temporary(data) as temporary:
                self._folder_of(name)
                os.replace(temporary, self.path(name))

        attempt("write", self.path(name), call, missing_too=True)

    def create(self, name: str, data: bytes) -> bool:  # noqa: D102
        def call() -> bool:
            with self._temporary(data) as temporary:
                self._folder_of(name)
                try:
                    os.link(temporary, self.path(name))
                except FileExistsError:
                    return False
                except OSError:  # a file system without hard links: all but atomic
                    if self.exists(name):
                        return False
                    os.replace(temporary, self.path(name))
                return True

        return attempt("write", self.path(name), call, missing_too=True)

    def delete(self, name: str) -> None:  # noqa: D102
        attempt("delete", self.path(name), lambda: Path(self.path(name)).unlink(missing_ok=True))

    def move(self, source: str, target: str) -> None:  # noqa: D102
        attempt("rename", self.path(source), lambda: os.replace(self.path(source), self.path(target)))

    def exists(self, name: str) -> bool:  # noqa: D102
        return os.path.isfile(self.path(name))

    def top(self) -> set[str]:  # noqa: D102
        return attempt("list", self.uri, lambda: set(os.listdir(self.root)) if self.root.is_dir() else set())

    def list(self, folder: str, *, deep: bool = False) -> list[Entry]:  # noqa: D102
        return attempt("list", self.path(folder), lambda: sorted(self._entries(folder, deep)))

    def _entries(self, folder: str, deep: bool) -> Iterator[Entry]:
        try:
            found = list(os.scandir(self.path(folder)))
        except FileNotFoundError:
            return
        for item in found:
            name = f"{folder}/{item.name}" if folder else item.name
            if item.is_dir():
                if deep:
                    yield from self._entries(name, deep)
                continue
            try:
                stat = item.stat()
            except FileNotFoundError:  # deleted meanwhile
                continue
            yield Entry(name, stat.st_size, stat.st_mtime, str(stat.st_ino))

    def together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Sequence[Result]:  # noqa: D102
        if len(items) < _MANY:
            return super().together(function, items)
        return self._threads.together(function, items)

    @contextmanager
    def _temporary(self, data: bytes) -> Iterator[str]:
        """A file with the bytes, on disk for good; gone afterwards unless it was renamed."""
        folder = self.root / TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / uuid.uuid4().hex
        try:
            with open(path, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield str(path)
        finally:
            path.unlink(missing_ok=True)

    def _folder_of(self, name: str) -> None:
        Path(self.path(name)).parent.mkdir(parents=True, exist_ok=True)
