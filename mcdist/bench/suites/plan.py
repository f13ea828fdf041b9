"""What a million tasks cost before the first of them is done: `mcdist plan`, and the packs that `mcdist run` forms.

Each size is planned in a process of its own, which prints what it took as JSON: python -m mcdist.bench.suites.plan N
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from mcdist.bench.processes import peak_bytes, resident_bytes, run_python
from mcdist.bench.row import Number, Row, at_most, compared, measured
from mcdist.bench.suite import Suite
from mcdist.bench.timing import interleaved

__all__ = ["PLAN", "sweep_of"]

SIZES = (250_000, 500_000, 1_000_000)
SEEDS = 800
T = TypeVar("T")


def sweep_of(tasks: int, seeds: int = SEEDS) -> dict[str, Any]:
    """A sweep of so many tasks: a line and a curve between random pairs of end points, each with a profile."""
    pairs, rest = divmod(tasks - seeds, 4)
    if rest or pairs < 1:
        raise ValueError(f"{tasks} tasks are not {seeds} end points and four for each of a number of pairs")
    return {
        "name": "million",
        "problem": {"data": "digits", "model": {"name": "mlp", "args": {"hidden": [64, 64]}}},
        "endpoints": {"seeds": seeds, "train": {"epochs": 80, "lr": 0.1, "batch_size": 32}},
        "pairs": {"random": pairs},
        "paths": [{"kind": "linear"}, {"kind": "bezier", "train": {"epochs": 200, "lr": 0.05, "batch_size": 32}}],
    }


def rows(repeats: int) -> Iterator[Row]:
    """Time and memory of the greatest size, and of each task in all sizes."""
    found: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}

    def contender(size: int) -> Callable[[], float]:
        def plan() -> float:
            done = run_python("-m", __name__, size)
            found[size].append(json.loads(done.output) | {"wall": done.seconds})
            return found[size][-1]["work"] / size * 1e6

        return plan

    taken = interleaved({f"{size:,} tasks": contender(size) for size in SIZES}, repeats)
    small, most = f"{SIZES[0]:,} tasks", f"{SIZES[-1]:,} tasks"
    last = found[SIZES[-1]][-1]
    phases = [Number(name, last[name], "s") for name in ("prepare", *PHASES)]
    yield measured(most, "whole process", [f["wall"] for f in found[SIZES[-1]]], "s", aim=at_most(120), numbers=phases)
    yield measured(most, "peak memory", [f["peak"] / 1e9 for f in found[SIZES[-1]]], "GB", aim=at_most(4))
    yield compared("time per task", taken, most, small, aim=at_most(1.25), unit="µs")
    memory = {f"{size:,} tasks": [f["grown"] / size for f in found[size]] for size in SIZES}
    yield compared("memory per task", type(taken)(memory), most, small, aim=at_most(1.25), unit="bytes")


PHASES = ("plan", "remains", "costs", "packs", "scheduler")


def plan_once(tasks: int) -> dict[str, float]:
    """Seconds of each phase and of all (`work`), peak memory and what of it came with the tasks, in bytes."""
    from mcdist.execute.scheduler import Scheduler
    from mcdist.execute.state import what_remains
    from mcdist.execute.sweep import task_costs
    from mcdist.plan import form_packs, groups, make_plan
    from mcdist.spec import load_spec
    from mcdist.tasks.problems import prepare

    took: dict[str, float] = {}

    def timed(phase: str, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = work()
        took[phase] = time.perf_counter() - started
        return result

    prepared = timed("prepare", lambda: prepare(load_spec(sweep_of(tasks))))
    before = resident_bytes()
    plan = timed("plan", lambda: make_plan(prepared.spec))
    if len(plan.tasks) != tasks:
        raise RuntimeError(f"{len(plan.tasks)} tasks were planned, not {tasks}")
    remains = timed("remains", lambda: what_remains(plan, {}))
    costs = timed("costs", lambda: task_costs(plan, prepared))
    packs = timed("packs", lambda: form_packs(plan, dict.fromkeys(groups(plan), 16)))
    scheduler = timed("scheduler", lambda: Scheduler(packs, remains.settled, 3))
    if not (scheduler.pending() and len(costs) == tasks):
        raise RuntimeError("nothing is to be done")
    work = sum(took[phase] for phase in PHASES)
    return took | {"work": work, "peak": peak_bytes(), "grown": peak_bytes() - before}


PLAN = Suite("a million tasks planned, costed and packed; half and a quarter of them", repeats=3, rows=rows)

if __name__ == "__main__":
    print(json.dumps(plan_once(int(sys.argv[1]))))
