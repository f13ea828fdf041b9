"""Task kind `relaxation`: from a path to the rows of `relaxations` and `relaxation_traces`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import pytest
import torch
from reference import relaxation_plain
from torch import Tensor

from mcdist.errors import TaskError
from mcdist.problems.models import build_model
from mcdist.science.dynamics.polyline import Polyline
from mcdist.science.paths import FAMILIES
from mcdist.science.streams import Stream
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import RelaxationTask
from mcdist.tasks.stored_path import load_path
from mcdist.tasks.work import Item, Result

from .bench import (
    SGD,
    DictBench,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    digits,
    join,
    path,
    problem_spec,
)

TRAIN = SGD | {"epochs": 1}
NEB = {"cycles": [{"steps": 4, "lr": 0.1}], "batch_size": 32, "pivots": 3}
HOW: dict[str, Any] = {
    **{"starts": [0.2, 0.55], "replicas": 2, "lr": 0.1, "batch_size": 8, "time": 4.0},
    **{"project": 4, "margin": 0.1, "samples": 60, "seed": 3},
}
PATHS = ("bezier", "chain", "autoneb", "linear", "joined")


@cache
def made(batch_norm: bool = False) -> tuple[DictBench, ProblemSpec]:
    """A path of every kind, in float64, on a problem with weight decay. To be left as it is."""
    problem = problem_spec(dtype="float64", weight_decay=0.01, batch_norm=batch_norm)
    bench, pair = bench_with(problem, 3, epochs=2), ("end0", "end1")
    bench.do("path", [path(problem, "bezier", pair, kind="bezier", train=TRAIN)])
    bench.do("path", [path(problem, "chain", pair, kind="chain", bends=3, train=TRAIN)])
    bench.do("path", [path(problem, "autoneb", pair, kind="autoneb", neb=NEB)])
    bench.do("path", [path(problem, "linear", pair, kind="linear")])
    bench.do("path", [path(problem, "next", ("end1", "end2"), kind="bezier", train=TRAIN)])
    bench.do("join", [join(problem, "joined", ("bezier", "next"), (False, False), kind="bezier", train=TRAIN)])
    return bench, problem


def item(of: str, problem: ProblemSpec, **said: Any) -> Item:
    spec = RelaxationTask(problem=problem, relaxation=RelaxationSpec(**HOW | said))
    return Item(f"relaxation on {of}", spec, (of,))


def relaxed(*of: str, batch_norm: bool = False, **said: Any) -> list[Result]:
    bench, problem = made(batch_norm)
    outcomes = beside(bench).do("relaxation", [item(name, problem, **said) for name in of])
    assert all(isinstance(one, Result) for one in outcomes)
    return [one for one in outcomes if isinstance(one, Result)]


def rows(result: Result, table: str = "relaxations") -> list[dict[str, Any]]:
    return result.rows[table]


def minibatches(stream: Stream, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    split, epoch = digits().train, 0
    inputs, targets = torch.from_numpy(split.inputs).double() / digits().divisor, torch.from_numpy(split.targets)
    while True:
        order = torch.from_numpy(stream.child("order", epoch).generator().permutation(len(targets)))
        yield from ((inputs[at], targets[at]) for at in order.split(size) if len(at) == size)
        epoch += 1


def corners(name: str) -> Tensor:
    """The path's own corners; of curves the positions that are equally spaced along it."""
    bench, problem = made()
    stored = load_path(bench.stored(name), bench.problem(problem))
    if name not in ("bezier", "joined"):
        return stored.controls.theta
    legs = [stored.controls.theta[:3]] + ([stored.controls.theta[2:]] if name == "joined" else [])
    lines = [Polyline.of(FAMILIES["bezier"], leg, 64) for leg in legs]
    return torch.cat([line.at(line._s)[bool(i) :] for i, line in enumerate(lines)])


