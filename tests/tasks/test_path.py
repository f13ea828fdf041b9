"""Task kinds `path` and `profile`."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support.tracing import AsTraced
from torch import Tensor

from mcdist.errors import Diverged
from mcdist.problems.models import build_model
from mcdist.science.paths import FAMILIES
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks import positions as module
from mcdist.tasks.stored_path import load_path
from mcdist.tasks.work import Result

from .bench import (
    SGD,
    DictBench,
    assert_close,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    digits,
    endpoint,
    path,
    problem_spec,
    profile,
)

ENDS = ("end0", "end1")
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear"},
    "bezier": {"kind": "bezier", "train": SGD},
    "bezier2": {"kind": "bezier", "bends": 2, "draws": 2, "train": SGD},
    "chain": {"kind": "chain", "bends": 2, "train": SGD},
    "free": {"kind": "bezier", "ends": "free", "train": SGD},
    "arclength": {"kind": "bezier", "bends": 2, "objective": "arclength", "train": SGD},
}
METRICS = [f"{split}_{m}" for split in ("train", "val", "test") for m in ("loss", "error")]

both = pytest.mark.parametrize("batch_norm", [False, True])
every_kind = pytest.mark.parametrize("kind", KINDS)


def connected(kind: str, batch_norm: bool = False, **options: Any) -> tuple[DictBench, ProblemSpec]:
    """Two end points, a path `p` between them, its profile."""
    bench, problem = DictBench(), problem_spec(batch_norm=batch_norm, **options)
    bench.do("endpoint", [endpoint(problem, 0), endpoint(problem, 1)])
    bench.do("path", [path(problem, "p", ENDS, **KINDS[kind])])
    bench.do("profile", [profile(problem, "p")])
    return bench, problem


@every_kind
@both
def test_rows_fit_their_tables(kind: str, batch_norm: bool) -> None:
    bench, _ = connected(kind, batch_norm)
    made, measured = bench.results["p"], bench.results["profile of p"]
    assert_rows_fit(made)
    assert_rows_fit(measured)
    row = bench.row("p", "paths")
    assert (row["path_id"], row["kind"], row["aligned"]) == ("p", KINDS[kind]["kind"], False)
    assert (row["endpoint_a"], row["endpoint_b"]) == ENDS
    assert row["n_points"] == (2 if kind == "linear" else 2 + KINDS[kind].get("bends", 1))
    assert len(made.rows.get("history", ())) == (0 if kind == "linear" else 3)
    assert [r["t"] for r in measured.rows["path_points"]] == pytest.approx([i / 10 for i in range(11)], abs=1e-15)
    assert [r["metric"] for r in measured.rows["barriers"]] == METRICS


@every_kind
@both
def test_tensors_are_named_by_control_point_and_parameter(kind: str, batch_norm: bool) -> None:
    bench, _ = connected(kind, batch_norm)
    names = list(bench.results["end0"].tensors)
    n = bench.row("p", "paths")["n_points"]
    tensors = bench.results["p"].tensors
    assert list(tensors) == [f"point_{j}.{name}" for j in range(n) for name in names]
    for j, end in ((0, "end0"), (n - 1, "end1")):
        same = [torch.equal(tensors[f"point_{j}.{name}"], t) for name, t in bench.results[end].tensors.items()]
        assert all(same) or kind == "free"


@every_kind
def test_length_and_chord(kind: str) -> None:
    bench, problem = connected(kind)
    controls = load_path(bench.stored("p"), bench.problem(problem)).controls
    theta, row = controls.theta.double(), bench.row("p", "paths")
    assert row["chord"] == pytest.approx(float((theta[-1] - theta[0]).norm()), rel=1e-12)
    assert row["length"] >= row["chord"] * (1 - 1e-12)
    fine = FAMILIES[KINDS[kind]["kind"]].at(theta, torch.linspace(0, 1, 20001))
    assert row["length"] == pytest.approx(float(fine.diff(dim=0).norm(dim=1).sum()), rel=1e-5)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "free"])
@both
def test_the_ends_of_a_profile_are_the_end_points_rows(kind: str, batch_norm: bool) -> None:
    bench, _ = connected(kind, batch_norm)
    points = bench.results["profile of p"].rows["path_points"]
    for row, end in ((points[0], "end0"), (points[-1], "end1")):
        expected = bench.row(end, "endpoints")
        for name in (*METRICS, "l2_norm"):
            assert row[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-6), name
    assert (points[0]["s"], points[-1]["s"]) == (0.0, 1.0)


def plain_metrics(problem: ProblemSpec, weights: dict[str, Tensor]) -> dict[str, float]:
    """Loss and error of weights in a plain module; BatchNorm statistics of one batch of all training data."""
    data = digits()
    model = build_model(problem.model.name, problem.model.args, data.input_shape, data.n_classes)
    model.load_state_dict(weights)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.momentum = None  # the cumulative average: here, that of one batch
    splits = {"train": data.train, "val": data.validation, "test": data.test}
    found = {}
    with torch.no_grad():
        model.train()(torch.from_numpy(data.train.inputs / data.divisor).float())
        for name, split in splits.items():
            assert split is not None
            outputs = model.eval()(torch.from_numpy(split.inputs / data.divisor).float())
            y = torch.from_numpy(split.targets)
            found[f"{name}_loss"] = float(F.cross_entropy(outputs, y))
            found[f"{name}_error"] = float((outputs.argmax(1) != y).double().mean())
    return found


@every_kind
@both
def test_stored_weights_in_plain_modules_give_the_profile(kind: str, batch_norm: bool) -> None:
    """What a reader of the store would do at every t: combine, load, re-estimate, evaluate."""
    bench, problem = connected(kind, batch_norm)
    tensors, n = bench.results["p"].tensors, bench.row("p", "paths")["n_points"]
    for row in bench.results["profile of p"].rows["path_points"]:
        t = row["t"]
        if KINDS[kind]["kind"] == "chain":
            c = [max(0.0, 1 - abs((n - 1) * t - j)) for j in range(n)]
        else:  # a straight line is a Bezier curve of degree 1
            c = [math.comb(n - 1, j) * (1 - t) ** (n - 1 - j) * t**j for j in range(n)]
        weights = {
            name: sum(c[j] * tensors[f"point_{j}.{name}"] for j in range(n)) for name in bench.results["end0"].tensors
        }
        for name, value in plain_metrics(problem, weights).items():
            assert row[name] == pytest.approx(value, rel=1e-5, abs=1e-5), (t, name)


@every_kind
def test_barriers_are_those_of_the_rows(kind: str) -> None:
    bench, _ = connected(kind)
    measured = bench.results["profile of p"].rows
    for found in measured["barriers"]:
        t, m = ([row[name] for row in measured["path_points"]] for name in ("t", found["metric"]))
        assert (found["path_id"], found["n_points"]) == ("p", 11)
        assert (found["value_a"], found["value_b"]) == (m[0], m[-1])
        assert (found["min"], found["max"]) == (min(m), max(m))
        assert found["mean"] == pytest.approx(sum(m) / 11, rel=1e-12)
        assert found["argmax_t"] == t[m.index(max(m))]
        above = [v - ((1 - u) * m[0] + u * m[-1]) for u, v in zip(t, m, strict=True)]
        assert found["barrier_linear"] == pytest.approx(max(above), abs=1e-12)


def test_training_lowers_the_curve() -> None:
    """Three epochs are enough to be below the straight line's highest loss."""
    heights = {}
    for kind in ("linear", "bezier"):
        bench, _ = connected(kind)
        rows = bench.results["profile of p"].rows["barriers"]
        heights[kind] = next(row["max"] for row in rows if row["metric"] == "train_loss")
    assert heights["bezier"] < heights["linear"]


