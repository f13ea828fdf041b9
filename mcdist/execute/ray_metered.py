"""The executor on Ray, telling how it goes."""

from __future__ import annotations

from collections.abc import Mapping

from mcdist.execute.executor import Ended, Lost
from mcdist.execute.job import Job
from mcdist.execute.metrics import SweepMetrics
from mcdist.execute.ray_pool import RayExecutor
from mcdist.problems.data import Dataset
from mcdist.spec.resources import ResourcesSpec

__all__ = ["MeteredRay"]


class MeteredRay(RayExecutor):
    """A `RayExecutor` that records what `metrics` lists, under the sweep's name."""

    def __init__(
        self, resources: ResourcesSpec, datasets: Mapping[str, Dataset], address: str | None, sweep: str
    ) -> None:
        super().__init__(resources, datasets, address, sweep)
        self._metrics = SweepMetrics(sweep)

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        super().submit(job)
        self._metrics.sent(job)

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        """See `Executor`."""
        events = super().wait(timeout_s)
        self._metrics.came(events)
        self._metrics.workers(sum(len(crew.members) for crew in self._crews))
        return events

    def publish(self, tasks: Mapping[tuple[str, str], int], passes: Mapping[str, float]) -> None:
        """See `Executor`."""
        self._metrics.stand(tasks, passes)
