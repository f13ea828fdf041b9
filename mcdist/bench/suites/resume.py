"""`mcdist run` on a store where all is done: what it costs to see that nothing is to do, and how that grows."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdist.bench.processes import run_python
from mcdist.bench.row import Number, Row, at_most, compared, measured
from mcdist.bench.specs import written
from mcdist.bench.suite import Suite
from mcdist.bench.suites.plan import sweep_of
from mcdist.bench.timing import Contender, interleaved, stopwatch

__all__ = ["RESUME", "grow", "rows", "sweep_of_settings"]

SETTINGS = (1, 2, 4)
SEEDS, PAIRS = 640, 6240  # of each setting: multiples of the greatest pack, so that a larger sweep has the same packs
_AGE_S = 7200.0  # of all files: what is younger is not looked at as closely


def sweep_of_settings(settings: int, seeds: int = SEEDS, pairs: int = PAIRS) -> dict[str, Any]:
    """A sweep of so many settings of end points, each with its pairs, their lines and curves, and the profiles."""
    sweep = sweep_of(seeds + 4 * pairs, seeds)
    ends = sweep["endpoints"]
    return sweep | {"endpoints": [ends | {"train": ends["train"] | {"lr": 0.1 / 2**k}} for k in range(settings)]}


def rows(repeats: int) -> Iterator[Row]:
    """Seconds of the whole command for the greatest size, and of the run itself by task for all sizes."""
    with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
        started = time.perf_counter()
        stores = grow(Path(folder), [sweep_of_settings(n) for n in SETTINGS])
        note = Number("making the stores", time.perf_counter() - started, "s")
        for state in ("as the run left them", "compacted"):
            if state == "compacted":
                note = Number("compaction", stopwatch(lambda: _compact(stores))(), "s")
            yield _whole(state, stores[-1], repeats, note)
            yield _per_task(state, stores, repeats)


@dataclass(frozen=True)
class Finished:
    """A store where all of a sweep is done, and how many tasks that is."""

    sweep: dict[str, Any]
    path: Path
    tasks: int


def grow(folder: Path, sweeps: Sequence[dict[str, Any]]) -> list[Finished]:
    """A store for each sweep, with all that the store before it has: the same files, which nobody writes into."""
    from mcdist.bench.synthetic import fill
    from mcdist.spec import load_spec
    from mcdist.store import open_store

    stores: list[Finished] = []
    for sweep in sweeps:
        path = folder / str(len(stores))
        if stores:
            shutil.copytree(stores[-1].path, path, copy_function=os.link)
        store = open_store(path, create=True)
        fill(store, load_spec(sweep))
        stores.append(Finished(sweep, path, len(store.tasks())))
    long_ago = time.time() - _AGE_S
    for file in (file for file in stores[-1].path.rglob("*") if file.is_file()):
        os.utime(file, (long_ago, long_ago))
    return stores


def _whole(state: str, finished: Finished, repeats: int, note: Number) -> Row:
    files = sum(1 for file in (finished.path / "tables").rglob("[!0]*.parquet"))
    with written(finished.sweep) as spec:
        words = ("-m", "mcdist", "run", spec, "--store", finished.path)
        command = [run_python(*words).seconds for _ in range(repeats)]
    numbers = [Number("row files", files, ""), note]
    name = f"{finished.tasks:,} tasks {state}"
    return measured(name, "whole command", command, "s", aim=at_most(15), numbers=numbers)


def _per_task(state: str, stores: Sequence[Finished], repeats: int) -> Row:
    def contender(finished: Finished) -> Contender:
        run = stopwatch(lambda: run_again(finished))
        return lambda: run() / finished.tasks * 1e6

    contenders = {f"{finished.tasks:,} tasks": contender(finished) for finished in stores}
    small, *_, most = contenders
    taken = interleaved(contenders, repeats, warm_up=1)
    return compared(f"time per task {state}", taken, most, small, aim=at_most(1.25), unit="µs")


def run_again(finished: Finished) -> None:
    """`mcdist.run` in this process; RuntimeError unless it finds all done."""
    import mcdist

    counts = mcdist.run(finished.sweep, store=str(finished.path), executor="serial", out=io.StringIO()).counts
    if counts != {"done": finished.tasks}:
        raise RuntimeError(f"of {finished.tasks} tasks there are {dict(counts)}")


def _compact(stores: Sequence[Finished]) -> None:
    from mcdist.store import open_store

    for finished in stores:
        open_store(finished.path).compact()


RESUME = Suite("mcdist run on a finished store of 102,400 tasks; of a half and a quarter of them", repeats=3, rows=rows)