@both
def test_a_pack_gives_what_each_path_gives_alone(batch_norm: bool) -> None:
    problem, together = problem_spec(dtype="float64", batch_norm=batch_norm), DictBench()
    together.do("endpoint", [endpoint(problem, seed) for seed in range(3)])
    said = KINDS["bezier"]
    items = [
        path(problem, "01", ("end0", "end1"), **said),
        path(problem, "12", ("end1", "end2"), **said | {"train": SGD | {"lr": 0.03, "weight_decay": 1e-3}}),
        path(problem, "01 again", ("end0", "end1"), **said | {"seed": 5}),
    ]
    together.do("path", items)
    for item in items:
        alone = DictBench()
        alone.results = {name: together.results[name] for name in item.inputs}
        alone.do("path", [item])
        for name, tensor in alone.results[item.id].tensors.items():
            assert torch.allclose(together.results[item.id].tensors[name], tensor, rtol=0, atol=1e-9), name
    bends = [together.results[item.id].tensors["point_1.1.weight"] for item in items]
    assert not torch.allclose(bends[0], bends[2]), "another seed is another path"


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "linear"])
@pytest.mark.parametrize("model", [{"batch_norm": True}, {"batch_norm": True, "dropout": 0.3}], ids=["norm", "dropout"])
def test_whatever_curves_of_a_shape_differ_in_each_is_as_alone(kind: str, model: dict[str, Any]) -> None:
    """Pair, seed, rate, momentum, weight decay; every family, several bends and draws, free ends."""
    problem = problem_spec(dtype="float64", model={"name": "mlp", "args": {"hidden": [12], **model}})
    ends, together = DictBench(), DictBench()
    ends.do("endpoint", [endpoint(problem, seed, epochs=1) for seed in range(3)])
    said = [
        (("end0", "end1"), 0, {"lr": 0.1}),
        (("end2", "end1"), 5, {"lr": 0.03, "momentum": 0.5, "weight_decay": 1e-2}),
        (("end1", "end0"), 0, {"lr": 0.05, "momentum": 0.0}),
    ]
    items = [
        path(problem, f"p{n}", pair, **KINDS[kind] | {"seed": seed, "train": SGD | {"epochs": 2} | train})
        for n, (pair, seed, train) in enumerate(said)
    ]
    together.results = dict(ends.results)
    together.do("path", items)
    for item in items:
        alone = DictBench()
        alone.results = dict(ends.results)
        alone.do("path", [item])
        for name, tensor in alone.results[item.id].tensors.items():
            assert torch.allclose(together.results[item.id].tensors[name], tensor, rtol=0, atol=1e-9), name
        for table in ("paths", "history"):
            rows = (bench.results[item.id].rows[table] for bench in (together, alone))
            for got, expected in zip(*rows, strict=True):
                assert_close(got, expected, rel=1e-9)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "linear"])
