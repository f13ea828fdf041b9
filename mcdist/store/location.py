"""From the URI that a user gives to the files of a store, and what is there: a store, nothing, or something else."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from mcdist.errors import StoreError, unknown_name
from mcdist.store.files import Files
from mcdist.store.layout import HEAD, MARKER, TEMPORARY, table_folder
from mcdist.store.local_files import LocalFiles
from mcdist.store.remote_files import RemoteFiles
from mcdist.store.rows import to_parquet
from mcdist.store.schemas import SCHEMA_VERSION, TABLES

__all__ = ["FORMAT", "check_can_create", "found", "locate", "make"]

FORMAT = 1
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_REMEMBERING = {*_EXTRAS, "abfs", "abfss", "az"}  # schemes whose back ends remember listings unless told not to


def locate(uri: str | Path) -> Files:
    """The files at a folder, a file:// URI or any fsspec URI; touches nothing. StoreError if there is no way there."""
    text = str(uri)
    scheme = text.partition("://")[0] if "://" in text else "file"
    if scheme in ("file", "local"):
        folder = text.partition("://")[2] if "://" in text else text
        if not folder:
            raise StoreError(f"store {text!r}: no folder is named")
        return LocalFiles(Path(os.path.abspath(Path(folder).expanduser())))
    if scheme not in fsspec.available_protocols():
        known = ["file", "gs", "memory", "s3"]
        raise StoreError(f"store {text!r}: {unknown_name('scheme', scheme, known, also=' and others of fsspec')}")
    try:
        fs, root = url_to_fs(text, **({"use_listings_cache": False} if scheme in _REMEMBERING else {}))
    except ImportError as error:
        extra = f": pip install 'mcdist[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else ""
        raise StoreError(f"store {text!r} needs another package{extra} ({error})") from error
    except Exception as error:  # each back end has errors of its own
        raise StoreError(f"store {text!r}: {error}") from error
    if not root.strip("/"):
        raise StoreError(f"store {text!r}: no folder is named")
    return RemoteFiles(text.rstrip("/"), fs, root)


def found(files: Files) -> dict[str, Any] | None:
    """The marker of the store that is there, None where nothing is.

    Raises StoreError for a file, somebody's folder, a store of a newer format, or one that cannot be looked at.
    """
    try:
        if files.exists(""):
            raise StoreError(f"{files.uri} is a file; a store is a folder")
        try:
            data = files.read(MARKER)
        except FileNotFoundError:
            # Temporaries alone are what a kill leaves of a store being made; anything else is somebody's.
            if strange := sorted(files.top() - {TEMPORARY}):
                message = f"{files.uri} is not a store, and not empty: it holds {', '.join(strange[:3])}"
                raise StoreError(message + ", ..." * (len(strange) > 3)) from None
            return None
    except StoreError:
        raise
    except Exception as error:  # no credentials, no such host: each back end has errors of its own
        raise StoreError(f"cannot look at {files.uri}: {type(error).__name__}: {error}") from error
    try:
        marker = dict(json.loads(data))
        version = int(marker["format"])
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{files.uri}/{MARKER} is damaged: it should read like {{'format': {FORMAT}}}") from error
    if version > FORMAT:
        raise StoreError(
            f"the store at {files.uri} has format {version}; this mcdist reads up to {FORMAT}: upgrade mcdist"
        )
    return marker


def make(files: Files, marker: dict[str, Any] | None) -> None:
    """Make the store, or bring its tables' heads up to this version's columns; a kill in between does no harm."""
    if marker is None:
        marker = {"format": FORMAT}
        files.write(MARKER, json.dumps(marker).encode())
    if int(marker.get("schema", 0)) >= SCHEMA_VERSION:
        return
    files.together(lambda name: files.write(f"{table_folder(name)}/{HEAD}", _head(name)), list(TABLES))
    files.write(MARKER, json.dumps({**marker, "schema": SCHEMA_VERSION}).encode())


@functools.cache
def _head(table: str) -> bytes:
    """A table's columns, without rows."""
    return to_parquet(TABLES[table].schema.empty_table())


def check_can_create(files: Files) -> None:
    """StoreError where a local store could not be written or made; writes nothing (so cannot tell for a remote one)."""
    if not isinstance(files, LocalFiles):
        return
    there = files.root
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise StoreError(f"cannot make a store at {files.uri}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise StoreError(f"cannot write a store at {files.uri}: no permission to write in {there}")
