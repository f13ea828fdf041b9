"""A suite: rows that are measured together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mcdist.bench.row import Row
from mcdist.errors import McdistError

__all__ = ["Skipped", "Suite"]


class Skipped(McdistError):
    """Something that the suite needs is not there; the message says what."""


@dataclass(frozen=True)
class Suite:
    """what: the question it answers, in a line. repeats: rounds, unless the user wants another number of them.

    rows: measures with that many rounds and gives each row as soon as it is there; may raise `Skipped`, and whatever
    else is recorded as a failure.
    """

    what: str
    repeats: int
    rows: Callable[[int], Iterable[Row]]
