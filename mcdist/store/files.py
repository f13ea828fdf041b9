"""Files of a store, on a local disk or on any fsspec file system, by the few operations a store needs.

Each is whole or not at all, whenever the process is killed: a reader never meets half a file.
"""

from __future__ import annotations

import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.fs

from mcdist.errors import StoreError
from mcdist.store.layout import TEMPORARY

__all__ = ["Entry", "Files", "LocalFiles", "RemoteFiles"]


class Entry(NamedTuple):
    """A file in a listing: name relative to the store, size in bytes, time of last change in Unix seconds."""

    name: str
    size: int
    modified: float


class Files(ABC):
    """The files under one root. Names are relative to it, with forward slashes.

    A missing file is a FileNotFoundError where one is read or moved, and nothing to speak of where one is deleted or
    listed; every other refusal of the system (permission, full disk) is a StoreError with its reason.
    """

    uri: str
    arrow: Any  # the file system, as pyarrow takes it

    @abstractmethod
    def path(self, name: str) -> str:
        """The file's path on the file system `arrow`."""

    @abstractmethod
    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or those from `start` up to `end`, within it and not none."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Make a file, or replace it, at once."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Make a file at once if there is none of that name, else leave that; whether it was made."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file if it is there."""

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Rename a file, replacing `target`; on an object store `source` may outlive a kill beside `target`."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is such a file ("" asks whether the root is one)."""

    @abstractmethod
    def top(self) -> set[str]:
        """The names of what is directly under the root, folders too."""

    @abstractmethod
    def list(self, folder: str, *, deep: bool = False) -> list[Entry]:
        """The files in a folder by name, with `deep` those in its subfolders too."""


@contextmanager
def _refusals(action: str, where: str, *, missing_too: bool = False) -> Iterator[None]:
    """Turn the system's refusals into StoreErrors."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not missing_too:
            raise
        raise StoreError(f"cannot {action} {where}: {error.strerror or error}") from error


class LocalFiles(Files):
    """Files in a local (or mounted) folder: written to a temporary name, flushed to disk, renamed into place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)
        self.arrow = pyarrow.fs.LocalFileSystem()

    def path(self, name: str) -> str:  # noqa: D102
        return f"{self.uri}/{name}" if name else self.uri

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102
        with _refusals("read", self.path(name)), open(self.path(name), "rb") as file:
            file.seek(start or 0)
            return file.read(-1 if end is None else end - (start or 0))

    def write(self, name: str, data: bytes) -> None:  # noqa: D102
        with _refusals("write", self.path(name), missing_too=True), self._temporary(data) as temporary:
            self._folder_of(name)
            os.replace(temporary, self.path(name))

    def create(self, name: str, data: bytes) -> bool:  # noqa: D102
        with _refusals("write", self.path(name), missing_too=True), self._temporary(data) as temporary:
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

    def delete(self, name: str) -> None:  # noqa: D102
        with _refusals("delete", self.path(name)):
            Path(self.path(name)).unlink(missing_ok=True)

    def move(self, source: str, target: str) -> None:  # noqa: D102
        with _refusals("rename", self.path(source)):
            os.replace(self.path(source), self.path(target))

    def exists(self, name: str) -> bool:  # noqa: D102
        return os.path.isfile(self.path(name))

    def top(self) -> set[str]:  # noqa: D102
        with _refusals("list", self.uri):
            return set(os.listdir(self.root)) if self.root.is_dir() else set()

    def list(self, folder: str, *, deep: bool = False) -> list[Entry]:  # noqa: D102
        with _refusals("list", self.path(folder)):
            return sorted(self._entries(folder, deep))

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
            yield Entry(name, stat.st_size, stat.st_mtime)

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


class RemoteFiles(Files):
    """Files on an fsspec file system, where one PUT makes a whole object."""

    def __init__(self, uri: str, fs: Any, root: str) -> None:
        self.uri = uri
        self.fs = self.arrow = fs
        self.root = root.rstrip("/")

    def path(self, name: str) -> str:  # noqa: D102
        return f"{self.root}/{name}" if name else self.root

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102
        with _refusals("read", f"{self.uri}/{name}"):
            return bytes(self.fs.cat_file(self.path(name), start=start, end=end))

    def write(self, name: str, data: bytes) -> None:  # noqa: D102
        with _refusals("write", f"{self.uri}/{name}", missing_too=True):
            self.fs.pipe_file(self.path(name), data)

    def create(self, name: str, data: bytes) -> bool:  # noqa: D102
        with _refusals("write", f"{self.uri}/{name}", missing_too=True):
            if self.exists(name):  # also for back ends that ignore the mode below
                return False
            try:
                self.fs.pipe_file(self.path(name), data, mode="create")
            except FileExistsError:
                return False
            return True

    def delete(self, name: str) -> None:  # noqa: D102
        with _refusals("delete", f"{self.uri}/{name}"):
            try:
                self.fs.rm_file(self.path(name))
            except FileNotFoundError:
                return

    def move(self, source: str, target: str) -> None:  # noqa: D102
        with _refusals("rename", f"{self.uri}/{source}"):
            self.fs.cp_file(self.path(source), self.path(target))
        self.delete(source)

    def exists(self, name: str) -> bool:  # noqa: D102
        self.fs.invalidate_cache()
        with _refusals("read", f"{self.uri}/{name}"):
            return bool(self.fs.isfile(self.path(name)))

    def top(self) -> set[str]:  # noqa: D102
        self.fs.invalidate_cache()
        with _refusals("list", self.uri):
            try:
                return {path.rstrip("/").rpartition("/")[2] for path in self.fs.ls(self.root, detail=False)}
            except FileNotFoundError:
                return set()

    def list(self, folder: str, *, deep: bool = False) -> list[Entry]:  # noqa: D102
        self.fs.invalidate_cache()  # other machines write here too
        with _refusals("list", f"{self.uri}/{folder}"):
            try:
                found = self.fs.find(self.path(folder), maxdepth=None if deep else 1, detail=True)
            except FileNotFoundError:
                return []
        start = len(self.root) + 1
        return sorted(Entry(info["name"][start:], int(info["size"]), self._modified(info)) for info in found.values())

    def _modified(self, info: dict[str, Any]) -> float:
        """The time of last change, which every back end's listing calls something else."""
        for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
            if isinstance(value := info.get(key), str):
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            if value is not None:
                return float(value.timestamp() if isinstance(value, datetime) else value)
        return float(self.fs.modified(info["name"]).timestamp())
