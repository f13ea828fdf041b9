"""Small problems for the tests of the science: noise with small networks, and a loss known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mcdist.problems.classification import Classification
from mcdist.problems.data import Dataset
from mcdist.problems.data.dataset import Split
from mcdist.science.layout import Layout
from mcdist.science.motion import Motion
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate

CLASSES = 3


def noise(n_train: int = 22, n_test: int = 9, shape: tuple[int, ...] = (6,), seed: int = 0) -> Dataset:
    """Normal inputs with labels that have nothing to do with them; float64, not rescaled."""
    draw = np.random.default_rng(seed)

    def split(n: int) -> Split:
        return Split(draw.standard_normal((n, *shape)), draw.integers(0, CLASSES, n))

    one = (1.0,) * (shape[0] if len(shape) == 3 else 1)
    zero = tuple(0.0 for _ in one)
    return Dataset("noise", split(n_train), None, split(n_test), CLASSES, 1.0, zero, one, "normal noise")


def plain() -> nn.Module:
    """A small perceptron."""
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, CLASSES))


def normed() -> nn.Module:
    """The perceptron with BatchNorm, and no bias before it.

    The true gradient of such a bias is 0; Adam makes steps of the rounding that is there instead (it divides 1e-17 by
    eps = 1e-8), and of those nothing can be compared.
    """
    return nn.Sequential(nn.Linear(6, 5, bias=False), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, CLASSES))


def dropped() -> nn.Module:
    """The perceptron with BatchNorm and Dropout."""
    return nn.Sequential(
        nn.Linear(6, 5, bias=False), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.3), nn.Linear(5, CLASSES)
    )


def convolved() -> nn.Module:
    """A small convolutional network with BatchNorm, for images [2, 4, 4]."""
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, CLASSES))


def problem(make: Callable[[], nn.Module] = plain, **options: Any) -> Classification:
    """Classification of `noise`, in float64 unless said otherwise."""
    shape = (2, 4, 4) if make is convolved else (6,)
    defaults: dict[str, Any] = {"data": noise(shape=shape), "dtype": torch.float64, "eval_batch": 8}
    return Classification(make, **(defaults | options))


def starts(of: Problem, seeds: Sequence[int]) -> tuple[Points, list[Stream]]:
    """The initial points of some seeds, and their streams."""
    streams = [Stream.of("test", seed) for seed in seeds]
    return Points.stack([of.initial(stream) for stream in streams]), streams


class Quadratic(Problem):
    """L(w) = h/2 |w - m|^2, in every minibatch of the five of an epoch; error is always 1/4."""

    def __init__(self, minimum: Tensor, curvature: float = 1.0) -> None:
        self.minimum, self.curvature = minimum, curvature
        self.layout = Layout(("w",), (tuple(minimum.shape),))
        self.device, self.dtype = torch.device("cpu"), torch.float64

    def initial(self, stream: Stream) -> Points:
        return Points(torch.from_numpy(stream.generator().standard_normal((1, self.layout.size))), {})

    def batch_sizes(self, batch_size: int) -> list[int]:
        return [batch_size] * 5

    def batches(self, streams: Sequence[Stream], epoch: int, batch_size: int) -> Iterator[None]:
        return iter([None] * 5)

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        loss = 0.5 * self.curvature * (points.theta - self.minimum).square().sum(1)
        return loss, torch.full((len(points),), 0.25, dtype=torch.float64)

    def settle(self, points: Points, accelerate: Accelerate | None = None) -> Points:
        return points

    def evaluate(
        self, points: Points, accelerate: Accelerate | None = None, splits: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        return {"train_loss": self.loss(points, None)[0]}

    def glimpse(self, points: Points, accelerate: Accelerate | None = None) -> float:
        self.evaluate(points)
        return 1.0

    def state(self, points: Points, k: int) -> dict[str, Tensor]:
        return {"w": points.theta[k].clone()}

    def point(self, state: Mapping[str, Tensor]) -> Points:
        return Points(state["w"][None].clone(), {})


class Traced(Motion):
    """A motion that keeps a copy of every state: before each step, and (`visited()`) at the end."""

    def __init__(self, motion: Motion) -> None:
        self.inner, self.held = motion, motion.held
        self._kept: list[Tensor] = []

    @property
    def state(self) -> Tensor:
        return self.inner.state

    def form(self) -> str:
        return self.inner.form()

    def begin_epoch(self, epoch: int, steps: int) -> None:
        self.inner.begin_epoch(epoch, steps)

    def where(self, step: int) -> tuple[Tensor, ...]:
        self._kept.append(self.state.clone())
        return self.inner.where(step)

    def place(self, where: Tensor) -> Tensor:
        return self.inner.place(where)

    def pull(self, where: Tensor, grad: Tensor, loss: Tensor | None = None) -> Tensor:
        return self.inner.pull(where, grad, loss)

    def visited(self) -> Tensor:
        """[steps + 1, K, M, P]."""
        return torch.stack([*self._kept, self.state])
