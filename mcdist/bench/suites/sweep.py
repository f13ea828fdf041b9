"""The main job, jobs/digits.yaml: a plain sequential PyTorch script against `mcdist run`, each as a user starts it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from mcdist.bench.processes import run_python
from mcdist.bench.row import Number, Row, at_least, compared
from mcdist.bench.specs import repository
from mcdist.bench.suite import Skipped, Suite
from mcdist.bench.timing import interleaved

__all__ = ["SWEEP", "rows"]

SCRIPT, JOB = Path("tests/reference/digits_plain.py"), Path("jobs/digits.yaml")
ARGUMENTS = ("--seeds", 8, "--endpoint-epochs", 80, "--curve-epochs", 200)


def rows(repeats: int) -> Iterator[Row]:
    """Wall time from the start of a process to its end: imports, the start of Ray and all."""
    root = repository()
    for file in (SCRIPT, JOB):
        if not (root / file).is_file():
            raise Skipped(f"{file} is not there: it comes with a checkout, not with the installed package")

    def plain(threads: int) -> float:
        words = (*ARGUMENTS, "--threads", threads)
        return run_python(root / SCRIPT, *words, extra={"OMP_NUM_THREADS": str(threads)}).seconds

    def mcdist() -> float:
        with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
            return run_python("-m", "mcdist", "run", root / JOB, "--store", Path(folder) / "store").seconds

    taken = interleaved({"plain, 1 thread": lambda: plain(1), "mcdist": mcdist}, repeats)
    numbers = [Number("plain, 2 threads", plain(2), "s")]
    yield compared("jobs/digits.yaml", taken, "plain, 1 thread", "mcdist", aim=at_least(3), numbers=numbers)


SWEEP = Suite("jobs/digits.yaml: a plain sequential script / mcdist run, as a user starts them", repeats=3, rows=rows)
