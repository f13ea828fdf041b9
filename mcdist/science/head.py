"""What lies between the outputs of a network and its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from mcdist.science.points import Points

__all__ = ["Examples", "Head"]

Examples = tuple[Tensor, ...]
"""Fixed examples, the same for all points: tensors whose first axis is the example."""


class Head(ABC):
    """A loss that is a function of outputs: L_k = mean_b l(f(theta_k, x_b), y_b).

    With it a problem has a Gauss-Newton matrix, J^T (d^2 l / df^2) J; with a likelihood, l = -log p(y | f), a Fisher
    matrix too. Every method is differentiable in its first argument.
    """

    @abstractmethod
    def outputs(self, points: Points, examples: Examples) -> Tensor:
        """Outputs [K, B, C] in eval mode."""

    @abstractmethod
    def loss(self, outputs: Tensor, examples: Examples) -> Tensor:
        """Mean loss [K] of outputs [K, B, C]."""

    @abstractmethod
    def labels(self, examples: Examples) -> Tensor:
        """The labels [B] that the data has."""

    @abstractmethod
    def log_likelihood(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """log p(y | f) in nats, [K, B], of labels [K, B]. Raises RequestError where the loss is no likelihood."""

    @abstractmethod
    def draw(self, outputs: Tensor, uniforms: Tensor) -> Tensor:
        """Labels [K, B] drawn from p(y | f) by uniform numbers [K, B] in [0, 1). Raises as `log_likelihood` does."""

    def squared_scores(self, points: Points, examples: Examples, labels: Tensor) -> Tensor | None:
        """|d log p(y_b | x_b) / d p|^2 for every parameter p, [K, B, number of parameters], float64, labels [K, B].

        None where there is no way that is faster than the gradients of single examples.
        """
        return None
