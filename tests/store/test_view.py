"""What a reader sees: committed rows, each once, whatever else lies about."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcdist.errors import StoreError
from mcdist.store import TABLES, Store
from mcdist.store import view as module
from mcdist.store.files import Entry
from mcdist.store.location import locate
from mcdist.store.rows import to_arrow, to_parquet

from .examples import Killed, MortalFiles, assert_consistent, pack, view


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.usefixtures("many_stores")
def test_an_empty_table_has_all_its_columns(store: Store, table: str) -> None:
    frame = store.table(table)
    assert (list(frame.columns), len(frame)) == (TABLES[table].schema.names, 0)


def test_columns_can_be_chosen(store: Store) -> None:
    store.commit(pack("p1", "task1"))
    frame = store.table("history", ["epoch", "lr"])
    assert list(frame.columns) == ["epoch", "lr"]
    assert list(frame["epoch"]) == [1, 2, 3]
    assert list(store.table("tasks", ["status"])["status"]) == ["done"]
    with pytest.raises(StoreError, match="'epochs'; did you mean 'epoch'"):
        store.table("history", ["epochs"])


def test_an_unknown_table_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="unknown table 'barrier'; did you mean 'barriers'"):
        store.table("barrier")


def test_of_two_packs_with_one_task_the_first_by_name_stands(store: Store) -> None:
    store.commit(pack("q", "task1", "task2"))
    store.commit(pack("p", "task2", "task3"))
    tables = view(store)
    assert_consistent(tables)
    assert dict(zip(tables["tasks"]["task_id"], tables["tasks"]["pack_id"], strict=True)) == {
        "task1": "q",
        "task2": "p",
        "task3": "p",
    }
    assert {task: state.pack_id for task, state in store.tasks().items()} == {"task1": "q", "task2": "p", "task3": "p"}


def test_a_result_stands_before_a_failure(store: Store) -> None:
    store.commit(pack("a", "task1", status="failed"))
    store.commit(pack("b", "task1"))
    store.commit(pack("c", "task1", status="failed"))
    assert_consistent(view(store))
    assert store.tasks()["task1"].status == "done"


def test_rows_without_commit_are_not_there(store: Store) -> None:
    store.commit(pack("p", "task1"))
    with pytest.raises(Killed):
        Store(MortalFiles(locate(store.uri), 4)).commit(pack("o", "task1", "task2"))
    assert_consistent(view(store))
    assert set(store.table("history")["task_id"]) == {"task1"}


def test_a_pack_run_again_after_a_compaction_is_not_doubled(store: Store) -> None:
    for name in "pq":
        store.commit(pack(name, f"task{name}"))
    store.compact()
    store.commit(pack("p", "taskp"))
    assert_consistent(view(store))


def test_rows_come_by_pack_as_the_pack_wrote_them(store: Store) -> None:
    for name in "cab":
        store.commit(pack(name, f"{name}-two", f"{name}-one"))
    assert list(store.table("endpoints")["task_id"]) == [f"{n}-{k}" for n in "abc" for k in ("two", "one")]


def test_nan_stays_and_null_is_missing(local_store: Store) -> None:
    result = pack("p", "task1")
    rows = [{"task_id": "task1", "train_loss": np.nan, "test_loss": np.inf}]
    local_store.commit(type(result)("p", result.tasks, {"endpoints": rows}))
    column = pq.read_table(f"{local_store.uri}/tables/endpoints")
    assert str(column["train_loss"][0].as_py()) == "nan"
    assert column["train_error"][0].as_py() is None
    assert local_store.table("endpoints")["test_loss"][0] == np.inf


def test_files_of_other_versions_are_read(store: Store) -> None:
    """An older file lacks a column, a newer one has one more: null in the one, not shown of the other."""
    store.commit(pack("p1", "task1"))
    files = locate(store.uri)
    rows = to_arrow("endpoints", [{"task_id": "task1", "pack_id": "p1", "train_loss": 1.0, "seed": 3}])
    files.write("tables/endpoints/p1.parquet", to_parquet(rows.drop_columns(["train_loss"])))
    assert store.table("endpoints")["train_loss"].isna().all()
    newer = rows.append_column("sharpness", pa.array([2.0]))
    files.write("tables/endpoints/p1.parquet", to_parquet(newer))
    frame = store.table("endpoints")
    assert list(frame.columns) == TABLES["endpoints"].schema.names
    assert (frame["train_loss"][0], frame["seed"][0]) == (1.0, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        to_parquet(to_arrow("tasks", [{"task_id": "x", "pack_id": "p"}]))[:-20],
        to_parquet(pa.table({"a": [1]})),
        to_parquet(pa.table({"task_id": ["x"]})),
        to_parquet(pa.table({"task_id": [["x"]], "pack_id": ["p"]})),
    ],
    ids=["empty", "torn", "foreign", "without pack", "other types"],
)
@pytest.mark.parametrize("table", ["tasks", "history"])
@pytest.mark.usefixtures("many_stores")
def test_a_file_that_is_none_of_the_tables_is_named(store: Store, data: bytes, table: str) -> None:
    store.commit(pack("p1", "task1"))
    locate(store.uri).write(f"tables/{table}/x.parquet", data)
    with pytest.raises(StoreError, match=rf"tables/{table}/x.parquet is no file of table '{table}'"):
        store.table(table)


def test_other_files_in_a_tables_folder_are_passed_over(store: Store) -> None:
    store.commit(pack("p1", "task1"))
    for name in ("_note.parquet", ".p1.parquet", "README.txt", "_SUCCESS"):
        locate(store.uri).write(f"tables/tasks/{name}", b"...")
    assert list(store.tasks()) == ["task1"]


def test_a_file_replaced_while_it_is_read_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listing is old by the time of the reading: a compaction has come in between."""
    for name in "pq":
        store.commit(pack(name, f"task{name}"))
    listed = module.row_files
    late = iter([True, True])

    def row_files(files, table: str):
        entries = listed(files, table)
        if next(late, False):
            store.compact()
        return entries

    before = store.table("history")
    monkeypatch.setattr(module, "row_files", row_files)
    pd.testing.assert_frame_equal(store.table("history"), before)
    assert next(late, None) is None


def test_a_store_that_never_holds_still_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Entry("tables/tasks/gone.parquet", 1, 0.0)
    monkeypatch.setattr(module, "row_files", lambda files, table: [gone])
    with pytest.raises(StoreError, match="changes faster than it can be read"):
        store.tasks()
