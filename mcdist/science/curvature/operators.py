"""The Hessian and the Gauss-Newton matrix of K stacked points, as products with vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.autograd import grad

from mcdist.science.head import Examples
from mcdist.science.points import Points
from mcdist.science.problem import Problem

__all__ = ["GaussNewton", "Hessian", "Operator", "Product", "budget", "graph_bytes"]

Product = Callable[[Tensor], Tensor]
"""Vectors [K, P] -> products [K, P]."""

_BYTES = 1 << 30  # of graphs that are kept at one time
_BYTES_ON_GPU = 1 << 33


def budget(device: torch.device) -> int:
    """Bytes that the graphs kept for products may take."""
    return _BYTES_ON_GPU if device.type == "cuda" else _BYTES


class Operator(ABC):
    """Symmetric matrices A_1 .. A_K [P, P] of K points, each a mean over the same examples.

    The gradient's graph is built once and then gone through once for each product, in a quarter (perceptron) to a half
    (convolutions) of the time that it takes to begin anew. Graphs that would not fit the budget are built
    again for each product, over fewer examples at a time.
    """

    name: ClassVar[str]

    def __init__(self, problem: Problem, points: Points, examples: Examples, *, bytes_per_example: int = 0) -> None:
        """bytes_per_example: what a graph holds for one example of one point; 0: not known, all fits."""
        self.problem, self.points, self.examples = problem, points, examples
        self._bytes = bytes_per_example
        self._theta = points.theta.detach().requires_grad_()
        n, most = len(examples[0]), budget(points.theta.device)
        fits = max(1, most // max(1, bytes_per_example * len(points)))
        size = n if fits >= n else max(1, fits // 2)
        self._chunks = [tuple(t[i : i + size] for t in examples) for i in range(0, n, size)]
        self._kept: Product | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def theta(self) -> Tensor:
        """[K, P], of the points."""
        return self.points.theta

    def take(self, index: Sequence[int]) -> Operator:
        """The operator of some of the points."""
        at = torch.tensor(index, device=self.theta.device)
        some = Points(self.theta[at], {name: b[at] for name, b in self.points.buffers.items()})
        return type(self)(self.problem, some, self.examples, bytes_per_example=self._bytes)

    def apply(self, vectors: Tensor) -> Tensor:
        """A_k v for c vectors of each point: [K, c, P] -> [K, c, P]."""
        if len(self._chunks) == 1:
            if self._kept is None:
                self._kept = self._built(self._chunks[0])
            return self._products(self._kept, vectors)
        total, n = torch.zeros_like(vectors), len(self.examples[0])
        for chunk in self._chunks:
            total += self._products(self._built(chunk), vectors) * (len(chunk[0]) / n)
        return total

    def _products(self, product: Product, vectors: Tensor) -> Tensor:
        # one after the other: on a CPU nothing is gained by more at a time
        return torch.stack([product(vectors[:, i]) for i in range(vectors.shape[1])], dim=1)

    def _built(self, examples: Examples) -> Product:
        with torch.enable_grad():
            return self.build(Points(self._theta, self.points.buffers), examples)

    @abstractmethod
    def build(self, points: Points, examples: Examples) -> Product:
        """The product for the mean over these examples; `points.theta` requires a gradient."""


class Hessian(Operator):
    """H_k = d^2 L_k / d theta_k^2, by the gradient of <dL/dtheta, v> (double backward)."""

    name = "hessian"

    def build(self, points: Points, examples: Examples) -> Product:
        """See `Operator`."""
        (slope,) = grad(self.problem.value(points, examples).sum(), points.theta, create_graph=True)

        def product(vectors: Tensor) -> Tensor:
            if not slope.requires_grad:  # a loss that is linear in the parameters
                return torch.zeros_like(vectors)
            (found,) = grad(slope, points.theta, vectors, retain_graph=True, materialize_grads=True)
            return found.detach()

        return product


class GaussNewton(Operator):
    """G_k = mean_b J_kb^T (d^2 l / df^2) J_kb, J_kb = df(theta_k, x_b) / d theta_k.

    J v is the gradient in u of <J^T u, v>, which is linear in u. Raises RequestError for a problem without outputs.
    """

    name = "ggn"

    def build(self, points: Points, examples: Examples) -> Product:
        """See `Operator`."""
        head = self.problem.head()
        outputs = head.outputs(points, examples)
        dual = torch.zeros_like(outputs, requires_grad=True)
        (back,) = grad(outputs, points.theta, dual, create_graph=True)
        free = outputs.detach().requires_grad_()
        (slope,) = grad(head.loss(free, examples).sum(), free, create_graph=True)

        def product(vectors: Tensor) -> Tensor:
            (along,) = grad(back, dual, vectors, retain_graph=True, materialize_grads=True)
            if not slope.requires_grad:  # a loss that is linear in the outputs
                return torch.zeros_like(vectors)
            (bent,) = grad(slope, free, along, retain_graph=True, materialize_grads=True)
            (found,) = grad(outputs, points.theta, bent, retain_graph=True, materialize_grads=True)
            return found.detach()

        return product


def graph_bytes(operator: type[Operator], problem: Problem, points: Points, examples: Examples) -> int:
    """Bytes that a graph of the operator holds for one example of one point."""
    one = points[0]
    sizes = [_held(operator(problem, one, tuple(t[:n] for t in examples))) for n in (1, 2)]
    return max(1, sizes[1] - sizes[0])


def _held(operator: Operator) -> int:
    held: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        operator._built(operator.examples)
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())
