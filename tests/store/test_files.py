"""The few file operations, alike on every file system."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcdist.errors import StoreError
from mcdist.store.files import Files
from mcdist.store.location import locate


@pytest.fixture
def files(uri: str) -> Files:
    return locate(uri)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.binary(), draw=st.data())
def test_what_is_written_is_read_whole_and_in_part(files: Files, data: bytes, draw: st.DataObject) -> None:
    files.write("some/where", data)
    assert files.read("some/where") == data
    if data:
        start = draw.draw(st.integers(0, len(data) - 1))
        end = draw.draw(st.integers(start + 1, len(data)))
        assert files.read("some/where", start, end) == data[start:end]


def test_a_file_is_replaced_created_once_moved_and_deleted(files: Files) -> None:
    assert files.create("a/x", b"first")
    assert not files.create("a/x", b"second")
    assert files.read("a/x") == b"first"
    files.write("a/x", b"third")
    files.write("a/y", b"old")
    files.move("a/x", "a/y")
    assert files.read("a/y") == b"third"
    assert (files.exists("a/x"), files.exists("a/y"), files.exists("a")) == (False, True, False)
    files.delete("a/y")
    files.delete("a/y")
    assert not files.exists("a/y")


def test_listings_name_size_and_time(files: Files) -> None:
    for name in ("f/b", "f/a", "f/deep/er/c", "g"):
        files.write(name, b"123")
    entries = files.list("f")
    assert [(entry.name, entry.size) for entry in entries] == [("f/a", 3), ("f/b", 3)]
    assert all(abs(entry.modified - time.time()) < 60 for entry in entries)
    assert [entry.name for entry in files.list("f", deep=True)] == ["f/a", "f/b", "f/deep/er/c"]
    assert files.list("none") == []
    assert files.top() - {".tmp"} == {"f", "g"}


def test_a_missing_file_is_said_to_be_missing(files: Files) -> None:
    with pytest.raises(FileNotFoundError):
        files.read("none")
    with pytest.raises(FileNotFoundError):
        files.move("none", "other")


def test_a_refusal_is_a_store_error(files: Files) -> None:
    files.write("f/x", b"")
    refused = {"read": lambda: files.read("f"), "write": lambda: files.write("f/x/y", b"")}
    if "://" in files.uri:  # knows no folders, so refuses neither
        return
    for action, call in refused.items():
        with pytest.raises(StoreError, match=f"cannot {action} "):
            call()


def test_a_write_cut_off_leaves_the_file_as_it_was(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = locate(tmp_path)
    files.write("f/x", b"before")

    def cut_off(*args: object) -> None:
        raise KeyboardInterrupt

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, cut_off)
            with pytest.raises(KeyboardInterrupt):
                files.write("f/x", b"after")
        assert files.read("f/x") == b"before"
        assert [entry.name for entry in files.list("", deep=True)] == ["f/x"]


def test_creation_works_without_hard_links(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    files = locate(tmp_path)
    assert files.create("f/x", b"first")
    assert not files.create("f/x", b"second")
    assert files.read("f/x") == b"first"
