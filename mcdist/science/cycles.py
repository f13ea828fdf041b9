"""Cyclic learning rates: absolute rates step by step, and the steps after which members of an ensemble are taken.

Steps are counted from i = 1 where the cycles begin. K points may each have rates of their own; cycles, and so members,
they have in common.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mcdist.science.optimizers import PerPoint

__all__ = ["Cosine", "CyclicRate", "Pair", "Triangle"]

Pair = tuple[float, float]
"""Highest and lowest rate: lr1, lr2."""


class CyclicRate(ABC):
    """Rates of K points by step, and when members are taken. cycle: steps of a cycle, c."""

    cycle: int

    @abstractmethod
    def rate(self, i: int) -> list[float]:
        """The rates [K] of step i >= 1."""

    @abstractmethod
    def pairs(self, stretch: int) -> list[Pair]:
        """(lr1, lr2) of the K points on a stretch: the steps up to a member from that before; stretches from 0."""

    @abstractmethod
    def members(self, total: int) -> list[int]:
        """The steps, of so many, after which members are taken, in order."""

    @property
    @abstractmethod
    def alike(self) -> bool:
        """Whether all K points have the same rates."""

    def rates(self, first: int, last: int, like: Tensor, *, tensors: bool = False) -> Sequence[PerPoint]:
        """The rates of steps first + 1, ..., last: numbers where all points have the same, else (or `tensors`)
        [K, 1, 1] each, of the type and on the device of `like`.
        """
        numbers = [self.rate(i) for i in range(first + 1, last + 1)]
        if self.alike and not tensors:
            return [own[0] for own in numbers]
        # copied to the device at once: a step then waits for nothing
        return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, :, None, None].unbind()

    def looks(self, total: int, per_cycle: int) -> list[int]:
        """The steps after which a network is looked at, in order: 0, before the first; so many in each cycle, at equal
        distances rounded to steps; every member. None is after the last member.
        """
        members = self.members(total)
        last = max(members, default=0)
        within = [(2 * n * self.cycle + per_cycle) // (2 * per_cycle) for n in range(per_cycle)]
        spaced = (start + at for start in range(0, last + 1, self.cycle) for at in within)
        return sorted({0, *members, *(i for i in spaced if i <= last)})


@dataclass(frozen=True)
class Triangle(CyclicRate):
    """Down from lr1 to lr2 and up again (Garipov et al. 2018): with t(i) = ((i - 1) mod c + 1) / c,

        lr(i) = (1 - 2t) lr1 + 2t lr2 for t <= 1/2, and (2 - 2t) lr2 + (2t - 1) lr1 after.

    A member in the middle of each cycle, where the rate is lr2. (In the authors' public code t is one step less.)
    lr1, lr2: K each. stretches: (lr1, lr2) of all K points on each stretch that ends in a member, in place of those;
    the last goes on where there are more of them.
    """

    cycle: int
    lr1: tuple[float, ...]
    lr2: tuple[float, ...]
    stretches: tuple[Pair, ...] = ()

    def __post_init__(self) -> None:
        if self.cycle < 2 or self.cycle % 2:
            raise ValueError(f"a cycle of {self.cycle} steps has no middle: an even number is needed")

    def rate(self, i: int) -> list[float]:
        """See `CyclicRate`: lr2 + |1 - 2t| (lr1 - lr2), which is the same, and lr1 itself where both are equal."""
        height = abs(self.cycle - 2 * ((i - 1) % self.cycle + 1)) / self.cycle
        return [low + height * (high - low) for high, low in self.pairs(self.stretch(i))]

    def stretch(self, i: int) -> int:
        """Which stretch step i is on, from 0: how many members were taken before it."""
        return (i - 1 + self.cycle // 2) // self.cycle

    def pairs(self, stretch: int) -> list[Pair]:
        """See `CyclicRate`."""
        if self.stretches:
            chosen = self.stretches[min(stretch, len(self.stretches) - 1)]
            return [chosen] * len(self.lr1)
        return list(zip(self.lr1, self.lr2, strict=True))

    def members(self, total: int) -> list[int]:
        """See `CyclicRate`: i with i mod c = c/2."""
        return list(range(self.cycle // 2, total + 1, self.cycle))

    @property
    def alike(self) -> bool:
        """See `CyclicRate`."""
        return bool(self.stretches) or len({*zip(self.lr1, self.lr2, strict=True)}) == 1


@dataclass(frozen=True)
class Cosine(CyclicRate):
    """Down from lr1 towards 0, M times (Huang et al. 2017): of I steps in all, with c = ceil(I / M),

        lr(i) = lr1 / 2 (cos(pi ((i - 1) mod c) / c) + 1).

    A member at the end of each cycle; the last one, after step I, may be short. lr1: K.
    """

    total: int
    cycles: int
    lr1: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.cycles <= self.total:
            raise ValueError(f"{self.total} steps are no {self.cycles} cycles")

    @property
    def cycle(self) -> int:  # type: ignore[override]
        """See `CyclicRate`."""
        return -(-self.total // self.cycles)

    def rate(self, i: int) -> list[float]:
        """See `CyclicRate`."""
        share = (math.cos(math.pi * ((i - 1) % self.cycle) / self.cycle) + 1) / 2
        return [high * share for high in self.lr1]

    def pairs(self, stretch: int) -> list[Pair]:
        """See `CyclicRate`: lr2 is 0."""
        return [(high, 0.0) for high in self.lr1]

    def members(self, total: int) -> list[int]:
        """See `CyclicRate`: i with i mod c = 0, and I."""
        ends = {*range(self.cycle, self.total + 1, self.cycle), self.total}
        return sorted(i for i in ends if i <= total)

    @property
    def alike(self) -> bool:
        """See `CyclicRate`."""
        return len(set(self.lr1)) == 1
