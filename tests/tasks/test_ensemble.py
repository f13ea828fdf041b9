"""Task kind `ensemble`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from mcdist.errors import TaskError
from mcdist.problems.data import load_dataset
from mcdist.science.points import Points
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import EnsembleTask
from mcdist.tasks import ensemble as module
from mcdist.tasks.problems import build_problem
from mcdist.tasks.work import Item, Result

from .bench import (
    SGD,
    DictBench,
    assert_close,
    assert_rows_fit,
    bench_with,
    beside,
    digits,
    path,
    plain_model,
    problem_spec,
)

EPOCHS = 2
"""Of an end point: the unit of budgets."""

EXACT = 1e-12  # of numbers made of the same float32 probabilities in float64
CURVE = {"kind": "bezier", "train": SGD | {"epochs": 1}}
INPUTS: dict[str, tuple[str, ...]] = {
    "independent": ("end0", "end1", "end2"),
    "fge": ("run0", "run1"),
    "snapshot": ("cosine",),
    "swa": ("run0", "run1"),
    "curve": ("curve",),
}
SPENT = {"independent": 3 * EPOCHS, "curve": 2 * EPOCHS + 1}
BUDGETS = {"independent": 3, "fge": 2, "snapshot": 2, "swa": 2, "curve": 3}

both = pytest.mark.parametrize("batch_norm", [False, True])
every_method = pytest.mark.parametrize("method", INPUTS)


def ensemble(problem: ProblemSpec, method: Any, *inputs: str, name: str = "ensemble", **said: Any) -> Item:
    about: dict[str, Any] = {"seed": 0, "budget": BUDGETS[method], "epochs": EPOCHS, "predictions": True}
    about |= {"spent": SPENT.get(method), "points": 4 if method == "curve" else None}
    spec = EnsembleTask(problem=problem, method=method, **(about | said))
    return Item(name, spec, inputs or INPUTS[method])


def trajectory(bench: DictBench, problem: ProblemSpec, name: str, members: int, seed: int, **said: Any) -> None:
    """A trajectory as it is stored: here some steps of a random walk from the end point of a seed."""
    own, generator = bench.problem(problem), torch.Generator().manual_seed(seed)
    begun = own.point(bench.results[f"end{seed}"].tensors)
    tensors: dict[str, Tensor] = {}
    theta, rows = begun.theta, []
    for j in range(members):
        theta = theta + 0.02 * torch.randn(theta.shape, generator=generator, dtype=theta.dtype)
        state = own.state(own.settle(begun.at(theta)), 0)
        tensors |= {f"member_{j}.{key}": tensor for key, tensor in state.items()}
        distance = float((theta - begun.theta).double().norm())
        rows.append({"iteration": 5 * (j + 1), "epoch": 1 + 0.25 * (j + 1), "lr": 0.01 + j, "distance": distance})
    about = {"seed": seed, "start": 1, "epochs": EPOCHS, "rate": "triangle", "lr1": 0.05, "lr2": 0.01, "cycle": 0.5}
    about |= {"cycles": None, "epochs_used": rows[-1]["epoch"] if rows else 0.0, "members": rows}
    text = {"kind": "trajectory", "trajectory": json.dumps(about | said)}
    bench.results[name] = Result(tensors=tensors, about=text)


@cache
def made(batch_norm: bool = False, dtype: str = "float64") -> tuple[DictBench, ProblemSpec]:
    """End points, a curve, trajectories. To be left as it is."""
    problem = problem_spec(batch_norm=batch_norm, dtype=dtype)
    bench = bench_with(problem, 4, epochs=EPOCHS)
    bench.do("path", [path(problem, "curve", ("end0", "end1"), **CURVE)])
    for seed in (0, 1):
        trajectory(bench, problem, f"run{seed}", 3, seed)
    cosine = {"rate": "cosine", "lr2": None, "cycle": None, "cycles": 2, "start": 0, "epochs": 2 * EPOCHS}
    trajectory(bench, problem, "cosine", 2, 2, **cosine)
    return bench, problem


def judged(
    method: str, *inputs: str, batch_norm: bool = False, dtype: str = "float64", **said: Any
) -> tuple[Result, DictBench]:
    first, problem = made(batch_norm, dtype)
    bench = beside(first)
    (outcome,) = bench.do("ensemble", [ensemble(problem, method, *inputs, **said)])
    assert isinstance(outcome, Result), outcome
    return outcome, bench


def plain_probabilities(weights: dict[str, Tensor], split: str) -> Tensor:
    """Softmax of the plain module's outputs [N, C]."""
    bench, spec = made()
    inputs, _ = bench.problem(spec).data_of(split)  # type: ignore[attr-defined]
    network = plain_model(problem_spec(batch_norm=any("running" in name for name in weights)), weights)
    with torch.no_grad():
        return torch.softmax(network(inputs.to(next(network.parameters()).dtype)).double(), -1)


