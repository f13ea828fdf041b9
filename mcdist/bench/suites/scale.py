"""One driver and thousands of workers: its real time, theirs on an event-driven clock.

Each size is driven in a process of its own, which prints what it took as JSON:
python -m mcdist.bench.suites.scale '{"tasks": 100800, "workers": 1000}'
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from mcdist.bench.processes import peak_bytes, run_python
from mcdist.bench.row import Number, Row, at_least, at_most, compared, measured
from mcdist.bench.simulated import Costs, Fates, Simulated
from mcdist.bench.suite import Suite
from mcdist.bench.suites.plan import sweep_of
from mcdist.bench.timing import interleaved

__all__ = ["SCALE", "Case", "drive_once", "rows"]

PACK = 16
SIZES = (250_000, 1_000_000)
WORKERS = (1_000, 10_000)


@dataclass(frozen=True)
class Case:
    """A sweep of so many tasks in packs of `pack`, on so many workers. seeds: end points; all tasks where it is None,
    each then waiting for nothing.
    """

    tasks: int
    workers: int
    seeds: int | None = 800
    pack: int = PACK
    fates: Fates = field(default_factory=Fates)
    costs: Costs = field(default_factory=Costs)

    @classmethod
    def of(cls, text: str) -> Case:
        """From JSON."""
        said: dict[str, Any] = json.loads(text)
        fates, costs = Fates(**said.pop("fates", {})), Costs(**said.pop("costs", {}))
        return cls(**said, fates=fates, costs=costs)

    def sweep(self) -> dict[str, Any]:
        """The sweep."""
        if self.seeds is not None:
            return sweep_of(self.tasks, self.seeds)
        return sweep_of(104, 4) | {"endpoints": {"seeds": self.tasks, "train": TRAIN}, "pairs": "none", "paths": []}


TRAIN = {"epochs": 80, "lr": 0.1, "batch_size": 32}
SHORT = (1.0, 10.0)  # seconds of the jobs that workers must be kept busy with
ALONE = 20  # jobs for each worker


def rows(repeats: int) -> Iterator[Row]:
    """What a million tasks take of the driver, how that grows, and how short jobs may be before workers wait for it."""
    found: dict[Case, list[dict[str, float]]] = {}

    def contender(case: Case, per: str) -> Callable[[], float]:
        def drive() -> float:
            took = json.loads(run_python("-m", __name__, json.dumps(asdict(case))).output)
            found.setdefault(case, []).append(took)
            return float(took["driver"] / took[per] * 1e6)

        return drive

    sizes = {f"{size:,} tasks": Case(size, WORKERS[0]) for size in SIZES}
    taken = interleaved({name: contender(case, "tasks") for name, case in sizes.items()}, repeats)
    small, most = sizes
    name, last = f"{most} in packs of {PACK}, {WORKERS[0]:,} workers", found[sizes[most]]
    seen = [Number(what, last[-1][what], "") for what in ("jobs", *SEEN)]
    yield measured(name, "CPU of the driver per task", taken.values[most], "µs", aim=at_most(25), numbers=seen)
    yield measured(name, "peak memory", [took["peak"] / 1e9 for took in last], "GB", aim=at_most(4))
    yield compared("CPU per task", taken, most, small, aim=at_most(1.25), unit="µs")

    alone = {f"{number:,} workers": Case(ALONE * max(WORKERS), number, None, 1) for number in WORKERS}
    taken = interleaved({name: contender(case, "jobs") for name, case in alone.items()}, repeats)
    few, many = alone
    # ten times the jobs in flight do not fit into the caches; a search among the workers would make this tenfold
    yield compared("CPU per job, packs of 1", taken, many, few, aim=at_most(1.25), unit="µs")

    costs = ray_costs()
    for number, seconds in zip(WORKERS, SHORT, strict=True):
        yield _fed(number, seconds, costs, taken.median(f"{number:,} workers") / 1e6, repeats)


def _fed(workers: int, seconds: float, costs: Costs, own: float, repeats: int) -> Row:
    """How many jobs are sent in a time / how many by a driver that takes none. own: its CPU seconds per job."""
    undisturbed = Fates(seconds, lost=0.0, raised=0.0, failed=0.0)
    case = Case(ALONE * workers, workers, None, 1, undisturbed, costs)
    timeless = Case(ALONE * workers, workers, None, 1, undisturbed, Costs(own=False))
    times = {
        c: [json.loads(run_python("-m", __name__, json.dumps(asdict(c))).output)["fed"] for _ in range(repeats)]
        for c in (case, timeless)
    }
    numbers = [
        Number("driver alone, per job", own * 1e6, "µs"),
        Number("Ray's part of its thread, per job", costs.job * 1e6, "µs"),
        Number("Ray's part, per reference and look", costs.reference * 1e6, "µs"),
        Number("jobs that it could send", 1 / (own + costs.job), "/s"),
        Number("shortest jobs that would keep them busy", workers * (own + costs.job), "s"),
    ]
    values = [a / b for a, b in zip(times[timeless], times[case], strict=True)]
    name = f"jobs of {seconds:g} s, {workers:,} workers, with Ray's part"
    return measured(
        name, "jobs sent / by a driver that takes no time", values, "x", aim=at_least(0.95), numbers=numbers
    )


def ray_costs() -> Costs:
    """What Ray takes of the driver's thread on this machine, with two actors and a thousand references."""
    from mcdist.execute.job import Report, Verdict, job_of
    from mcdist.execute.raw_calls import own_ray
    from mcdist.execute.raw_costs import job_seconds, reference_seconds
    from mcdist.plan import form_packs, groups, make_plan
    from mcdist.spec import load_spec

    plan = make_plan(load_spec(Case(PACK, 1, None).sweep()))
    job = job_of(form_packs(plan, dict.fromkeys(groups(plan), PACK))[0], 1)
    report = Report(job.pack_id, dict.fromkeys(job.ids, Verdict("done")))
    with own_ray():
        return Costs(job=job_seconds(job, report, 2000), reference=reference_seconds(1000))


