"""Forgetting tasks, and clearing away what kills have left."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from mcdist.store import Store, cleaning, open_store
from mcdist.store.location import locate

from .examples import Killed, MortalFiles, assert_consistent, assert_same, names, pack, plain_view, view


def kill(store: Store, changes: int, result) -> None:
    with pytest.raises(Killed):
        Store(MortalFiles(locate(store.uri), changes)).commit(result)


@pytest.mark.parametrize("compacted", [False, True])
class TestForget:
    def test_a_forgotten_task_was_never_there(self, store: Store, compacted: bool) -> None:
        store.write_sweep("s", "name: s", ["task1", "task2", "task3"])
        store.commit(pack("p", "task1", "task2"))
        store.commit(pack("q", "task3"))
        if compacted:
            store.compact()
        store.forget(["task2", "task3", "never-heard-of"])
        assert list(store.tasks()) == ["task1"]
        assert_consistent(view(store))
        assert (store.has_weights("task1"), store.has_weights("task2")) == (True, False)
        assert len(store.table("sweep_tasks")) == 3
        assert compacted or not any(name.endswith("q.parquet") for name in names(locate(store.uri)))

    def test_it_can_be_computed_again(self, store: Store, compacted: bool) -> None:
        store.commit(pack("p", "task1", "task2"))
        store.commit(pack("q", "task3", status="failed"))
        if compacted:
            store.compact()
        store.forget(["task2", "task3"])
        store.commit(pack("p", "task1", "task2"))
        store.commit(pack("q", "task3"))
        assert_consistent(view(store))
        assert {state.status for state in store.tasks().values()} == {"done"}

    @pytest.mark.usefixtures("many_stores")
    def test_a_kill_at_any_moment_is_made_good_by_doing_it_again(self, uri: str, compacted: bool) -> None:
        def prepared(where: str) -> Store:
            store = open_store(where, create=True)
            store.commit(pack("p", "task1", "task2"))
            store.commit(pack("q", "task2", "task3"))
            if compacted:
                store.clean(older_than_s=-60)
                store.compact()
            return store

        undisturbed = prepared(uri)
        undisturbed.forget(["task2", "task3"])
        expected, weights = view(undisturbed), names(locate(uri), ["weights"])
        for n in range(100):
            store = prepared(f"{uri}-{n}")
            try:
                Store(MortalFiles(locate(store.uri), n)).forget(["task2", "task3"])
            except Killed:
                assert_consistent(view(store))
                store.forget(["task2", "task3"])
                assert_same(view(store), expected)
                assert names(locate(store.uri), ["weights"]) == weights
            else:
                assert n >= 5
                return

    @pytest.mark.usefixtures("many_stores")
    def test_after_a_kill_cleaning_and_computing_again_is_enough(self, uri: str, compacted: bool) -> None:
        def prepared(where: str) -> Store:
            store = open_store(where, create=True)
            store.commit(pack("p", "task1", "task2"))
            store.commit(pack("q", "task3"))
            if compacted:
                store.compact()
            return store

        expected = view(prepared(uri))
        for n in range(100):
            store = prepared(f"{uri}-{n}")
            try:
                Store(MortalFiles(locate(store.uri), n)).forget(["task2"])
            except Killed:
                store.clean(["p"])
                store.commit(pack("p", "task1", "task2"))
                assert_same(view(store), expected)
            else:
                return


class TestClean:
    def test_there_is_nothing_to_remove_from_a_sound_store(self, store: Store) -> None:
        store.commit(pack("p", "task1"))
        store.commit(pack("q", "task2"))
        assert store.clean(["p", "q"], older_than_s=-60) == ()
        store.compact()
        assert store.clean(["p", "q"], older_than_s=-60) == ()

    def test_rows_of_planned_packs_go_at_once_others_when_old(self, store: Store) -> None:
        for name in ("mine", "other"):
            kill(store, 3, pack(name, f"task-{name}"))
        before = names(locate(store.uri))
        removed = store.clean(["mine"])
        assert removed == ("tables/endpoints/mine.parquet", "tables/history/mine.parquet")
        assert names(locate(store.uri)) == before - set(removed)
        removed = store.clean(older_than_s=-60)
        assert set(removed) == {
            "tables/endpoints/other.parquet",
            "tables/history/other.parquet",
            "weights/ta/task-mine.safetensors",
            "weights/ta/task-other.safetensors",
        }

    def test_of_a_task_computed_twice_one_is_left(self, local_store: Store) -> None:
        local_store.commit(pack("p", "task1", "task2"))
        local_store.commit(pack("q", "task2", "task3"))
        local_store.commit(pack("r", "task2", status="failed"))
        before = view(local_store)
        local_store.clean(older_than_s=-60)
        assert_same(view(local_store), before)
        assert_same(plain_view(local_store.uri), before)

    def test_rows_left_in_a_merged_file_go_at_once(self, local_store: Store) -> None:
        for name in "pq":
            local_store.commit(pack(name, f"task-{name}"))
        local_store.compact()
        with pytest.raises(Killed):
            Store(MortalFiles(locate(local_store.uri), 1)).forget(["task-p"])
        local_store.clean()
        assert_same(plain_view(local_store.uri), view(local_store))
        assert list(local_store.table("endpoints")["task_id"]) == ["task-q"]

    def test_temporaries_and_unfinished_merges_go_when_old(self, local_store: Store) -> None:
        files = locate(local_store.uri)
        for name in "pq":
            local_store.commit(pack(name, f"task-{name}"))
        with pytest.raises(Killed):
            Store(MortalFiles(files, 1)).compact()
        files.write(".tmp/torn", b"...")
        assert local_store.clean() == ()
        (merged,) = [name for name in names(files) if "/_part-" in name]
        assert local_store.clean(older_than_s=-60) == (".tmp/torn", merged)

    @pytest.mark.parametrize("compacted", [False, True])
    def test_packs_all_of_whose_tasks_stand_are_not_opened(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, compacted: bool
    ) -> None:
        for name in "pq":
            store.commit(pack(name, f"{name}1", f"{name}2"))
        if compacted:
            store.compact()
        store.commit(pack("r", "q2", "r1"))  # q2 is of pack q already
        opened: set[str] = set()
        scan = cleaning.scan

        def noted(files, table: str, entries, columns):
            opened.update(entry.name for entry in entries if table == "history")
            return scan(files, table, entries, columns)

        monkeypatch.setattr(cleaning, "scan", noted)
        assert store.clean(older_than_s=-60) == tuple(
            f"tables/{t}/r.parquet" for t in ("tasks", "endpoints", "history")
        )
        assert {name for name in opened if "part-" not in name} == {"tables/history/r.parquet"}
        assert_consistent(view(store))

    def test_a_pack_of_unknown_size_is_opened(self, store: Store) -> None:
        whole = pack("p", "task1", "task2")
        store.commit(replace(whole, tasks=[{**row, "pack_size": None} for row in whole.tasks]))
        with pytest.raises(Killed):
            Store(MortalFiles(locate(store.uri), 1)).forget(["task2"])
        assert store.clean(older_than_s=-60)[:2] == ("tables/endpoints/p.parquet", "tables/history/p.parquet")
        assert_consistent(view(store))

    def test_a_pack_that_lacks_a_task_is_opened(self, store: Store) -> None:
        store.commit(pack("p", "task1", "task2"))
        with pytest.raises(Killed):
            Store(MortalFiles(locate(store.uri), 1)).forget(["task2"])
        assert store.clean(older_than_s=-60)[:2] == ("tables/endpoints/p.parquet", "tables/history/p.parquet")
        assert_consistent(view(store))

    def test_rows_of_a_pack_beside_those_in_a_merged_file_go(self, store: Store) -> None:
        for name in "pq":
            store.commit(pack(name, f"task{name}"))
        store.compact()
        store.commit(pack("p", "taskp"))  # by a worker that was thought to be lost
        assert store.clean(older_than_s=-60) == tuple(
            f"tables/{table}/p.parquet" for table in ("tasks", "endpoints", "history")
        )
        assert_consistent(view(store))

    def test_age_is_that_of_the_file(self, local_store: Store) -> None:
        kill(local_store, 2, pack("p", "task1"))
        path = f"{local_store.uri}/tables/endpoints/p.parquet"
        os.utime(path, (0, 0))
        assert local_store.clean() == ("tables/endpoints/p.parquet",)

    @pytest.mark.usefixtures("many_stores")
    def test_a_kill_at_any_moment_is_made_good_by_doing_it_again(self, uri: str) -> None:
        def prepared(where: str) -> Store:
            store = open_store(where, create=True)
            store.commit(pack("p", "task1", "task2"))
            store.commit(pack("q", "task2", "task3"))
            kill(store, 3, pack("r", "task4"))
            return store

        before = view(prepared(uri))
        for n in range(100):
            store = prepared(f"{uri}-{n}")
            try:
                Store(MortalFiles(locate(store.uri), n)).clean(older_than_s=-60)
            except Killed:
                assert_same(view(store), before)
                store.clean(older_than_s=-60)
                assert_same(view(store), before)
                assert not any(name.endswith("r.parquet") for name in names(locate(store.uri)))
            else:
                assert n >= 5
                return
