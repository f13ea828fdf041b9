"""Given matrices as an operator, and dense references by autodiff."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from mcdist.science.curvature.operators import Operator, Product
from mcdist.science.head import Examples
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream


class Matrices(Operator):
    """K symmetric matrices [K, P, P]; counts the products of single rows."""

    name = "given"

    def __init__(self, matrices: Tensor, count: list[int] | None = None) -> None:
        self.matrices, self.count = matrices, [0] if count is None else count
        self.points = Points(matrices[:, 0], {})

    def take(self, index: Sequence[int]) -> Matrices:
        return Matrices(self.matrices[list(index)], self.count)

    def apply(self, vectors: Tensor) -> Tensor:
        self.count[0] += vectors.shape[0] * vectors.shape[1]
        return vectors @ self.matrices

    def build(self, points: Points, examples: Examples) -> Product:
        raise NotImplementedError


def symmetric(eigenvalues: Sequence[Sequence[float]], seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Matrices [K, P, P] with these eigenvalues and random eigenvectors."""
    draw = torch.Generator().manual_seed(seed)
    matrices = []
    for values in eigenvalues:
        Q, _ = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64, generator=draw))
        matrices.append(Q @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ Q.T)
    return torch.stack(matrices).to(dtype)


def normal(P: int, seed: int = 0) -> Callable[[int, int, int], Tensor]:
    """Random starts of Lanczos iterations."""

    def fresh(k: int, row: int, attempt: int) -> Tensor:
        return torch.from_numpy(Stream.of("start", seed, k, row, attempt).generator().standard_normal(P))

    return fresh


def signs(K: int, N: int, P: int, seed: int = 0) -> Iterator[Tensor]:
    """Probes [K, N, P], in two parts."""
    drawn = torch.from_numpy(Stream.of("signs", seed).generator().integers(0, 2, (K, N, P)) * 2.0 - 1)
    return iter(drawn.split(-(-N // 2), dim=1))


def dense_hessian(problem: Problem, point: Points, examples: Examples) -> Tensor:
    """[P, P], by torch.func.hessian of the loss of one point."""

    def loss(theta: Tensor) -> Tensor:
        return problem.value(Points(theta[None], point.buffers), examples)[0]

    return torch.func.hessian(loss)(point.theta[0])


def dense_ggn(problem: Problem, point: Points, examples: Examples) -> Tensor:
    """[P, P], J^T H J with both written out."""
    head = problem.head()

    def outputs(theta: Tensor) -> Tensor:
        return head.outputs(Points(theta[None], point.buffers), examples)[0].flatten()

    J = torch.func.jacrev(outputs)(point.theta[0])
    f = head.outputs(point, examples)[0].detach()
    H = torch.func.hessian(lambda flat: head.loss(flat.view(1, *f.shape), examples)[0])(f.flatten())
    return J.T @ H @ J