SEEN = ("lost", "raised", "taken back", "failed", "blocked")


def drive_once(case: Case) -> dict[str, float]:
    """Drive a sweep to its end on simulated workers.

    driver: CPU seconds from the first job to the last verdict, jobs: sent, span: seconds on the simulated clock, fed:
    those until the last job was sent, busy: part of the workers' time in which they had something to do, peak: bytes of
    this process at most; and how many jobs were lost, raised and taken back, tasks failed and blocked.
    """
    from mcdist.execute.driver import drive
    from mcdist.execute.progress import ProgressDisplay
    from mcdist.execute.scheduler import Scheduler
    from mcdist.execute.sweep import task_costs
    from mcdist.plan import form_packs, groups, make_plan
    from mcdist.spec import load_spec
    from mcdist.store import open_store
    from mcdist.tasks.problems import prepare

    prepared = prepare(load_spec(case.sweep()))
    plan = make_plan(prepared.spec)
    scheduler = Scheduler(form_packs(plan, dict.fromkeys(groups(plan), case.pack)), {}, 3)
    kinds, costs = {i: task.kind for i, task in plan.tasks.items()}, task_costs(plan, prepared)
    with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
        store = open_store(folder, create=True)
        workers = Simulated(case.workers, case.fates, case.costs)
        progress = ProgressDisplay(plan.counts(), {}, kinds, costs, workers.workers, io.StringIO())
        drive(scheduler, workers, store, progress)
    ended = [scheduler.status[i] for i in plan.tasks]
    if scheduler.pending() or len(ended) != case.tasks:
        raise RuntimeError("not every task is settled")
    return {
        "tasks": float(len(ended)),
        "driver": workers.driver_s,
        "jobs": float(workers.seen.total()),
        "span": workers.now,
        "fed": workers.fed,
        "busy": workers.occupied_s / (case.workers * workers.now),
        "peak": float(peak_bytes()),
        **{what: float(workers.seen[what]) for what in ("lost", "raised", "taken back")},
        "failed": float(ended.count("failed")),
        "blocked": float(ended.count("blocked")),
    }


SCALE = Suite("a million tasks driven by the real scheduler on simulated workers; Ray's part measured", 1, rows)

if __name__ == "__main__":
    print(json.dumps(drive_once(Case.of(sys.argv[1]))))