def member(bench: DictBench, run: str, j: int) -> dict[str, Tensor]:
    head = f"member_{j}."
    return {n.removeprefix(head): t for n, t in bench.results[run].tensors.items() if n.startswith(head)}


@both
@every_method
def test_rows_fit_their_tables(method: str, batch_norm: bool) -> None:
    found, _ = judged(method, batch_norm=batch_norm)
    assert_rows_fit(found)
    (row,) = found.rows["ensembles"]
    assert (row["ensemble_id"], row["problem"], row["method"], row["seed"]) == ("ensemble", "digits/mlp", method, 0)
    assert (row["budget"], row["budget_epochs"]) == (BUDGETS[method], BUDGETS[method] * EPOCHS)
    members = found.rows["ensemble_members"]
    assert [m["member"] for m in members] == list(range(row["size"]))
    assert {m["ensemble_id"] for m in members} == {"ensemble"}


@every_method
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_are_those_of_the_kept_predictions(method: str, dtype: str) -> None:
    """By plain numpy, of what is stored and nothing else."""
    found, _ = judged(method, dtype=dtype)
    (row,), members = found.rows["ensembles"], found.rows["ensemble_members"]
    for split in ("val", "test"):
        stored = found.tensors[f"{split}.probabilities"]
        assert stored.dtype == torch.float32
        p, y = stored.numpy().astype(np.float64), found.tensors[f"{split}.targets"].numpy()
        p /= p.sum(2, keepdims=True)
        M, N, C = p.shape
        right = np.arange(N), y
        assert row["size"] == M
        assert row[f"{split}_error"] == pytest.approx((p.mean(0).argmax(1) != y).mean(), abs=EXACT)
        assert row[f"{split}_nll"] == pytest.approx(-np.log(p.mean(0)[right]).mean(), abs=EXACT)
        for m, own in enumerate(members):
            first = p[: m + 1].mean(0)
            assert own[f"{split}_error"] == pytest.approx((p[m].argmax(1) != y).mean(), abs=EXACT)
            assert own[f"{split}_nll"] == pytest.approx(-np.log(p[m][right]).mean(), abs=EXACT)
            assert own[f"running_{split}_error"] == pytest.approx((first.argmax(1) != y).mean(), abs=EXACT)
            assert own[f"running_{split}_nll"] == pytest.approx(-np.log(first[right]).mean(), abs=EXACT)
        assert members[-1][f"running_{split}_error"] == row[f"{split}_error"]
        assert members[-1][f"running_{split}_nll"] == row[f"{split}_nll"]
    # what is of the test split alone, which was the last one
    votes = p.argmax(2)
    assert row["brier"] == pytest.approx(((p.mean(0) - np.eye(C)[y]) ** 2).sum(1).mean(), abs=EXACT)
    apart = [(votes[i] != votes[j]).mean() for i in range(M) for j in range(i)]
    assert row["disagreement"] == pytest.approx(np.mean(apart), abs=EXACT) if apart else row["disagreement"] is None
    assert row["oracle_error"] == pytest.approx((votes != y).all(0).mean(), abs=EXACT)
    assert row["mean_member_error"] == pytest.approx((votes != y).mean(), abs=EXACT)
    assert row["best_member_error"] == pytest.approx((votes != y).mean(1).min(), abs=EXACT)
    assert row["mean_member_nll"] == pytest.approx(np.mean([own["test_nll"] for own in members]), abs=EXACT)
    confidence, hit = p.mean(0).max(1), p.mean(0).argmax(1) == y
    bins = np.floor(confidence * 15)
    gaps = [abs((hit - confidence)[bins == b].sum()) / N for b in np.unique(bins)]
    assert row["ece"] == pytest.approx(sum(gaps), abs=EXACT)


