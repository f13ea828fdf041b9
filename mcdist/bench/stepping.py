"""Steps of mcdist's own training, set up once and made as often as a measurement wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from mcdist.problems.classification import Classification
from mcdist.science.acceleration import Step, accelerated
from mcdist.science.motion import CurveBends, FreePoints, Motion
from mcdist.science.optimizers import Sgd, per_point
from mcdist.science.paths import FAMILIES, on_chord
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.science.update import Update

__all__ = ["Stepping"]


class Stepping:
    """K end points, or K quadratic Bezier curves, in the middle of their training by SGD with momentum."""

    def __init__(
        self,
        problem: Classification,
        K: int,
        batch_size: int,
        *,
        curves: bool = False,
        accelerate: Accelerate | None = None,
        lr: float = 0.01,
        weight_decay: float = 0.0,
    ) -> None:
        self._problem, self._batch_size = problem, batch_size
        self._streams = [Stream.of("bench", k) for k in range(K)]
        points = Points.stack([problem.initial(stream) for stream in self._streams])
        like, tensors = points.theta, accelerate is not None
        self._motion: Motion = FreePoints(points.theta)
        if curves:
            ends = Points.stack([problem.initial(stream.child("b")) for stream in self._streams])
            self._motion = CurveBends(FAMILIES["bezier"], on_chord(points.theta, ends.theta, 1), self._streams)
        self._lr = per_point([lr] * K, like, always=tensors)
        momentum = per_point([0.9] * K, like, always=tensors)
        decay = per_point([weight_decay] * K, like, always=tensors) if weight_decay else 0.0
        self._update = Update(problem, self._motion, points.buffers, Sgd(momentum), decay)
        self._feed, self._epoch = self._batches(), 0
        self._step: Step = self._update
        if accelerate is not None:
            self._step = accelerated(self._update, accelerate, *next(self._feed), self._lr)

    def points(self) -> Points:
        """The K end points as they are now."""
        return Points(self._motion.state[:, 0], self._update.buffers)

    def run(self, steps: int) -> None:
        """So many more steps, on full minibatches."""
        for _ in range(steps):
            self._step(*next(self._feed), self._lr)

    def _batches(self) -> Iterator[tuple[Any, tuple[Tensor, ...]]]:
        sizes = self._problem.batch_sizes(self._batch_size)
        while True:
            self._motion.begin_epoch(self._epoch, len(sizes))
            for step, batch in enumerate(self._problem.batches(self._streams, self._epoch, self._batch_size)):
                if sizes[step] == sizes[0]:
                    yield batch, self._motion.where(step)
            self._epoch += 1
