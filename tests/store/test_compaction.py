"""Compaction: fewer files, the same tables, at every step of the way."""

from __future__ import annotations

import json
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcdist.errors import StoreError
from mcdist.store import TABLES, Store, compaction, open_store
from mcdist.store.compaction import compact
from mcdist.store.journal import Merge, finish, start
from mcdist.store.location import locate
from mcdist.store.rows import to_arrow, to_parquet

from .examples import Killed, MortalFiles, assert_consistent, assert_same, names, pack, plain_view, view


def fill(store: Store) -> None:
    for name in "abc":
        store.commit(pack(name, f"{name}-task1", f"{name}-task2"))


def rows_in(store: Store, table: str) -> list[str]:
    found = (entry.name.rpartition("/")[2] for entry in locate(store.uri).list(f"tables/{table}"))
    return [name for name in found if name != "0-schema.parquet"]


def test_one_file_is_left_and_the_tables_are_the_same(store: Store) -> None:
    fill(store)
    before = view(store)
    done = store.compact()
    assert_same(view(store), before)
    assert (done.files_before, done.files_after) == (9, 3)
    assert 0 < done.bytes_after < done.bytes_before
    for table in before:
        (name,) = rows_in(store, table)
        assert name.startswith("part-")


def test_plain_readers_see_the_same_too(local_store: Store) -> None:
    fill(local_store)
    before = view(local_store)
    assert_same(plain_view(local_store.uri), before)
    local_store.compact()
    assert_same(plain_view(local_store.uri), before)
    schema = pq.read_schema(f"{local_store.uri}/tables/history/{rows_in(local_store, 'history')[0]}")
    assert schema.equals(TABLES["history"].schema, check_metadata=True)


def test_again_there_is_nothing_to_do_until_there_is(store: Store) -> None:
    fill(store)
    store.compact()
    before = names(locate(store.uri))
    done = store.compact()
    assert (done.files_before, done.files_after) == (3, 3)
    assert names(locate(store.uri)) == before
    store.commit(pack("d", "d-task1"))
    expected = view(store)
    assert store.compact().files_after == 3
    assert_same(view(store), expected)


@pytest.mark.parametrize("target", [{"target_rows": 4}, {"target_bytes": 25_000}])
def test_a_merged_file_grows_to_about_the_target(store: Store, target: dict[str, int]) -> None:
    for k in range(6):
        store.commit(pack(f"p{k}", f"task{k}"))
    expected = view(store)
    compact(locate(store.uri), **target)
    assert 1 < len(rows_in(store, "tasks")) < 6
    assert_same(view(store), expected)


def test_rows_that_do_not_stand_stay_out(store: Store) -> None:
    fill(store)
    with pytest.raises(Killed):
        Store(MortalFiles(locate(store.uri), 3)).commit(pack("d", "d-task1"))
    store.commit(pack("e", "a-task1", "e-task1"))
    before = view(store)
    store.compact()
    assert_same(view(store), before)
    assert_consistent(before)
    assert "d.parquet" in rows_in(store, "endpoints")
    assert "e.parquet" in rows_in(store, "endpoints")


def test_columns_of_a_newer_version_are_kept(local_store: Store) -> None:
    fill(local_store)
    path = f"{local_store.uri}/tables/history/b.parquet"
    pq.write_table(pq.read_table(path).append_column("sharpness", pa.array([1.0] * 6)), path)
    local_store.compact()
    merged = pq.read_table(f"{local_store.uri}/tables/history/{rows_in(local_store, 'history')[0]}")
    assert merged.column_names == [*TABLES["history"].schema.names, "sharpness"]
    assert merged["sharpness"].null_count == 12


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.usefixtures("many_stores")
def test_a_kill_at_any_moment_shows_in_no_table(uri: str, interrupted: bool) -> None:
    """`interrupted`: the one that comes next and finishes it is killed as well."""

    def filled(where: str) -> Store:
        store = open_store(where, create=True)
        for name in "ab":
            store.commit(pack(name, f"{name}-task1"))
        return store

    before = view(filled(uri))
    for n in range(200):
        store = filled(f"{uri}-{n}")
        try:
            Store(MortalFiles(locate(store.uri), n)).compact()
        except Killed:
            assert_same(view(store), before)
            if interrupted:
                with suppress(Killed):
                    Store(MortalFiles(locate(store.uri), 2)).compact()
                assert_same(view(store), before)
            assert plain_view(store.uri)["tasks"]["task_id"].is_unique
            store.compact()
            assert_same(view(store), before)
            assert all(len(rows_in(store, table)) == 1 for table in before)
            assert_same(plain_view(store.uri), before)
        else:
            assert n >= 3 + 1 + 6 + 3 + 1  # merged files, journal, sources, merged files shown, journal
            return


def test_a_pack_committed_after_a_kill_is_seen(store: Store) -> None:
    fill(store)
    with pytest.raises(Killed):
        Store(MortalFiles(locate(store.uri), 6)).compact()
    store.commit(pack("d", "d-task1"))
    before = view(store)
    assert "d-task1" in set(before["endpoints"]["task_id"])
    store.clean()
    assert_same(view(store), before)
    assert not locate(store.uri).exists("compaction.json")


def test_a_copy_that_outlived_its_renaming_is_not_read_twice(store: Store) -> None:
    fill(store)
    before = view(store)
    store.compact()
    files = locate(store.uri)
    (name,) = rows_in(store, "history")
    files.write(f"tables/history/_{name}", files.read(f"tables/history/{name}"))
    start(files, (Merge(f"tables/history/{name}", ("tables/history/a.parquet",)),))
    assert_same(view(store), before)
    finish(files)
    assert_same(view(store), before)
    assert rows_in(store, "history") == [name]


def test_two_cannot_begin_at_once(store: Store) -> None:
    files = locate(store.uri)
    merge = Merge("tables/tasks/part-1.parquet", ("tables/tasks/a.parquet",))
    start(files, (merge,))
    with pytest.raises(StoreError, match=r"another compaction of .* is under way"):
        start(files, (merge,))


def test_a_source_that_changed_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    merged = compaction._merge

    def slowly(files, table, group):
        merge = merged(files, table, group)
        if table == "tasks":
            store.forget(["b-task1"])
        return merge

    monkeypatch.setattr(compaction, "_merge", slowly)
    store.compact()
    assert set(store.tasks()) == {"a-task1", "a-task2", "b-task2", "c-task1", "c-task2"}
    assert_consistent(view(store))


def test_a_damaged_journal_and_files_that_do_not_fit_are_named(store: Store) -> None:
    fill(store)
    files = locate(store.uri)
    odd = to_arrow("history", [{"task_id": "a-task1", "pack_id": "a"}]).drop_columns(["epoch"])
    files.write("tables/history/a.parquet", to_parquet(odd.append_column("epoch", pa.array([1.0]))))
    with pytest.raises(StoreError, match=r"files of table 'history' in .* do not fit together"):
        store.compact()
    files.write("compaction.json", json.dumps({"merges": [1]}).encode())
    with pytest.raises(StoreError, match=r"compaction.json is damaged"):
        store.table("tasks")
