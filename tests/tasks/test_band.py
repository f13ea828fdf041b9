"""Task kind `path`: AutoNEB."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import pytest
import torch
from support.tracing import AsTraced

from mcdist.errors import Diverged
from mcdist.science.autoneb import SCHEDULES
from mcdist.spec.paths import CycleSpec, NebSpec
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks.band import band_recipe, cycles_of
from mcdist.tasks.stored_path import load_path
from mcdist.tasks.work import Item, Result

from .bench import (
    DictBench,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    path,
    problem_spec,
    profile,
)

PAIRS = [("end0", "end1"), ("end2", "end1"), ("end0", "end2")]
NEB: dict[str, Any] = {
    "cycles": [{"steps": 6, "lr": 0.1}, {"steps": 5, "lr": 0.05}, {"steps": 4, "lr": 0.01}],
    "pivots": 2,
    "batch_size": 32,
    "weight_decay": 1e-3,
    "threshold": 0.02,
    "insert": 1,
    "dense": 3,
}
METRICS = [f"{split}_{m}" for split in ("train", "val", "test") for m in ("loss", "error")]

both = pytest.mark.parametrize("batch_norm", [False, True])


def band(problem: ProblemSpec, name: str, pair: tuple[str, str], seed: int = 0, **neb: Any) -> Item:
    return path(problem, name, pair, kind="autoneb", neb=NEB | neb, seed=seed)


@cache
def ends(batch_norm: bool = False, dtype: str = "float64") -> tuple[DictBench, ProblemSpec]:
    """Three end points. To be left as they are."""
    problem = problem_spec(batch_norm=batch_norm, dtype=dtype)
    return bench_with(problem, 3), problem


@cache
def found(batch_norm: bool = False) -> tuple[DictBench, ProblemSpec]:
    """A path p between the first two of them, and a profile with the positions at which the path was looked at.

    To be left as it is.
    """
    first, problem = ends(batch_norm)
    bench = beside(first)
    bench.do("path", [band(problem, "p", PAIRS[0])])
    segments = bench.row("p", "paths")["n_points"] - 1
    bench.do("profile", [profile(problem, "p", segments * (NEB["dense"] + 1) + 1)])
    return bench, problem


@both
def test_rows_fit_their_tables(batch_norm: bool) -> None:
    bench, _ = found(batch_norm)
    made = bench.results["p"]
    assert_rows_fit(made)
    assert_rows_fit(bench.results["profile of p"])
    assert set(made.rows) == {"paths", "path_cycles"}
    row = bench.row("p", "paths")
    said = {"path_id": "p", "kind": "autoneb", "aligned": False, "endpoint_a": "end0", "endpoint_b": "end1", "seed": 0}
    said |= {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "batch_size": 32}
    assert said.items() <= row.items()
    assert row["schedule"] == "autoneb"
    assert [b["metric"] for b in bench.results["profile of p"].rows["barriers"]] == METRICS


def test_cycles_tell_what_was_done() -> None:
    bench, _ = found()
    cycles = bench.results["p"].rows["path_cycles"]
    assert [(c["path_id"], c["cycle"], c["steps"], c["lr"]) for c in cycles] == [
        ("p", 1, 6, 0.1),
        ("p", 2, 5, 0.05),
        ("p", 3, 4, 0.01),
    ]
    assert cycles[0]["pivots"] == NEB["pivots"]
    for before, after in itertools.pairwise(cycles):
        assert after["pivots"] == before["pivots"] + before["inserted"]
    assert sum(c["inserted"] for c in cycles) > 0
    assert cycles[-1]["inserted"] == 0
    kept = [c for c in cycles if c["kept"]]
    assert len(kept) == 1
    assert kept[0]["saddle"] == min(c["saddle"] for c in cycles)
    assert bench.row("p", "paths")["n_points"] == kept[0]["pivots"] + 2


@both
def test_the_path_that_is_kept_has_the_saddle_of_its_cycle(batch_norm: bool) -> None:
    """Its profile at the positions at which it was looked at: the same height at the same place."""
    bench, _ = found(batch_norm)
    (kept,) = [c for c in bench.results["p"].rows["path_cycles"] if c["kept"]]
    (barrier,) = [b for b in bench.results["profile of p"].rows["barriers"] if b["metric"] == "train_loss"]
    assert barrier["max"] == pytest.approx(kept["saddle"], rel=1e-9)
    assert barrier["argmax_t"] == pytest.approx(kept["argmax_t"], abs=1e-9)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_ends_stay_bit_for_bit(batch_norm: bool, dtype: str) -> None:
    first, problem = ends(batch_norm, dtype)
    bench = beside(first)
    bench.do("path", [band(problem, "p", PAIRS[0])])
    bench.do("profile", [profile(problem, "p", 5)])
    tensors, last = bench.results["p"].tensors, bench.row("p", "paths")["n_points"] - 1
    for point, end in ((0, "end0"), (last, "end1")):
        for name, tensor in bench.results[end].tensors.items():
            assert torch.equal(tensors[f"point_{point}.{name}"], tensor), (end, name)
    rows = bench.results["profile of p"].rows["path_points"]
    for row, end in ((rows[0], "end0"), (rows[-1], "end1")):
        assert [row[m] for m in METRICS] == [bench.row(end, "endpoints")[m] for m in METRICS]


def test_it_is_lower_than_the_straight_line() -> None:
    first, problem = ends()
    bench = beside(first)
    longer = [{"steps": 40, "lr": 0.1}, {"steps": 40, "lr": 0.05}]
    bench.do("path", [band(problem, "neb", PAIRS[0], cycles=longer, pivots=3)])
    bench.do("path", [path(problem, "line", PAIRS[0], kind="linear")])
    bench.do("profile", [profile(problem, name) for name in ("neb", "line")])
    heights = {}
    for name in ("neb", "line"):
        rows = bench.results[f"profile of {name}"].rows["barriers"]
        (heights[name],) = [row["barrier_linear"] for row in rows if row["metric"] == "train_loss"]
    assert heights["neb"] < 0.5 * heights["line"]
    assert bench.row("neb", "paths")["length"] > bench.row("neb", "paths")["chord"]


@both
def test_a_pack_gives_what_each_path_gives_alone(batch_norm: bool) -> None:
    """Other pairs, another seed; paths that come to have different numbers of pivots among them."""
    first, problem = ends(batch_norm)
    items = [band(problem, f"p{k}", pair) for k, pair in enumerate(PAIRS)] + [band(problem, "s", PAIRS[0], seed=5)]
    together = beside(first)
    together.do("path", items)
    for item in items:
        alone = beside(first)
        alone.do("path", [item])
        assert_same_results(together.results[item.id], alone.results[item.id], rel=1e-9)
    losses = [together.results[name].rows["path_cycles"][0]["mean_loss"] for name in ("p0", "s")]
    assert losses[0] != pytest.approx(losses[1], rel=1e-6), "another seed is another order"


@both
def test_by_programs_it_is_the_same(batch_norm: bool) -> None:
    first, problem = ends(batch_norm)
    graphs = AsTraced()
    plain, traced = beside(first), beside(first, graphs)
    items = [band(problem, f"p{k}", pair) for k, pair in enumerate(PAIRS[:2])]
    for bench in (plain, traced):
        bench.do("path", items)
    assert graphs.calls > 0
    for item in items:
        assert_same_results(traced.results[item.id], plain.results[item.id], rel=1e-9)


def test_a_diverging_path_fails_alone_with_its_step() -> None:
    """Of an end point whose weights are so large that its loss is not finite; of all paths at such a rate."""
    first, problem = ends(dtype="float32")
    bench = beside(first)
    tensors = {name: tensor * 1e30 for name, tensor in bench.results["end1"].tensors.items()}
    bench.results["huge"] = Result(tensors=tensors)
    fine, failed = bench.do("path", [band(problem, "fine", PAIRS[0]), band(problem, "bad", ("end0", "huge"))])
    assert isinstance(fine, Result)
    assert isinstance(failed, Diverged)
    assert failed.step == 0
    assert str(failed) == "the loss on the path was not finite at step 0 of 15"
    assert "bad" not in bench.results
    (wild,) = bench.do("path", [band(problem, "wild", PAIRS[0], cycles=[{"steps": 9, "lr": 1e30}])])
    assert isinstance(wild, Diverged)
    assert wild.step is not None
    assert 0 < wild.step < 9


def test_a_path_that_diverges_after_a_cycle_fails_too() -> None:
    """What was found before is not given for the path that was asked for."""
    first, problem = ends(dtype="float32")
    bench = beside(first)
    cycles = [{"steps": 6, "lr": 0.1}, {"steps": 6, "lr": 1e30}]
    (failed,) = bench.do("path", [band(problem, "p", PAIRS[0], cycles=cycles)])
    assert isinstance(failed, Diverged)
    assert failed.step is not None
    assert 6 <= failed.step < 12
    assert str(failed).endswith(f"at step {failed.step} of 12")


# how it is asked for


def test_published_schedules_are_scaled_in_steps_and_rates() -> None:
    for name, schedule in SCHEDULES.items():
        cycles = cycles_of(NebSpec.model_validate({"cycles": name, "lr": 0.5, "scale": 0.01}))
        assert [c.steps for c in cycles] == [steps // 100 for steps, _ in schedule]
        assert [c.lr for c in cycles] == pytest.approx([0.5 * factor for _, factor in schedule], rel=1e-12)
    least = cycles_of(NebSpec(scale=1e-9))
    assert [c.steps for c in least] == [1] * len(SCHEDULES["long"])
    assert [(c.steps, c.lr) for c in cycles_of(NebSpec(cycles=(CycleSpec(steps=7, lr=0.3),)))] == [(7, 0.3)]


@pytest.mark.parametrize(
    ("said", "name", "expected"),
    [
        ({}, "pivots", 3),
        ({"cycles": "short"}, "pivots", 15),
        ({"pivots": 7}, "pivots", 7),
        ({"batch_size": 9}, "batch_size", 9),
        ({"momentum": 0.5}, "momentum", 0.5),
        ({"weight_decay": 0.5}, "weight_decay", 0.5),
        ({"dense": 4}, "dense", 4),
        ({"threshold": 0.3}, "threshold", 0.3),
        ({"insert": 5}, "insert", 5),
        ({"most": 8}, "most", 8),
        ({"refine": False}, "refine", False),
        ({"precision": "bfloat16"}, "precision", torch.bfloat16),
        ({}, "precision", None),
    ],
)
def test_every_setting_gets_to_the_science(said: dict[str, Any], name: str, expected: Any) -> None:
    assert getattr(band_recipe(NebSpec.model_validate(said)), name) == expected


def test_no_more_pivots_than_allowed() -> None:
    first, problem = ends()
    bench = beside(first)
    bench.do("path", [band(problem, "p", PAIRS[0], most=3, insert=5, threshold=1e-6)])
    cycles = bench.results["p"].rows["path_cycles"]
    assert [c["pivots"] for c in cycles] == [2, 3, 3]
    assert load_path(bench.stored("p"), bench.problem(problem)).sizes in ((4,), (5,))
