"""What stands in a table: the committed rows, each once, whatever else lies in its folder.

**Definition.** Let the files of a table be ordered, merged ones first, then by name. A task is committed if `tasks`
has a row of it; where it has several (two drivers computed the task in different packs, or a pack was run again), the
first that is `done` stands, else the first. In any other table the rows of a task that stand are those with the
standing row's `pack_id`, in the first file that has such. Everything else is not there: rows of a pack that was
killed before its commit, of a task that was forgotten, or of a second computation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from mcdist.errors import StoreError
from mcdist.store.files import Entry, Files
from mcdist.store.journal import Merge, read_journal
from mcdist.store.layout import (
    ALL_TABLES,
    check_columns,
    hidden,
    is_hidden,
    is_merged,
    is_rows,
    schema_of,
    table_folder,
)
from mcdist.store.rows import read_columns

__all__ = [
    "FILE",
    "Changed",
    "all_row_files",
    "committed",
    "read_rows",
    "read_table",
    "row_files",
    "scan",
    "settled",
    "standing",
]

FILE = "__file"
"""The column with the position of the file that a row came from."""
_RETRIES = 5

T = TypeVar("T")


class Changed(StoreError):
    """Files were replaced while they were read; read again."""


def settled(read: Callable[[], T]) -> T:
    """The result of a read that no one disturbed, tried a few times; StoreError if it never is."""
    for _ in range(_RETRIES):
        with suppress(Changed):
            return read()
    return read()


def row_files(files: Files, table: str) -> list[Entry]:
    """The files that a table consists of, in the order of precedence; not those which a compaction has replaced."""
    return _standing_files(*_listed(files, table_folder(table)))


def all_row_files(files: Files, tables: Sequence[str]) -> dict[str, list[Entry]]:
    """The same of several tables, by one listing of them all: on an object store a request for a thousand files."""
    found, merges = _listed(files, ALL_TABLES, deep=True)
    by_folder: dict[str, list[Entry]] = {table_folder(table): [] for table in tables}
    for entry in found:
        if (folder := entry.name.rpartition("/")[0]) in by_folder:
            by_folder[folder].append(entry)
    return {table: _standing_files(by_folder[table_folder(table)], merges) for table in tables}


def _listed(files: Files, folder: str, *, deep: bool = False) -> tuple[list[Entry], tuple[Merge, ...]]:
    """The files in a folder, and the merges that were under way all the while."""
    before: set[str] | None = None
    while True:
        merges = read_journal(files)
        found = files.list(folder, deep=deep)
        names = {entry.name for entry in found}
        # A listing takes its time, and a compaction may come and go meanwhile: then files are gone when one looks
        # again. New ones do not matter, so that this comes to an end however busily packs are committed.
        if before is not None and before <= names and read_journal(files) == merges:
            return found, merges
        before = names


def _standing_files(found: Sequence[Entry], merges: Sequence[Merge]) -> list[Entry]:
    entries = {entry.name: entry for entry in found if is_rows(entry.name)}
    standing_in = set()
    for merge in merges:
        if hidden(merge.target) in entries:
            standing_in.add(hidden(merge.target))
            for name in (*merge.sources, merge.target):
                entries.pop(name, None)
    shown = [entry for name, entry in entries.items() if name in standing_in or not is_hidden(name)]
    return sorted(shown, key=lambda entry: (not is_merged(entry.name), entry.name))


def scan(files: Files, table: str, entries: Sequence[Entry], columns: Sequence[str]) -> pa.Table:
    """All rows of these files, in their order, with the position of a row's file in `entries` in the column FILE.

    Columns that a file lacks are null; columns of a newer mcdist, which this one does not know, are not read. Raises
    StoreError that names a file which is no Parquet file of this table, Changed if one was replaced.
    """
    schema = schema_of(table)
    names = list(dict.fromkeys([name for name in ("task_id", "pack_id") if name in schema.names] + [*columns]))
    wanted = pa.schema([schema.field(name) for name in names])
    try:
        parts = files.together(lambda entry: _part(files, table, entry, wanted), entries)
    except FileNotFoundError as error:
        raise Changed(f"the store at {files.uri} changes faster than it can be read: {error}") from error
    rows = pa.concat_tables([wanted.empty_table(), *parts]).combine_chunks()
    positions = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return rows.append_column(FILE, pa.array(positions, pa.int64()))


def _part(files: Files, table: str, entry: Entry, wanted: pa.Schema) -> pa.Table:
    """The columns of one file. Not by pyarrow's datasets: of very small files they read a third as many in a second."""
    try:
        rows = read_columns(files.source(entry.name, entry.size), wanted)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise StoreError(_foreign(files, table, entry, str(error))) from error
    for key in ("task_id", "pack_id"):
        if key in wanted.names and rows[key].null_count:
            raise StoreError(_foreign(files, table, entry, f"rows without {key}"))
    return rows


def _foreign(files: Files, table: str, entry: Entry, why: str) -> str:
    return f"{files.uri}/{entry.name} is no file of table {table!r}: move it away and run again ({why})"


def committed(files: Files, columns: Sequence[str] = ()) -> pa.Table:
    """The rows of `tasks` that stand, with `task_id`, `pack_id`, `status`, FILE and the given columns."""
    rows = scan(files, "tasks", row_files(files, "tasks"), ["status", *columns])
    return rows.filter(pa.array(_standing_tasks(rows)))


def standing(rows: pa.Table, table: str, tasks: pa.Table) -> np.ndarray:
    """For each of `rows`, from `scan` of all the table's files, whether it stands; `tasks` from `committed`."""
    if table == "tasks":
        return _standing_tasks(rows)
    if table == "sweep_tasks" or not len(rows):
        return np.ones(len(rows), dtype=bool)
    frame = rows.select(["task_id", "pack_id", FILE]).to_pandas()
    packs = tasks.select(["task_id", "pack_id"]).to_pandas().set_index("task_id")["pack_id"]
    eligible = frame["pack_id"] == frame["task_id"].map(packs)
    first = frame[eligible].drop_duplicates("task_id").set_index("task_id")[FILE]
    return np.asarray(eligible & (frame[FILE] == frame["task_id"].map(first)), dtype=bool)


def _standing_tasks(rows: pa.Table) -> np.ndarray:
    frame = rows.select(["task_id", "status"]).to_pandas()
    order = frame.assign(late=frame["status"] != "done").sort_values("late", kind="stable")
    mask = np.zeros(len(frame), dtype=bool)
    mask[order.drop_duplicates("task_id").index] = True
    return mask


def read_rows(files: Files, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows that stand, by pack and as the pack wrote them, so that a compaction changes nothing to see.

    Raises StoreError for an unknown table or column and for a file that is none of the table's.
    """
    wanted = schema_of(table).names if columns is None else list(columns)
    check_columns(table, wanted)

    def read() -> pa.Table:
        if table == "tasks":
            return committed(files, wanted)
        tasks = committed(files) if table != "sweep_tasks" else None
        rows = scan(files, table, row_files(files, table), wanted)
        return rows if tasks is None else rows.filter(pa.array(standing(rows, table, tasks)))

    rows = settled(read)
    if "pack_id" in rows.column_names:
        packs = rows["pack_id"].to_pandas()
        if not packs.is_monotonic_increasing:
            rows = rows.take(pa.array(np.argsort(packs.to_numpy(), kind="stable")))
    return rows.select(wanted)


def read_table(files: Files, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The same as a frame."""
    frame: pd.DataFrame = read_rows(files, table, columns).to_pandas()
    return frame
