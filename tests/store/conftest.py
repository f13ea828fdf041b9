from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from mcdist.store import Store, open_store


@pytest.fixture(params=["local", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a store may be made: a folder, or a place on a remote file system."""
    if request.param == "local":
        yield str(tmp_path / "a store")
        return
    where = f"memory://{uuid.uuid4().hex}/store"
    yield where
    memory = fsspec.filesystem("memory")
    if memory.exists(where):
        memory.rm(where, recursive=True)


@pytest.fixture
def store(uri: str) -> Store:
    return open_store(uri, create=True)


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store", create=True)
