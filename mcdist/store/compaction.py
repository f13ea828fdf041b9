"""Compaction: many small files of a table become a few large ones; at no moment is a row lost or doubled.

Steps, each of which may be the last before a kill:

1. write the merged files, hidden from readers;
2. write the journal: from here on mcdist reads the merged files in place of their sources;
3. delete the sources of a merged file, then show it, one merged file after the other;
4. drop the journal.

Before 2 nothing has happened; after it whoever comes next does 3 and 4 (`journal.finish`). A plain reader sees the
sources before 3 and the merged file after it; in between it misses some rows, but sees none twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from mcdist.errors import StoreError
from mcdist.store.commit import ROW_TABLES
from mcdist.store.files import Entry, Files
from mcdist.store.journal import Merge, finish, start
from mcdist.store.layout import hidden, merged_file, schema_of
from mcdist.store.rows import from_parquet, to_parquet
from mcdist.store.view import FILE, all_row_files, scan, settled, standing

__all__ = ["TARGET_BYTES", "TARGET_ROWS", "Compacted", "compact"]

TARGET_BYTES = 128 * 2**20
TARGET_ROWS = 1_000_000


@dataclass(frozen=True)
class Compacted:
    """What a compaction did: row files and their bytes, over all tables, before and after."""

    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compact(files: Files, *, target_bytes: int = TARGET_BYTES, target_rows: int = TARGET_ROWS) -> Compacted:
    """Merge the committed files of every table, until a merged file has about so many bytes or rows.

    Packs may be committed meanwhile; tasks must not be forgotten meanwhile. Files with rows that do not stand
    (uncommitted or superseded ones) are left alone: `clean` is for them. `sweep_tasks` keeps a file per sweep. Raises
    StoreError if another compaction is under way or a file is damaged.
    """
    finish(files)
    before, groups = settled(lambda: _survey(files, target_bytes, target_rows))
    merges = {_merge(files, table, group): group for table, group in groups}
    if valid := _unchanged(files, merges):
        start(files, valid)
        finish(files)
    after = _all_files(files)
    return Compacted(len(before), len(after), sum(e.size for e in before), sum(e.size for e in after))


def _all_files(files: Files) -> list[Entry]:
    return [entry for entries in all_row_files(files, ("tasks", *ROW_TABLES)).values() for entry in entries]


def _survey(files: Files, target_bytes: int, target_rows: int) -> tuple[list[Entry], list[tuple[str, list[Entry]]]]:
    """All files, and of each table which to merge."""
    listed = all_row_files(files, ("tasks", *ROW_TABLES))
    rows = scan(files, "tasks", listed["tasks"], ["status"])
    tasks = rows.filter(pa.array(standing(rows, "tasks", rows)))
    groups = []
    for table, entries in listed.items():
        if len(entries) > 1:
            found = rows if table == "tasks" else scan(files, table, entries, [])
            by_table = _groups(entries, found, standing(found, table, tasks), target_bytes, target_rows)
            groups += [(table, group) for group in by_table]
    return [entry for entries in listed.values() for entry in entries], groups


def _groups(
    entries: Sequence[Entry], rows: pa.Table, stands: np.ndarray, target_bytes: int, target_rows: int
) -> list[list[Entry]]:
    """Runs of files to merge, two or more each, in the order of the table's files."""
    frame = pd.DataFrame({"file": rows[FILE].to_numpy(), "stands": stands})
    by_file = frame.groupby("file")["stands"].agg(["size", "all"])
    groups: list[list[Entry]] = [[]]
    size = count = 0
    for index, n_rows, all_stand in by_file.itertuples():
        entry = entries[index]
        large = entry.size >= target_bytes / 2 or n_rows >= target_rows / 2
        if large or not all_stand:
            continue
        if size + entry.size > target_bytes or count + n_rows > target_rows:
            groups.append([])
            size = count = 0
        groups[-1].append(entry)
        size, count = size + entry.size, count + n_rows
    return [group for group in groups if len(group) > 1]


def _merge(files: Files, table: str, group: Sequence[Entry]) -> Merge:
    """Write the merged file, hidden. Columns of a newer mcdist are kept."""
    schema = schema_of(table)

    def part(entry: Entry) -> pa.Table:
        return from_parquet(files.read(entry.name), f"{files.uri}/{entry.name}")

    try:
        parts = files.together(part, group)
        merged = pa.concat_tables([schema.empty_table(), *parts], promote_options="default")
    except FileNotFoundError as error:
        raise StoreError(f"{error.filename} went away while it was compacted; try again") from error
    except pa.ArrowException as error:
        raise StoreError(f"files of table {table!r} in {files.uri} do not fit together: {error}") from error
    data = to_parquet(merged.replace_schema_metadata(schema.metadata))
    sources = tuple(entry.name for entry in group)
    # The sources are part of the name, so that a merged file is never its own source.
    digest = hashlib.sha256("\n".join(sources).encode() + data).hexdigest()[:16]
    merge = Merge(merged_file(table, digest), sources)
    files.write(hidden(merge.target), data)
    return merge


def _unchanged(files: Files, merges: Mapping[Merge, Sequence[Entry]]) -> tuple[Merge, ...]:
    """The merges whose sources are still as they were read."""
    now = set(_all_files(files))
    valid = tuple(merge for merge, group in merges.items() if now.issuperset(group))
    for merge in merges.keys() - set(valid):
        files.delete(hidden(merge.target))
    return valid
