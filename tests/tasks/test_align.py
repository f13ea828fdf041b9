"""Task kind `align`, and paths to an end point that was permuted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mcdist.errors import TaskError
from mcdist.science.alignment import apply, random
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks.align import permutations_of
from mcdist.tasks.work import Item, Result, Stored

from .bench import (
    SGD,
    DictBench,
    align,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    digits,
    path,
    plain_model,
    problem_spec,
    profile,
)

METHODS: dict[str, dict[str, Any]] = {
    "weights": {"method": "weights"},
    "activations": {"method": "activations", "samples": 100},
}
MODELS: dict[str, dict[str, Any]] = {
    "one layer": {"hidden": [12]},
    "two layers": {"hidden": [12, 8]},
    "BatchNorm": {"hidden": [12], "batch_norm": True},
}
TRAIN = SGD | {"epochs": 1}
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear"},
    "bezier": {"kind": "bezier", "train": TRAIN},
    "autoneb": {"kind": "autoneb", "neb": {"cycles": [{"steps": 4, "lr": 0.1}], "batch_size": 32}},
}

every_model = pytest.mark.parametrize("model", MODELS)
every_method = pytest.mark.parametrize("method", METHODS)


@cache
def made(model: str = "one layer") -> tuple[DictBench, ProblemSpec]:
    """Three end points in float64, and `twin`: the first one, its hidden units permuted at random.

    To be left as it is.
    """
    problem = problem_spec(dtype="float64", model={"name": "mlp", "args": MODELS[model]})
    bench = bench_with(problem, 3, epochs=2)
    state = bench.results["end0"]
    structure = bench.problem(problem).structure()
    planted = random(structure, np.random.default_rng(1))
    bench.results["planted"] = Result(tensors=planted)
    bench.results["twin"] = Result(state.rows, apply(state.tensors, structure, planted), state.about)
    return bench, problem


def aligned(model: str, method: str, pair: tuple[str, str]) -> tuple[DictBench, ProblemSpec, Result]:
    first, problem = made(model)
    bench = beside(first)
    (found,) = bench.do("align", [align(problem, "alignment", pair, **METHODS[method])])
    assert isinstance(found, Result)
    return bench, problem, found


def aligned_path(problem: ProblemSpec, name: str, pair: tuple[str, str], method: str = "weights", **said: Any) -> Item:
    item = path(problem, name, pair, align=METHODS[method], **said)
    return Item(name, item.spec, (*pair, f"alignment {pair[0]} {pair[1]}"))


def alignments(problem: ProblemSpec, pairs: Sequence[tuple[str, str]], method: str = "weights") -> list[Item]:
    return [align(problem, f"alignment {a} {b}", (a, b), **METHODS[method]) for a, b in pairs]


def outputs(problem: ProblemSpec, state: dict[str, Tensor]) -> Tensor:
    data = digits()
    with torch.no_grad():
        out: Tensor = plain_model(problem, state)(torch.from_numpy(data.test.inputs / data.divisor).double())
    return out


@every_method
@every_model
def test_rows_fit_their_tables(model: str, method: str) -> None:
    _, _, found = aligned(model, method, ("end0", "end1"))
    assert_rows_fit(found)
    assert list(found.rows) == ["alignments"]
    (row,) = found.rows["alignments"]
    hidden = MODELS[model]["hidden"]
    assert (row["alignment_id"], row["endpoint_a"], row["endpoint_b"]) == ("alignment", "end0", "end1")
    assert (row["problem"], row["method"]) == ("digits/mlp", method)
    assert (row["groups"], row["units"]) == (len(hidden), sum(hidden))
    permutations = permutations_of(Stored(found.tensors, found.about))
    away = sum(int((p != torch.arange(len(p))).sum()) for p in permutations.values())
    assert row["moved"] == away
    assert 0 < away <= row["units"]
    assert (row["sweeps"] is not None and row["sweeps"] >= 1) == (method == "weights")


@every_method
@every_model
def test_what_is_stored_permutes_b_nearer_to_a_and_leaves_its_function(model: str, method: str) -> None:
    bench, problem, found = aligned(model, method, ("end0", "end1"))
    structure = bench.problem(problem).structure()
    a, b = (dict(bench.results[end].tensors) for end in ("end0", "end1"))
    moved = apply(b, structure, permutations_of(Stored(found.tensors, found.about)))
    assert torch.allclose(outputs(problem, moved), outputs(problem, b), rtol=0, atol=1e-12)
    assert not torch.equal(moved["1.weight"], b["1.weight"])

    def distance(state: dict[str, Tensor]) -> float:
        names = [n for n in a if n.endswith(("weight", "bias"))]
        return float(torch.cat([(a[n] - state[n]).flatten() for n in names]).norm())

    (row,) = found.rows["alignments"]
    assert row["distance_before"] == pytest.approx(distance(b), rel=1e-12)
    assert row["distance_after"] == pytest.approx(distance(moved), rel=1e-12)
    if method == "weights":
        assert row["distance_after"] < row["distance_before"]


@every_method
@every_model
def test_a_planted_permutation_is_undone(model: str, method: str) -> None:
    """The twin's units come back to where they were, and the line to it has no barrier and no length."""
    bench, problem, found = aligned(model, method, ("end0", "twin"))
    planted, recovered = bench.results["planted"].tensors, permutations_of(Stored(found.tensors, found.about))
    assert recovered.keys() == planted.keys()
    for group, p in planted.items():
        assert torch.equal(p[recovered[group]], torch.arange(len(p))), group
    (row,) = found.rows["alignments"]
    assert row["distance_after"] == 0.0
    assert row["distance_before"] > 1.0

    heights = {}
    bench.do("align", alignments(problem, [("end0", "twin")], method))
    for name, item in (
        ("aligned", aligned_path(problem, "aligned", ("end0", "twin"), method, kind="linear")),
        ("plain", path(problem, "plain", ("end0", "twin"), kind="linear")),
    ):
        bench.do("path", [item])
        bench.do("profile", [profile(problem, name)])
        rows = bench.results[f"profile of {name}"].rows["barriers"]
        heights[name] = {row["metric"]: row["barrier_linear"] for row in rows}
    assert bench.row("aligned", "paths")["length"] == pytest.approx(0.0, abs=1e-12)
    assert all(height == pytest.approx(0.0, abs=1e-9) for height in heights["aligned"].values())
    assert heights["plain"]["train_loss"] > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_an_aligned_path_says_so_and_ends_at_the_permuted_end_point(kind: str) -> None:
    first, problem = made("BatchNorm")
    bench = beside(first)
    bench.do("align", alignments(problem, [("end0", "end1")]))
    bench.do("path", [aligned_path(problem, "p", ("end0", "end1"), **KINDS[kind])])
    bench.do("profile", [profile(problem, "p", 5)])
    assert_rows_fit(bench.results["p"])
    assert_rows_fit(bench.results["profile of p"])
    row = bench.row("p", "paths")
    assert (row["aligned"], row["alignment"], row["endpoint_a"], row["endpoint_b"]) == (True, "weights", "end0", "end1")
    tensors, n = bench.results["p"].tensors, row["n_points"]
    last = {name: tensors[f"point_{n - 1}.{name}"] for name in bench.results["end1"].tensors}
    structure = bench.problem(problem).structure()
    expected = apply(bench.results["end1"].tensors, structure, permutations_of(bench.stored("alignment end0 end1")))
    for name, tensor in bench.results["end0"].tensors.items():
        assert torch.equal(tensors[f"point_0.{name}"], tensor), name
        assert torch.equal(last[name], expected[name]), name  # BatchNorm's statistics among them
    points = bench.results["profile of p"].rows["path_points"]
    for metric in ("train_loss", "test_error", "l2_norm"):
        assert points[-1][metric] == bench.row("end1", "endpoints")[metric]
    assert row["chord"] == pytest.approx(bench.row("alignment end0 end1", "alignments")["distance_after"], rel=1e-12)


