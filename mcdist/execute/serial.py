"""The executor that does everything in this process: for debugging, and as the reference of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from mcdist.execute.choice import Choice
from mcdist.execute.executor import Ended, Executor, ExecutorError, Lost
from mcdist.execute.job import Job
from mcdist.execute.trials import Tuning
from mcdist.execute.worker import Worker
from mcdist.problems.data import Dataset
from mcdist.spec.resources import ResourcesSpec

__all__ = ["SerialExecutor"]


class SerialExecutor(Executor):
    """One worker, here, one job at a time."""

    def __init__(self, resources: ResourcesSpec, datasets: Mapping[str, Dataset]) -> None:
        self._threads_before = torch.get_num_threads()
        self._resources, self._datasets = resources, datasets
        self._worker: Worker | None = None
        self._job: Job | None = None

    def start(self, store: str, todo: Mapping[str, int]) -> int:
        """See `Executor`: one worker, on the GPU where the resources ask for one, or are silent and one is there."""
        on_gpu = torch.cuda.is_available() if self._resources.gpus == "auto" else self._resources.gpus > 0
        device = "cuda" if on_gpu else "cpu"
        self._worker = Worker(store, device, self._resources.threads, self._datasets.__getitem__)
        return 1

    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        """See `Executor`."""
        if self._worker is None:
            raise ExecutorError("the executor was not started")
        return [self._worker.tune(tuning) for tuning in tunings]

    def workers(self, kind: str) -> int:
        """See `Executor`."""
        return 1

    def free(self, ready: int, crew: int = 0) -> bool:
        """See `Executor`."""
        return self._job is None

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        self._job = job

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        """See `Executor`: does the job now."""
        job, self._job = self._job, None
        if job is None or self._worker is None:
            return []
        try:
            return [Ended(job, self._worker.do(job))]
        except Exception as error:
            raise ExecutorError(f"the worker cannot go on: {error}") from error

    def close(self) -> None:
        """See `Executor`."""
        torch.set_num_threads(self._threads_before)