def at(points: Tensor, s: float) -> Tensor:
    """The point at s of the polyline through these."""
    reached = torch.cat([torch.zeros(1), points.diff(dim=0).norm(dim=1).cumsum(0)]).double()
    wanted = s * reached[-1]
    i = int((reached <= wanted).sum()) - 1
    return torch.lerp(points[i], points[i + 1], (wanted - reached[i]) / (reached[i + 1] - reached[i]))


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_the_whole_trace_is_that_of_a_plain_network(name: str, momentum: float) -> None:
    """Same minibatches, torch.optim.SGD with both weight decays, a loop over segments: s to 1e-8 at every look."""
    said = {"momentum": momentum, "weight_decay": 0.02, "stop": False, "trace": 1000, "margin": 0.001}
    (result,) = relaxed(name, **said)
    _, problem = made()
    line = corners(name)
    make = partial(torch.optim.SGD, lr=0.1, momentum=momentum, weight_decay=0.03)
    steps = math.ceil(4.0 / (0.1 / (1.0 - momentum)) - 1e-9)
    for row in rows(result):
        model = build_model(problem.model.name, problem.model.args, digits().input_shape, digits().n_classes).double()
        stream = Stream.of("relaxation", 3, name, repr(row["s0"]), row["replica"])
        begin, batches = at(line, row["s0"]), minibatches(stream, 8)
        expected = relaxation_plain.relax(model, make, line, begin, batches, steps, 4, "zero")
        own = [r for r in rows(result, "relaxation_traces") if (r["s0"], r["replica"]) == (row["s0"], row["replica"])]
        assert [r["step"] for r in own] == [look.step for look in expected]
        for got, look in zip(own, expected, strict=True):
            assert got["s"] == pytest.approx(look.s, abs=1e-8)
            assert got["residual"] * row["path_length"] == pytest.approx(look.residual, abs=1e-8)
            assert got["train_loss"] == pytest.approx(sum(look.losses) / len(look.losses), abs=1e-8)
            assert got["t_eff"] == pytest.approx(0.1 / (1.0 - momentum) * look.step, rel=1e-14)
        assert row["s_last"] == pytest.approx(expected[-1].s, abs=1e-8)
        assert row["steps"] == steps


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"optimizer": "adam", "lr": 0.01, "time": 0.2, "buffers": "keep"},
        {"noise": "isotropic", "buffers": "project", "momentum": 0.5},
        {"noise": "isotropic", "temperature": 1e-4, "batch_size": None, "project": None},
        {"noise": "none", "batch_size": None, "replicas": 1},
        {"sampling": "independent", "stop": False, "trace": 2},
    ],
    ids=["minibatch", "adam", "isotropic", "given", "none", "independent"],
)
def test_rows_fit_their_tables_and_each_other(said: dict[str, Any], batch_norm: bool) -> None:
    results = relaxed("bezier", "autoneb", batch_norm=batch_norm, **said)
    spec = RelaxationSpec(**HOW | said)
    runs = [(s, r) for s in (0.2, 0.55) for r in range(spec.replicas or 1)]
    for result, name in zip(results, ("bezier", "autoneb"), strict=True):
        assert_rows_fit(result)
        assert [(row["s0"], row["replica"]) for row in rows(result)] == runs
        for row in rows(result):
            assert_consistent(row, spec, result)
            assert row["path_id"] == name


def assert_consistent(row: dict[str, Any], spec: RelaxationSpec, result: Result) -> None:
    """What became of a run, said in several ways."""
    speed = spec.lr / (1.0 - spec.momentum)
    own = [r for r in rows(result, "relaxation_traces") if (r["s0"], r["replica"]) == (row["s0"], row["replica"])]
    assert own[-1]["step"] == row["steps"]
    assert own[-1]["s"] == row["s_last"]
    assert len(own) <= spec.trace
    assert row["t_eff"] == pytest.approx(row["steps"] * speed, rel=1e-14)
    out = row["s0"] > 0.5
    assert row["drift"] == pytest.approx((row["s_last"] - row["s0"]) * (1 if out else -1), abs=1e-15)
    gone = {"a": lambda s: s < spec.margin, "b": lambda s: s > 1 - spec.margin, None: lambda s: False}[row["end"]]
    assert (row["end"] is None) == (row["t_first_passage"] is None) == row["censored"]
    if row["end"] is None:
        assert row["steps"] == spec.steps
        assert all(spec.margin <= r["s"] <= 1 - spec.margin for r in own)
    else:
        first = next(r for r in own if gone(r["s"]))
        assert first["t_eff"] == row["t_first_passage"]
    assert row["weight_decay"] == pytest.approx(0.01 + spec.weight_decay)
    assert (row["time_limit"], row["margin"], row["k_project"]) == (spec.time, spec.margin, spec.project)
    assert (row["optimizer"], row["buffers"], row["nesterov"]) == (spec.optimizer, spec.buffers, spec.nesterov)


def test_the_temperature_is_that_of_the_start() -> None:
    """Nominal lr / B / (1 - mu); measured that times tr(Sigma) / 2P, the same for all replicas; none without noise."""
    (noisy,) = relaxed("bezier", momentum=0.5)
    for row in rows(noisy):
        assert row["t_nominal"] == pytest.approx(0.1 / 8 / 0.5)
        P = row["n_params"]
        assert row["t_measured"] == pytest.approx(row["t_nominal"] * row["gradient_noise"] / (2 * P), rel=1e-12)
        assert 0 < row["gradient_noise_stderr"] < row["gradient_noise"]
    assert len({row["gradient_noise"] for row in rows(noisy)}) == 2
    (isotropic,) = relaxed("bezier", noise="isotropic", momentum=0.5)
    assert [r["t_measured"] for r in rows(isotropic)] == [r["t_measured"] for r in rows(noisy)]
    (given,) = relaxed("bezier", noise="isotropic", temperature=1e-3, batch_size=None)
    assert {(r["t_nominal"], r["t_measured"], r["temperature"]) for r in rows(given)} == {(1e-3, 1e-3, 1e-3)}
    (silent,) = relaxed("bezier", noise="none", batch_size=None, replicas=1)
    assert {(r["t_nominal"], r["t_measured"], r["gradient_noise"]) for r in rows(silent)} == {(0.0, 0.0, None)}


