"""The few file operations, alike on every file system."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcdist.errors import StoreError
from mcdist.store import open_store
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


DIE = """
import os, signal, sys
from mcdist.store.location import locate
files = locate(sys.argv[1])
setattr(os, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
files.write("f/x", b"after")
"""


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_process_killed_before_its_temporary_file_was_moved_leaves_that_alone(tmp_path, step: str) -> None:
    store = open_store(tmp_path, create=True)
    files = locate(tmp_path)
    files.write("f/x", b"before")
    done = subprocess.run([sys.executable, "-c", DIE, str(tmp_path), step], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert files.read("f/x") == b"before"
    (left,) = files.list(".tmp")
    assert store.clean() == ()  # it may be of somebody at work
    assert store.clean(older_than_s=-60) == (left.name,)


@pytest.mark.parametrize("room", [0, 1, 1000, 5000])
def test_a_disk_that_fills_up_leaves_the_file_as_it_was(tmp_path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """The system takes a part of what is written, then no more."""
    files = locate(tmp_path)
    files.write("f/x", b"before")
    monkeypatch.setattr("builtins.open", lambda *args: io.BufferedWriter(Full(args[0], room)))
    for write in (files.write, files.create):
        with pytest.raises(StoreError, match=r"cannot write .*: No space left on device$"):
            write("f/x", bytes(10_000))
    monkeypatch.undo()
    assert files.read("f/x") == b"before"
    assert [entry.name for entry in files.list("", deep=True)] == ["f/x"]


class Full(io.FileIO):
    def __init__(self, path: str, room: int) -> None:
        super().__init__(path, "xb")
        self._room = room

    def write(self, data) -> int:
        if self._room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = min(self._room, len(data))
        self._room -= part
        return super().write(data[:part])


def test_creation_works_without_hard_links(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    files = locate(tmp_path)
    assert files.create("f/x", b"first")
    assert not files.create("f/x", b"second")
    assert files.read("f/x") == b"first"