@both
def test_curves_by_programs_are_the_plain_ones(kind: str, batch_norm: bool) -> None:
    problem, graphs = problem_spec(dtype="float64", batch_norm=batch_norm), AsTraced()
    ends = bench_with(problem, epochs=1)
    train = SGD | {"epochs": 2, "weight_decay": 1e-3}
    items = [path(problem, f"p{seed}", ENDS, **KINDS[kind] | {"train": train, "seed": seed}) for seed in (0, 1)]
    plain, traced = beside(ends), beside(ends, graphs)
    for bench in (plain, traced):
        bench.do("path", items)
    assert graphs.calls > 0
    for item in items:
        assert_same_results(traced.results[item.id], plain.results[item.id])


def test_what_is_minimised_is_said_and_makes_another_curve() -> None:
    """The loss averaged over arclength and over t: from the same random numbers other bends, of other length."""
    uniform, arclength = (path_rows(objective) for objective in ("uniform", "arclength"))
    assert (uniform["objective"], arclength["objective"]) == ("uniform", "arclength")
    assert uniform["length"] != pytest.approx(arclength["length"], rel=1e-4)
    bench, _ = connected("linear")
    assert bench.row("p", "paths").get("objective") is None


def path_rows(objective: str) -> dict[str, Any]:
    problem = problem_spec()
    bench = bench_with(problem)
    bench.do("path", [path(problem, "p", ENDS, **KINDS["bezier2"] | {"objective": objective})])
    return bench.row("p", "paths")


