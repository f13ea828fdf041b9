"""Taking things out of a store: tasks that are to be computed again, and what kills have left behind."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from mcdist.store.commit import ROW_TABLES
from mcdist.store.files import Entry, Files
from mcdist.store.journal import finish
from mcdist.store.layout import (
    ALL_TABLES,
    TEMPORARY,
    is_hidden,
    is_merged,
    pack_of,
    task_of_weights,
    weights_file,
)
from mcdist.store.rows import from_parquet, to_parquet
from mcdist.store.view import FILE, all_row_files, committed, scan, settled, standing

__all__ = ["clean", "forget"]

Found = list[tuple[Entry, set[str]]]
"""Files, and for each the tasks whose rows in it are meant."""


def forget(files: Files, task_ids: Collection[str]) -> None:
    """Remove these tasks: first their rows of `tasks`, so that they are not committed from then on, then their rows
    of the other tables, then their weights. `sweep_tasks` keeps them: the sweep still asks for them.
    """
    if not (ids := set(task_ids)):
        return
    finish(files)
    holders = settled(lambda: _holders(files, ids))
    for table in ("tasks", *ROW_TABLES):
        files.together(lambda held: _drop(files, held[0].name, held[1]), holders[table])
    files.together(lambda task_id: files.delete(weights_file(task_id)), sorted(ids))


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
    tasks, found = settled(lambda: _survey(files))
    for entry, ids in found:
        # Nobody but `forget` leaves such rows in a merged file.
        if is_merged(entry.name) or pack_of(entry.name) in planned or entry.modified < limit:
            _drop(files, entry.name, ids)
            done.append(entry.name)
    stale = list(_stale(files, limit, tasks))
    files.together(files.delete, stale)
    return (*done, *stale)


def _survey(files: Files) -> tuple[pa.Table, Found]:
    """The rows of `tasks` that stand, and the files of all tables with rows that do not."""
    listed = all_row_files(files, ("tasks", *ROW_TABLES))
    rows = scan(files, "tasks", listed["tasks"], ["status", "pack_size"])
    stands = pa.array(standing(rows, "tasks", rows))
    tasks, found = rows.filter(stands), _by_file(listed["tasks"], rows.filter(pc.invert(stands)))
    whole = _whole_packs(tasks)
    for table in ROW_TABLES:
        found += _leftovers(files, table, listed[table], tasks, whole)
    return tasks, found


def _leftovers(files: Files, table: str, listed: list[Entry], tasks: pa.Table, whole: Collection[str]) -> Found:
    """The files with rows that do not stand, and the tasks of those rows. `tasks` may be a while old."""
    entries, rows = _doubtful(files, table, listed, whole)
    stands = standing(rows, table, tasks)
    if not stands.all():  # judged by commits read after the rows: one may just have come
        stands = standing(rows, table, committed(files))
    return _by_file(entries, rows.filter(pa.array(~stands)))


def _whole_packs(tasks: pa.Table) -> set[str]:
    """The packs all of whose tasks stand, as many as each had."""
    packs = tasks.group_by("pack_id").aggregate([("task_id", "count"), ("pack_size", "min")])
    return set(packs.filter(pc.equal(packs["task_id_count"], packs["pack_size_min"]))["pack_id"].to_pylist())


def _doubtful(files: Files, table: str, entries: list[Entry], whole: Collection[str]) -> tuple[list[Entry], pa.Table]:
    """The files that may have rows that do not stand, and their rows.

    The file of a pack was written by its commit, and is not opened where all the pack's tasks stand: a run looks
    for leftovers each time, and a store may have very many files. Where a merged file has rows of that pack too,
    only one of the two stands.
    """
    merged = [entry for entry in entries if is_merged(entry.name)]
    rows = scan(files, table, merged, [])
    sound = set(whole).difference(pc.unique(rows["pack_id"]).to_pylist())
    others = [entry for entry in entries if not is_merged(entry.name) and pack_of(entry.name) not in sound]
    return (merged + others, scan(files, table, merged + others, [])) if others else (merged, rows)


def _holders(files: Files, ids: Collection[str]) -> dict[str, Found]:
    """By table, the files with rows of these tasks, and which.

    Only files of packs that have committed one of them are opened, and merged ones; rows that were never committed
    are not there in any case.
    """
    listed = all_row_files(files, ("tasks", *ROW_TABLES))
    rows = _rows_of(ids, scan(files, "tasks", listed["tasks"], []))
    packs = set(rows["pack_id"].to_pylist())
    holders = {"tasks": _by_file(listed["tasks"], rows)}
    for table in ROW_TABLES:
        entries = [entry for entry in listed[table] if is_merged(entry.name) or pack_of(entry.name) in packs]
        holders[table] = _by_file(entries, _rows_of(ids, scan(files, table, entries, [])))
    return holders


def _rows_of(ids: Collection[str], rows: pa.Table) -> pa.Table:
    return rows.filter(pc.is_in(rows["task_id"], pa.array(ids, pa.string())))


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


def _stale(files: Files, limit: float, tasks: pa.Table) -> Iterator[str]:
    """Old files that are part of nothing: temporaries, merged files never committed, weights of no result."""
    for entry in files.list(TEMPORARY):
        if entry.modified < limit:
            yield entry.name
    for entry in files.list(ALL_TABLES, deep=True):
        if is_merged(entry.name) and is_hidden(entry.name) and entry.modified < limit:
            yield entry.name
    old = [entry.name for entry in files.list("weights", deep=True) if entry.modified < limit]
    strange = _not_done(old, tasks)
    if strange:  # judged by commits read after the files: one may just have come
        yield from _not_done(strange, settled(lambda: committed(files)))


def _not_done(weights: Iterable[str], tasks: pa.Table) -> list[str]:
    """The weights files of tasks that are not done."""
    done = set(tasks.filter(pc.equal(tasks["status"], "done"))["task_id"].to_pylist())
    return [name for name in weights if task_of_weights(name) not in done]
