"""Task kind `curvature`."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.functional import hessian
from torch.func import functional_call

from mcdist.science.curvature import MEASURES, Curvature, CurvatureRecipe
from mcdist.science.curvature import curvature as measure
from mcdist.science.paths import FAMILIES
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks.work import Item, Result

from .bench import (
    SGD,
    DictBench,
    align,
    assert_close,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    curvature,
    finetune,
    join,
    path,
    plain_model,
    problem_spec,
)

TRAIN = SGD | {"epochs": 1}
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear"},
    "bezier": {"kind": "bezier", "train": TRAIN},
    "autoneb": {"kind": "autoneb", "neb": {"cycles": [{"steps": 4, "lr": 0.1}], "batch_size": 32}},
}
QUICK: dict[str, Any] = {"measures": ["lambda_max", "fisher_trace"]}
EVERYTHING: dict[str, Any] = {
    "measures": list(MEASURES),
    "layers": True,
    "top_k": 3,
    "probes": 4,
    "max_iterations": 20,
    "tol": 1e-2,
    "weight_decay": 0.01,
}

both = pytest.mark.parametrize("batch_norm", [False, True])


@cache
def made(batch_norm: bool = False, hidden: int = 4) -> tuple[DictBench, ProblemSpec]:
    """Three end points in float64, trained on too, and paths between the first two; `aligned` is one.

    To be left as it is.
    """
    args = {"hidden": [hidden], "batch_norm": batch_norm}
    problem = problem_spec(dtype="float64", model={"name": "mlp", "args": args})
    bench = bench_with(problem, 3, epochs=2)
    bench.do("finetune", [finetune(problem, f"tuned{k}", f"end{k}", train=TRAIN) for k in range(3)])
    bench.do("align", [align(problem, "alignment", ("end0", "end1"))])
    for name, said in KINDS.items():
        bench.do("path", [path(problem, name, ("end0", "end1"), **said)])
    item = path(problem, "aligned", ("end0", "end1"), align="weights", **KINDS["bezier"])
    bench.do("path", [Item("aligned", item.spec, (*item.inputs, "alignment"))])
    bench.do(
        "path",
        [
            path(problem, name, pair, kind="linear")
            for name, pair in (("02", ("end0", "end2")), ("12", ("end1", "end2")))
        ],
    )
    bench.do("join", [join(problem, "tour", ("02", "12"), (False, True), kind="linear")])
    return bench, problem


def measured(of: str, *controls: str, batch_norm: bool = False, **said: Any) -> Result:
    first, problem = made(batch_norm)
    (found,) = beside(first).do("curvature", [curvature(problem, "c", of, *controls, **(QUICK | said))])
    assert isinstance(found, Result)
    return found


def values(found: Result, name: str, role: str = "path", layer: str | None = None) -> list[float]:
    rows = found.rows["curvature"]
    return [r["value"] for r in rows if (r["measure"], r["role"], r["layer"]) == (name, role, layer)]


@both
@pytest.mark.parametrize("of", [("bezier", "tuned0", "tuned1"), ("tour", "tuned0", "tuned1"), ("end0",)], ids=str)
def test_rows_of_all_measures_fit_their_tables(of: tuple[str, ...], batch_norm: bool) -> None:
    found = measured(*of, batch_norm=batch_norm, **EVERYTHING)
    assert_rows_fit(found)
    assert set(found.rows) == {"curvature", "spectra", "spectral_densities"}
    assert not found.tensors
    places = 1 if len(of) == 1 else 3 + 2
    for table, rows in found.rows.items():
        seen = {(r["role"], r.get("path_id"), r.get("endpoint_id"), r.get("t"), r.get("s")) for r in rows}
        assert len(seen) == places, table
        for row in rows:
            assert (row["n_samples"], row["subset_seed"], row["weight_decay"]) == (40, 0, 0.01)
            assert row["problem"] == "digits/mlp"


def test_places_of_a_path_and_of_its_controls() -> None:
    found = measured("bezier", "tuned0", "tuned1", measures=["fisher_trace"], points=5)
    places = [
        tuple(row.get(name) for name in ("role", "path_id", "endpoint_id", "t")) for row in found.rows["curvature"]
    ]
    on_path = [("path", "bezier", None, i / 4) for i in range(5)]
    controls = [("control", "bezier", "tuned0", 0.0), ("control", "bezier", "tuned1", 1.0)]
    assert places == on_path + controls
    s = [row["s"] for row in found.rows["curvature"]]
    assert (s[0], s[4], s[5], s[6]) == (0.0, 1.0, 0.0, 1.0)
    assert s[:5] == sorted(s[:5])
    assert s[1] != pytest.approx(0.25, abs=1e-6)  # by arclength


def test_a_place_of_an_end_point_has_no_path_and_no_t() -> None:
    (row,) = measured("end1", measures=["fisher_trace"]).rows["curvature"]
    assert (row["role"], row["endpoint_id"]) == ("endpoint", "end1")
    assert [row.get(name) for name in ("path_id", "t", "s")] == [None, None, None]


# against a direct call at weights that are loaded and combined by hand


def along(bench: DictBench, name: str, t: Tensor) -> Tensor:
    """theta at t from the stored control points."""
    row, tensors = bench.row(name, "paths"), bench.results[name].tensors
    names = [n for n in bench.results["end0"].tensors if n.endswith(("weight", "bias"))]
    controls = torch.stack(
        [torch.cat([tensors[f"point_{j}.{n}"].flatten() for n in names]) for j in range(row["n_points"])]
    )
    return FAMILIES[row["kind"]].coefficients(t.double(), len(controls)) @ controls


RECIPE = CurvatureRecipe(
    measures=tuple(EVERYTHING["measures"]),
    samples=40,
    seed=0,
    weight_decay=0.01,
    top_k=3,
    tol=1e-2,
    max_iterations=20,
    probes=4,
    layers=True,
)


def assert_is(found: Result, places: list[dict[str, Any]], expected: list[Curvature], rel: float = 1e-7) -> None:
    """The rows are what these curvatures say, place after place."""
    for table, part, keys in (
        (
            "curvature",
            "values",
            ("measure", "layer", "value", "stderr", "label_mode", "iterations", "residual", "floor"),
        ),
        ("spectra", "spectrum", ("operator", "layer", "index", "eigenvalue", "residual")),
    ):
        rows = [
            place | {k: getattr(v, k) for k in keys}
            for place, c in zip(places, expected, strict=True)
            for v in getattr(c, part)
        ]
        assert len(found.rows[table]) == len(rows)
        for got, row in zip(found.rows[table], rows, strict=True):
            said = {name: got[name] for name in row}
            # a residual is what rounding left of a vector that has settled: of no digits to compare
            said["residual"], row["residual"] = (r and round(r, 3) for r in (said["residual"], row["residual"]))
            assert_close(said, row, rel)
    rows = [
        place | {"operator": d.operator, "x": x, "density": y}
        for place, c in zip(places, expected, strict=True)
        for d in c.density
        for x, y in zip(d.x.tolist(), d.density.tolist(), strict=True)
    ]
    for got, row in zip(found.rows["spectral_densities"], rows, strict=True):
        assert got["operator"] == row["operator"]
        assert got["x"] == pytest.approx(row["x"], rel=1e-6)
        # a sum of narrow Gaussians: where nodes lie changes it most
        assert got["density"] == pytest.approx(row["density"], rel=1e-3, abs=1e-6)


@both
@pytest.mark.parametrize("kind", ["bezier", "autoneb"])
def test_along_a_path_it_is_that_of_the_stored_weights(kind: str, batch_norm: bool) -> None:
    """BatchNorm's statistics re-estimated at each t; random vectors by the path's and the position's streams."""
    bench, spec = made(batch_norm)
    problem = bench.problem(spec)
    t = torch.tensor([0.0, 0.5, 1.0])
    theta = along(bench, kind, t)
    settled = problem.settle(problem.point(bench.results["end0"].tensors).at(theta))
    if batch_norm:
        assert not torch.allclose(settled.buffers["2.running_mean"][0], settled.buffers["2.running_mean"][1])
    expected = measure(problem, settled, RECIPE, [Stream.of("curvature", kind, i) for i in range(3)])
    places = [{"role": "path", "path_id": kind, "t": float(u)} for u in t]
    assert_is(measured(kind, batch_norm=batch_norm, **EVERYTHING), places, expected)


