"""Files of a store, wherever they are, by the few operations a store needs (see `local_files`, `remote_files`).

Each is whole or not at all, whenever the process is killed: a reader never meets half a file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple, TypeVar

__all__ = ["Entry", "Files", "Threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Entry(NamedTuple):
    """A file in a listing: name relative to the store, size in bytes, time of last change in Unix seconds.

    tag: another one for every change, where the file system has such; times are of whole seconds on some.
    """

    name: str
    size: int
    modified: float
    tag: str = ""


class Files(ABC):
    """The files under one root. Names are relative to it, with forward slashes.

    A missing file is a FileNotFoundError where one is read or moved, and nothing to speak of where one is deleted or
    listed; every other refusal of the system (permission, full disk) is a StoreError with its reason, after several
    attempts where the reason may pass.
    """

    uri: str

    @abstractmethod
    def path(self, name: str) -> str:
        """The file's path, as its file system takes it."""

    @abstractmethod
    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or those from `start` up to `end`, within it and not none."""

    def source(self, name: str, size: int) -> Any:
        """What pyarrow reads a file of that size from: of a large one, the parts that it needs alone."""
        return self.read(name)

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

    def together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Sequence[Result]:
        """The function's result for each item, in their order; side by side where one would wait for the system.

        For what may be done in any order, since a kill may leave any part of it done. Raises what one of them raised.
        """
        return [function(item) for item in items]


class Threads:
    """A few threads, kept from one use to the next, and started when first needed."""

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="store")

    def together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Sequence[Result]:
        """See `Files.together`; not to be called by a function that is itself called by this."""
        futures = [self._pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:  # of what follows the first failure nothing is begun any more
                future.cancel()
            wait(futures)
