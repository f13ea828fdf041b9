"""Optimisers of stacked points: torch's update rules, with one learning rate (momentum, decay) per point.

torch.optim takes one scalar for a whole tensor, so K points with K rates would be K groups of kernels; these are the
same rules on [K, M, P] (K points or paths, M moved vectors of each), tested against torch.optim step by step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Optimizer", "PerPoint", "Sgd", "add_scaled", "per_point"]

PerPoint = float | Tensor
"""One number for all K points, or K of them as [K, 1, 1]."""


def per_point(values: Sequence[float], like: Tensor, *, always: bool = False) -> PerPoint:
    """K numbers as one float where they are all the same, else (or `always`) as [K, 1, 1] on the device of `like`."""
    if len(set(values)) == 1 and not always:
        return float(values[0])
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


def add_scaled(target: Tensor, vector: Tensor, scale: PerPoint) -> None:
    """target += scale * vector, in place."""
    if isinstance(scale, Tensor):
        target.addcmul_(vector, scale.to(target.dtype))
    else:
        target.add_(vector, alpha=scale)


@dataclass
class Optimizer(ABC):
    """An update rule. Weight decay is the training loop's: it enters the gradient, or, `decoupled`, the step.

    memory: what it keeps from step to step, by name, changed in place. scalars: its options of the K points, where
    they are tensors. Both may be put in another's place (a trace of the step puts in the tensors that it follows).
    """

    decoupled: ClassVar[bool] = False
    memory: dict[str, Tensor] = field(default_factory=dict, init=False)
    scalars: dict[str, Tensor] = field(default_factory=dict, init=False)

    @abstractmethod
    def begin(self, state: Tensor) -> None:
        """Fill the memory as it is before the first step."""

    @abstractmethod
    def form(self) -> str:
        """Which rule it is, but for its tensors."""

    @abstractmethod
    def step(self, state: Tensor, grad: Tensor, lr: PerPoint) -> None:
        """Move `state` [K, M, P] in place, given the gradient [K, M, P]; `begin` comes before the first one."""


@dataclass
class Sgd(Optimizer):
    """v <- mu v + g, w <- w - lr v; with nesterov, w <- w - lr (g + mu v)."""

    momentum: PerPoint = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.momentum, Tensor):
            self.scalars = {"momentum": self.momentum}

    def form(self) -> str:
        """See `Optimizer`."""
        return f"sgd, momentum {'each' if self.scalars else self.momentum}, nesterov {self.nesterov}"

    def begin(self, state: Tensor) -> None:
        """See `Optimizer`: v = 0, so that the first step is plain, as torch's is."""
        if isinstance(self.momentum, Tensor) or self.momentum != 0.0:
            self.memory = {"velocity": torch.zeros_like(state, memory_format=torch.contiguous_format)}

    def step(self, state: Tensor, grad: Tensor, lr: PerPoint) -> None:
        """See `Optimizer`."""
        direction = grad
        if self.memory:
            momentum = self.scalars.get("momentum", self.momentum)
            direction = self.memory["velocity"].mul_(momentum).add_(grad)
            if self.nesterov:
                direction = grad + momentum * direction
        add_scaled(state, direction, -lr)


@dataclass
class Adam(Optimizer):
    """Kingma & Ba 2015: w <- w - lr m^ / (sqrt(v^) + eps), bias-corrected moments m^, v^ of the gradient."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def form(self) -> str:
        """See `Optimizer`."""
        return f"adam {self.betas} {self.eps}, decoupled {self.decoupled}"

    def begin(self, state: Tensor) -> None:
        """See `Optimizer`: both moments 0. Steps are counted on the device, so that no step is a special one."""
        moments = {n: torch.zeros_like(state, memory_format=torch.contiguous_format) for n in ("first", "second")}
        self.memory = moments | {"steps": torch.zeros((), dtype=torch.float64, device=state.device)}

    def step(self, state: Tensor, grad: Tensor, lr: PerPoint) -> None:
        """See `Optimizer`."""
        (b1, b2), m, v = self.betas, self.memory["first"], self.memory["second"]
        steps = self.memory["steps"].add_(1.0)
        m.lerp_(grad, 1.0 - b1)
        v.mul_(b2).addcmul_(grad, grad, value=1.0 - b2)
        scale = (v.sqrt() / (1.0 - b2**steps).sqrt()).add_(self.eps)
        add_scaled(state, m / scale, -lr / (1.0 - b1**steps))


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): w <- w - lr wd w beside Adam's step."""

    decoupled: ClassVar[bool] = True


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}
