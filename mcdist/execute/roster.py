"""Who has how much to do: the worker that gets the next job, found at once however many there are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["Roster"]

M = TypeVar("M", bound=Hashable)


class Roster(Generic[M]):
    """Workers by the number of jobs that each has, from 0 to `most`.

    Every operation takes the same time for ten workers and for ten thousand. Iteration is in the order of joining.
    """

    def __init__(self, most: int) -> None:
        self._loads: dict[M, int] = {}
        # ordered ones: the first key of a plain dict is found past all that were deleted before it
        self._at: tuple[OrderedDict[M, None], ...] = tuple(OrderedDict() for _ in range(most + 1))

    def __iter__(self) -> Iterator[M]:
        return iter(tuple(self._loads))

    def __len__(self) -> int:
        return len(self._loads)

    def add(self, worker: M) -> None:
        """A worker joins, with nothing to do."""
        self._loads[worker] = 0
        self._at[0][worker] = None

    def remove(self, worker: M) -> None:
        """A worker leaves, whatever it has."""
        del self._at[self._loads.pop(worker)][worker]

    def gave(self, worker: M) -> None:
        """It has one more job; IndexError beyond `most`."""
        self._move(worker, 1)

    def gave_back(self, worker: M) -> None:
        """It has one less."""
        self._move(worker, -1)

    def _move(self, worker: M, by: int) -> None:
        load = self._loads[worker] + by
        self._at[load][worker] = None
        del self._at[load - by][worker]
        self._loads[worker] = load

    def idle(self) -> int:
        """How many have nothing to do."""
        return len(self._at[0])

    def full(self) -> list[M]:
        """Those that have `most`."""
        return list(self._at[-1])

    def next(self, keep: bool) -> M | None:
        """Who gets a job: of those with the fewest the one that has had so few for the longest; None where nobody.

        keep: whether one that has a job may have another, up to `most`, so that it need not wait for it.
        """
        for jobs in self._at[: -1 if keep else 1]:
            if jobs:
                return next(iter(jobs))
        return None
