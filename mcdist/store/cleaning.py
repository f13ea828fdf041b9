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
    if not (ids := set(task_ids)):
        return
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
    tasks, leftovers = settled(lambda: _tasks(files))
    whole = _whole_packs(tasks)
    found = [leftovers, *(_leftovers(files, table, tasks, whole) for table in ROW_TABLES)]
    for entry, ids in (pair for part in found for pair in part):
        # Nobody but `forget` leaves such rows in a merged file.
        if is_merged(entry.name) or pack_of(entry.name) in planned or entry.modified < limit:
            _drop(files, entry.name, ids)
            done.append(entry.name)
    for name in _stale(files, limit, tasks):
        files.delete(name)
        done.append(name)
    return tuple(done)


def _tasks(files: Files) -> tuple[pa.Table, Found]:
    """The rows of `tasks` that stand, and the files with those that do not."""
    entries = row_files(files, "tasks")
    rows = scan(files, "tasks", entries, ["status", "pack_size"])
    stands = pa.array(standing(rows, "tasks", rows))
    return rows.filter(stands), _by_file(entries, rows.filter(pc.invert(stands)))


def _leftovers(files: Files, table: str, tasks: pa.Table, whole: Collection[str]) -> Found:
    """The files with rows that do not stand, and the tasks of those rows. `tasks` may be a while old."""

    def read() -> Found:
        entries, rows = _doubtful(files, table, whole)
        stands = standing(rows, table, tasks)
        if not stands.all():  # judged by commits read after the rows: one may just have come
            stands = standing(rows, table, committed(files))
        return _by_file(entries, rows.filter(pa.array(~stands)))

    return settled(read)


def _whole_packs(tasks: pa.Table) -> set[str]:
    """The packs all of whose tasks stand, as many as each had."""
    packs = tasks.group_by("pack_id").aggregate([("task_id", "count"), ("pack_size", "min")])
    return set(packs.filter(pc.equal(packs["task_id_count"], packs["pack_size_min"]))["pack_id"].to_pylist())


def _doubtful(files: Files, table: str, whole: Collection[str]) -> tuple[list[Entry], pa.Table]:
    """The files that may have rows that do not stand, and their rows.

    The file of a pack was written by its commit, and is not opened where all the pack's tasks stand: a run looks
    for leftovers each time, and a store may have very many files. Where a merged file has rows of that pack too,
    only one of the two stands.
    """
    entries = row_files(files, table)
    if not entries:
        return [], scan(files, table, [], [])
    merged = [entry for entry in entries if is_merged(entry.name)]
    rows = scan(files, table, merged, [])
    sound = set(whole).difference(pc.unique(rows["pack_id"]).to_pylist())
    others = [entry for entry in entries if not is_merged(entry.name) and pack_of(entry.name) not in sound]
    return (merged + others, scan(files, table, merged + others, [])) if others else (merged, rows)


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


def _stale(files: Files, limit: float, tasks: pa.Table) -> Iterator[str]:
    """Old files that are part of nothing: temporaries, merged files never committed, weights of no result."""
    for entry in files.list(TEMPORARY):
        if entry.modified < limit:
            yield entry.name
    for table in ("tasks", *ROW_TABLES):
        for entry in files.list(table_folder(table)):
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
