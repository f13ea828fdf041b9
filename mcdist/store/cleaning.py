"""Taking things out of a store: tasks that are to be computed again, and what kills have left behind."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from mcdist.store.commit import ROW_TABLES
from mcdist.store.files import Entry, Files
from mcdist.store.journal import finish
from mcdist.store.layout import (
    TEMPORARY,
    is_hidden,
    is_merged,
    pack_of,
    table_folder,
    task_of_weights,
    weights_file,
)
from mcdist.store.rows import from_parquet, to_parquet
from mcdist.store.view import FILE, committed, row_files, scan, settled, standing

__all__ = ["clean", "forget"]

Found = list[tuple[Entry, set[str]]]
"""Files, and for each the tasks whose rows in it are meant."""


def forget(files: Files, task_ids: Collection[str]) -> None:
    """Remove these tasks: first their rows of `tasks`, so that they are not committed from then on, then their rows
    of the other tables, then their weights. `sweep_tasks` keeps them: the sweep still asks for them.
    """
    ids = set(task_ids)
    finish(files)
    for table in ("tasks", *ROW_TABLES):
        for entry, found in _holders(files, table, ids):
            _drop(files, entry.name, found)
    for task_id in sorted(ids):
        files.delete(weights_file(task_id))


def clean(files: Files, planned_packs: Collection[str] = (), older_than_s: float = 3600.0) -> tuple[str, ...]:
    """Finish an interrupted compaction and remove what does not stand: rows without commit or computed twice, weights
    of no task that is done, temporary files. Returns the names of the files removed or rewritten.

    A file changed within `older_than_s` may belong to a worker between its rows and its commit and is left, unless it
    is of a pack in `planned_packs`: those must be run after this call, and by nobody else meanwhile.
    """
    finish(files)
    limit = time.time() - older_than_s
    planned = set(planned_packs)
    done = []
    tasks = settled(lambda: committed(files))
    for table in ("tasks", *ROW_TABLES):
        for entry, leftover in _leftovers(files, table, tasks):
            # Nobody but `forget` leaves such rows in a merged file.
            if is_merged(entry.name) or pack_of(entry.name) in planned or entry.modified < limit:
                _drop(files, entry.name, leftover)
                done.append(entry.name)
    for name in _stale(files, limit):
        files.delete(name)
        done.append(name)
    return tuple(done)


def _leftovers(files: Files, table: str, tasks: pa.Table) -> Found:
    """The files with rows that do not stand, and the tasks of those rows. `tasks` may be a while old."""

    def read() -> Found:
        entries = row_files(files, table)
        rows = scan(files, table, entries, ["status"] if table == "tasks" else [])
        stands = standing(rows, table, tasks)
        if not stands.all():  # judged by commits read after the rows: one may just have come
            stands = standing(rows, table, committed(files))
        return _by_file(entries, rows.filter(pa.array(~stands)))

    return settled(read)


def _holders(files: Files, table: str, ids: Collection[str]) -> Found:
    """The files with rows of these tasks, and which."""

    def read() -> Found:
        entries = row_files(files, table)
        rows = scan(files, table, entries, [])
        return _by_file(entries, rows.filter(pc.is_in(rows["task_id"], pa.array(ids, pa.string()))))

    return settled(read)


def _by_file(entries: list[Entry], rows: pa.Table) -> Found:
    found: dict[int, set[str]] = {}
    for index, task_id in zip(rows[FILE].to_pylist(), rows["task_id"].to_pylist(), strict=True):
        found.setdefault(index, set()).add(task_id)
    return [(entries[index], ids) for index, ids in sorted(found.items())]


def _drop(files: Files, name: str, ids: Collection[str]) -> None:
    """Rewrite a row file without the rows of these tasks; a file without rows goes."""
    try:
        rows = from_parquet(files.read(name), f"{files.uri}/{name}")
    except FileNotFoundError:
        return
    kept = rows.filter(pc.invert(pc.is_in(rows["task_id"], pa.array(ids, pa.string()))))
    if len(kept):
        files.write(name, to_parquet(kept))
    else:
        files.delete(name)


def _stale(files: Files, limit: float) -> Iterator[str]:
    """Old files that are part of nothing: temporaries, merged files never committed, weights of no result."""
    for entry in files.list(TEMPORARY):
        if entry.modified < limit:
            yield entry.name
    for table in ("tasks", *ROW_TABLES):
        for entry in files.list(table_folder(table)):
            if is_merged(entry.name) and is_hidden(entry.name) and entry.modified < limit:
                yield entry.name
    found = files.list("weights", deep=True)  # before the commits are read: one may just have come
    tasks = settled(lambda: committed(files))
    done = set(tasks.filter(pc.equal(tasks["status"], "done"))["task_id"].to_pylist())
    for entry in found:
        if entry.modified < limit and task_of_weights(entry.name) not in done:
            yield entry.name
