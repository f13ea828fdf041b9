"""Things used recently."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Recent"]

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps the values asked for last, as long as their sizes sum to at most `limit`; one is always kept."""

    def __init__(self, limit: int, size: Callable[[T], int]) -> None:
        self._limit, self._size = limit, size
        self._values: OrderedDict[str, T] = OrderedDict()
        self._total = 0

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of a key, made where it is not there (any more)."""
        if key not in self._values:
            self._values[key] = make()
            self._total += self._size(self._values[key])
            while self._total > self._limit and len(self._values) > 1:
                _, oldest = self._values.popitem(last=False)
                self._total -= self._size(oldest)
        self._values.move_to_end(key)
        return self._values[key]
