"""Committing a pack: the results of the tasks that one worker computed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mcdist.errors import StoreError
from mcdist.store import weights
from mcdist.store.files import Files
from mcdist.store.layout import check_ids, row_file, schema_of
from mcdist.store.rows import Row, from_parquet, to_arrow
from mcdist.store.schemas import TABLES

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ROW_TABLES", "PackResult", "commit", "written"]

ROW_TABLES = tuple(name for name in TABLES if name not in ("tasks", "sweep_tasks"))
"""The tables that a pack's results go to."""


@dataclass(frozen=True)
class PackResult:
    """What a pack of tasks came to.

    `tasks` has one row for each task of the pack; `rows[table]` the rows of other tables, `tensors[task_id]` weights
    and `metadata[task_id]` the strings in their header. Rows need no `pack_id`: it is filled in.
    """

    pack_id: str
    tasks: Sequence[Row]
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    tensors: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def commit(files: Files, pack: PackResult) -> None:
    """Write a pack: weights, then rows, then the rows of `tasks`, which commit it.

    File names follow from the pack, so to commit it twice replaces its files, with what an earlier attempt, killed or
    not, has left of it. Tasks that this pack has committed as done stay as they are, whatever a later attempt says:
    finished work is not lost because a worker was thought to be. Raises StoreError, before anything is written, for
    rows that are not their table's or that belong to no task of the pack.
    """
    new = {name: _stamped(pack, name, rows) for name, rows in pack.rows.items() if rows}
    tasks = _stamped(pack, "tasks", pack.tasks)
    _check(pack, tasks, new)

    ids = tasks["task_id"].to_pylist()
    before = _read(files, "tasks", pack.pack_id)
    if before is None:
        now, stay = ids, None
    else:
        done = set(before.filter(pc.equal(before["status"], "done"))["task_id"].to_pylist())
        now = [task_id for task_id in ids if task_id not in done]
        if not now:
            return
        stay = _of(before, now, invert=True)
        if len(stay) < len(before):  # a failure that is tried again must not stand beside rows of the new attempt
            _put(files, "tasks", pack.pack_id, _joined("tasks", [stay, tasks.slice(0, 0)], ids))
        new = {name: _of(rows, now) for name, rows in new.items()}
        tasks = _of(tasks, now)
    files.together(
        lambda task_id: weights.save(files, task_id, pack.tensors[task_id], pack.metadata.get(task_id)),
        [task_id for task_id in now if task_id in pack.tensors],
    )

    def put(name: str) -> None:
        parts = [new[name]] if name in new else []
        if stay is not None and len(stay) and (left := _read(files, name, pack.pack_id)) is not None:
            parts = [_of(left, now, invert=True), *(parts or [schema_of(name).empty_table()])]
        _put(files, name, pack.pack_id, _joined(name, parts, ids))

    files.together(put, ROW_TABLES)
    _put(files, "tasks", pack.pack_id, _joined("tasks", [tasks] if stay is None else [stay, tasks], ids))


def written(files: Files, table: str, pack_id: str) -> pa.Table:
    """The rows in the pack's file of a table, none if it has no such file."""
    rows = _read(files, table, pack_id)
    return schema_of(table).empty_table() if rows is None else rows


def _read(files: Files, table: str, pack_id: str) -> pa.Table | None:
    """See `written`; None if there is no such file."""
    name = row_file(table, pack_id)
    try:
        return from_parquet(files.read(name), f"{files.uri}/{name}")
    except FileNotFoundError:
        return None


def _of(rows: pa.Table, task_ids: Sequence[str], *, invert: bool = False) -> pa.Table:
    mask = pc.is_in(rows["task_id"], pa.array(task_ids, pa.string()))
    return rows.filter(pc.invert(mask) if invert else mask)


def _joined(table: str, parts: Sequence[pa.Table], ids: Sequence[str]) -> pa.Table | None:
    """All the rows, in the order of the pack's tasks: as if all had been written at once. None where there are none.

    parts: one as this version writes it, or several, some of which may be of an earlier one, without some columns.
    """
    if not any(len(part) for part in parts):
        return None
    rows = parts[0]
    if len(parts) > 1:
        schema = schema_of(table)
        rows = pa.concat_tables([schema.empty_table(), *parts], promote_options="default")
        rows = rows.replace_schema_metadata(schema.metadata)
    if len(rows) == 1:
        return rows
    places = pc.fill_null(pc.index_in(rows["task_id"], pa.array(ids, pa.string())), len(ids)).to_numpy()
    in_order = bool((places[1:] >= places[:-1]).all())
    return rows if in_order else rows.take(pa.array(places.argsort(kind="stable")))


def _put(files: Files, table: str, pack_id: str, rows: pa.Table | None) -> None:
    """Make the pack's file of a table hold these rows; without rows there is no file."""
    if rows is not None:
        files.write(row_file(table, pack_id), _parquet(rows))
    else:
        files.delete(row_file(table, pack_id))


def _parquet(rows: pa.Table) -> bytes:
    """The bytes of a pack's file. Not by `to_parquet`, as merged files: most of the millisecond that zstd takes for a
    small one goes into setting it up anew for each column, and it saves a few per cent.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="snappy")
    return bytes(sink.getvalue())


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
