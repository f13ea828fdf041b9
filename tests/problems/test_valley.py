"""The toy valley: its formulas against automatic differentiation and quadrature, and the contract of a problem."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from scipy.integrate import quad
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.problems.valley import Valley
from mcdist.science.curvature import Curvature, CurvatureRecipe, curvature
from mcdist.science.motion import FreePoints
from mcdist.science.optimizers import Sgd
from mcdist.science.points import Points
from mcdist.science.problem import gradient
from mcdist.science.schedules import Constant
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, train

VALLEYS = {
    "flat": Valley(),
    "pulled to the middle": Valley(stiff=3, stiffness=2.0, middle=7.0, energy=-0.4, wall=30.0),
    "softer in the middle": Valley(stiff=1, stiffness=5.0, middle=0.5, energy=0.3),
}
EVERY = pytest.mark.parametrize("of", VALLEYS.values(), ids=VALLEYS)
INSIDE = torch.tensor([0.03, 0.2, 0.5, 0.71, 0.99], dtype=torch.float64)
EVERYWHERE = torch.cat([torch.tensor([-0.7, -0.01, 1.02, 1.6], dtype=torch.float64), INSIDE])


def slope(function: Any, y: Tensor) -> Tensor:
    at = y.clone().requires_grad_()
    (found,) = torch.autograd.grad(function(at).sum(), at)
    return found


def random_points(of: Valley, y: Tensor, seed: int = 0) -> Points:
    """Points with these y, and random x."""
    x = torch.randn(len(y), of.layout.size - 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Points(torch.cat([x, y[:, None]], dim=1), {})


def on_the_floor(of: Valley, y: Tensor) -> Points:
    return Points(torch.cat([y.new_zeros(len(y), of.layout.size - 1), y[:, None]], dim=1), {})


def test_the_formulas_of_its_docstring() -> None:
    """V = L + g |x|^2 / 2 with g = 2 + 5 sin^2(pi y), L = -0.4 sin^2(pi y); beyond, g = 2 and L = 15 d^2."""
    of = VALLEYS["pulled to the middle"]
    theta = torch.tensor([[1.0, 2.0, -1.0, 0.25], [1.0, 0.0, 0.0, 1.5], [0.0, 0.0, 2.0, -0.2]], dtype=torch.float64)
    assert of.evaluate(Points(theta, {}))["train_loss"].tolist() == pytest.approx(
        [-0.2 + 0.5 * 4.5 * 6, 15 * 0.25 + 1.0, 15 * 0.04 + 4.0], abs=1e-14
    )


@EVERY
def test_slopes_are_those_of_the_functions(of: Valley) -> None:
    for function, known in ((of.stiffness, of.stiffness_slope), (of.floor, of.floor_slope)):
        torch.testing.assert_close(known(EVERYWHERE), slope(function, EVERYWHERE), rtol=0, atol=1e-12)
    for T in (0.0, 0.03, 2.0):
        expected = -slope(lambda y, T=T: of.free_energy(y, T), EVERYWHERE)
        torch.testing.assert_close(of.force(EVERYWHERE, T), expected, rtol=0, atol=1e-12)


@EVERY
def test_values_and_slopes_meet_at_the_walls(of: Valley) -> None:
    for edge in (0.0, 1.0):
        near = torch.tensor([edge - 1e-9, edge, edge + 1e-9], dtype=torch.float64)
        for function in (of.stiffness, of.floor, of.stiffness_slope, of.floor_slope):
            assert float(function(near).max() - function(near).min()) < 1e-6


@EVERY
@pytest.mark.parametrize("T", [0.05, 0.5])
def test_the_free_energy_is_what_integrating_x_out_leaves(of: Valley, T: float) -> None:
    """exp(-F(y) / T) ~ int exp(-V(x, y) / T) dx, the n-th power of an integral by quadrature."""

    def left(y: float) -> float:
        g = float(of.stiffness(torch.tensor(y, dtype=torch.float64)))
        one, _ = quad(lambda x: math.exp(-0.5 * g * x * x / T), -40.0, 40.0, points=[0.0], limit=200)
        return -T * (of.layout.size - 1) * math.log(one) + float(of.floor(torch.tensor(y, dtype=torch.float64)))

    energies = of.free_energy(INSIDE, T)
    expected = [left(y) - left(float(INSIDE[0])) for y in INSIDE.tolist()]
    assert (energies - energies[0]).tolist() == pytest.approx(expected, abs=1e-6)


@EVERY
def test_its_gradients_are_those_of_automatic_differentiation(of: Valley) -> None:
    points = random_points(of, EVERYWHERE)
    loss, error, expected = gradient(of, points, None)
    for found, grad in (
        (of.gradient(points, None)[0], of.gradient(points, None)[2]),
        of.whole_gradient(points),
    ):
        torch.testing.assert_close(found, loss, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(grad, expected, rtol=1e-13, atol=1e-12)
    assert torch.equal(error, torch.zeros_like(loss))
    torch.testing.assert_close(of.value(points, of.sample(None, Stream.of("s"))), loss, rtol=0, atol=0)


def measured(of: Valley, y: float, **how: Any) -> Curvature:
    recipe = CurvatureRecipe(**{"measures": ("lambda_max", "top_k", "log_det", "hessian_trace")} | how)
    (found,) = curvature(of, on_the_floor(of, torch.tensor([y], dtype=torch.float64)), recipe, [Stream.of("c")])
    return found


@EVERY
@pytest.mark.parametrize("y", [0.0, -0.0, 0.1, 0.37, 0.5, 1.0])
def test_curvature_on_the_floor(of: Valley, y: float) -> None:
    """At x = 0 the Hessian is diagonal: g(y) as often as x has dimensions, and L''(y) = 2 pi^2 e cos(2 pi y)."""
    n, at = of.layout.size - 1, torch.tensor(y, dtype=torch.float64)
    g = float(of.stiffness(at))
    energy = float(of.floor(torch.tensor(0.5, dtype=torch.float64)))
    bend = 2 * math.pi**2 * energy * math.cos(2 * math.pi * y)
    eigenvalues = sorted([g] * n + [bend], reverse=True)
    found = measured(of, y, top_k=n + 1, samples=1000, probes=64)
    assert found.value("lambda_max") == pytest.approx(eigenvalues[0], rel=1e-9)
    assert [e.eigenvalue for e in found.spectrum] == pytest.approx(eigenvalues, abs=1e-8)
    assert found.value("log_det") == pytest.approx(sum(math.log(v) for v in eigenvalues if v > 1e-3), abs=1e-8)
    trace = next(value for value in found.values if value.measure == "hessian_trace")
    assert trace.stderr is not None
    assert abs(trace.value - sum(eigenvalues)) < 4 * trace.stderr + 1e-9
    exact = measured(of, y, measures=("hessian_trace",), trace_method="hutchinson")  # as of any diagonal matrix
    assert exact.value("hessian_trace") == pytest.approx(sum(eigenvalues), rel=1e-9)
    assert all(value.n_samples == 1 for value in found.values)


def test_layers_are_the_stiff_and_the_soft() -> None:
    of = VALLEYS["pulled to the middle"]
    found = measured(of, 0.5, measures=("hessian_trace",), layers=True, trace_method="hutchinson")
    assert found.value("hessian_trace", "x") == pytest.approx(3 * 7.0)
    assert found.value("hessian_trace", "y") == pytest.approx(2 * math.pi**2 * 0.4)


@pytest.mark.parametrize("measure", ["ggn_max", "fisher_trace", "ggn_log_det"])
def test_a_loss_alone_has_neither_ggn_nor_fisher(measure: str) -> None:
    with pytest.raises(RequestError, match="Valley is a loss alone"):
        measured(VALLEYS["flat"], 0.5, measures=(measure,))


def test_an_epoch_is_one_step_of_the_exact_gradient() -> None:
    of = VALLEYS["pulled to the middle"]
    streams = [Stream.of("endpoint", k) for k in range(2)]
    points = Points.stack([of.initial(stream) for stream in streams])
    theta = points.theta.clone()
    recipe = Recipe(3, 128, Sgd(0.0), 0.01, 0.5, Constant())
    trained = train(of, FreePoints(points.theta), {}, recipe, streams)
    for epoch in range(3):
        assert trained.history[epoch].loss == pytest.approx(of.evaluate(Points(theta, {}))["train_loss"].tolist())
        theta = theta - 0.01 * (of.whole_gradient(Points(theta, {}))[1] + 0.5 * theta)
    torch.testing.assert_close(points.theta, theta, rtol=0, atol=1e-14)
    assert trained.diverged == [None, None]


def test_points_begin_as_its_docstring_says_and_each_by_its_own_stream() -> None:
    of = Valley(stiff=2)
    thetas = torch.cat([of.initial(Stream.of("endpoint", seed)).theta for seed in range(2000)])
    x, y = thetas[:, :2].flatten(), thetas[:, 2]
    assert abs(float(x.mean())) < 4 / len(x) ** 0.5
    assert abs(float(x.var()) - 1) < 4 * (2 / len(x)) ** 0.5
    steps = np.arange(1, len(y) + 1) / len(y)
    assert np.abs(np.sort(y.numpy()) - steps).max() < 1.63 / len(y) ** 0.5  # Kolmogorov, 1 %
    assert torch.equal(of.initial(Stream.of("endpoint", 7)).theta[0], thetas[7])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_stored_comes_back(dtype: torch.dtype) -> None:
    of = Valley(stiff=3, dtype=dtype)
    points = Points.stack([of.initial(Stream.of("endpoint", k)) for k in range(2)])
    stored = load(save(of.state(points, 1)))
    assert {name: tuple(t.shape) for name, t in stored.items()} == {"x": (3,), "y": (1,)}
    back = of.point(stored)
    assert back.theta.dtype == dtype
    assert torch.equal(back.theta, points.theta[1:])


def test_metrics_are_double_whatever_the_points_are() -> None:
    of = Valley(dtype=torch.float32)
    points = of.settle(of.initial(Stream.of("endpoint", 0)))
    metrics = of.evaluate(points)
    assert metrics.keys() == {"train_loss", "l2_norm"}
    assert all(values.dtype == torch.float64 and values.shape == (1,) for values in metrics.values())
    assert float(metrics["l2_norm"][0]) == pytest.approx(float(points.theta.double().norm()))
    assert of.evaluate(points, splits=["test"]).keys() == {"l2_norm"}
    assert of.evaluate(points, splits=["train"]).keys() == metrics.keys()


def test_what_a_pack_of_points_is_asked_for() -> None:
    of = VALLEYS["flat"]
    assert of.examples == 0
    assert of.stacks(training=True)
    assert of.batch_sizes(500) == [1]
    assert list(of.batches([Stream.of("s")], 0, 500)) == [None]
    assert of.glimpse(random_points(of, INSIDE)) == 1.0
    with pytest.raises(RequestError, match="no known symmetry"):
        of.structure()
