"""Work on several jobs at a time: one is computed while the next is loaded and the last one is written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from mcdist.execute.choice import Choice
from mcdist.execute.job import Job, Report
from mcdist.execute.trials import Tuning
from mcdist.execute.worker import Computed

__all__ = ["Pipeline", "Stages", "Turns"]

_UNWRITTEN = 2  # packs computed or being computed whose results are not yet in the store


class Stages(Protocol):
    """The three parts of a job, and how its way is found; see `Worker`."""

    def load(self, job: Job) -> None:
        """Read what the job needs."""

    def compute(self, job: Job) -> Computed:
        """Do it."""

    def commit(self, computed: Computed) -> Report:
        """Write what came of it."""

    def tune(self, tuning: Tuning) -> Choice:
        """Choose how such jobs are computed."""


class Turns:
    """Places 0, 1, 2, ... whose turns come in this order, whoever waits first."""

    def __init__(self) -> None:
        self._next = 0
        self._given_up: set[int] = set()
        self._changed = threading.Condition()

    def reached(self, place: int) -> None:
        """Wait until it is the place's turn, or was."""
        with self._changed:
            self._changed.wait_for(lambda: self._next >= place)

    def await_turn(self, place: int) -> bool:
        """Wait until it is the place's turn; False as soon as it is given up instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._next >= place or place in self._given_up)
            return place not in self._given_up

    def end(self, place: int) -> None:
        """The turn of a place is over."""
        with self._changed:
            self._next = place + 1
            while self._next in self._given_up:
                self._next += 1
            self._changed.notify_all()

    def give_up(self, place: int) -> None:
        """Let a place have no turn at all; one whose turn has come keeps it."""
        with self._changed:
            if self._next < place:
                self._given_up.add(place)
                self._changed.notify_all()


class Pipeline:
    """Does the jobs of one worker, called by as many threads as there are jobs at a time.

    Jobs are computed one by one, in the order of their places, all in one thread that does nothing else: torch's number
    of threads is a property of the thread that sets it, so whoever calls makes no difference to any result. Loading and
    writing happen meanwhile, in the callers' threads. Of results that are not yet written there are at most two.

    make: makes the worker; called in the computing thread.
    """

    def __init__(self, make: Callable[[], Stages]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._worker = self._thread.submit(make).result()
        self._turns = Turns()
        self._unwritten = threading.Semaphore(_UNWRITTEN)

    def do(self, job: Job, place: int) -> Report | None:
        """Do the `place`-th job (from 0) and commit it. None where it was taken back before its turn."""
        began = time.perf_counter()
        self._worker.load(job)
        read_s = time.perf_counter() - began
        if not self._turns.await_turn(place):
            return None
        with self._unwritten:
            try:
                computed = self._thread.submit(self._worker.compute, job).result()
            finally:
                self._turns.end(place)
            began = time.perf_counter()
            report = self._worker.commit(computed)
            return replace(report, read_s=read_s, write_s=time.perf_counter() - began)

    def tune(self, tuning: Tuning) -> Choice:
        """See `Worker.tune`: in the computing thread, as any job."""
        return self._thread.submit(self._worker.tune, tuning).result()

    def reached(self, place: int) -> None:
        """Wait until all jobs before the `place`-th are computed."""
        self._turns.reached(place)

    def take_back(self, place: int) -> None:
        """Do not do the `place`-th job, unless its turn has come."""
        self._turns.give_up(place)
