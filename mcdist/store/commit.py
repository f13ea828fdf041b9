"""Committing a pack: the results of the tasks that one worker computed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from mcdist.errors import StoreError
from mcdist.store import weights
from mcdist.store.files import Files
from mcdist.store.layout import check_ids, row_file, weights_file
from mcdist.store.rows import Row, to_arrow, to_parquet
from mcdist.store.schemas import TABLES

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ROW_TABLES", "PackResult", "commit"]

ROW_TABLES = tuple(name for name in TABLES if name not in ("tasks", "sweep_tasks"))
"""The tables that a pack's results go to."""


@dataclass(frozen=True)
class PackResult:
    """What a pack of tasks came to.

    `tasks` has one row for each task of the pack; `rows[table]` the rows of other tables,
    `tensors[task_id]` weights and `metadata[task_id]` the strings in their header. Rows need no `pack_id`:
    it is filled in.
    """

    pack_id: str
    tasks: Sequence[Row]
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    tensors: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def commit(files: Files, pack: PackResult) -> None:
    """Write a pack: weights, then rows, then the rows of `tasks`, which commit it.

    File names follow from the pack, so to commit it twice replaces its files; what an earlier attempt,
    killed or not, left in tables that the pack has no rows for is removed. Raises StoreError, before
    anything is written, for rows that are not their table's or that belong to no task of the pack.
    """
    tables = {name: _stamped(pack, name, rows) for name, rows in pack.rows.items() if rows}
    tasks = _stamped(pack, "tasks", pack.tasks)
    _check(pack, tasks, tables)

    for task_id, tensors in pack.tensors.items():
        weights.save(files, task_id, tensors, pack.metadata.get(task_id))
    for task in tasks.select(["task_id", "status"]).to_pylist():
        if task["status"] != "done" and task["task_id"] not in pack.tensors:
            files.delete(weights_file(task["task_id"]))
    for name in ROW_TABLES:
        if name in tables:
            files.write(row_file(name, pack.pack_id), to_parquet(tables[name]))
        else:
            files.delete(row_file(name, pack.pack_id))
    files.write(row_file("tasks", pack.pack_id), to_parquet(tasks))


def _stamped(pack: PackResult, table: str, rows: Sequence[Row]) -> pa.Table:
    if table == "sweep_tasks":
        raise StoreError(f"pack {pack.pack_id!r}: 'sweep_tasks' is written with the sweep, not by a pack")
    for row in rows:
        if row.get("pack_id", pack.pack_id) != pack.pack_id:
            raise StoreError(f"table {table!r}: a row of pack {row['pack_id']!r} in pack {pack.pack_id!r}")
    return to_arrow(table, [{**row, "pack_id": pack.pack_id} for row in rows])


def _check(pack: PackResult, tasks: pa.Table, tables: Mapping[str, pa.Table]) -> None:
    ids = tasks["task_id"].to_pylist()
    check_ids(pack.pack_id, ids)
    if not ids or len(set(ids)) < len(ids):
        raise StoreError(f"pack {pack.pack_id!r} needs one row of 'tasks' for each of its tasks, got {ids}")
    named = {f"table {name!r}": table["task_id"].to_pylist() for name, table in tables.items()}
    for what, got in {**named, "tensors": pack.tensors, "metadata": pack.metadata}.items():
        if strange := sorted(set(got) - set(ids)):
            raise StoreError(f"pack {pack.pack_id!r}: {what} of task {strange[0]!r}, which is not in the pack")
