"""Task kind `trial`: relaxations summed up."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import RelaxationTask, TrialTask
from mcdist.tasks.work import Item, Result

from .bench import SGD, DictBench, assert_rows_fit, bench_with, beside, path, problem_spec

HOW: dict[str, Any] = {
    **{"starts": [0.12, 0.5], "replicas": 3, "lr": 0.1, "batch_size": 8, "time": 5.0},
    **{"project": 2, "margin": 0.1, "samples": 60},
}
LINES = ("line1", "line2")


@cache
def made() -> tuple[DictBench, ProblemSpec]:
    """Two straight paths. To be left as it is."""
    problem = problem_spec(dtype="float64", weight_decay=0.01)
    bench = bench_with(problem, 3, epochs=2)
    bench.do("path", [path(problem, f"line{k}", ("end0", f"end{k}"), kind="linear", train=SGD) for k in (1, 2)])
    return bench, problem


def summed_up(bench: DictBench, problem: ProblemSpec, of: Sequence[str], **said: Any) -> dict[str, Any]:
    spec = TrialTask(problem=problem, relaxation=RelaxationSpec(**HOW | said))
    (result,) = bench.do("trial", [Item("trial", spec, tuple(of))])
    assert isinstance(result, Result)
    assert_rows_fit(result)
    (row,) = result.rows["trials"]
    return row


def trial(**said: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of a trial on both paths, and the rows of the runs that it sums up."""
    bench, problem = made()
    bench = beside(bench)
    spec = RelaxationTask(problem=problem, relaxation=RelaxationSpec(**HOW | said))
    runs = bench.do("relaxation", [Item(f"on {line}", spec, (line,)) for line in LINES])
    row = summed_up(bench, problem, [f"on {line}" for line in LINES], **said)
    return row, [r for one in runs if isinstance(one, Result) for r in one.rows["relaxations"]]


def test_it_counts_what_the_runs_did() -> None:
    row, runs = trial()
    assert (row["trial_id"], row["subject"], row["paths"], row["runs"]) == ("trial", "relaxation", 2, len(runs))
    assert row["arrived"] == sum(r["end"] is not None for r in runs)
    assert row["censored"] == sum(r["censored"] for r in runs)
    assert row["arrived"] > 0
    assert row["censored"] > 0
    assert row["arrived"] + row["censored"] == row["runs"]
    spent = sum(r["t_eff"] if r["censored"] else r["t_first_passage"] for r in runs)
    assert row["exposure"] == pytest.approx(spent, rel=1e-12)
    assert row["relaxation_time"] == pytest.approx(spent / row["arrived"], rel=1e-12)
    assert row["t_measured"] == pytest.approx(np.mean([r["t_measured"] for r in runs]), rel=1e-12)


def test_it_says_the_setting_as_its_runs_do() -> None:
    row, runs = trial(momentum=0.5, weight_decay=0.02)
    said = ("problem", "optimizer", "lr", "batch_size", "momentum", "weight_decay", "noise", "sampling", "k_project")
    for name in (*said, "t_nominal", "time_limit"):
        assert {r[name] for r in runs} == {row[name]}, name
    whole = json.loads(row["parameters"])
    assert RelaxationSpec(**whole) == RelaxationSpec(**HOW | {"momentum": 0.5, "weight_decay": 0.02})


def test_where_none_arrives_there_is_no_time() -> None:
    row, runs = trial(starts=[0.5], time=0.4)
    assert (row["arrived"], row["censored"], row["relaxation_time"]) == (0, 6, None)
    assert row["exposure"] == pytest.approx(len(runs) * 0.4)


def test_where_a_run_goes_on_only_its_way_counts() -> None:
    stops, goes_on = trial()[0], trial(stop=False)[0]
    for name in ("arrived", "censored", "exposure", "relaxation_time"):
        assert stops[name] == goes_on[name]


def put(bench: DictBench, name: str, passed: Sequence[float], limit: float, diverged: Sequence[bool]) -> None:
    """A relaxation as it would leave its runs; passed: times of first passage, inf for none."""
    t, gone = torch.tensor(passed, dtype=torch.float64), torch.tensor(diverged)
    bench.results[name] = Result(
        tensors={
            "t_first_passage": torch.where(t < limit, t, math.nan),
            "exposure": t.clamp(max=limit),
            "censored": (t >= limit) & ~gone,
            "diverged": gone,
            "t_nominal": torch.full_like(t, 0.1),
            "t_measured": torch.full_like(t, 0.2),
        }
    )


def test_what_diverged_is_counted_and_left_out() -> None:
    bench, problem = made()
    bench = beside(bench)
    inf = math.inf
    put(bench, "x", [1.0, 2.0, inf], 4.0, [False, True, False])
    put(bench, "y", [3.0, inf, inf], 4.0, [False, False, True])
    row = summed_up(bench, problem, ["x", "y"])
    assert (row["runs"], row["arrived"], row["censored"], row["diverged"]) == (4, 2, 2, 2)
    assert row["exposure"] == 1.0 + 4.0 + 3.0 + 4.0
    assert row["relaxation_time"] == 6.0


@pytest.mark.parametrize("limit", [0.5, 2.0, 20.0])
def test_times_of_an_exponential_law_are_found_however_many_are_broken_off(limit: float) -> None:
    """20 000 runs of mean 3: relative standard error 1 / sqrt(arrived), tested to 4 of these."""
    bench, problem = made()
    bench = beside(bench)
    times = np.random.default_rng(0).exponential(3.0, (2, 10_000))
    for name, own in zip(("x", "y"), times, strict=True):
        put(bench, name, own.tolist(), limit, [False] * 10_000)
    row = summed_up(bench, problem, ["x", "y"])
    assert row["relaxation_time"] == pytest.approx(3.0, rel=4 / math.sqrt(row["arrived"]))
