"""Timing contenders in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Contender", "Ratio", "Timings", "interleaved", "stopwatch", "threads"]

Contender = Callable[[], float]
"""Does its work once and returns what that took, in seconds unless its row has another unit."""


@dataclass(frozen=True)
class Ratio:
    """Of medians over all rounds; low, high: the least and greatest ratio of one round."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Timings:
    """What each contender took, round by round."""

    values: Mapping[str, list[float]]

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return min(len(values) for values in self.values.values())

    def median(self, name: str) -> float:
        """The median of one contender."""
        return statistics.median(self.values[name])

    def ratio(self, over: str, under: str) -> Ratio:
        """What `over` took, in units of what `under` took in the same rounds."""
        each = [a / b for a, b in zip(self.values[over], self.values[under], strict=True)]
        return Ratio(self.median(over) / self.median(under), min(each), max(each))


def stopwatch(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Contender:
    """The contender that does `work`. On a GPU `work` must wait for what it started there."""

    def timed() -> float:
        started = clock()
        work()
        return clock() - started

    return timed


def interleaved(contenders: Mapping[str, Contender], repeats: int, *, warm_up: int = 0) -> Timings:
    """All contenders one after the other, `repeats` times over, after `warm_up` rounds that do not count."""
    for _ in range(warm_up):
        for contender in contenders.values():
            contender()
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            values[name].append(contender())
    return Timings(values)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch compute on so many threads of this process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