def test_the_first_step_by_arclength_is_the_gradient_of_the_average_over_arclength() -> None:
    """One step of all examples at one t, its gradient by autodiff of w(t) L(phi(t)), w = |phi'| / length."""
    problem = problem_spec(dtype="float64")
    bench = bench_with(problem, epochs=1)
    n = len(digits().train)
    train = {"epochs": 1, "lr": 0.1, "momentum": 0.0, "batch_size": n}
    said = {"kind": "bezier", "bends": 2, "train": train}
    bench.do("path", [path(problem, "p", ENDS, **said, objective="arclength")])
    at = bench.problem(problem)
    a, b = (at.point(bench.results[end].tensors) for end in ENDS)
    bends = torch.stack([a.theta[0] + (b.theta[0] - a.theta[0]) * j / 3 for j in (1, 2)]).requires_grad_()
    controls = torch.cat([a.theta, bends, b.theta])
    stream = Stream.of("path", 0, *ENDS)
    t = torch.from_numpy(stream.child("t", 0).generator().random((1, 1)))[0]
    velocities = FAMILIES["bezier"].velocities(torch.linspace(0, 1, 2001, dtype=torch.float64), 4) @ controls
    length = torch.trapezoid(velocities.norm(dim=1), dx=1 / 2000)
    weight = (FAMILIES["bezier"].velocities(t, 4) @ controls).norm() / length
    here = a.at(FAMILIES["bezier"].coefficients(t, 4) @ controls)
    (batch,) = at.batches([stream], 0, n)
    loss, _ = at.loss(here, batch)
    (weight * loss.sum()).backward()
    assert bends.grad is not None
    moved = load_path(bench.stored("p"), at).controls.theta[1:3]
    assert torch.allclose(moved, (bends - 0.1 * bends.grad).detach(), rtol=0, atol=1e-8)


@cache
def mixed(batch_norm: bool, dtype: str = "float64") -> tuple[DictBench, ProblemSpec]:
    """Three end points, and between them one path of every kind: of 2, 3 and 4 control points, with free ends too.

    To be left as it is.
    """
    bench, problem = DictBench(), problem_spec(batch_norm=batch_norm, dtype=dtype)
    bench.do("endpoint", [endpoint(problem, seed) for seed in range(3)])
    for n, (kind, said) in enumerate(KINDS.items()):
        bench.do("path", [path(problem, kind, (f"end{n % 3}", f"end{(n + 1) % 3}"), **said)])
    return bench, problem


def measured(bench: DictBench, problem: ProblemSpec, *packs: list[str], accelerate: Accelerate | None = None) -> Any:
    """Rows of the profiles of these paths, in these packs, by path and table."""
    fresh = DictBench(accelerate)
    fresh.results = dict(bench.results)
    for pack in packs:
        fresh.do("profile", [profile(problem, name) for name in pack])
    return {name: fresh.results[f"profile of {name}"].rows for pack in packs for name in pack}


def assert_same_rows(got: Any, expected: Any, rel: float) -> None:
    assert got.keys() == expected.keys()
    for name, tables in expected.items():
        for table, rows in tables.items():
            for one, other in zip(got[name][table], rows, strict=True):
                assert_close(one, other, rel)


@both
def test_profiles_of_different_paths_in_a_pack_are_each_as_alone(batch_norm: bool) -> None:
    """They are one row of points, of which each path has its own number: ends that it moved are measured, others not.

    Errors are counts: a prediction on the edge between two classes could jump; here none does.
    """
    bench, problem = mixed(batch_norm)
    names = list(KINDS)
    alone = measured(bench, problem, *[[name] for name in names])
    for packs in ([names], [names[::-1]], [names[3:], names[:3]]):
        assert_same_rows(measured(bench, problem, *packs), alone, rel=1e-9)
    points = alone["linear"]["path_points"], alone["bezier"]["path_points"]
    assert points[0][5]["train_loss"] != pytest.approx(points[1][5]["train_loss"], rel=1e-3)


@both
def test_profiles_by_programs_are_the_plain_ones(batch_norm: bool) -> None:
    bench, problem = mixed(batch_norm)
    graphs = AsTraced()
    got = measured(bench, problem, list(KINDS), accelerate=graphs)
    assert sorted(set(graphs.names)) == (["statistics", "sums"] if batch_norm else ["sums"])
    assert_same_rows(got, measured(bench, problem, list(KINDS)), rel=1e-9)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ends_that_a_path_has_not_moved_have_the_end_points_numbers_to_the_bit(batch_norm: bool, dtype: str) -> None:
    """In every pack: they were measured once, when they were trained."""
    bench, problem = mixed(batch_norm, dtype)
    found = measured(bench, problem, list(KINDS))
    for name, tables in found.items():
        about = bench.row(name, "paths")
        for row, end in ((tables["path_points"][0], "endpoint_a"), (tables["path_points"][-1], "endpoint_b")):
            expected = bench.row(about[end], "endpoints")
            same = {metric: row[metric] == expected[metric] for metric in (*METRICS, "l2_norm")}
            assert all(same.values()) == (name != "free"), (name, same)


