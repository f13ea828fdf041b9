"""Things used recently."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Recent"]

T = TypeVar("T")


class Recent(Generic[T]):
    """Keeps the values asked for last, as long as their sizes sum to at most `limit`; one is always kept.

    Any thread may ask. Two that ask for the same new value at the same time may both make it; they get the same one.
    """

    def __init__(self, limit: int, size: Callable[[T], int]) -> None:
        self._limit, self._size = limit, size
        self._values: OrderedDict[str, T] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of a key, made where it is not there (any more)."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()  # without the lock: who needs another value need not wait for this one
        with self._lock:
            return self._kept(key, value)

    def _kept(self, key: str, value: T) -> T:
        if key not in self._values:
            self._values[key] = value
            self._total += self._size(value)
            while self._total > self._limit and len(self._values) > 1:
                _, oldest = self._values.popitem(last=False)
                self._total -= self._size(oldest)
        self._values.move_to_end(key)
        return self._values[key]
