"""Spectral densities by stochastic Lanczos quadrature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mcdist.science.curvature.records import Curvature, Density
from mcdist.science.curvature.workbench import Workbench

__all__ = ["density", "smoothed"]

_MARGIN = 6.0  # standard deviations beyond the outermost nodes: what lies outside is 1e-9


def density(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """The density of eigenvalues, (1 / P) sum_i delta(x - lambda_i), widened by Gaussians; weight decay included."""
    recipe = bench.recipe
    results = []
    for quadratures in bench.quadrature(operator).nodes():
        shifted = [(x + recipe.weight_decay, w) for x, w in quadratures]
        x, mean, error = smoothed(shifted, recipe.density_grid, recipe.density_width)
        stderr = None if error is None else error.numpy()
        results.append(Curvature(density=[Density(operator, x.numpy(), mean.numpy(), stderr)]))
    return results


def smoothed(
    quadratures: Sequence[tuple[Tensor, Tensor]], grid: int, width: float
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Grid [grid], density and its standard error over quadratures (None for a single one); float64.

    Of a random unit vector v, <v, f(A) v> has the mean tr f(A) / P, and a quadrature of m nodes gives it exactly for
    polynomials up to degree 2 m - 1 (Golub & Meurant; Ubaru, Chen & Saad 2017). width: the Gaussians' standard
    deviation as a part of the extent of the nodes, but no less than the grid can show. Scaled so that the trapezoidal
    rule gives 1.
    """
    low, high = min(float(x.min()) for x, _ in quadratures), max(float(x.max()) for x, _ in quadratures)
    extent = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-12)
    sigma = max(width, 1 / grid) * extent
    x = torch.linspace(low - _MARGIN * sigma, high + _MARGIN * sigma, grid, dtype=torch.float64)
    each = torch.stack([w @ torch.exp(-0.5 * ((x - nodes[:, None]) / sigma).square()) for nodes, w in quadratures])
    each = each / torch.trapezoid(each, x)[:, None]
    return x, each.mean(0), each.std(0) / len(each) ** 0.5 if len(each) > 1 else None