def test_isotropic_noise_is_as_hot_as_it_says() -> None:
    """Never put back, a few small steps: |theta - start|^2 = 2 T eta n P, of which the loss changes little."""
    said = {"noise": "isotropic", "temperature": 1.0, "batch_size": None, "lr": 1e-6, "time": 4e-6, "project": None}
    (result,) = relaxed("linear", **said, margin=0.001)
    for row in rows(result):
        expected = math.sqrt(2 * 1.0 * 1e-6 * 4 * row["n_params"])
        # P about 900 numbers: a chi distribution of relative width 1 / sqrt(2 P)
        assert row["residual"] * row["path_length"] == pytest.approx(expected, rel=5 / math.sqrt(2 * row["n_params"]))


@pytest.mark.parametrize("said", [{}, {"noise": "isotropic"}], ids=["minibatch", "isotropic"])
def test_a_pack_changes_rounding_alone(said: dict[str, Any]) -> None:
    for alone, together in zip(
        [relaxed(name, batch_norm=True, **said)[0] for name in PATHS],
        relaxed(*PATHS, batch_norm=True, **said),
        strict=True,
    ):
        assert_same_results(alone, together)


def test_other_starts_and_replicas_beside_a_run_change_nothing_for_it() -> None:
    (all_of_them,) = relaxed("chain", starts=[0.2, 0.4, 0.55], replicas=4)
    (few,) = relaxed("chain", starts=[0.55], replicas=2)
    by_run = {(row["s0"], row["replica"]): row for row in rows(all_of_them)}
    for row in rows(few):
        other = by_run[row["s0"], row["replica"]]
        assert row["s_last"] == pytest.approx(other["s_last"], abs=1e-10)
        assert row["steps"] == other["steps"]


def test_settings_are_compared_with_the_same_minibatches_and_seeds_with_others() -> None:
    """A rate so small that weights stay where they are sees the loss of the minibatches alone."""
    still: dict[str, Any] = {"lr": 1e-12, "time": 8e-12, "starts": [0.3], "replicas": 2}
    (first,), (slower,), (other,) = (
        relaxed("linear", **still, **said) for said in ({}, {"weight_decay": 0.1}, {"seed": 4})
    )
    losses = [[r["train_loss"] for r in rows(x, "relaxation_traces")] for x in (first, slower, other)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)
    assert len({round(loss, 9) for loss in (*losses[0], *losses[2])}) == len(losses[0]) + len(losses[2])


def test_what_is_left_for_a_trial_is_what_the_rows_say() -> None:
    (result,) = relaxed("bezier", starts=[0.12, 0.5], time=6.0)
    tensors, said = result.tensors, rows(result)
    assert {row["censored"] for row in said} == {True, False}
    assert tensors["censored"].tolist() == [row["censored"] for row in said]
    assert tensors["diverged"].tolist() == [row["diverged"] for row in said]
    assert tensors["t_measured"].tolist() == [row["t_measured"] for row in said]
    assert tensors["t_nominal"].tolist() == [row["t_nominal"] for row in said]
    for k, row in enumerate(said):
        passed = row["t_first_passage"]
        assert float(tensors["exposure"][k]) == (row["t_eff"] if passed is None else passed)
        assert math.isnan(float(tensors["t_first_passage"][k])) == (passed is None)
        assert passed is None or float(tensors["t_first_passage"][k]) == passed
    assert {t.dtype for t in tensors.values()} == {torch.float64, torch.bool}
    assert result.about == {"kind": "relaxation", "path_id": "bezier"}


def test_exposure_ends_with_the_first_passage_though_a_run_goes_on() -> None:
    stops, goes_on = (relaxed("bezier", starts=[0.12], time=6.0, stop=stop)[0] for stop in (True, False))
    assert any(not row["censored"] for row in rows(stops))
    assert torch.equal(stops.tensors["exposure"], goes_on.tensors["exposure"])
    assert {row["steps"] for row in rows(goes_on)} == {60}


def test_runs_that_diverge_say_so() -> None:
    (result,) = relaxed("linear", lr=1e200, time=4e202, project=15)
    assert_rows_fit(result)
    for row in rows(result):
        assert (row["diverged"], row["censored"], row["end"], row["s_last"], row["drift"]) == (
            *(True, False, None),
            *(None, None),
        )
        assert row["steps"] == 15
    assert rows(result, "relaxation_traces") == []
    assert result.tensors["diverged"].all()
    assert not result.tensors["censored"].any()


def test_a_path_of_length_0_fails_alone() -> None:
    bench, problem = made()
    bench = beside(bench)
    bench.do("path", [path(problem, "nowhere", ("end0", "end0"), kind="linear")])
    good, bad = bench.do("relaxation", [item("bezier", problem), item("nowhere", problem)])
    assert isinstance(bad, TaskError)
    assert "path nowhere" in str(bad)
    assert "length 0" in str(bad)
    assert isinstance(good, Result)
    assert_same_results(good, relaxed("bezier")[0])
    (alone,) = bench.do("relaxation", [item("nowhere", problem)])
    assert isinstance(alone, TaskError)
