"""What the machinery around the work costs: tasks that only wait, or not even that, through the real driver on Ray.

Time counts from when all workers are ready: starting Ray and its processes is no part of it.
"""

from __future__ import annotations

import io
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mcdist.bench.row import Number, Row, at_least, compared, measured
from mcdist.bench.suite import Suite
from mcdist.bench.timing import Contender, Timings, interleaved

if TYPE_CHECKING:
    from mcdist.plan import Pack
    from mcdist.problems.data import Dataset
    from mcdist.store import Store

__all__ = ["DISPATCH", "OVERHEAD", "Machinery", "busy_fraction", "commits", "gaps", "machinery", "pauses"]

WORKERS = 2
TASKS, SECONDS = 200, 1.0
EMPTY, PACKS = 2000, (1, 16)  # 16: the pack of small tasks where nothing is tried
IN_FLIGHT = 2  # calls to an actor, as many as jobs that a worker of mcdist has
RAW = "raw call"

_numbers = itertools.count()


def pauses(number: int, pack: int, seconds: float) -> list[Pack]:
    """Packs of so many pauses; never the same task twice in this process."""
    from mcdist.plan import Blueprint, pack_of
    from mcdist.spec.tasks import PauseTask

    tasks = [Blueprint(PauseTask(seconds=seconds, number=next(_numbers))).task() for _ in range(number)]
    return [pack_of(tasks[i : i + pack]) for i in range(0, number, pack)]


class Machinery:
    """Workers that are started, and the store that they write into."""

    def __init__(self, store: Store, run: Callable[[Sequence[Pack]], None]) -> None:
        self.store, self._run = store, run

    def drive(self, packs: Sequence[Pack]) -> float:
        """Do the packs; seconds from the first being sent to the last being committed and reported.

        RuntimeError where one is not done.
        """
        started = time.perf_counter()
        self._run(packs)
        return time.perf_counter() - started

    def tasks(self, packs: Sequence[Pack]) -> pd.DataFrame:
        """Their rows of `tasks`."""
        rows = self.store.table("tasks", ["task_id", "status", "started_at", "wall_s"]).set_index("task_id")
        return rows.loc[[task.id for pack in packs for task in pack.tasks]]

    def warm_up(self) -> None:
        """Return when all workers are ready: when as many pauses as there are workers were made at one time."""
        while True:
            packs = pauses(WORKERS, 1, 0.2)
            self.drive(packs)
            starts = self.tasks(packs)["started_at"]
            if (starts.max() - starts.min()).total_seconds() < 0.2:
                return


@contextmanager
def machinery() -> Iterator[Machinery]:
    """Two workers on Ray and an empty store, as long as this is entered."""
    from mcdist.execute.driver import drive
    from mcdist.execute.progress import ProgressDisplay
    from mcdist.execute.ray_pool import RayExecutor
    from mcdist.execute.scheduler import Scheduler
    from mcdist.spec.resources import ResourcesSpec
    from mcdist.store import open_store

    with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
        store = open_store(Path(folder) / "store", create=True)
        # half a CPU each: they compute nothing, and a Ray on one core has room for them
        executor = RayExecutor(ResourcesSpec(workers=WORKERS, cpus=0.5, gpus=0), {}, "local")
        try:
            executor.start(store.uri, {"pause": WORKERS})

            def run(packs: Sequence[Pack]) -> None:
                ids = [task.id for pack in packs for task in pack.tasks]
                kinds, costs = dict.fromkeys(ids, "pause"), dict.fromkeys(ids, 0.0)
                progress = ProgressDisplay({"pause": len(ids)}, {}, kinds, costs, executor.workers, io.StringIO())
                scheduler = Scheduler(packs, {}, retries=0)
                drive(scheduler, executor, store, progress)
                if bad := [i for i in ids if scheduler.status[i] != "done"]:
                    raise RuntimeError(f"{len(bad)} of {len(ids)} tasks are not done")

            yield Machinery(store, run)
        finally:
            executor.close()


def overhead_rows(repeats: int) -> Iterator[Row]:
    """One row: how much of the workers' time is work."""
    with machinery() as machine:
        machine.warm_up()
        runs = []
        for _ in range(repeats):
            packs = pauses(TASKS, 1, SECONDS)
            machine.drive(packs)
            runs.append(machine.tasks(packs))
    idle = [gap for run in runs for gap in gaps(run, WORKERS)]
    numbers = [
        Number("largest gap between two tasks of a worker", max(idle) * 1e3, "ms"),
        Number("median gap", statistics.median(idle) * 1e3, "ms"),
    ]
    name, what = f"{TASKS} tasks of {SECONDS:g} s, {WORKERS} workers", "busy fraction"
    values = [busy_fraction(run, WORKERS) for run in runs]
    yield measured(name, what, values, "", aim=at_least(0.98), numbers=numbers)


