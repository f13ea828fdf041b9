"""One step of training: a function of tensors, and of what moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcdist.science.motion import Motion
from mcdist.science.optimizers import Optimizer, PerPoint, add_scaled
from mcdist.science.points import Points
from mcdist.science.problem import Problem, gradient

__all__ = ["Update"]


@dataclass
class Update:
    """One step of training K points. What moves (`tensors`) is changed in place.

    Loss and gradient g at the place theta [K, P]; g += weight_decay * theta (at the place: on phi(t) for a curve, not
    on its bends); state -= step(pull(g)). Decoupled decay pulls lr * weight_decay * theta instead; the problem's own
    decay, part of its objective, is in g in any case. With several places everything is their mean. precision: autocast
    of the loss to this type.
    """

    problem: Problem
    motion: Motion
    buffers: dict[str, Tensor]
    optimizer: Optimizer
    weight_decay: PerPoint
    precision: torch.dtype | None = None

    def __post_init__(self) -> None:
        self.optimizer.begin(self.motion.state)

    def __call__(self, batch: Any, where: Sequence[Tensor], lr: PerPoint) -> tuple[Tensor, Tensor]:
        """Loss [K] and error [K] before the step. where: the places, from `Motion.where`."""
        return self._step(batch, where, lr, traced=False)

    def functional(
        self, held: Sequence[Tensor], scalars: Sequence[Tensor], batch: Any, where: Sequence[Tensor], lr: PerPoint
    ) -> tuple[Tensor, Tensor]:
        """The same step with other tensors in the place of `tensors()` and `scalars()`, by operations a trace can
        follow.
        """
        own = self.tensors(), self.scalars()
        self._hold(held, scalars)
        try:
            return self._step(batch, where, lr, traced=True)
        finally:
            self._hold(*own)

    def tensors(self) -> list[Tensor]:
        """All that a step changes; no two share memory."""
        return [self.motion.held, *self.optimizer.memory.values(), *self.buffers.values()]

    def scalars(self) -> list[Tensor]:
        """The numbers of the K points that are tensors, and stay as they are."""
        return [
            *self.optimizer.scalars.values(),
            *([self.weight_decay] if isinstance(self.weight_decay, Tensor) else []),
        ]

    def form(self) -> str:
        """What a step does, but for its tensors: equal forms make equal steps of one problem."""
        decay = "each" if isinstance(self.weight_decay, Tensor) else self.weight_decay
        own = f" and {self.problem.weight_decay}" if self.problem.weight_decay else ""
        return f"{self.motion.form()}, {self.optimizer.form()}, decay {decay}{own}, {self.precision}"

    def _coupled(self, decay: PerPoint) -> PerPoint | None:
        """The decay that is part of the gradient, with that of the problem; None for none."""
        total = decay + self.problem.weight_decay
        return total if isinstance(total, Tensor) or total != 0.0 else None

    def _hold(self, tensors: Sequence[Tensor], scalars: Sequence[Tensor]) -> None:
        self.motion.held, *rest = tensors
        for own in (self.optimizer.memory, self.buffers):
            own.update(zip(own, rest, strict=False))
            rest = rest[len(own) :]
        numbers = list(scalars)
        if isinstance(self.weight_decay, Tensor):
            self.weight_decay = numbers.pop()
        self.optimizer.scalars.update(zip(self.optimizer.scalars, numbers, strict=True))

    def _step(self, batch: Any, where: Sequence[Tensor], lr: PerPoint, *, traced: bool) -> tuple[Tensor, Tensor]:
        motion, decay = self.motion, self.weight_decay
        decays = isinstance(decay, Tensor) or decay != 0.0
        coupled = self._coupled(decay if decays and not self.optimizer.decoupled else 0.0)
        losses, errors, pulls, decayed = [], [], [], []
        for at in where:
            points = Points(motion.place(at), self.buffers)
            if traced:
                loss, error, grad = gradient(self.problem, points, batch, self.precision)
            else:
                loss, error, grad = self.problem.gradient(points, batch, self.precision)
            value = loss
            half = points.theta.square().sum(1) / 2 if motion.weighs and (decays or coupled is not None) else None
            if decays and self.optimizer.decoupled:
                decayed.append(motion.pull(at, points.theta, half))
            if coupled is not None:
                add_scaled(grad, points.theta, _column(coupled))
                value = loss if half is None else loss + half * _row(coupled)
            losses.append(loss)
            errors.append(error)
            pulls.append(motion.pull(at, grad, value))
        if decayed:
            motion.state.sub_(lr * decay * _mean(decayed))
        self.optimizer.step(motion.state, _mean(pulls), lr)
        motion.confine(self.problem.confine)
        return _mean(losses), _mean(errors)


def _mean(terms: list[Tensor]) -> Tensor:
    return terms[0] if len(terms) == 1 else torch.stack(terms).mean(0)


def _row(value: PerPoint) -> PerPoint:
    """A per-point number [K, 1, 1] as [K]."""
    return value[:, 0, 0] if isinstance(value, Tensor) else value


def _column(value: PerPoint) -> PerPoint:
    """A per-point number [K, 1, 1] as [K, 1], to go with theta [K, P]."""
    return value[:, 0] if isinstance(value, Tensor) else value