@both
def test_at_controls_and_end_points_it_is_that_of_their_weights(batch_norm: bool) -> None:
    bench, spec = made(batch_norm)
    problem = bench.problem(spec)
    with_controls = measured("bezier", "tuned0", "tuned1", batch_norm=batch_norm, **EVERYTHING)
    controls = Result(
        rows={table: [r for r in rows if r["role"] == "control"] for table, rows in with_controls.rows.items()}
    )
    points = Points.stack([problem.point(bench.results[f"tuned{k}"].tensors) for k in range(2)])
    expected = measure(problem, points, RECIPE, [Stream.of("curvature", f"tuned{k}") for k in range(2)])
    assert_is(controls, [{"endpoint_id": f"tuned{k}", "t": float(k)} for k in range(2)], expected)
    end = problem.point(bench.results["end1"].tensors)
    expected = measure(problem, end, RECIPE, [Stream.of("curvature", "end1")])
    assert_is(measured("end1", batch_norm=batch_norm, **EVERYTHING), [{"endpoint_id": "end1"}], expected)


def dense(weights: dict[str, Tensor], spec: ProblemSpec, samples: int = 40) -> Tensor:
    """The Hessian [P, P] of the mean loss over the sampled examples, by autodiff of a plain module."""
    model = plain_model(spec, weights)
    inputs, targets = made()[0].problem(spec).sample(samples, Stream.of("curvature", "subset", 0))
    names = [name for name, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]

    def loss(flat: Tensor) -> Tensor:
        parts = flat.split([shape.numel() for shape in shapes])
        state = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        return F.cross_entropy(functional_call(model, state, (inputs,)), targets)

    found: Tensor = hessian(loss, torch.cat([p.detach().flatten() for p in model.parameters()]))
    return found


