"""Opening a store: what is one, what is not, and what is said then."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from mcdist.errors import StoreError
from mcdist.store import Store, check_target, open_store, schemas
from mcdist.store.location import locate

from .examples import Killed, MortalFiles, pack


def test_a_store_is_made_once_and_found_again(uri: str) -> None:
    with pytest.raises(StoreError, match=r"no store at .*'mcdist run' makes one"):
        open_store(uri)
    made = open_store(uri, create=True)
    made.commit(pack("p1", "task1"))
    assert list(open_store(uri).tasks()) == ["task1"]
    assert list(open_store(uri, create=True).tasks()) == ["task1"]


def test_checking_a_target_makes_nothing(uri: str) -> None:
    check_target(uri)
    with pytest.raises(StoreError, match="no store"):
        open_store(uri)
    assert locate(uri).top() == set()


def test_a_store_can_be_pickled(store: Store) -> None:
    copy = pickle.loads(pickle.dumps(store))
    copy.commit(pack("p1", "task1"))
    assert list(store.tasks()) == ["task1"]
    assert repr(copy) == f"open_store({store.uri!r})"


def test_a_writable_store_is_found_writable(store: Store) -> None:
    store.check_writable()
    assert locate(store.uri).list(".tmp") == []


def test_paths_and_file_uris_are_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(tmp_path / "s", create=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    uris = {open_store(uri).uri for uri in ("s", "~/s", Path("s"), f"file://{tmp_path}/s", f"{tmp_path}/x/../s/")}
    assert uris == {str(tmp_path / "s")}


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    check_target(tmp_path)
    open_store(tmp_path, create=True)
    assert json.loads((tmp_path / "mcdist.json").read_text())["format"] == 1


@pytest.mark.parametrize("act", [check_target, lambda uri: open_store(uri, create=True), open_store])
class TestRefusals:
    def test_somebodys_folder(self, act, uri: str) -> None:
        locate(uri).write("thesis/chapter.tex", b"...")
        with pytest.raises(StoreError, match="not a store, and not empty: it holds thesis"):
            act(uri)
        assert locate(uri).top() == {"thesis"} | (set() if "://" in uri else {".tmp"})

    def test_a_file(self, act, uri: str) -> None:
        parent, _, name = uri.rpartition("/")
        locate(parent).write(name, b"...")
        with pytest.raises(StoreError, match="is a file; a store is a folder"):
            act(uri)

    def test_a_newer_format(self, act, uri: str) -> None:
        locate(uri).write("mcdist.json", b'{"format": 2}')
        with pytest.raises(StoreError, match="format 2; this mcdist reads up to 1: upgrade"):
            act(uri)

    @pytest.mark.parametrize("marker", [b"", b"[]", b"{}", b'{"format": "new"}', b"\xff"])
    def test_a_damaged_marker(self, act, uri: str, marker: bytes) -> None:
        locate(uri).write("mcdist.json", marker)
        with pytest.raises(StoreError, match=r"mcdist.json is damaged"):
            act(uri)

    def test_an_unknown_scheme(self, act) -> None:
        with pytest.raises(StoreError, match="unknown scheme 's33'; did you mean 's3'"):
            act("s33://bucket/store")

    @pytest.mark.parametrize("nowhere", ["", "file://", "memory://"])
    def test_no_folder(self, act, nowhere: str) -> None:
        with pytest.raises(StoreError, match="no folder is named"):
            act(nowhere)

    def test_a_back_end_that_is_not_installed(self, act, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(uri: str, **options: object) -> None:
            raise ImportError("Install s3fs to access S3")

        monkeypatch.setattr("mcdist.store.location.url_to_fs", missing)
        with pytest.raises(StoreError, match=r"pip install 'mcdist\[s3\]'"):
            act("s3://bucket/store")

    def test_a_back_end_that_cannot_get_there(self, act, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*args: object) -> None:
            raise ConnectionError("no route to host")

        for kind in ("local_files.LocalFiles", "remote_files.RemoteFiles"):
            monkeypatch.setattr(f"mcdist.store.{kind}.read", refused)
        with pytest.raises(StoreError, match="no route to host"):
            act(uri)


def test_a_file_on_the_way_to_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for act in (check_target, lambda uri: open_store(uri, create=True)):
        with pytest.raises(StoreError, match="file"):
            act(tmp_path / "file" / "store")


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_access(path: Path, mode: int) -> bool:
        assert path == tmp_path
        return False

    monkeypatch.setattr(os, "access", no_access)
    with pytest.raises(StoreError, match="no permission to write in"):
        check_target(tmp_path / "deep" / "store")


def test_what_the_system_refuses_is_said(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(uri, create=True)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    if "://" in uri:
        monkeypatch.setattr(locate(uri).fs, "pipe_file", full)
    for write in (store.check_writable, lambda: store.commit(pack("p1", "task1"))):
        with pytest.raises(StoreError, match=r"cannot write .*: No space left on device"):
            write()
    assert store.tasks() == {}


@pytest.mark.usefixtures("many_stores")
def test_making_a_store_can_be_killed_anywhere(uri: str) -> None:
    changes = len(schemas.TABLES) + 2
    for n in range(changes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mcdist.store.store.locate", lambda uri, n=n: MortalFiles(locate(uri), n))
            with pytest.raises(Killed):
                open_store(f"{uri}-{n}", create=True)
        check_target(f"{uri}-{n}")
        assert len(open_store(f"{uri}-{n}", create=True).table("barriers")) == 0
        assert len(locate(f"{uri}-{n}").list("tables", deep=True)) == len(schemas.TABLES)
