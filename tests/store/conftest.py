from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from support.s3 import S3, served_s3

from mcdist.store import Store, open_store


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with served_s3() as server:
        yield server


@pytest.fixture
def uri(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a store may be made: a folder, a place on a remote file system of this process's own, or an S3 bucket."""
    if place == "s3":
        yield request.getfixturevalue("s3").uri()
    elif place == "local":
        yield str(tmp_path / "a store")
    else:
        where = f"memory://{uuid.uuid4().hex}/store"
        yield where
        memory = fsspec.filesystem("memory")
        if memory.exists(where):
            memory.rm(where, recursive=True)


_LONG_IN_S3 = ("test_cleaning", "test_compaction", "test_export")


@pytest.fixture
def many_stores() -> None:
    """For tests that make a store for every moment at which something may be killed, or for each of very many cases."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that asks for `uri` is done in every place; by the long tests in S3 where it makes requests of
    the kinds that the others make as well, and elsewhere than in a folder where it makes many stores.
    """
    if "place" in metafunc.fixturenames:
        many = "many_stores" in metafunc.fixturenames or metafunc.module.__name__.rpartition(".")[2] in _LONG_IN_S3
        s3 = pytest.param("s3", marks=pytest.mark.long) if many else "s3"
        memory = pytest.param("memory", marks=pytest.mark.long) if "many_stores" in metafunc.fixturenames else "memory"
        metafunc.parametrize("place", ["local", memory, s3])


@pytest.fixture
def store(uri: str) -> Store:
    return open_store(uri, create=True)


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store", create=True)
