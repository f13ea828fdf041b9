"""Every measure against dense matrices by autodiff, at packed points."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mcdist.science.curvature import CurvatureRecipe, curvature
from mcdist.science.points import Points
from science.examples import convolved, normed, plain, problem, starts

NETWORKS = pytest.mark.parametrize("make", [plain, normed, convolved])


def dense_hessian(make: Callable[[], nn.Module], k: int) -> Tensor:
    of = problem(make)
    points, streams = starts(of, range(3))
    point = of.settle(points)[k]
    examples = of.sample(None, streams[0])
    return torch.func.hessian(lambda theta: of.value(Points(theta[None], point.buffers), examples)[0])(point.theta[0])


@NETWORKS
def test_the_hessian_is_that_of_autodiff(make: Callable[[], nn.Module]) -> None:
    of = problem(make)
    points, streams = starts(of, range(3))
    recipe = CurvatureRecipe(("lambda_max", "hessian_trace"), samples=None, tol=1e-10, probes=64)
    found = curvature(of, of.settle(points), recipe, streams)
    for k, got in enumerate(found):
        eigenvalues = torch.linalg.eigvalsh(dense_hessian(make, k))
        assert got.value("lambda_max") == pytest.approx(float(eigenvalues[-1]), rel=1e-8)
        trace = next(v for v in got.values if v.measure == "hessian_trace")
        assert trace.stderr is not None
        assert abs(trace.value - float(eigenvalues.sum())) < 4 * trace.stderr