def test_alignment_is_of_b_to_a() -> None:
    """Two alignments of one pair, each way: inverse permutations, where the optimum is one."""
    first, problem = made()
    bench = beside(first)
    bench.do("align", alignments(problem, [("end0", "end1"), ("end1", "end0")]))
    there, back = (permutations_of(bench.stored(f"alignment {p}")) for p in ("end0 end1", "end1 end0"))
    for group, p in there.items():
        assert torch.equal(p[back[group]], torch.arange(len(p)))


def test_a_pack_gives_what_each_alignment_gives_alone_whatever_its_seed() -> None:
    first, problem = made("two layers")
    items = [
        align(problem, "a", ("end0", "end1"), restarts=2),
        align(problem, "b", ("end1", "end2"), restarts=2, seed=7),
        align(problem, "c", ("end2", "end0"), restarts=2, seed=7),
    ]
    together = beside(first)
    together.do("align", items)
    for item in items:
        alone = beside(first)
        alone.do("align", [item])
        assert_same_results(together.results[item.id], alone.results[item.id], rel=0.0)


def test_seeds_are_other_orders_and_the_best_of_several_is_kept() -> None:
    """Over four seeds: some orders end in a worse optimum, and of four restarts fewer do."""
    first, problem = made("two layers")
    bench = beside(first)
    found: dict[int, list[float]] = {1: [], 4: []}
    for restarts, seed in itertools.product(found, range(4)):
        name = f"{restarts} {seed}"
        bench.do("align", [align(problem, name, ("end0", "end2"), restarts=restarts, seed=seed)])
        found[restarts].append(bench.row(name, "alignments")["distance_after"])
    assert len(set(found[1])) > 1
    assert min(found[4]) <= min(found[1]) < max(found[1])
    assert sum(found[4]) < sum(found[1])