def test_in_the_middle_of_a_path_it_is_that_of_the_dense_hessian() -> None:
    """Eigenvalues to the tolerance at which the iteration stops, the trace to five of its standard errors."""
    bench, spec = made()
    said = {"measures": ["lambda_max", "top_k", "hessian_trace"], "top_k": 4, "tol": 1e-8, "probes": 64}
    found = measured("bezier", **said)
    tensors = bench.results["bezier"].tensors
    names = list(bench.results["end0"].tensors)
    middle = {n: sum(c * tensors[f"point_{j}.{n}"] for j, c in enumerate((0.25, 0.5, 0.25))) for n in names}
    H = dense(middle, spec)  # type: ignore[arg-type]
    eigenvalues = torch.linalg.eigvalsh(H).flip(0)
    assert values(found, "lambda_max")[1] == pytest.approx(float(eigenvalues[0]), rel=1e-6)
    got = [row["eigenvalue"] for row in found.rows["spectra"] if row["t"] == 0.5]
    assert got == pytest.approx(eigenvalues[:4].tolist(), rel=1e-5)
    (row,) = [r for r in found.rows["curvature"] if r["measure"] == "hessian_trace" and r["t"] == 0.5]
    assert row["stderr"] < 0.1 * row["value"]
    assert abs(row["value"] - float(H.trace())) < 5 * row["stderr"]


def test_weight_decay_shifts_eigenvalues() -> None:
    plain, decayed = (measured("end0", tol=1e-8, weight_decay=w) for w in (0.0, 0.25))
    (one,), (other,) = (values(found, "lambda_max", "endpoint") for found in (plain, decayed))
    assert other - one == pytest.approx(0.25, rel=1e-6)
    assert values(plain, "fisher_trace", "endpoint") == values(decayed, "fisher_trace", "endpoint")


# laws


def test_ends_of_a_path_have_the_end_points_curvature() -> None:
    """Of the same examples: what is exact to rounding, eigenvalues to the tolerance."""
    for end, t in (("end0", 0), ("end1", -1)):
        at_path, at_end = measured("linear", tol=1e-8), measured(end, tol=1e-8)
        for name, rel in (("fisher_trace", 1e-10), ("lambda_max", 1e-6)):
            (expected,) = values(at_end, name, "endpoint")
            assert values(at_path, name)[t] == pytest.approx(expected, rel=rel)


def test_permuted_units_have_the_same_curvature() -> None:
    (expected,) = values(measured("end1", tol=1e-8), "fisher_trace", "endpoint")
    found = measured("aligned", tol=1e-8)
    assert values(found, "fisher_trace")[-1] == pytest.approx(expected, rel=1e-10)


