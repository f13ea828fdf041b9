"""Learning-rate schedules: a multiplier of the base rate as a function of progress in [0, 1)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

__all__ = ["SCHEDULES", "Constant", "Cosine", "Piecewise", "Schedule", "Step"]


class Schedule(ABC):
    """m(progress): the rate is lr * m(epoch / epochs), set at the beginning of each epoch, epochs counted from 0."""

    def at(self, epoch: int, epochs: int) -> float:
        """The multiplier in an epoch (from 0) of so many."""
        return self(epoch / epochs)

    @abstractmethod
    def __call__(self, progress: float) -> float:
        """The multiplier at a progress in [0, 1)."""


@dataclass(frozen=True)
class Constant(Schedule):
    """m = 1."""

    def __call__(self, progress: float) -> float:
        """See `Schedule`."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """m = (1 + cos(pi progress)) / 2 (Loshchilov & Hutter 2017, one cycle)."""

    def __call__(self, progress: float) -> float:
        """See `Schedule`."""
        return 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Step(Schedule):
    """m = gamma^(number of milestones at or before progress); milestones are fractions of the training."""

    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1

    def __call__(self, progress: float) -> float:
        """See `Schedule`."""
        return self.gamma ** sum(progress >= m for m in self.milestones)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """1 until half, linear down to `floor` at 90 %, `floor` after (Garipov et al. 2018: floor 0.01).

    Their public code counts epochs from 1, and so does this schedule: in the last epoch progress is 1.
    """

    floor: float = 0.01

    def at(self, epoch: int, epochs: int) -> float:
        """See `Schedule`."""
        return self((epoch + 1) / epochs)

    def __call__(self, progress: float) -> float:
        """See `Schedule`."""
        if progress <= 0.5:
            return 1.0
        if progress <= 0.9:
            return 1.0 - (1.0 - self.floor) * (progress - 0.5) / 0.4
        return self.floor


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "step": Step,
    "piecewise": Piecewise,
}
