"""Ray alone: actors that do nothing, called as often as Ray lets them. What mcdist's dispatch is measured against."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from mcdist.execute.ray_cluster import connect

__all__ = ["RawCalls", "own_ray"]


@contextmanager
def own_ray() -> Iterator[None]:
    """A Ray of this machine's own, for as long as this is entered; where this process is connected to one, that."""
    owns = connect("local")
    try:
        yield
    finally:
        if owns:
            ray.shutdown()


class _Empty:
    """An actor that does nothing."""

    def nothing(self) -> None:
        return None


_REMOTE: Any = ray.remote(_Empty)


class RawCalls:
    """Empty actors, ready. They ask for no CPU: between their calls they need none."""

    def __init__(self, actors: int) -> None:
        self._actors = [_REMOTE.options(num_cpus=0).remote() for _ in range(actors)]
        ray.get([actor.nothing.remote() for actor in self._actors])

    def bounded(self, calls: int, each: int) -> float:
        """Seconds of so many calls; never more than `each` in flight to one actor, which gets its next when one ends.

        Results are awaited and collected as `RayExecutor` does it, which has two jobs in flight to each worker.
        """
        started = time.perf_counter()
        begun, flying = 0, dict[Any, Any]()
        for actor in self._actors * each:
            if begun < calls:
                flying[actor.nothing.remote()] = actor
                begun += 1
        while flying:
            references = list(flying)
            ray.wait(references, num_returns=1)
            ended, _ = ray.wait(references, num_returns=len(references), timeout=0)
            for reference in ended:
                ray.get(reference)
                actor = flying.pop(reference)
                if begun < calls:
                    flying[actor.nothing.remote()] = actor
                    begun += 1
        return time.perf_counter() - started

    def unbounded(self, calls: int) -> float:
        """Seconds of so many calls, all in flight at once."""
        started = time.perf_counter()
        actors = self._actors
        ray.get([actors[i % len(actors)].nothing.remote() for i in range(calls)])
        return time.perf_counter() - started

    def close(self) -> None:
        """Stop the actors."""
        for actor in self._actors:
            ray.kill(actor)
