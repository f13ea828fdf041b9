"""The entry point: every measure against dense matrices, packs against single points, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from mcdist.errors import RequestError
from mcdist.problems.classification import Classification
from mcdist.science.curvature import MEASURES, Curvature, CurvatureRecipe, Value, curvature, measure
from mcdist.science.curvature.layers import Layers
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from science.curvature.matrices import dense_ggn, dense_hessian
from science.curvature.test_fisher import one_by_one
from science.curvature.test_operators import Bowl, squared
from science.examples import convolved, normed, plain, problem, starts

NETWORKS = pytest.mark.parametrize("make", [plain, normed, convolved])
ALL = CurvatureRecipe(
    tuple(MEASURES), samples=None, tol=1e-10, layers=True, density_grid=40, density_steps=8, density_probes=2
)


def settled(make: Callable[[], nn.Module], K: int = 3, **options: Any) -> tuple[Classification, Points, list[Stream]]:
    of = problem(make, **options)
    points, streams = starts(of, range(K))
    return of, of.settle(points), streams


def named(found: Curvature, name: str) -> dict[str | None, Value]:
    return {v.layer: v for v in found.values if v.measure == name}


@NETWORKS
def test_eigenvalues_and_traces_of_the_whole_and_of_layers(make: Callable[[], nn.Module]) -> None:
    of, points, streams = settled(make)
    recipe, decay = replace(ALL, weight_decay=0.3, probes=64, trace_method="hutchinson"), 0.3
    layers = Layers(of.layout)
    masks = layers.masks(points.theta).bool()
    for k, found in enumerate(curvature(of, points, recipe, streams)):
        for dense, largest, trace in (
            (dense_hessian, "lambda_max", "hessian_trace"),
            (dense_ggn, "ggn_max", "ggn_trace"),
        ):
            A = dense(of, points[k], of.data_of("train"))
            A = A + decay * torch.eye(len(A), dtype=A.dtype)
            parts = {None: A} | {name: A[mask][:, mask] for name, mask in zip(layers.names, masks, strict=True)}
            maxima, traces = named(found, largest), named(found, trace)
            assert maxima.keys() == traces.keys() == parts.keys()
            for layer, block in parts.items():
                assert maxima[layer].value == pytest.approx(float(torch.linalg.eigvalsh(block)[-1]), rel=1e-7)
                residual = maxima[layer].residual
                assert residual is not None
                assert residual < 1e-3
                stderr = traces[layer].stderr
                assert stderr is not None
                assert abs(traces[layer].value - float(block.trace())) < 4 * stderr + 1e-9
                assert traces[layer].iterations == 64


@NETWORKS
def test_spectra(make: Callable[[], nn.Module]) -> None:
    of, points, streams = settled(make)
    examples, S = of.data_of("train"), one_by_one(of, points)
    recipe = replace(ALL, measures=("top_k", "ggn_top_k", "fisher_top_k"), top_k=4, layers=False)
    for k, found in enumerate(curvature(of, points, recipe, streams)):
        dense = {
            "hessian": dense_hessian(of, points[k], examples),
            "ggn": dense_ggn(of, points[k], examples),
            "fisher": S[k].T @ S[k] / 22,
        }
        for name, A in dense.items():
            rows = [e for e in found.spectrum if e.operator == name]
            assert [e.index for e in rows] == [0, 1, 2, 3]
            expected = torch.linalg.eigvalsh(A).flip(0)[:4].tolist()
            assert [e.eigenvalue for e in rows] == pytest.approx(expected, rel=1e-7)
            assert all((e.residual is None) == (name == "fisher") for e in rows)


@NETWORKS
def test_the_fisher_trace_and_its_standard_error(make: Callable[[], nn.Module]) -> None:
    of, points, streams = settled(make)
    squares = one_by_one(of, points).square()
    recipe = replace(ALL, measures=("fisher_trace", "fisher_max"), weight_decay=5.0)
    for k, found in enumerate(curvature(of, points, recipe, streams)):
        whole = squares[k].sum(1)
        got = named(found, "fisher_trace")[None]
        assert got.value == pytest.approx(float(whole.mean()), rel=1e-10)
        assert got.stderr == pytest.approx(float(whole.std()) / math.sqrt(22), rel=1e-9)
        assert (got.n_samples, got.label_mode) == (22, "data")
        for layer, values in zip(Layers(of.layout).names, Layers(of.layout).sums(squares[k]).T, strict=True):
            assert found.value("fisher_trace", layer) == pytest.approx(float(values.mean()), rel=1e-10)


@pytest.mark.parametrize(("make", "label_mode"), [(plain, "data"), (normed, "sampled"), (convolved, "data")])
def test_a_pack_is_each_point_alone(make: Callable[[], nn.Module], label_mode: Any) -> None:
    of, points, streams = settled(make)
    recipe = replace(ALL, label_mode=label_mode, samples=15, tol=1e-6)
    together = curvature(of, points, recipe, streams)
    for k in (2,) if make is convolved else (0, 2):
        (alone,) = curvature(of, points[k], recipe, streams[k : k + 1])
        same(alone, together[k])


def same(one: Curvature, other: Curvature) -> None:
    assert len(one.values) == len(other.values) > 15
    for a, b in zip(one.values, other.values, strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-8, abs=1e-8), a
        assert (a.stderr is None) == (b.stderr is None)
        assert a.stderr is None or b.stderr is None or a.stderr == pytest.approx(b.stderr, rel=1e-6, abs=1e-8)
        unlike = {"value": 0.0, "stderr": None, "residual": None, "left_out": None}
        assert replace(a, **unlike) == replace(b, **unlike)  # type: ignore[arg-type]
    assert [(e.operator, e.layer, e.index) for e in one.spectrum] == [
        (e.operator, e.layer, e.index) for e in other.spectrum
    ]
    assert [e.eigenvalue for e in one.spectrum] == pytest.approx([e.eigenvalue for e in other.spectrum], abs=1e-8)
    for x, y in zip(one.density, other.density, strict=True):
        assert x.x == pytest.approx(y.x, abs=1e-7)
        assert x.density == pytest.approx(y.density, abs=1e-5)


def test_groups_of_points_are_of_like_size(monkeypatch: pytest.MonkeyPatch) -> None:
    of, points, streams = settled(plain, 7)
    recipe = CurvatureRecipe(("lambda_max",), samples=None, tol=1e-10)
    expected = [c.value("lambda_max") for c in curvature(of, points, recipe, streams)]
    sizes: list[int] = []
    bench = measure.Workbench
    monkeypatch.setattr(measure, "Workbench", lambda *a: sizes.append(len(a[1])) or bench(*a))
    for together, wanted in ((8, [7]), (5, [4, 3]), (3, [3, 3, 1]), (1, [1] * 7)):
        monkeypatch.setattr(measure, "_TOGETHER", together)
        sizes.clear()
        got = [c.value("lambda_max") for c in curvature(of, points, recipe, streams)]
        assert got == pytest.approx(expected, rel=1e-9)
        assert sizes == wanted


def test_the_stream_and_the_seed_name_every_random_number() -> None:
    of, points, streams = settled(plain, 1)
    recipe = CurvatureRecipe(("hessian_trace", "fisher_trace"), samples=15, label_mode="sampled")

    def run(stream: Stream, seed: int = 0) -> list[float]:
        return [v.value for v in curvature(of, points, replace(recipe, seed=seed), [stream])[0].values]

    first = run(streams[0])
    assert run(streams[0]) == first
    assert all(a != b for a, b in zip(run(streams[0].child("other")), first, strict=True))
    assert all(a != b for a, b in zip(run(streams[0], seed=1), first, strict=True))


def test_the_subset_is_the_same_for_all_and_without_repetition() -> None:
    of, _, _ = settled(plain)
    x, y = of.sample(15, Stream.of("curvature", "subset", 3))
    again, _ = of.sample(15, Stream.of("curvature", "subset", 3))
    other, _ = of.sample(15, Stream.of("curvature", "subset", 4))
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    everything, labels = of.sample(None, Stream.of("anything"))
    assert len(everything) == 22
    rows = [int((everything == one).all(1).nonzero()) for one in x]
    assert len(set(rows)) == 15
    assert y.tolist() == labels[rows].tolist()


@NETWORKS
def test_weight_decay_shifts(make: Callable[[], nn.Module]) -> None:
    """Every eigenvalue by it, traces by it times the parameters; the Fisher matrix not at all."""
    of, points, streams = settled(make, 1)
    recipe = replace(ALL, measures=("lambda_max", "ggn_max", "hessian_trace", "ggn_trace", "top_k", "fisher_trace"))
    (without,) = curvature(of, points, replace(recipe, trace_method="hutch++"), streams)
    (with_decay,) = curvature(of, points, replace(recipe, trace_method="hutch++", weight_decay=0.7), streams)
    sizes = dict(zip(Layers(of.layout).names, Layers(of.layout).sizes, strict=True)) | {None: of.layout.size}
    for a, b in zip(without.values, with_decay.values, strict=True):
        shift = 0.7 * (sizes[a.layer] if "trace" in a.measure else 1) * (a.measure != "fisher_trace")
        assert b.value == pytest.approx(a.value + shift, rel=1e-7)
        assert a.stderr == b.stderr
    for e, f in zip(without.spectrum, with_decay.spectrum, strict=True):
        assert f.eigenvalue == pytest.approx(e.eigenvalue + 0.7, abs=1e-7)


def test_a_loss_of_the_users_own_has_no_fisher_matrix() -> None:
    of, points, streams = settled(plain, loss=squared)
    for name, info in MEASURES.items():
        recipe = CurvatureRecipe((name,), samples=None)
        if info.operator == "fisher":
            for mode in ("data", "sampled"):
                with pytest.raises(RequestError, match="no likelihood"):
                    curvature(of, points, replace(recipe, label_mode=mode), streams)  # type: ignore[arg-type]
        else:
            assert len(curvature(of, points, recipe, streams)) == 3


def test_a_problem_that_is_a_loss_alone() -> None:
    bowl = Bowl(5, power=3)
    theta = torch.tensor([[1.0, -2.0, 0.0, 4.0, -5.0], [0.0] * 5], dtype=torch.float64)
    streams = [Stream.of("bowl", k) for k in range(2)]
    recipe = CurvatureRecipe(("lambda_max", "hessian_trace", "top_k", "log_det", "density"), samples=4, layers=True)
    curved, flat = curvature(bowl, Points(theta, {}), recipe, streams)
    assert [e.eigenvalue for e in curved.spectrum if e.layer is None] == pytest.approx([24, 6, 0, -12, -30], abs=1e-9)
    assert curved.value("hessian_trace", "w") == pytest.approx(-12)
    assert flat.value("lambda_max") == flat.value("hessian_trace") == 0.0
    assert named(flat, "lambda_max")[None].residual == 0.0
    assert named(flat, "log_det")[None].rank == 0
    for name in ("ggn_max", "fisher_trace"):
        with pytest.raises(RequestError, match="a loss alone"):
            curvature(bowl, Points(theta, {}), CurvatureRecipe((name,), samples=4), streams)


def test_a_point_that_diverged_harms_no_other() -> None:
    of, points, streams = settled(plain)
    theta = points.theta.clone()
    theta[1] = torch.nan
    found = curvature(of, Points(theta, points.buffers), replace(ALL, tol=1e-6), streams)
    expected = curvature(of, points, replace(ALL, tol=1e-6), streams)
    same(found[0], expected[0])
    same(found[2], expected[2])
    assert all(math.isnan(v.value) for v in found[1].values)
    assert not found[1].spectrum or all(math.isnan(e.eigenvalue) for e in found[1].spectrum)


def test_float32_is_near_float64() -> None:
    of, points, streams = settled(plain)
    single = problem(plain, dtype=torch.float32)
    few = Points(points.theta.float(), {})
    recipe = CurvatureRecipe(("lambda_max", "hessian_trace", "fisher_trace", "ggn_trace"), samples=None)
    for a, b in zip(curvature(of, points, recipe, streams), curvature(single, few, recipe, streams), strict=True):
        for one, other in zip(a.values, b.values, strict=True):
            assert one.value == pytest.approx(other.value, rel=1e-3)


BAD = [
    ({"measures": ("lambda_min",)}, "unknown measure of curvature 'lambda_min'; did you mean 'lambda_max'"),
    ({"samples": 23}, "samples is 23, allowed: 1 to 22"),
    ({"samples": 0}, "samples is 0"),
    ({"top_k": 0}, "top_k is 0"),
    ({"tol": 0.0}, "tol is 0.0"),
    ({"tol": math.nan}, "tol is nan"),
    ({"max_iterations": 1}, "max_iterations is 1"),
    ({"probes": 1}, "probes is 1"),
    ({"floor": -1.0}, "floor is -1.0"),
    ({"weight_decay": -0.1}, "weight_decay is -0.1"),
    ({"label_mode": "none"}, "label_mode is 'none', allowed: data, sampled"),
    ({"trace_method": "exact"}, "trace_method is 'exact', allowed: krylov"),
    ({"probes": 3, "trace_method": "hutch++"}, "hutch\\+\\+ with 3 probes, allowed: 4 or more"),
    ({"measures": ()}, "curvature: no measures"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_requests(options: dict[str, Any], message: str) -> None:
    of, points, streams = settled(plain)
    with pytest.raises(RequestError, match=message):
        curvature(of, points, CurvatureRecipe(**options), streams)


def test_as_many_streams_as_points() -> None:
    of, points, streams = settled(plain)
    with pytest.raises(RequestError, match="3 points need as many streams, got 2"):
        curvature(of, points, CurvatureRecipe(samples=None), streams[:2])


def test_no_points() -> None:
    of, points, _ = settled(plain)
    assert curvature(of, points[:0], CurvatureRecipe(samples=None), []) == []


def test_values_by_name() -> None:
    found = Curvature([Value("lambda_max", None, 3.0), Value("lambda_max", "0", 2.0)])
    assert (found.value("lambda_max"), found.value("lambda_max", "0")) == (3.0, 2.0)
    with pytest.raises(KeyError, match="fisher_trace"):
        found.value("fisher_trace")


def test_every_measure_gives_as_many_results_as_points() -> None:
    of, points, streams = settled(plain, 2)
    for name in MEASURES:
        found = curvature(of, points, CurvatureRecipe((name,), samples=None), streams)
        assert len(found) == 2
        assert all(c.values or c.spectrum or c.density for c in found)
        assert {v.measure for c in found for v in c.values} <= {name}
        numbers = torch.tensor([v.value for c in found for v in c.values])
        assert bool(torch.isfinite(numbers).all())
