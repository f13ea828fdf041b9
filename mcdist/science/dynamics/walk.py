"""K points moved by noisy steps of an optimiser, each by random numbers of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.dynamics.normals import Normals
from mcdist.science.motion import FreePoints
from mcdist.science.optimizers import Optimizer, add_scaled
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.update import Update

__all__ = ["Dynamics", "Walk", "together"]

_TOGETHER = 1 << 20  # parameters of the points that go together: on a CPU they stay near the core from step to step
_TOGETHER_ON_GPU = 1 << 28


@dataclass(frozen=True)
class Dynamics:
    """How points move.

        theta <- theta - step(g),  g = grad L + weight_decay theta,

    minibatch: grad of the loss on `batch_size` examples, in shuffled epochs (short last minibatches are left out), or
    with `independent` each drawn by itself. none: on all examples. isotropic: on all examples, and after the step
    theta <- theta + sqrt(2 T eta) xi with xi standard normal and eta the effective rate `lr / (1 - momentum)`: Langevin
    dynamics at temperature T with the time step eta.

    optimizer: makes a fresh one. weight_decay: on top of the problem's own, coupled but for a decoupled optimizer.
    """

    lr: float
    optimizer: Callable[[], Optimizer]
    noise: Literal["minibatch", "isotropic", "none"] = "minibatch"
    batch_size: int = 1
    independent: bool = False
    momentum: float = 0.0
    weight_decay: float = 0.0

    @property
    def speed(self) -> float:
        """Effective time of a step, eta = lr / (1 - momentum)."""
        return self.lr / (1.0 - self.momentum)


class Walk:
    """K points of one problem under way; `points.theta` [K, P] moves in place, and so does the optimizer's memory.

    streams: K, one per point: its minibatches and its noise, and nothing else. temperature: [K], T of isotropic noise.
    The points may be put elsewhere between steps (write into `points.theta`), and some of them left behind (`keep`):
    neither changes what random numbers the others see.
    """

    def __init__(
        self,
        problem: Problem,
        points: Points,
        how: Dynamics,
        streams: Sequence[Stream],
        temperature: Tensor | None = None,
    ) -> None:
        self._problem, self._how = problem, how
        self.points = Points(points.theta.clone(), {name: b.clone() for name, b in points.buffers.items()})
        self.optimizer = how.optimizer()
        self._update = self._updating()
        self._streams = list(streams)
        self._rows = torch.arange(len(points), device=points.theta.device)  # of the batches under way
        self._batches: Iterator[Any] = iter(())
        self._epoch, self._drawn = 0, len(points)
        self._normals: Normals | None = None
        self._scale: Tensor | None = None
        if how.noise == "isotropic":
            assert temperature is not None, "isotropic noise needs a temperature"
            self._normals = Normals(streams, points.theta)
            self._scale = (2.0 * temperature * how.speed).sqrt().to(points.theta)[:, None]

    def __len__(self) -> int:
        return len(self.points)

    def advance(self, steps: int) -> Tensor:
        """Make so many steps. The loss [K] seen, averaged over them (before each; without weight decay)."""
        total = torch.zeros(len(self), dtype=torch.float64, device=self.points.theta.device)
        for _ in range(steps):
            total += self._step()
        return total / steps

    def keep(self, index: Tensor) -> None:
        """Go on with the points at these rows [k] alone, in this order."""
        theta, buffers = self.points.theta[index], {name: b[index] for name, b in self.points.buffers.items()}
        memory = {name: m[index] if m.dim() else m for name, m in self.optimizer.memory.items()}
        self.points = Points(theta, buffers)
        self._update = self._updating()
        self.optimizer.memory = memory
        self._rows = self._rows[index]
        self._streams = [self._streams[k] for k in index.tolist()]
        if self._normals is not None and self._scale is not None:
            self._normals.keep(index)
            self._scale = self._scale[index]

    def _updating(self) -> Update:
        motion = FreePoints(self.points.theta)
        return Update(self._problem, motion, self.points.buffers, self.optimizer, self._how.weight_decay)

    def _step(self) -> Tensor:
        lr = self._how.lr
        if self._how.noise == "minibatch":
            loss, _ = self._update(self._next(), self._update.motion.where(0), lr)
            return loss
        loss, grad = self._problem.whole_gradient(self.points)
        theta, decay, optimizer = self.points.theta, self._how.weight_decay, self.optimizer
        coupled = self._problem.weight_decay + (0.0 if optimizer.decoupled else decay)
        if coupled:
            add_scaled(grad, theta, coupled)
        if optimizer.decoupled and decay:
            theta.mul_(1.0 - lr * decay)
        optimizer.step(theta[:, None], grad[:, None], lr)
        if self._normals is not None and self._scale is not None:
            theta.addcmul_(self._normals.next(), self._scale)
        self._problem.confine(theta)
        return loss

    def _next(self) -> Any:
        """The next minibatch, for the points that are left."""
        batch = next(self._batches, None)
        if batch is None:
            batch = self._next_epoch()
        return batch if len(self._rows) == self._drawn else self._problem.some(batch, self._rows)

    def _next_epoch(self) -> Any:
        how, most = self._how, self._problem.examples
        sizes = self._problem.batch_sizes(how.batch_size)
        if how.batch_size not in sizes:
            raise RequestError(f"batch_size is {how.batch_size}, allowed: 1 to {most}, the training examples")
        drawn = self._problem.batches(self._streams, self._epoch, how.batch_size, independent=how.independent)
        # a short minibatch is a hotter one
        self._batches = (batch for batch, size in zip(drawn, sizes, strict=True) if size == how.batch_size)
        self._epoch += 1
        self._drawn = len(self._streams)
        self._rows = torch.arange(self._drawn, device=self.points.theta.device)
        return next(self._batches)


def together(problem: Problem) -> int:
    """How many points go together: points are independent, so that this changes rounding and speed alone."""
    most = _TOGETHER_ON_GPU if problem.device.type == "cuda" else _TOGETHER
    return max(1, most // problem.layout.size)
