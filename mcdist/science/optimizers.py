"""Optimisers of stacked points: torch's update rules, with one learning rate (momentum, decay) per point.

torch.optim takes one scalar for a whole tensor, so K points with K rates would be K groups of kernels; these are the
same rules on [K, M, P] (K points or paths, M moved vectors of each), tested against torch.optim step by step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Optimizer", "PerPoint", "Sgd", "per_point"]

PerPoint = float | Tensor
"""One number for all K points, or K of them as [K, 1, 1]."""


def per_point(values: Sequence[float], like: Tensor) -> PerPoint:
    """K numbers as one float where they are all the same, else as [K, 1, 1] on the device of `like`."""
    if len(set(values)) == 1:
        return float(values[0])
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


def _add_scaled(target: Tensor, vector: Tensor, scale: PerPoint) -> None:
    """target += scale * vector, in place."""
    if isinstance(scale, Tensor):
        target.addcmul_(vector, scale)
    else:
        target.add_(vector, alpha=scale)


class Optimizer(ABC):
    """An update rule. Weight decay is the training loop's: it enters the gradient, or, `decoupled`, the step."""

    decoupled: bool = False

    @abstractmethod
    def step(self, state: Tensor, grad: Tensor, lr: PerPoint) -> None:
        """Move `state` [K, M, P] in place, given the gradient [K, M, P]."""


@dataclass
class Sgd(Optimizer):
    """v <- mu v + g, w <- w - lr v; with nesterov, w <- w - lr (g + mu v)."""

    momentum: PerPoint = 0.0
    nesterov: bool = False
    _velocity: Tensor | None = field(default=None, init=False)

    def step(self, state: Tensor, grad: Tensor, lr: PerPoint) -> None:
        """See `Optimizer`."""
        direction = grad
        if isinstance(self.momentum, Tensor) or self.momentum != 0.0:
            if self._velocity is None:
                self._velocity = torch.clone(grad)
            else:
                self._velocity.mul_(self.momentum).add_(grad)
            direction = self._velocity
            if self.nesterov:
                direction = grad + self.momentum * self._velocity
        _add_scaled(state, direction, -lr)


@dataclass
class Adam(Optimizer):
    """Kingma & Ba 2015: w <- w - lr m^ / (sqrt(v^) + eps), bias-corrected moments m^, v^ of the gradient."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    _moments: tuple[Tensor, Tensor] | None = field(default=None, init=False)
    _steps: int = field(default=0, init=False)

    def step(self, state: Tensor, grad: Tensor, lr: PerPoint) -> None:
        """See `Optimizer`."""
        if self._moments is None:
            self._moments = (torch.zeros_like(grad), torch.zeros_like(grad))
        self._steps += 1
        (b1, b2), (m, v) = self.betas, self._moments
        m.lerp_(grad, 1.0 - b1)
        v.mul_(b2).addcmul_(grad, grad, value=1.0 - b2)
        scale = (v.sqrt() / (1.0 - b2**self._steps) ** 0.5).add_(self.eps)
        _add_scaled(state, m / scale, -lr / (1.0 - b1**self._steps))


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): w <- w - lr wd w beside Adam's step."""

    decoupled: bool = field(default=True, init=False)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}
