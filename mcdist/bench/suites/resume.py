"""`mcdist run` on a store where all is done: what it costs to see that nothing is to do, and how that grows."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mcdist.bench.processes import run_python
from mcdist.bench.row import Number, Row, at_most, compared, measured
from mcdist.bench.suite import Suite
from mcdist.bench.suites.plan import sweep_of
from mcdist.bench.timing import Contender, interleaved, stopwatch

__all__ = ["RESUME", "grow", "rows"]

SIZES = (25_000, 50_000, 100_000)
_AGE_S = 7200.0  # of all files: what is younger is not looked at as closely


def rows(repeats: int) -> Iterator[Row]:
    """Seconds of the whole command for the greatest size, and of the run itself by task for all sizes."""
    with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
        started = time.perf_counter()
        stores = grow(Path(folder), SIZES)
        built = Number("making the stores", time.perf_counter() - started, "s")
        most, store = SIZES[-1], stores[SIZES[-1]]
        yield _whole(f"{most:,} tasks as the run left them", most, store, repeats, built)
        yield _per_task("time per task, as the run left them", stores, repeats)
        compaction = Number("compaction", stopwatch(lambda: _compact(stores))(), "s")
        yield _whole(f"{most:,} tasks, compacted", most, store, repeats, compaction)
        yield _per_task("time per task, compacted", stores, repeats)


def grow(folder: Path, sizes: tuple[int, ...], seeds: int | None = None) -> dict[int, Path]:
    """A store of each size, each with all that the one before it has: the same files, which nobody writes into."""
    from mcdist.bench.synthetic import fill
    from mcdist.spec import load_spec
    from mcdist.store import open_store

    stores: dict[int, Path] = {}
    for size in sizes:
        path = folder / str(size)
        if stores:
            shutil.copytree(list(stores.values())[-1], path, copy_function=os.link)
        spec = load_spec(sweep_of(size) if seeds is None else sweep_of(size, seeds))
        fill(open_store(path, create=True), spec)
        stores[size] = path
    long_ago = time.time() - _AGE_S
    for file in (file for file in stores[sizes[-1]].rglob("*") if file.is_file()):
        os.utime(file, (long_ago, long_ago))
    return stores


def _whole(name: str, size: int, store: Path, repeats: int, note: Number) -> Row:
    from mcdist.bench.specs import written

    files = sum(1 for file in (store / "tables").rglob("[!0]*.parquet"))
    with written(sweep_of(size)) as spec:
        command = [run_python("-m", "mcdist", "run", spec, "--store", store).seconds for _ in range(repeats)]
    numbers = [Number("row files", files, ""), note]
    return measured(name, "whole command", command, "s", aim=at_most(15), numbers=numbers)


def _per_task(name: str, stores: dict[int, Path], repeats: int) -> Row:
    def contender(size: int) -> Contender:
        run = stopwatch(lambda: run_again(size, stores[size]))
        return lambda: run() / size * 1e6

    contenders: dict[str, Callable[[], float]] = {f"{size:,} tasks": contender(size) for size in stores}
    small, *_, most = contenders
    return compared(name, interleaved(contenders, repeats), most, small, aim=at_most(1.25), unit="µs")


def run_again(size: int, store: Path, seeds: int | None = None) -> None:
    """`mcdist.run` in this process; RuntimeError unless it finds all done."""
    import mcdist

    sweep = sweep_of(size) if seeds is None else sweep_of(size, seeds)
    counts = mcdist.run(sweep, store=str(store), executor="serial", out=io.StringIO()).counts
    if counts != {"done": size}:
        raise RuntimeError(f"of {size} tasks there are {dict(counts)}")


def _compact(stores: dict[int, Path]) -> None:
    from mcdist.store import open_store

    for path in stores.values():
        open_store(path).compact()


RESUME = Suite("mcdist run on a finished store of 100,000 tasks; a half and a quarter of them", repeats=3, rows=rows)