def _finished(tasks: pd.DataFrame) -> pd.Series:
    return tasks["started_at"] + pd.to_timedelta(tasks["wall_s"], unit="s")


def busy_fraction(tasks: pd.DataFrame, workers: int) -> float:
    """The part of the workers' time, from the first start to the last finish, in which they did these tasks."""
    span = (_finished(tasks).max() - tasks["started_at"].min()).total_seconds()
    return float(tasks["wall_s"].sum() / (workers * span))


def gaps(tasks: pd.DataFrame, workers: int) -> list[float]:
    """Seconds from the finish of each task to the start of the next on the same worker.

    The table does not say which worker did a task: the next one started is taken for that of the worker that has been
    idle the longest.
    """
    order = tasks.assign(finished=_finished(tasks)).sort_values("started_at")
    starts = order["started_at"].iloc[workers:]
    ends = order["finished"].sort_values().iloc[: len(starts)]
    return [(start - end).total_seconds() for start, end in zip(starts, ends, strict=True)]


def dispatch_rows(repeats: int) -> Iterator[Row]:
    """A row for packs of one task, one for packs as a sweep would have them."""
    from mcdist.execute.raw_calls import RawCalls, own_ray

    with own_ray(), machinery() as machine:
        raw = RawCalls(WORKERS)
        machine.warm_up()
        contenders: dict[str, Contender] = {
            RAW: lambda: raw.bounded(EMPTY, IN_FLIGHT) / EMPTY * 1e6,
            f"{RAW}, all at once": lambda: raw.unbounded(EMPTY) / EMPTY * 1e6,
        }
        for size in PACKS:
            contenders[f"task in packs of {size}"] = _emptily(machine, size)
            contenders[f"commit of {size}"] = _alone(size)
        taken = interleaved(contenders, repeats)
        raw.close()
    for size in PACKS:
        yield _dispatch_row(taken, size)


def _emptily(machine: Machinery, size: int) -> Contender:
    def drive() -> float:
        packs = pauses(EMPTY, size, 0.0)
        return machine.drive(packs) / EMPTY * 1e6

    return drive


def _alone(size: int) -> Contender:
    return lambda: commits(max(1, EMPTY // size), size) * 1e6


def commits(number: int, size: int) -> float:
    """Seconds of a commit of a pack of `size` empty tasks, one after the other in this process, of `number`."""
    from mcdist.execute.job import job_of
    from mcdist.execute.worker import Worker
    from mcdist.store import open_store

    with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
        store = open_store(Path(folder) / "store", create=True)
        data: dict[str, Dataset] = {}  # pauses need none
        worker = Worker(store.uri, "cpu", 1, data.__getitem__)
        computed = [worker.compute(job_of(pack, 1)) for pack in pauses(number * size, size, 0.0)]
        started = time.perf_counter()
        for pack in computed:
            worker.commit(pack)
        seconds = time.perf_counter() - started
        if len(store.table("tasks", ["task_id"])) != number * size:
            raise RuntimeError("not all tasks were committed")
    return seconds / number


def _dispatch_row(taken: Timings, size: int) -> Row:
    tasks, commit = f"task in packs of {size}", f"commit of {size}"
    shown = Timings({name: taken.values[name] for name in (RAW, f"{RAW}, all at once", tasks, commit)})
    numbers = [
        Number("raw calls", 1e6 / taken.median(RAW), "/s"),
        Number("tasks", 1e6 / taken.median(tasks), "/s"),
        Number("commits by one process that does nothing else", 1e6 / taken.median(commit), "/s"),
    ]
    name = f"empty tasks in packs of {size}, {WORKERS} workers"
    return compared(name, shown, RAW, tasks, aim=at_least(0.6), numbers=numbers, unit="µs")


OVERHEAD = Suite("pauses of 1 s on two Ray workers: how much of the workers' time is work", 1, overhead_rows)
DISPATCH = Suite("empty tasks, each committed to a store / empty calls of Ray's actors", 5, dispatch_rows)