def test_ends_that_were_measured_are_not_measured_again() -> None:
    """What is kept of them is what stands in the profile, and in its barriers."""
    bench, problem = mixed(True)
    told = DictBench()
    told.results = dict(bench.results)
    for name in KINDS:
        made, metrics = bench.results[name], bench.stored("end0").about["metrics"]
        a, b = ({metric: n + i / 8 for i, metric in enumerate(json.loads(metrics))} for n in (100, 200))
        said = {} if name == "free" else {"metrics_a": json.dumps(a), "metrics_b": json.dumps(b)}
        told.results[name] = Result(made.rows, made.tensors, {**made.about, **said})
    for name, tables in measured(told, problem, list(KINDS)).items():
        first, *inner, last = tables["path_points"]
        for metric in (*METRICS, "l2_norm"):
            assert (first[metric] == a[metric]) == (last[metric] == b[metric]) == (name != "free")
            assert all(row[metric] < 100 for row in inner)
        for row in tables["barriers"]:
            assert (row["value_a"] == a[row["metric"]]) == (row["max"] == b[row["metric"]]) == (name != "free")


@both
def test_a_path_of_an_older_store_is_profiled_with_the_same_numbers(batch_norm: bool) -> None:
    """It says nothing of what its ends were measured to be: they are measured again, also beside paths that do."""
    bench, problem = mixed(batch_norm)
    names = list(KINDS)
    expected = measured(bench, problem, names)
    for unknown in ({"metrics_a", "metrics_b"}, {"metrics_b"}):
        older = DictBench()
        older.results = dict(bench.results)
        for name in ("linear", "bezier2"):
            made = bench.results[name]
            about = {key: text for key, text in made.about.items() if key not in unknown}
            older.results[name] = Result(made.rows, made.tensors, about)
            assert about.keys() < made.about.keys()
        assert_same_rows(measured(older, problem, names), expected, rel=1e-9)


def test_a_path_between_end_points_of_an_older_store_measures_its_ends() -> None:
    """Their numbers are not beside their weights, and so not beside the path's."""
    bench, problem = mixed(True)
    expected = measured(bench, problem, ["linear"])
    older = DictBench()
    older.results = dict(bench.results)
    made = bench.results["end0"]
    older.results["end0"] = Result(made.rows, made.tensors, {"kind": "endpoint"})
    older.do("path", [path(problem, "linear", ("end0", "end1"), kind="linear")])
    assert older.results["linear"].about.keys() == {"kind", "path"}
    assert_same_rows(measured(older, problem, ["linear"]), expected, rel=1e-9)


def test_a_diverging_path_fails_alone() -> None:
    problem, bench = problem_spec(), DictBench()
    bench.do("endpoint", [endpoint(problem, 0), endpoint(problem, 1)])
    said = KINDS["bezier"]
    wild = said | {"train": SGD | {"lr": 1e30}}
    fine, failed = bench.do("path", [path(problem, "a", ENDS, **said), path(problem, "b", ENDS, **wild)])
    assert isinstance(fine, Result)
    assert isinstance(failed, Diverged)


def test_a_path_from_a_point_to_itself_has_no_length() -> None:
    problem, bench = problem_spec(), DictBench()
    bench.do("endpoint", [endpoint(problem, 0)])
    bench.do("path", [path(problem, "p", ("end0", "end0"), kind="linear")])
    bench.do("profile", [profile(problem, "p")])
    assert bench.row("p", "paths")["length"] == 0.0
    rows = bench.results["profile of p"].rows
    assert [r["s"] for r in rows["path_points"]] == [r["t"] for r in rows["path_points"]]
    assert all(row["barrier_linear"] == pytest.approx(0.0, abs=1e-6) for row in rows["barriers"])


@both
def test_how_many_positions_are_held_at_once_does_not_matter(batch_norm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, problem = connected("bezier", batch_norm, dtype="float64")
    whole = bench.results["profile of p"].rows["path_points"]
    monkeypatch.setattr(module, "ELEMENTS", 3 * bench.problem(problem).layout.size)
    bench.do("profile", [profile(problem, "p")])
    for row, expected in zip(bench.results["profile of p"].rows["path_points"], whole, strict=True):
        assert_close(row, expected, rel=1e-12)
