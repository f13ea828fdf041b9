"""One line of the benchmark: what was measured, how it spreads, what it should be."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mcdist.bench.timing import Timings

__all__ = ["Aim", "Number", "Row", "at_least", "at_most", "compared", "failed", "measured", "skipped"]

Status = Literal["measured", "skipped", "failed"]


@dataclass(frozen=True)
class Aim:
    """What a value should be: at least, or at most, `bound`."""

    bound: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Whether the value is as it should be."""
        return value >= self.bound if self.at_least else value <= self.bound


def at_least(bound: float) -> Aim:
    """The aim of a value that should be great."""
    return Aim(bound, True)


def at_most(bound: float) -> Aim:
    """The aim of a value that should be small."""
    return Aim(bound, False)


@dataclass(frozen=True)
class Number:
    """Something else that was measured."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Row:
    """value: of the medians over all rounds, in `unit` ("x": a ratio); low, high: its least and greatest in one round.

    Where nothing was measured `status` says that, and `reason` why; there is no value then, and no aim is met.
    threads: of torch, in every contender that does not say otherwise in its name.
    """

    name: str
    what: str = ""
    status: Status = "measured"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = "x"
    rounds: int = 0
    aim: Aim | None = None
    threads: int = 1
    numbers: tuple[Number, ...] = ()
    reason: str | None = None
    suite: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the aim was met; None without an aim or a value."""
        return None if self.aim is None or self.value is None else self.aim.met(self.value)


def compared(
    name: str,
    taken: Timings,
    over: str,
    under: str,
    *,
    aim: Aim | None = None,
    numbers: Sequence[Number] = (),
    threads: int = 1,
    unit: str = "s",
) -> Row:
    """The row of a ratio: what `over` took over what `under` took. unit: of both; their medians are numbers of it."""
    ratio = taken.ratio(over, under)
    medians = tuple(Number(contender, taken.median(contender), unit) for contender in taken.values)
    return Row(
        name,
        f"{over} / {under}",
        value=ratio.value,
        low=ratio.low,
        high=ratio.high,
        rounds=taken.rounds,
        aim=aim,
        threads=threads,
        numbers=(*medians, *numbers),
    )


def measured(
    name: str,
    what: str,
    values: Sequence[float],
    unit: str,
    *,
    aim: Aim | None = None,
    numbers: Sequence[Number] = (),
    threads: int = 1,
) -> Row:
    """The row of a number that stands for itself, one value of each round."""
    return Row(
        name,
        what,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        unit=unit,
        rounds=len(values),
        aim=aim,
        threads=threads,
        numbers=tuple(numbers),
    )


def skipped(name: str, reason: str) -> Row:
    """The row of what could not be measured here."""
    return Row(name, status="skipped", reason=reason)


def failed(name: str, reason: str) -> Row:
    """The row of what broke."""
    return Row(name, status="failed", reason=reason)
