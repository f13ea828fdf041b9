"""Files on an object store, or anything else that fsspec reaches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from fsspec.asyn import AsyncFileSystem

from mcdist.store.attempts import attempt
from mcdist.store.files import Entry, Files, Threads
from mcdist.store.layout import is_merged

__all__ = ["RemoteFiles"]

_THREADS = 32  # round trips at a time: they take tens of milliseconds each, a core less than one
_LARGE = 8 << 20  # bytes, from which on parts of a file are worth a round trip each

Item = TypeVar("Item")
Result = TypeVar("Result")


class RemoteFiles(Files):
    """Files on an fsspec file system, where one PUT makes a whole object.

    Other machines write here too, so nothing that `fs` remembers of earlier listings must be believed: it should be
    one that remembers none. To forget before each listing is not enough for one that does, since what another thread
    lists at that moment is remembered afterwards.
    """

    def __init__(self, uri: str, fs: Any, root: str) -> None:
        self.uri = uri
        self.fs = fs
        self.root = root.rstrip("/")
        self._threads = Threads(_THREADS)
        # s3fs would read the parts of a large file side by side, each as it is by then: not whole where it is replaced
        parameters = inspect.signature(fs.cat_file).parameters
        self._whole = {"max_concurrency": 1} if "max_concurrency" in parameters else {}
        # fsspec's own walk through folders passes over what it cannot list: rows would be missing, and nobody told
        walks = getattr(type(fs), "_find", AsyncFileSystem._find) is AsyncFileSystem._find
        self._loudly = {"on_error": "raise"} if walks else {}

    def path(self, name: str) -> str:  # noqa: D102
        return f"{self.root}/{name}" if name else self.root

    def _where(self, name: str) -> str:
        return f"{self.uri}/{name}" if name else self.uri

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102
        def call() -> bytes:
            return bytes(self.fs.cat_file(self.path(name), start=start, end=end, **self._whole))

        return attempt("read", self._where(name), call)

    def source(self, name: str, size: int) -> Any:  # noqa: D102
        if size < _LARGE or not is_merged(name):  # a merged file is never replaced by another one of its name
            return self.read(name)
        return attempt("read", self._where(name), lambda: self.fs.open(self.path(name), "rb", cache_type="none"))

    def write(self, name: str, data: bytes) -> None:  # noqa: D102
        attempt("write", self._where(name), lambda: self.fs.pipe_file(self.path(name), data), missing_too=True)

    def create(self, name: str, data: bytes) -> bool:  # noqa: D102
        attempts = 0

        def call() -> bool:
            nonlocal attempts
            attempts += 1
            if self.exists(name):  # also for back ends that ignore the mode below
                return self._is_ours(name, data, attempts)
            try:
                self.fs.pipe_file(self.path(name), data, mode="create")
            except FileExistsError:
                return self._is_ours(name, data, attempts)
            return True

        return attempt("write", self._where(name), call, missing_too=True)

    def _is_ours(self, name: str, data: bytes, attempts: int) -> bool:
        """Whether an earlier attempt, whose answer was lost, has made the file."""
        return attempts > 1 and self.read(name) == data

    def delete(self, name: str) -> None:  # noqa: D102
        def call() -> None:
            try:
                self.fs.rm_file(self.path(name))
            except FileNotFoundError:
                return

        attempt("delete", self._where(name), call)

    def move(self, source: str, target: str) -> None:  # noqa: D102
        attempt("rename", self._where(source), lambda: self.fs.cp_file(self.path(source), self.path(target)))
        self.delete(source)

    def exists(self, name: str) -> bool:  # noqa: D102
        def call() -> bool:  # not by `isfile`, which takes every error for a no
            self.fs.invalidate_cache()
            try:
                return bool(self.fs.info(self.path(name))["type"] == "file")
            except FileNotFoundError:
                return False

        return attempt("read", self._where(name), call)

    def top(self) -> set[str]:  # noqa: D102
        def call() -> set[str]:
            self.fs.invalidate_cache()
            try:
                return {path.rstrip("/").rpartition("/")[2] for path in self.fs.ls(self.root, detail=False)}
            except FileNotFoundError:
                return set()

        return attempt("list", self.uri, call)

    def list(self, folder: str, *, deep: bool = False) -> list[Entry]:  # noqa: D102
        def call() -> Iterable[dict[str, Any]]:
            self.fs.invalidate_cache()
            try:
                if deep:
                    found: dict[str, dict[str, Any]] = self.fs.find(self.path(folder), detail=True, **self._loudly)
                    return found.values()
                return [info for info in self.fs.ls(self.path(folder), detail=True) if info["type"] == "file"]
            except FileNotFoundError:
                return []

        start = len(self.root) + 1
        return sorted(
            Entry(info["name"][start:], int(info["size"]), self._modified(info), str(info.get("ETag", "")))
            for info in attempt("list", self._where(folder), call)
        )

    def together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Sequence[Result]:  # noqa: D102
        return self._threads.together(function, items) if len(items) > 1 else super().together(function, items)

    def _modified(self, info: dict[str, Any]) -> float:
        """The time of last change, which every back end's listing calls something else."""
        for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
            if isinstance(value := info.get(key), str):
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            if value is not None:
                return float(value.timestamp() if isinstance(value, datetime) else value)
        return float(self.fs.modified(info["name"]).timestamp())
