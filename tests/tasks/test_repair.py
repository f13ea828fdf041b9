"""Profiles of straight lines with activation statistics put right at every t."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from mcdist.spec.problem import ProblemSpec
from mcdist.tasks import positions as module
from mcdist.tasks.work import Item

from .bench import (
    DictBench,
    align,
    assert_close,
    bench_with,
    beside,
    path,
    plain_model,
    problem_spec,
    profile,
)

PAIR = ("end0", "end1")
LINES = ("line", "repaired", "aligned", "both")


@cache
def lines(dtype: str = "float64") -> tuple[DictBench, ProblemSpec]:
    """Straight lines between two end points: as they are, repaired, aligned, and both. To be left as they are."""
    problem = problem_spec(dtype=dtype, model={"name": "mlp", "args": {"hidden": [12, 8]}})
    bench = bench_with(problem)
    bench.do("align", [align(problem, "alignment", PAIR)])
    for name in LINES:
        said = {"repair": name in ("repaired", "both"), "align": "weights" if name in ("aligned", "both") else "none"}
        item = path(problem, name, PAIR, kind="linear", **said)
        inputs = (*PAIR, "alignment") if said["align"] == "weights" else PAIR
        bench.do("path", [Item(name, item.spec, inputs)])
    bench.do("profile", [profile(problem, name, 5) for name in LINES])
    return bench, problem


def losses(bench: DictBench, name: str) -> list[float]:
    return [row["train_loss"] for row in bench.results[f"profile of {name}"].rows["path_points"]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["repaired", "both"])
def test_both_ends_have_the_end_points_numbers_and_the_way_between_others(name: str, dtype: str) -> None:
    bench, _ = lines(dtype)
    got, plain = losses(bench, name), losses(bench, "line" if name == "repaired" else "aligned")
    assert got[0] == bench.row("end0", "endpoints")["train_loss"]
    assert got[-1] == bench.row("end1", "endpoints")["train_loss"]
    assert all(a != pytest.approx(b, rel=1e-5) for a, b in zip(got[1:-1], plain[1:-1], strict=True))
    assert bench.row(name, "paths")["repair"] is True
    assert {barrier["repair"] for barrier in bench.results[f"profile of {name}"].rows["barriers"]} == {True}


def test_in_the_middle_hidden_units_have_the_mean_statistics_of_both_ends() -> None:
    """Seen by a plain module at the weights that the profile judged, layer by layer, over all training data."""
    bench, spec = lines()
    problem = bench.problem(spec)
    ends = [problem.point(bench.results[end].tensors) for end in PAIR]
    both = type(ends[0]).stack(ends)
    middle = both.at((both.theta[:1] + both.theta[1:]) / 2)
    (half,) = torch.tensor([[0.5]], dtype=torch.float64)
    repaired = problem.repair(middle, half, both, problem.structure())
    assert float(problem.evaluate(repaired)["train_loss"]) == pytest.approx(losses(bench, "repaired")[2], rel=1e-9)
    x, _ = problem.data_of("train")  # type: ignore[attr-defined]
    for layer in (2, 4):  # flatten, linear, ReLU, linear, ReLU, linear: up to the outputs of a linear one
        seen = []
        for state in (problem.state(repaired, 0), *(problem.state(end, 0) for end in ends)):
            with torch.no_grad():
                hidden = plain_model(spec, state)[:layer](x)
            seen.append((hidden.mean(0), hidden.std(0, correction=0)))
        here, a, b = seen
        for got, first, second in zip(here, a, b, strict=True):
            assert torch.allclose(got, (first + second) / 2, rtol=1e-9, atol=1e-9)


def test_profiles_in_a_pack_with_others_are_each_as_alone() -> None:
    first, problem = lines()
    for pack in (LINES, LINES[::-1]):
        together = beside(first)
        together.do("profile", [profile(problem, name, 5) for name in pack])
        for name in pack:
            alone = beside(first)
            alone.do("profile", [profile(problem, name, 5)])
            rows = (bench.results[f"profile of {name}"].rows["path_points"] for bench in (together, alone))
            for got, expected in zip(*rows, strict=True):
                assert_close(got, expected, rel=1e-9)


def test_how_many_positions_are_held_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    first, problem = lines()
    bench = beside(first)
    monkeypatch.setattr(module, "ELEMENTS", 2 * bench.problem(problem).layout.size)
    bench.do("profile", [profile(problem, name, 5) for name in LINES])
    for name in LINES:
        assert losses(bench, name) == pytest.approx(losses(first, name), rel=1e-9)


def test_a_structure_that_was_given_is_the_one_that_repairs() -> None:
    """Of the first layer alone: the second is left as it is."""
    first, problem = lines()
    bench = beside(first)
    places = [["1.weight", 0], ["1.bias", 0], ["3.weight", 1]]
    how = {"method": "weights", "structure": {"groups": {"first": places}}}
    bench.do("align", [align(problem, "own", PAIR, **how)])
    item = path(problem, "p", PAIR, kind="linear", repair=True, align=how)
    bench.do("path", [Item("p", item.spec, (*PAIR, "own"))])
    bench.do("profile", [profile(problem, "p", 5)])
    at = bench.problem(problem)
    tensors = bench.results["p"].tensors
    ends = [
        at.point({n.removeprefix(f"point_{j}."): t for n, t in tensors.items() if n.startswith(f"point_{j}.")})
        for j in (0, 1)
    ]
    both = type(ends[0]).stack(ends)
    middle = both.at((both.theta[:1] + both.theta[1:]) / 2)
    half = torch.tensor([0.5], dtype=torch.float64)
    by_own, by_all = (at.repair(middle, half, both, at.structure(given)) for given in (how["structure"], None))
    expected, other = (float(at.evaluate(points)["train_loss"]) for points in (by_own, by_all))
    assert losses(bench, "p")[2] == pytest.approx(expected, rel=1e-9)
    assert losses(bench, "p")[2] != pytest.approx(other, rel=1e-6)