@both
def test_independent_members_are_the_end_points(batch_norm: bool) -> None:
    found, bench = judged("independent", batch_norm=batch_norm)
    (row,), members = found.rows["ensembles"], found.rows["ensemble_members"]
    assert (row["size"], row["runs"], row["epochs_used"]) == (3, 3, 3.0 * EPOCHS)
    assert {row.get(name) for name in ("restarts", "start", "lr1", "lr2", "cycle", "cycles", "points")} == {None}
    assert [(m["run_id"], m["run_member"], m["epoch"]) for m in members] == [(f"end{i}", 0, 2.0) for i in range(3)]
    for i, own in enumerate(members):
        assert {own.get(name) for name in ("lr", "t", "distance")} == {None}
        end = bench.row(f"end{i}", "endpoints")
        assert own["test_error"] == pytest.approx(end["test_error"], abs=EXACT)
        # the end point's own loss is of float64 outputs, the member's of probabilities in float32
        assert own["test_nll"] == pytest.approx(end["test_loss"], rel=1e-6)
        for split in ("val", "test"):
            plain = plain_probabilities(bench.results[f"end{i}"].tensors, split)
            kept = found.tensors[f"{split}.probabilities"][i]
            assert torch.allclose(kept.double(), plain, rtol=0, atol=1e-7)
    assert torch.equal(found.tensors["test.targets"], torch.as_tensor(digits().test.targets))


@both
@pytest.mark.parametrize("method", ["fge", "snapshot"])
def test_members_of_trajectories_are_taken_run_after_run(method: str, batch_norm: bool) -> None:
    found, bench = judged(method, batch_norm=batch_norm)
    (row,), members = found.rows["ensembles"], found.rows["ensemble_members"]
    expected = [("run0", 0), ("run0", 1), ("run0", 2), ("run1", 0), ("run1", 1), ("run1", 2)]
    if method == "snapshot":
        expected = [("cosine", 0), ("cosine", 1)]
    assert [(m["run_id"], m["run_member"]) for m in members] == expected
    rates = [row[name] for name in ("start", "lr1", "lr2", "cycle", "cycles")]
    assert rates == ([1, 0.05, 0.01, 0.5, None] if method == "fge" else [0, 0.05, None, None, 2])
    assert (row["runs"], row.get("points")) == (2 if method == "fge" else 1, None)
    assert row["epochs_used"] == (2 * 1.75 if method == "fge" else 1.5)
    for i, (run, j) in enumerate(expected):
        said = json.loads(bench.results[run].about["trajectory"])["members"][j]
        assert {name: members[i][name] for name in ("epoch", "lr", "distance")} == {
            name: said[name] for name in ("epoch", "lr", "distance")
        }
        plain = plain_probabilities(member(bench, run, j), "test")
        assert torch.allclose(found.tensors["test.probabilities"][i].double(), plain, rtol=0, atol=1e-7)


