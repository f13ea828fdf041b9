"""The seam between the driver and whatever does the work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcdist.errors import McdistError
from mcdist.execute.choice import Choice
from mcdist.execute.job import Job, Report
from mcdist.execute.trials import Tuning

__all__ = ["Ended", "Executor", "ExecutorError", "Lost"]


class ExecutorError(McdistError):
    """No work can be done any more: workers do not start, or cannot write into the store."""


@dataclass(frozen=True)
class Ended:
    """A job that came to its end on its worker."""

    job: Job
    report: Report


@dataclass(frozen=True)
class Lost:
    """A job of whose end nothing is known: its worker went away (killed, out of memory, its node gone).

    begun: whether the worker was at this job when it went. One that still waited for its turn, or that was sent to a
    worker already gone, has had no part in that; nor has one that was taken back for a worker with nothing to do.
    memory: the worker was killed because memory was not enough. node: its whole node went, or nobody knows that it did
    not: nothing says that the job has to do with it. harmless: it was taken back, or its node was, by whoever lends it
    (preempted): the job has nothing to do with it, however often that happens.
    """

    job: Job
    why: str
    begun: bool = True
    memory: bool = False
    node: bool = False
    harmless: bool = False

    @property
    def blamed(self) -> bool:
        """Whether the loss counts against the job."""
        return self.begun and not self.node and not self.harmless


class Executor(ABC):
    """Does jobs, several at a time; which worker does which makes no difference to any result."""

    @abstractmethod
    def start(self, store: str, todo: Mapping[str, int]) -> int:
        """Make the workers, writing into the store at that URI. Returns their number.

        todo: tasks to do, by kind: no more workers than that are of use.
        """

    @abstractmethod
    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        """Choose, on the workers, how tasks of these shapes are computed. Call between `start` and the first job.

        Raises ExecutorError where no work can be done at all.
        """

    @property
    def crews(self) -> int:
        """How many groups of workers there are, each for certain kinds of task."""
        return 1

    def crew_of(self, kind: str) -> int:
        """Which of them, from 0, does tasks of this kind."""
        return 0

    @abstractmethod
    def workers(self, kind: str) -> int:
        """How many workers there are, or should be by now, that do tasks of this kind."""

    @abstractmethod
    def free(self, ready: int, crew: int = 0) -> bool:
        """Whether one of the `ready` jobs of a crew that could start can be submitted now.

        A worker with nothing to do always takes one. One at work may take a second, so that it need not wait for the
        driver in between, but only while at least one for every worker is left of the others.
        """

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Start a job, or keep it ready behind the one a worker is at. Call only while `free(ready)`."""

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        """What ended since the last call; returns empty after `timeout_s` without anything.

        Raises ExecutorError where no work can be done any more.
        """

    def notes(self) -> list[str]:
        """What the user should know of the workers, since the last call: how many there are, where that changed."""
        return []

    def publish(self, tasks: Mapping[tuple[str, str], int], passes: Mapping[str, float]) -> None:  # noqa: B027
        """Tell whoever watches the workers how the sweep stands: tasks by kind and state, work done by kind."""

    @abstractmethod
    def close(self) -> None:
        """Stop all workers at once; jobs still running are lost, to be done by the next run."""