def test_layers_add_up_and_are_named_as_the_module_has_them() -> None:
    found = measured("bezier", measures=["fisher_trace", "lambda_max"], layers=True)
    layers = list(dict.fromkeys(row["layer"] for row in found.rows["curvature"]))
    assert layers == [None, "1", "3"]
    whole, first, second = (values(found, "fisher_trace", layer=layer) for layer in layers)
    assert [a + b for a, b in zip(first, second, strict=True)] == pytest.approx(whole, rel=1e-10)
    greatest, *blocks = (values(found, "lambda_max", layer=layer) for layer in layers)
    for block in blocks:  # interlacing: no block of a symmetric matrix has a greater eigenvalue
        assert all(b <= g * 1.01 for b, g in zip(block, greatest, strict=True))


def test_an_eigenvalue_that_will_not_settle_takes_no_more_products_than_it_may() -> None:
    rows = measured("bezier", measures=["lambda_max"], tol=1e-14, max_iterations=4).rows["curvature"]
    assert [row["iterations"] for row in rows] == [4, 4, 4]
    assert all(row["residual"] > 1e-6 for row in rows)


def test_what_is_not_asked_for_is_in_no_table() -> None:
    assert set(measured("end0").rows) == {"curvature"}
    assert set(measured("end0", measures=["top_k"]).rows) == {"spectra"}
    assert set(measured("end0", measures=["density"]).rows) == {"spectral_densities"}


@pytest.mark.parametrize("name", ["top_k", "density", "fisher_trace"])
def test_all_training_examples_are_counted(name: str) -> None:
    found = measured("end0", measures=[name], samples=None, max_iterations=5)
    (rows,) = found.rows.values()
    train = made()[0].problem(made()[1]).batch_sizes(1)
    assert {row["n_samples"] for row in rows} == {sum(train)}


def test_another_seed_is_another_choice_of_examples_and_labels_are_drawn_where_that_is_said() -> None:
    one, other, drawn = (measured("end0", **said) for said in ({}, {"seed": 1}, {"labels": "sampled"}))
    assert other.rows["curvature"][0]["subset_seed"] == 1
    traces = [values(found, "fisher_trace", "endpoint")[0] for found in (one, other, drawn)]
    assert len({round(trace, 9) for trace in traces}) == 3
    modes = [[row["label_mode"] for row in found.rows["curvature"]] for found in (one, drawn)]
    assert modes == [[None, "data"], [None, "sampled"]]
    greatest = [values(found, "lambda_max", "endpoint")[0] for found in (one, drawn)]
    assert greatest[0] == greatest[1]  # the Hessian knows the data's labels alone


@both
def test_a_pack_gives_what_each_gives_alone(batch_norm: bool) -> None:
    """Different numbers of control points in one stack; controls; and, in a pack of their own, end points."""
    first, problem = made(batch_norm)
    said = {"measures": ["lambda_max", "hessian_trace", "fisher_trace"], "labels": "sampled", "probes": 4}
    of = [("autoneb", "tuned0", "tuned1"), ("bezier", "tuned0", "tuned1"), ("linear",), ("tour",)]
    paths = [curvature(problem, f"c{k}", *names, **said) for k, names in enumerate(of)]
    ends = [curvature(problem, f"e{k}", f"end{k}", **said) for k in range(3)]
    for items in (paths, ends):
        together = beside(first)
        together.do("curvature", items)
        for item in items:
            alone = beside(first)
            alone.do("curvature", [item])
            # eigenvalues and what is built on their vectors: rounding grows while vectors settle
            assert_same_results(together.results[item.id], alone.results[item.id], rel=1e-6)


def test_a_path_of_repaired_activations_is_measured_as_it_is_evaluated() -> None:
    """At the points that its profile has, not on the bare chord."""
    first, problem = made(hidden=12)
    bench = beside(first)
    bench.do("path", [path(problem, "repaired", ("end0", "end1"), kind="linear", repair=True)])
    bench.do("curvature", [curvature(problem, name, of, **QUICK) for name, of in (("r", "repaired"), ("l", "linear"))])
    repaired, line = (values(bench.results[name], "fisher_trace") for name in ("r", "l"))
    assert (repaired[0], repaired[2]) == pytest.approx((line[0], line[2]), rel=1e-6)
    assert repaired[1] != pytest.approx(line[1], rel=1e-3)
