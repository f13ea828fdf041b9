"""What runs in the process of a worker on Ray."""

from __future__ import annotations

import threading
from typing import Any

import ray

from mcdist.execute.choice import Choice
from mcdist.execute.job import Job, Report
from mcdist.execute.memory import keep_freed_memory
from mcdist.execute.pipeline import Pipeline
from mcdist.execute.trials import Tuning
from mcdist.execute.worker import Worker

__all__ = ["Actor"]


class Actor:
    """A `Worker` in a process of its own; data sets come from Ray's object store, once per node."""

    _label = "mcdist"  # until it is made

    def __init__(self, store: str, threads: int, gpus: float, datasets: dict[str, Any], label: str) -> None:
        self._label = label
        keep_freed_memory()  # the process is ours; the user's own, where the serial executor works, is left alone
        device = "cuda" if gpus else "cpu"
        self._pipeline = Pipeline(lambda: Worker(store, device, threads, lambda key: ray.get(datasets[key]), gpus))

    def __repr__(self) -> str:
        """What Ray's dashboard, `ray list actors` and its logs call this worker."""
        return self._label

    def ready(self) -> str:
        """The id of its node."""
        return str(ray.get_runtime_context().get_node_id())

    def live(self) -> None:
        """Never returns: the reference to this call resolves when the actor dies."""
        threading.Event().wait()

    def reached(self, place: int) -> None:
        """See `Pipeline.reached`."""
        self._pipeline.reached(place)

    def do(self, job: Job, place: int) -> Report | None:
        """See `Pipeline.do`."""
        return self._pipeline.do(job, place)

    def take_back(self, place: int) -> None:
        """See `Pipeline.take_back`."""
        self._pipeline.take_back(place)

    def tune(self, tuning: Tuning) -> Choice:
        """See `Pipeline.tune`."""
        return self._pipeline.tune(tuning)
