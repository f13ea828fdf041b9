"""What Ray takes of a driver's own time: for each job that it sends, each reference that it watches."""

from __future__ import annotations

import time
from typing import Any

import ray

__all__ = ["job_seconds", "reference_seconds"]


class _Answers:
    """An actor that has its answer ready, and one call that never returns."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def reached(self, place: int) -> None:
        return None

    def do(self, job: Any, place: int) -> Any:
        return self._answer

    def for_ever(self) -> None:
        time.sleep(1e6)


_REMOTE: Any = ray.remote(_Answers)


def job_seconds(job: Any, answer: Any, jobs: int) -> float:
    """CPU seconds of the calling thread for each of so many jobs, sent, awaited and collected as `RayExecutor` does,
    with two actors that have two each. What Ray's own threads take beside it is not counted: they have other cores.
    """
    actors = [_REMOTE.options(num_cpus=0, max_concurrency=8).remote(answer) for _ in range(2)]
    ray.get([actor.do.remote(job, 0) for actor in actors])
    began, begun, flying = time.thread_time(), 0, dict[Any, tuple[Any, Any]]()
    while begun < jobs or flying:
        free = actors * 2 if not begun else []
        if flying:
            references = list(flying)
            ray.wait(references, num_returns=1)
            for reference in ray.wait(references, num_returns=len(references), timeout=0)[0]:
                ray.get(reference)
                free.append(flying.pop(reference)[0])
        for actor in free[: jobs - begun]:
            reached = actor.reached.remote(begun)
            flying[actor.do.remote(job, begun)] = actor, reached
            begun += 1
    taken = (time.thread_time() - began) / jobs
    for actor in actors:
        ray.kill(actor)
    return taken


def reference_seconds(references: int, looks: int = 5) -> float:
    """CPU seconds of the calling thread for each of so many references, to see once which of them have resolved.

    Two calls of `ray.wait`, as `RayExecutor` makes them: for the first to resolve, then for all that have by then.
    """
    actor = _REMOTE.options(num_cpus=0).remote(None)
    actor.for_ever.remote()
    waiting = [actor.reached.remote(i) for i in range(references)]
    began = time.thread_time()
    for _ in range(looks):
        ray.wait(waiting, num_returns=1, timeout=0)
        ray.wait(waiting, num_returns=len(waiting), timeout=0)
    taken = (time.thread_time() - began) / looks / references
    ray.kill(actor)
    return taken