@both
def test_swa_is_torch_s_averaged_model_with_statistics_of_its_own(batch_norm: bool) -> None:
    found, bench = judged("swa", batch_norm=batch_norm, dtype="float32")
    (row,), members = found.rows["ensembles"], found.rows["ensemble_members"]
    spec = made(batch_norm, "float32")[1]
    problem = bench.problem(spec)
    assert (row["size"], row["runs"], row["epochs_used"]) == (2, 2, 3.5)
    assert [(m["run_id"], m["run_member"], m["epoch"], m["lr"]) for m in members] == [
        ("run0", 0, 1.75, 2.01),
        ("run1", 0, 1.75, 2.01),
    ]
    averages = []
    for i, run in enumerate(("run0", "run1")):
        models = [plain_model(spec, member(bench, run, j)) for j in range(3)]
        averaged = AveragedModel(models[0])
        for model in models:
            averaged.update_parameters(model)
        averages.append(averaged)
        weights = averaged.module.state_dict()
        point = problem.settle(problem.point(weights))
        settled = problem.state(point, 0)
        if batch_norm:  # statistics at the average are not those at the last member
            assert any(not torch.allclose(settled[name], t, atol=1e-3) for name, t in weights.items() if "var" in name)
        plain = plain_probabilities(settled, "test").float()
        assert torch.allclose(found.tensors["test.probabilities"][i], plain, rtol=0, atol=1e-6)
        start = problem.point(bench.results[f"end{i}"].tensors).theta
        # from the members' distances: squares of some 0.1 in float32 weights
        assert members[i]["distance"] == pytest.approx(float((point.theta - start).double().norm()), rel=1e-5)
    both_at_once = Points.stack([problem.point(averaged.module.state_dict()) for averaged in averages])
    expected = problem.probabilities(problem.settle(both_at_once), "test")
    assert torch.equal(found.tensors["test.probabilities"], expected.float())


def test_an_average_of_one_is_that_one() -> None:
    first, problem = made()
    bench = beside(first)
    trajectory(bench, problem, "short", 1, 0)
    items = [ensemble(problem, method, "short", name=method, budget=1) for method in ("swa", "fge")]
    for item in items:
        bench.do("ensemble", [item])
    swa, fge = (bench.results[method] for method in ("swa", "fge"))
    assert torch.equal(swa.tensors["test.probabilities"], fge.tensors["test.probabilities"])
    assert swa.rows["ensemble_members"][0]["distance"] == pytest.approx(fge.rows["ensemble_members"][0]["distance"])


@both
def test_members_on_a_curve_are_the_path_s_points(batch_norm: bool) -> None:
    found, bench = judged("curve", batch_norm=batch_norm)
    (row,), members = found.rows["ensembles"], found.rows["ensemble_members"]
    assert (row["size"], row["points"], row["runs"], row["epochs_used"]) == (4, 4, 2, 5.0)
    assert {row.get(name) for name in ("restarts", "start", "lr1", "lr2", "cycle", "cycles")} == {None}
    problem = bench.problem(made(batch_norm)[1])
    stored = bench.results["curve"].tensors
    a, bend, b = (
        problem.point({n.removeprefix(f"point_{j}."): t for n, t in stored.items() if n.startswith(f"point_{j}.")})
        for j in range(3)
    )
    for i, own in enumerate(members):
        t = i / 3
        theta = (1 - t) ** 2 * a.theta + 2 * t * (1 - t) * bend.theta + t**2 * b.theta
        point = problem.settle(a.at(theta))
        assert (own["run_id"], own["run_member"], own["t"]) == ("curve", i, pytest.approx(t, abs=EXACT))
        assert {own.get(name) for name in ("epoch", "lr")} == {None}
        assert own["distance"] == pytest.approx(float((theta - a.theta).norm()), rel=1e-9, abs=1e-9)
        plain = plain_probabilities(problem.state(point, 0), "test")
        assert torch.allclose(found.tensors["test.probabilities"][i].double(), plain, rtol=0, atol=1e-7)
    for own, end in ((members[0], "end0"), (members[-1], "end1")):
        assert own["test_error"] == pytest.approx(bench.row(end, "endpoints")["test_error"], abs=EXACT)


@pytest.mark.parametrize(
    ("inputs", "budget", "expected"),
    [(("run0",), 1, True), (("run0", "run1"), 2, True), (("cosine",), 2, False)],
)
def test_whether_a_budget_is_several_runs_or_a_long_one(inputs: Sequence[str], budget: int, expected: bool) -> None:
    found, _ = judged("fge", *inputs, budget=budget)
    assert found.rows["ensembles"][0]["restarts"] is expected


