"""The one training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mcdist.science.acceleration import Step, accelerated
from mcdist.science.motion import Motion
from mcdist.science.optimizers import Optimizer, PerPoint
from mcdist.science.problem import Problem
from mcdist.science.schedules import Schedule
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.science.update import Update

__all__ = ["Epoch", "Recipe", "Trained", "train"]

_NEVER = 1 << 62  # a step that no training reaches
_LOOK_EVERY = 16  # epochs between looks at the device


@dataclass(frozen=True)
class Recipe:
    """How to train; `lr` and `weight_decay` may differ between the K points.

    rates: the K base rates for the record, where `lr` is a tensor of less precision.
    """

    epochs: int
    batch_size: int
    optimizer: Optimizer
    lr: PerPoint
    weight_decay: PerPoint
    schedule: Schedule
    precision: torch.dtype | None = None
    rates: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Epoch:
    """What one epoch looked like: the learning rates, mean minibatch loss and error of the K points."""

    epoch: int
    lr: list[float]
    loss: list[float]
    error: list[float]


@dataclass
class Trained:
    """The record of a training: epochs, and for each point the step at which its loss stopped being finite.

    memory: what the optimizer remembered at the end, by name (see `Optimizer`): given back to `train` it goes on.
    """

    history: list[Epoch] = field(default_factory=list)
    diverged: list[int | None] = field(default_factory=list)
    memory: dict[str, Tensor] = field(default_factory=dict)


def train(
    problem: Problem,
    motion: Motion,
    buffers: dict[str, Tensor],
    recipe: Recipe,
    streams: Sequence[Stream],
    accelerate: Accelerate | None = None,
    *,
    first: int = 0,
    last: int | None = None,
    memory: Mapping[str, Tensor] | None = None,
) -> Trained:
    """Minimise the loss seen by `motion` in place (see `Update`); `buffers` (K-stacked) move along.

    A point whose loss is not finite, or whose weights are not at the end, is named in `diverged`; it goes on, and
    harms no other. accelerate: makes the step of full minibatches faster (see `accelerated`).

    first, last: the part [first, last) of the recipe's epochs, all of them if not said. Rates and random numbers are
    those that these epochs have in the whole. memory: the optimizer's after epoch `first`; a fresh one if not given.
    So [0, k), and then [k, epochs) with the memory of the first part, give the bits of the whole. KeyError where
    something that the optimizer remembers is missing.
    """
    K, sizes = len(streams), problem.batch_sizes(recipe.batch_size)
    update = Update(problem, motion, buffers, recipe.optimizer, recipe.weight_decay, recipe.precision)
    if memory is not None:
        for name, tensor in recipe.optimizer.memory.items():
            tensor.copy_(memory[name])
    record = _Record(problem, sizes, K, first)
    fast: Step | None = None
    for epoch in range(first, recipe.epochs if last is None else last):
        multiplier = recipe.schedule.at(epoch, recipe.epochs)
        lr = recipe.lr * multiplier
        motion.begin_epoch(epoch, len(sizes))
        for step, batch in enumerate(problem.batches(streams, epoch, recipe.batch_size)):
            where = motion.where(step)
            if accelerate is not None and fast is None:
                fast = accelerated(update, accelerate, batch, where, lr)
            # what was traced has the shape of the first minibatch; a shorter last one goes the plain way
            take = fast if fast is not None and sizes[step] == sizes[0] else update
            record.note(step, take(batch, where, lr))
        rates = _numbers(lr, K) if recipe.rates is None else [rate * multiplier for rate in recipe.rates]
        if record.end_epoch(epoch, rates):
            break
    # the last step's harm is seen by no loss
    return record.finish(motion.state.isfinite().flatten(1).all(1), dict(recipe.optimizer.memory))


class _Record:
    """What a training looked like, collected on the device: a step never waits for the host."""

    def __init__(self, problem: Problem, sizes: Sequence[int], K: int, first: int) -> None:
        """first: the epoch before which there is nothing to record."""
        self._before, self._steps = first, first * len(sizes)
        shares = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        self._shares = shares[:, None].to(problem.device, problem.dtype)
        self._now = torch.empty(2, len(sizes), K, device=problem.device, dtype=problem.dtype)
        self._first_bad = torch.full((K,), _NEVER, device=problem.device)
        self._means: list[Tensor] = []
        self._rates: list[list[float]] = []
        self._look_every = 1 if problem.device.type == "cpu" else _LOOK_EVERY

    def note(self, step: int, measured: tuple[Tensor, Tensor]) -> None:
        """Loss [K] and error [K] of a step."""
        self._now[0, step], self._now[1, step] = measured

    def end_epoch(self, epoch: int, rates: list[float]) -> bool:
        """Whether training can stop: no point is left that has not diverged (seen some epochs later on a GPU)."""
        steps = len(self._shares)
        bad = ~self._now[0].isfinite()
        first = torch.where(bad.any(0), epoch * steps + bad.int().argmax(0), _NEVER)
        self._first_bad = torch.minimum(self._first_bad, first)
        self._means.append((self._now * self._shares).sum(1))
        self._rates.append(rates)
        self._steps = (epoch + 1) * steps
        if (epoch + 1) % self._look_every:
            return False
        return bool((self._first_bad < _NEVER).all())

    def finish(self, intact: Tensor, memory: dict[str, Tensor]) -> Trained:
        """The record; intact: [K], whether the weights are finite at the end."""
        last = torch.where(intact, _NEVER, max(self._steps - 1, 0))
        diverged = [None if s == _NEVER else s for s in torch.minimum(self._first_bad, last).tolist()]
        means = torch.stack(self._means).tolist() if self._means else []
        epochs = [
            Epoch(epoch, lr, loss, error)
            for epoch, (lr, (loss, error)) in enumerate(zip(self._rates, means, strict=True), self._before + 1)
        ]
        return Trained(epochs, diverged, memory)


def _numbers(value: PerPoint, K: int) -> list[float]:
    return [float(v) for v in value.flatten().tolist()] if isinstance(value, Tensor) else [value] * K
