"""Readers and compactions at one store, operation by operation: nothing is lost or doubled between any two of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from mcdist.errors import StoreError
from mcdist.store import Store, open_store
from mcdist.store.files import Entry, Files
from mcdist.store.location import locate

from .examples import Killed, MortalFiles, assert_same, names, pack, plain_view, view


class WatchedFiles(Files):
    """Files that call `notice(n)` before their n-th operation of any kind, from 0."""

    def __init__(self, files: Files, notice: Callable[[int], object]) -> None:
        self._inner, self._notice, self.count = files, notice, 0
        self.uri = files.uri

    def _noticed(self) -> Files:
        self.count += 1
        self._notice(self.count - 1)
        return self._inner

    def path(self, name: str) -> str:
        return self._inner.path(name)

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        return self._noticed().read(name, start, end)

    def write(self, name: str, data: bytes) -> None:
        self._noticed().write(name, data)

    def create(self, name: str, data: bytes) -> bool:
        return self._noticed().create(name, data)

    def delete(self, name: str) -> None:
        self._noticed().delete(name)

    def move(self, source: str, target: str) -> None:
        self._noticed().move(source, target)

    def exists(self, name: str) -> bool:
        return self._noticed().exists(name)

    def top(self) -> set[str]:
        return self._noticed().top()

    def list(self, folder: str, *, deep: bool = False) -> list[Entry]:
        return self._noticed().list(folder, deep=deep)


def filled(where: str) -> Store:
    store = open_store(where, create=True)
    for name in "abc":
        store.commit(pack(name, f"{name}-task1"))
    return store


@pytest.fixture(params=["local", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Not in S3: there is a reader at every operation."""
    return str(tmp_path / "store") if request.param == "local" else f"memory://{uuid.uuid4().hex}/store"


def test_a_reader_before_every_operation_of_a_compaction_sees_all_rows_once(uri: str) -> None:
    store = filled(uri)
    before = view(store)

    def read(n: int) -> None:
        assert_same(view(store), before)
        assert plain_view(uri)["tasks"]["task_id"].is_unique

    watched = WatchedFiles(locate(uri), read)
    Store(watched).compact()
    assert watched.count > 40
    read(0)


@pytest.mark.parametrize("changes", [2, 4, 6, 8, 13, None], ids=lambda n: "whole" if n is None else f"killed at {n}")
def test_a_compaction_before_any_operation_of_a_reader_changes_nothing_to_see(uri: str, changes: int | None) -> None:
    """Whole, or killed after so many changes and finished by another before the reader's next operation but one."""
    reached = 0
    while True:
        store = filled(f"{uri}-{reached}")
        before = store.table("history")

        def disturb(n: int, store: Store = store, moment: int = reached) -> None:
            if n == moment:
                with suppress(Killed):
                    Store(MortalFiles(locate(store.uri), -1 if changes is None else changes)).compact()
            elif n == moment + 2:
                store.compact()

        reader = WatchedFiles(locate(store.uri), disturb)
        assert Store(reader).table("history").equals(before)
        if reader.count <= reached:
            break
        reached += 3
    assert reached > 10


class SlowListings(WatchedFiles):
    """The first listing takes so long that a whole compaction goes by: it has seen the place of the merged file before
    that was there, and those of its sources when they were gone.
    """

    listed = False

    def list(self, folder: str, *, deep: bool = False) -> list[Entry]:
        if self.listed:
            return super().list(folder, deep=deep)
        self.listed = True
        before = super().list(folder, deep=deep)
        open_store(self.uri).compact()
        after = super().list(folder, deep=deep)
        return [e for e in after if "/part-" not in e.name] + [e for e in before if "/part-" in e.name]


def test_a_listing_during_which_a_compaction_goes_by_is_not_believed(uri: str) -> None:
    before = view(filled(uri))
    for name in before:
        store = filled(f"{uri}-{name}")
        slow = SlowListings(locate(store.uri), lambda n: None)
        pd.testing.assert_frame_equal(Store(slow).table(name), before[name])


@pytest.mark.long
def test_a_compaction_before_any_operation_of_another(uri: str) -> None:
    """Two at once: one of them may have to give way, none loses or doubles anything."""
    reached = 0
    while True:
        store = filled(f"{uri}-{reached}")
        before = view(store)

        def compact(n: int, store: Store = store, moment: int = reached) -> None:
            if n == moment:
                store.compact()

        first = WatchedFiles(locate(store.uri), compact)
        with suppress(StoreError):  # another compaction is under way, or has taken files away
            Store(first).compact()
        assert_same(view(store), before)
        store.compact()
        assert_same(view(store), before)
        assert_same(plain_view(store.uri), before)
        store.clean(older_than_s=-60)
        assert not [name for name in names(locate(store.uri)) if "/_part-" in name]
        if first.count <= reached:
            break
        reached += 2
    assert reached > 40
