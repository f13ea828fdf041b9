"""A clock that contenders move on, and rows of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mcdist.bench.row import Number, Row, at_least, at_most, compared, measured, skipped
from mcdist.bench.suite import Suite
from mcdist.bench.timing import Timings


class Clock:
    """Stands still unless work moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.done: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: Iterable[float]) -> Callable[[], None]:
        """Work that takes so long, from one call to the next."""
        left: Iterator[float] = iter(seconds)

        def do() -> None:
            self.done.append(name)
            self.now += next(left)

        return do


TAKEN = Timings({"plain": [6.0, 8.0, 4.0], "stacked": [2.0, 2.0, 1.0]})

ROWS = (
    compared("a", TAKEN, "plain", "stacked", aim=at_least(2.5), numbers=[Number("size", 16, "networks")]),
    compared("b", TAKEN, "stacked", "plain", threads=2),
    measured("c", "peak", [4.5, 3.5], "GB", aim=at_most(3.0)),
    skipped("d", "no GPU"),
)


def suite(*rows: Row, error: Exception | None = None) -> Suite:
    """A suite of these rows, that raises after them."""

    def give(repeats: int) -> Iterator[Row]:
        yield from rows
        if error is not None:
            raise error

    return Suite("what it is about", repeats=3, rows=give)