def test_an_ensemble_above_its_budget_fails_and_no_other() -> None:
    first, problem = made()
    bench = beside(first)
    trajectory(bench, problem, "greedy", 1, 0, epochs_used=EPOCHS + 0.01)
    trajectory(bench, problem, "exact", 1, 0, epochs_used=float(EPOCHS))
    items = [ensemble(problem, "fge", run, name=run, budget=1) for run in ("run0", "greedy", "exact")]
    found = bench.do("ensemble", items)
    assert isinstance(found[0], Result)
    assert isinstance(found[2], Result)
    assert isinstance(found[1], TaskError)
    assert str(found[1]) == "its networks took 2.01 epochs of training, more than its budget of 1 x 2"
    (far,) = bench.do("ensemble", [ensemble(problem, "independent", name="far", budget=2)])
    assert "6 epochs of training, more than its budget of 2 x 2" in str(far)


def test_a_run_without_members_and_a_network_that_left_the_numbers_fail_alone() -> None:
    first, problem = made()
    bench = beside(first)
    trajectory(bench, problem, "empty", 0, 0)
    trajectory(bench, problem, "wild", 1, 0)
    bench.results["wild"].tensors = {name: t * float("nan") for name, t in bench.results["wild"].tensors.items()}
    items = [ensemble(problem, "fge", run, name=run, budget=1) for run in ("empty", "wild", "run0")]
    empty, wild, fine = bench.do("ensemble", items)
    assert str(empty) == "there are no members in empty"
    assert isinstance(wild, TaskError)
    assert "cannot be judged: probabilities must be" in str(wild)
    assert isinstance(fine, Result)
    assert_close(fine.rows["ensembles"][0] | {"ensemble_id": ""}, _alone("fge", "run0", budget=1), rel=1e-9)


def _alone(method: str, *inputs: str, **said: Any) -> dict[str, Any]:
    return judged(method, *inputs, **said)[0].rows["ensembles"][0] | {"ensemble_id": ""}


@both
@every_method
@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_a_pack_gives_what_each_gives_alone(
    method: str, batch_norm: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few members are in memory at a time."""
    groups = {
        "independent": [("end0", "end1"), ("end2", "end3"), ("end1",)],
        "curve": [("curve",), ("curve",)],
        "snapshot": [("cosine",), ("cosine",)],
    }
    inputs = groups.get(method, [("run0", "run1"), ("run1",), ("run0",)])
    first, problem = made(batch_norm)
    items = [ensemble(problem, method, *own, name=str(i), seed=i) for i, own in enumerate(inputs)]
    alone, together = beside(first), beside(first)
    for item in items:
        alone.do("ensemble", [item])
    monkeypatch.setattr(module, "at_once", lambda problem: at_once)
    together.do("ensemble", items)
    for item in items:
        one, other = together.results[item.id], alone.results[item.id]
        # float64 up to the order of sums, then rounded to float32
        for name, tensor in other.tensors.items():
            assert torch.allclose(one.tensors[name], tensor, rtol=1e-6, atol=1e-7), name
        for table, rows in other.rows.items():
            for got, expected in zip(one.rows[table], rows, strict=True):
                assert_close(got, expected, rel=1e-6)


def test_predictions_are_kept_where_they_are_asked_for() -> None:
    found, _ = judged("independent", predictions=False)
    assert (found.tensors, found.about) == ({}, {})
    kept, _ = judged("independent")
    names = {f"{split}.{what}" for split in ("val", "test") for what in ("probabilities", "targets")}
    assert (set(kept.tensors), kept.about) == (names, {"kind": "ensemble"})
    assert kept.tensors["test.probabilities"].shape == (3, 60, 10)
    assert kept.rows == found.rows


def test_without_a_validation_split_its_columns_are_null() -> None:
    first, spec = made()
    bench = beside(first)
    data = load_dataset("digits", train_size=150, test_size=60)
    bench._problems = {spec.model_dump_json(): build_problem(spec, lambda key: data, torch.device("cpu"))}
    (found,) = bench.do("ensemble", [ensemble(spec, "independent")])
    assert isinstance(found, Result)
    assert_rows_fit(found)
    assert not [n for rows in found.rows.values() for row in rows for n in row if "val" in n]
    assert set(found.tensors) == {"test.probabilities", "test.targets"}
