"""What a training looked like, collected on the device: a step never waits for the host."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mcdist.science.optimizers import PerPoint
from mcdist.science.problem import Problem

__all__ = ["Epoch", "History", "Hook", "Looks", "Part", "Record", "Trained"]

Hook = Callable[[int, Tensor], None]
"""(steps made, mean loss [K] since the call before)."""

_NEVER = 1 << 62  # a step that no training reaches
_LOOK_EVERY = 16  # epochs between looks at the device


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


class Part(NamedTuple):
    """Steps [begin, end) of an epoch, and the rate of each."""

    epoch: int
    begin: int
    end: int
    rates: Sequence[PerPoint]


class Record:
    """Losses and errors of the steps of an epoch, and the first step at which each of K points had no finite loss."""

    def __init__(self, problem: Problem, sizes: Sequence[int], K: int, done: int) -> None:
        """sizes: of the minibatches of an epoch. done: the steps before which there is nothing to record."""
        self._steps = done
        shares = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        self._shares = shares[:, None].to(problem.device, problem.dtype)
        self._now = torch.empty(2, len(sizes), K, device=problem.device, dtype=problem.dtype)
        self._first_bad = torch.full((K,), _NEVER, device=problem.device)
        self._look_every = 1 if problem.device.type == "cpu" else _LOOK_EVERY

    def note(self, step: int, measured: tuple[Tensor, Tensor]) -> None:
        """Loss [K] and error [K] of a step of the epoch."""
        self._now[0, step], self._now[1, step] = measured

    def end(self, part: Part) -> bool:
        """Whether training can stop: no point is left that has not diverged (seen some epochs later on a GPU)."""
        first = part.epoch * len(self._shares)
        bad = ~self._now[0, part.begin : part.end].isfinite()
        at = torch.where(bad.any(0), first + part.begin + bad.int().argmax(0), _NEVER)
        self._first_bad = torch.minimum(self._first_bad, at)
        self._steps = first + part.end
        if (part.epoch + 1) % self._look_every:
            return False
        return bool((self._first_bad < _NEVER).all())

    def finish(self, intact: Tensor, memory: dict[str, Tensor]) -> Trained:
        """The record; intact: [K], whether the weights are finite at the end."""
        last = torch.where(intact, _NEVER, max(self._steps - 1, 0))
        diverged = [None if s == _NEVER else s for s in torch.minimum(self._first_bad, last).tolist()]
        return Trained(self._history(), diverged, memory)

    def _history(self) -> list[Epoch]:
        return []


class History(Record):
    """The record of whole epochs."""

    def __init__(
        self,
        problem: Problem,
        sizes: Sequence[int],
        K: int,
        first: int,
        numbers: Callable[[int], list[float]],
    ) -> None:
        """first: the epoch before which there is nothing to record. numbers: the rates [K] of an epoch."""
        super().__init__(problem, sizes, K, first * len(sizes))
        self._before, self._numbers = first, numbers
        self._means: list[Tensor] = []

    def end(self, part: Part) -> bool:
        """See `Record`."""
        self._means.append((self._now * self._shares).sum(1))
        return super().end(part)

    def _history(self) -> list[Epoch]:
        means = torch.stack(self._means).tolist() if self._means else []
        return [
            Epoch(epoch, self._numbers(epoch - 1), loss, error)
            for epoch, (loss, error) in enumerate(means, self._before + 1)
        ]


class Looks(Record):
    """The record of a window of steps: losses since the look before, handed to a hook after given steps."""

    def __init__(
        self,
        problem: Problem,
        sizes: Sequence[int],
        K: int,
        epoch: int,
        first: int,
        at: Collection[int],
        hook: Hook,
    ) -> None:
        """epoch: where steps begin to be counted. first: the steps that were made before. at: after how many of them
        the hook is called.
        """
        super().__init__(problem, sizes, K, epoch * len(sizes) + first)
        self._made, self._at, self._hook = first, frozenset(at), hook
        self._since = first % len(sizes)  # the first step of the epoch that is not in the sum yet
        self._loss, self._weight = torch.zeros_like(self._now[0, 0]), torch.zeros_like(self._shares[0])

    def note(self, step: int, measured: tuple[Tensor, Tensor]) -> None:
        """See `Record`."""
        super().note(step, measured)
        self._made += 1
        if self._made in self._at:
            self._add(step + 1)
            self._hook(self._made, self._loss / self._weight)
            self._loss, self._weight = torch.zeros_like(self._loss), torch.zeros_like(self._weight)

    def end(self, part: Part) -> bool:
        """See `Record`."""
        self._add(part.end)
        self._since = 0
        return super().end(part)

    def _add(self, step: int) -> None:
        own = slice(self._since, step)
        self._loss = self._loss + (self._now[0, own] * self._shares[own]).sum(0)
        self._weight = self._weight + self._shares[own].sum(0)
        self._since = step
