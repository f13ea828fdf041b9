"""The seam between the driver and whatever does the work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mcdist.errors import McdistError
from mcdist.execute.job import Job, Report

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
    """A job whose worker went away (killed, out of memory, its node gone)."""

    job: Job
    why: str


class Executor(ABC):
    """Does jobs, several at a time; which worker does which makes no difference to any result."""

    @abstractmethod
    def start(self, store: str, most: int) -> int:
        """Make the workers, writing into the store at that URI; `most` of them are of use. Returns their number."""

    @abstractmethod
    def free(self) -> int:
        """Jobs that can be submitted now."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Start a job. Call only while `free()` is positive."""

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        """What ended since the last call; returns empty after `timeout_s` without anything.

        Raises ExecutorError where no work can be done any more.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop all workers at once; jobs still running are lost, to be done by the next run."""