GROUPS = {"groups": {"units": [["1.weight", 0], ["1.bias", 0], ["3.weight", 1]]}}


def test_a_structure_that_is_given_is_the_one_that_is_used() -> None:
    first, problem = made()
    bench = beside(first)
    how = {"method": "weights", "structure": GROUPS}
    derived, given = (align(problem, name, ("end0", "end1"), **said) for name, said in (("d", {}), ("g", how)))
    bench.do("align", [derived])
    bench.do("align", [given])
    assert list(bench.results["g"].tensors) == ["permutation.units"]
    (found,) = bench.results["d"].tensors.values()
    assert torch.equal(bench.results["g"].tensors["permutation.units"], found)
    item = path(problem, "p", ("end0", "end1"), kind="linear", align=how)
    bench.do("path", [Item("p", item.spec, (*item.inputs, "g"))])
    assert bench.row("p", "paths")["chord"] == pytest.approx(bench.row("g", "alignments")["distance_after"], rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_end_points_of_different_architectures_fail_alone_and_say_why(method: str) -> None:
    """No sweep asks for it; a store with other files under these ids would."""
    first, problem = made()
    bench = beside(first)
    bench.results["other"] = made("two layers")[0].results["end1"]
    items = [
        align(problem, name, pair, **METHODS[method])
        for name, pair in (("fine", ("end0", "end1")), ("bad", ("end0", "other")))
    ]
    fine, failed = bench.do("align", items)
    assert isinstance(fine, Result)
    assert isinstance(failed, TaskError)
    assert str(failed).startswith("these end points cannot be aligned: ")
    assert "permutation structure" in str(failed)


def test_weights_that_are_not_numbers_fail_alone() -> None:
    first, problem = made()
    bench = beside(first)
    tensors = {name: tensor * float("nan") for name, tensor in bench.results["end1"].tensors.items()}
    bench.results["bad"] = Result(tensors=tensors)
    fine, failed = bench.do("align", [align(problem, n, ("end0", b)) for n, b in (("fine", "end1"), ("x", "bad"))])
    assert isinstance(fine, Result)
    assert isinstance(failed, TaskError)
    assert str(failed).startswith("these end points cannot be aligned: ")
    assert "finite" in str(failed)
