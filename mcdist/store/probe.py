"""Whether a store can be used from here: a file written, read back and deleted, and one of somebody else's seen."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcdist.errors import McdistError, StoreError
from mcdist.store.files import Files
from mcdist.store.layout import TEMPORARY
from mcdist.store.local_files import LocalFiles
from mcdist.store.location import locate

__all__ = ["probe", "token", "try_out"]

_LOOKS_S = (0.0, 0.5, 1.5, 3.0)  # pauses before looks for a token: a network's file system may show it late


def try_out(files: Files) -> None:
    """Write, read and delete a small file; StoreError with the system's reason if that fails."""
    name, data = f"{TEMPORARY}/probe-{uuid.uuid4().hex}", b"mcdist"
    files.write(name, data)
    try:
        intact = files.read(name) == data
    finally:
        files.delete(name)
    if not intact:
        raise StoreError(f"cannot write {files.uri}: what was written reads back differently")


@contextmanager
def token(files: Files) -> Iterator[str]:
    """The name of a file that whoever uses the same store must see while this is entered.

    If an error ends that, the folders go as well that were made for it: nothing is left where no store was.
    """
    made = [folder for folder in _folders(files) if not folder.exists()]
    name = f"{TEMPORARY}/token-{uuid.uuid4().hex}"
    try:
        files.write(name, name.encode())
        try:
            yield name
        finally:
            files.delete(name)
    except BaseException:
        for folder in made:  # the deepest first; not those with anything in them
            with suppress(OSError):
                folder.rmdir()
        raise


def _folders(files: Files) -> list[Path]:
    if not isinstance(files, LocalFiles):
        return []
    return [files.root / TEMPORARY, files.root, *files.root.parents]


def probe(uri: str, name: str) -> str | None:
    """Why the store at `uri` cannot be used from here by one who should see the token `name`; None if it can be.

    Writes nothing where the token is not seen: it would be somewhere else.
    """
    try:
        files = locate(uri)
        if not _seen(files, name):
            return "does not see what was just written there from the driver's machine"
        try_out(files)
    except McdistError as error:
        return str(error)
    except Exception as error:  # no credentials, no such host: each back end has errors of its own
        return f"{type(error).__name__}: {error}"
    return None


def _seen(files: Files, name: str) -> bool:
    for pause in _LOOKS_S:
        time.sleep(pause)
        with suppress(FileNotFoundError):
            return files.read(name) == name.encode()
    return False
