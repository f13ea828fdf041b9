"""Measuring suite after suite."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TextIO

from mcdist.bench.machine import describe_machine
from mcdist.bench.registry import SUITES
from mcdist.bench.results import Results
from mcdist.bench.row import Row, failed, skipped
from mcdist.bench.suite import Skipped, Suite
from mcdist.bench.table import line
from mcdist.bench.timing import threads
from mcdist.errors import RequestError, unknown_name

__all__ = ["chosen", "run_suites"]


def chosen(names: Sequence[str] | None, suites: Mapping[str, Suite] = SUITES) -> dict[str, Suite]:
    """The suites of these names, all where there are none. Raises RequestError for an unknown one."""
    for name in names or ():
        if name not in suites:
            raise RequestError(unknown_name("suite", name, suites))
    return {name: suites[name] for name in dict.fromkeys(names or suites)}


def run_suites(suites: Mapping[str, Suite], out: TextIO, repeats: int | None = None) -> Results:
    """Measure the suites one after the other, each row a line as soon as it is there.

    repeats: rounds, in place of each suite's own number. A suite that fails or is skipped is a row that says so.
    """
    if repeats is not None and repeats < 1:
        raise RequestError(f"--repeats must be at least 1; got {repeats}")
    rows: list[Row] = []
    for name, suite in suites.items():
        rounds = suite.repeats if repeats is None else repeats
        print(f"{name}: {suite.what}; {rounds} round(s) ...", file=out, flush=True)
        with threads(1):
            for row in _measured(name, suite, rounds, out):
                print(f"  {line(row)}", file=out, flush=True)
                rows.append(row)
    return Results(describe_machine(), rows)


def _measured(name: str, suite: Suite, repeats: int, out: TextIO) -> Iterator[Row]:
    try:
        for row in suite.rows(repeats):
            yield replace(row, suite=name)
    except Skipped as reason:
        yield replace(skipped(name, str(reason)), suite=name)
    except Exception as error:
        traceback.print_exc(file=out)
        yield replace(failed(name, f"{type(error).__name__}: {error}"), suite=name)
