"""Spectral densities: they integrate to 1, and are those of the eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mcdist.science.curvature import CurvatureRecipe, Density, curvature
from mcdist.science.curvature.density import smoothed
from mcdist.science.curvature.lanczos import lanczos
from science.curvature.matrices import Matrices, dense_ggn, dense_hessian, normal, symmetric
from science.examples import normed, plain, problem, starts


def mean_and_sd(found: Density) -> tuple[float, float]:
    mean = float(np.trapezoid(found.x * found.density, found.x))
    return mean, float(np.trapezoid((found.x - mean) ** 2 * found.density, found.x)) ** 0.5


def test_given_eigenvalues() -> None:
    """All steps of many starts: the Gaussian-widened spectrum, within its standard error."""
    values = [0.0] * 8 + [1.0, 1.5, 2.0, 4.0]
    krylov = lanczos(Matrices(symmetric([values])), normal(12), rows=300, most=12, restart=False)
    x, density, error = smoothed(krylov.nodes()[0], 400, 0.05)
    assert error is not None
    assert float(torch.trapezoid(density, x)) == pytest.approx(1.0, abs=1e-9)
    exact = gaussians(values, x, 0.05 * 4.0)
    inside = exact > 1e-3
    assert ((density - exact).abs()[inside] < 4.5 * error[inside] + 1e-6).all()
    assert float((density - exact).abs().max()) < 0.1 * float(exact.max())


def gaussians(values: list[float], x: Tensor, sigma: float) -> Tensor:
    bells = torch.exp(-0.5 * ((x - torch.tensor(values, dtype=x.dtype)[:, None]) / sigma) ** 2).mean(0)
    return bells / (sigma * (2 * torch.pi) ** 0.5)


@pytest.mark.parametrize("quadrature", [[(0.0, 1.0)], [(5.0, 0.4), (5.0, 0.6)], [(-1.0, 0.5), (1e6, 0.5)]])
@pytest.mark.parametrize("grid", [50, 1000])
def test_the_integral_is_one_however_narrow(quadrature: list[tuple[float, float]], grid: int) -> None:
    nodes = tuple(torch.tensor(part, dtype=torch.float64) for part in zip(*quadrature, strict=True))
    x, density, error = smoothed([(nodes[0], nodes[1])], grid, 1e-4)
    assert error is None
    assert float(torch.trapezoid(density, x)) == pytest.approx(1.0, abs=1e-9)
    assert x[0] < min(nodes[0])
    assert x[-1] > max(nodes[0])


def test_moments_of_networks() -> None:
    of = problem(normed)
    points, streams = starts(of, range(1))
    points, examples = of.settle(points), of.sample(None, streams[0])
    recipe = CurvatureRecipe(
        ("density", "ggn_density"), samples=None, density_probes=40, density_steps=8, density_width=1e-3,
        density_grid=4000, weight_decay=0.5,
    )  # fmt: skip
    for k, found in enumerate(curvature(of, points, recipe, streams)):
        assert [d.operator for d in found.density] == ["hessian", "ggn"]
        for got, dense in zip(found.density, (dense_hessian, dense_ggn), strict=True):
            eigenvalues = torch.linalg.eigvalsh(dense(of, points[k], examples)) + 0.5
            mean, sd = mean_and_sd(got)
            assert mean == pytest.approx(float(eigenvalues.mean()), rel=0.1)
            assert sd == pytest.approx(float(eigenvalues.std(correction=0)), rel=0.1)
            assert np.trapezoid(got.density, got.x) == pytest.approx(1.0, abs=1e-9)
            assert got.stderr is not None
            assert got.stderr.shape == got.x.shape == (4000,)


def test_a_single_start_has_no_standard_error() -> None:
    of = problem(plain)
    points, streams = starts(of, range(1))
    (found,) = curvature(of, points, CurvatureRecipe(("density",), samples=None, density_probes=1), streams)
    assert found.density[0].stderr is None
