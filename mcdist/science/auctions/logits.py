"""Allocations as chances that somebody gets an item, by their logits."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mcdist.science.motion import FreePoints

__all__ = ["LogitPoints", "allocations", "logits"]

_LEAST = 1e-12  # chances below are taken for it: their logits are finite


def logits(x: Tensor, axis: int | None) -> Tensor:
    """z of allocations x: log x - log(1 - x), or, where entries along `axis` share a unit, log x - log(1 - sum x)."""
    rest = 1.0 - (x if axis is None else x.sum(axis, keepdim=True))
    return x.clamp(min=_LEAST).log() - rest.clamp(min=_LEAST).log()


def allocations(z: Tensor, axis: int | None) -> Tensor:
    """The inverse of `logits`: 1 / (1 + exp(-z)), or exp(z) / (1 + sum exp(z)) along an axis (nobody has logit 0)."""
    if axis is None:
        return torch.sigmoid(z)
    most = z.amax(axis, keepdim=True).clamp(min=0.0)
    parts = (z - most).exp()
    return parts / ((-most).exp() + parts.sum(axis, keepdim=True))


class LogitPoints(FreePoints):
    """K points theta [K, P] of which the first entries are allocations of the shape `shape`, moved by their logits.

    theta is not moved: `place` gives the points. axis: of `shape`, from the last, along which a unit is shared.
    """

    def __init__(self, theta: Tensor, shape: tuple[int, ...], axis: int | None) -> None:
        self._shape, self._axis, self._many = shape, axis, math.prod(shape)
        held = theta.clone()
        held[:, : self._many] = logits(self._x(theta), axis).flatten(1)
        super().__init__(held)

    def _x(self, theta: Tensor) -> Tensor:
        return theta[:, : self._many].reshape(len(theta), *self._shape)

    def form(self) -> str:
        """See `Motion`."""
        return f"logits {self._shape} {self._axis}"

    def place(self, where: Tensor) -> Tensor:
        """See `Motion`."""
        x = allocations(self._x(self.held), self._axis)
        return torch.cat([x.flatten(1), self.held[:, self._many :]], dim=1)

    def pull(self, where: Tensor, grad: Tensor, loss: Tensor | None = None) -> Tensor:
        """See `Motion`: d x / d z is x (1 - x), along an axis diag(x) - x x^T."""
        x, g = allocations(self._x(self.held), self._axis), self._x(grad)
        shared = x * g if self._axis is None else (x * g).sum(self._axis, keepdim=True)
        pulled = x * (g - shared)
        return torch.cat([pulled.flatten(1), grad[:, self._many :]], dim=1)[:, None]

    def confine(self, confine: Callable[[Tensor], None]) -> None:
        """See `Motion`: allocations made of logits are feasible whatever these are."""
        theta = self.place(self._here[0])
        confine(theta)
        self.held[:, self._many :] = theta[:, self._many :]
