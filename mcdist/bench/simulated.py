"""Workers that only exist in a heap of events: what a driver would do with thousands of them, in its real time."""

from __future__ import annotations

import hashlib
import heapq
import math
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from mcdist.execute.choice import Choice
from mcdist.execute.executor import Ended, Executor, Lost
from mcdist.execute.job import Job, Report, Verdict
from mcdist.execute.roster import Roster
from mcdist.execute.trials import Tuning

__all__ = ["Costs", "Fates", "Simulated"]

HELD = 2  # jobs that a worker has at a time, as on Ray
_DONE = Verdict("done")
_DIVERGED = Verdict("failed", "diverged")


@dataclass(frozen=True)
class Fates:
    """What becomes of jobs.

    A pack of n tasks takes n task_s x exp(spread z - spread^2 / 2), z a standard normal: `task_s` for each task on
    average, the longest of 60,000 forty times as long. lost: share of starts that take their worker with them, at a
    moment drawn evenly, and `back_s` until another is there. raised: share of packs of several tasks that raise,
    failed: of tasks that diverge. Draws follow from the ids of packs and their attempts, not from order.
    """

    task_s: float = 4.0
    spread: float = 1.0
    lost: float = 0.01
    back_s: float = 60.0
    raised: float = 0.001
    failed: float = 1e-4

    def draw(self, job: Job) -> _Fate:
        """What becomes of a job."""
        text = hashlib.blake2b(f"{job.pack_id} {job.attempt}".encode(), digest_size=32).digest()
        u = [(int.from_bytes(text[i : i + 8], "big") + 0.5) / 2**64 for i in range(0, 32, 8)]
        n = len(job.ids)
        seconds = n * self.task_s * math.exp(self.spread * NormalDist().inv_cdf(u[0]) - self.spread**2 / 2)
        if u[1] < self.lost:
            return _Fate(seconds * u[1] / self.lost, None)
        if n > 1 and u[2] < self.raised:
            return _Fate(seconds, Report(job.pack_id, {}, raised="simulated", wall_s=seconds))
        verdicts = dict.fromkeys(job.ids, _DONE)
        if u[3] < self.failed * n:
            verdicts[job.ids[int(u[3] / self.failed)]] = _DIVERGED
        return _Fate(seconds, Report(job.pack_id, verdicts, wall_s=seconds))


@dataclass(frozen=True)
class _Fate:
    """seconds: until it ends. report: what the worker says; None where it is gone."""

    seconds: float
    report: Report | None


@dataclass(frozen=True)
class Costs:
    """What of the driver's time counts on the simulated clock: all of its own CPU, or none (a driver that takes none).

    job: seconds more for each job, reference: for each job held and each worker at every look for what has ended: what
    the machinery under the driver takes, which is not there.
    """

    own: bool = True
    job: float = 0.0
    reference: float = 0.0


@dataclass
class _Desk:
    """A simulated worker: the jobs that it has, the first of which it is at."""

    held: deque[Job] = field(default_factory=deque)
    fate: _Fate = field(default_factory=lambda: _Fate(0.0, None))


class Simulated(Executor):
    """`workers` workers on an event-driven clock. The clock moves by what the driver takes between its calls, and jumps
    to the next event where the driver waits for one; a worker that has nothing left waits until the driver is there.

    now: seconds on that clock. driver_s: CPU seconds of the driver, without those of the simulation. occupied_s:
    seconds that workers had something to do, summed. seen: jobs by how they ended. fed: when the last job was sent that
    had not been sent before.
    """

    def __init__(self, workers: int, fates: Fates, costs: Costs) -> None:
        self._fates, self._costs = fates, costs
        self._desks = [_Desk() for _ in range(workers)]
        self._roster = Roster[int](HELD)
        for worker in range(workers):
            self._roster.add(worker)
        self._events: list[tuple[float, int, int]] = []  # when, a number that makes them different, whose
        self._number = 0
        self.now = self.fed = self.driver_s = self.occupied_s = 0.0
        self.seen: Counter[str] = Counter()
        self._back: set[str] = set()  # packs that were sent, and taken back
        self._left = time.process_time()

    def start(self, store: str, todo: Mapping[str, int]) -> int:
        """See `Executor`: they are there."""
        return len(self._desks)

    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        """See `Executor`: nothing is tried."""
        return [Choice(1) for _ in tunings]

    def workers(self, kind: str) -> int:
        """See `Executor`."""
        return len(self._desks)

    def free(self, ready: int, crew: int = 0) -> bool:
        """See `Executor`: as `RayExecutor` says it, and in the driver's time."""
        return self._roster.next(keep=ready > len(self._desks)) is not None

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        worker = self._roster.next(keep=True)
        assert worker is not None, "no worker is free"
        self._roster.gave(worker)
        self._arrive(self._costs.job)
        if job.attempt == 1 and job.pack_id not in self._back:
            self.fed = self.now
        desk = self._desks[worker]
        desk.held.append(job)
        if len(desk.held) == 1:
            self._begin(worker, self.now)
        self._leave()

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        """See `Executor`; there is always an event to come, so the time-out is never needed."""
        jobs = sum(len(desk.held) for desk in self._desks) if self._costs.reference else 0
        self._arrive(self._costs.reference * (jobs + len(self._roster)))
        found: list[Ended | Lost] = list(self._taken_back())
        if not found and self._events:
            self.now = max(self.now, self._events[0][0])
        while self._events and self._events[0][0] <= self.now:
            when, _, worker = heapq.heappop(self._events)
            found += self._passes(when, worker)
        self._leave()
        return found

    def _arrive(self, extra: float) -> None:
        """The driver calls: its clock shows the time that it took since it was left."""
        taken = time.process_time() - self._left
        self.driver_s += taken
        if self._costs.own:
            self.now += taken + extra

    def _leave(self) -> None:
        self._left = time.process_time()

    def _push(self, when: float, worker: int) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, worker))

    def _begin(self, worker: int, when: float) -> None:
        desk = self._desks[worker]
        desk.fate = self._fates.draw(desk.held[0])
        self.occupied_s += desk.fate.seconds
        self._push(when + desk.fate.seconds, worker)

    def _passes(self, when: float, worker: int) -> Iterator[Ended | Lost]:
        """A worker ends its job, dies of it, or, where it has none, takes the place of one that did."""
        desk = self._desks[worker]
        if not desk.held:
            self._roster.add(worker)
        elif desk.fate.report is None:
            self.seen["lost"] += 1
            self._roster.remove(worker)
            jobs = [desk.held.popleft() for _ in range(len(desk.held))]
            self._push(when + self._fates.back_s, worker)
            yield from (Lost(job, "simulated", begun=place == 0) for place, job in enumerate(jobs))
        else:
            report, job = desk.fate.report, desk.held.popleft()
            self.seen["raised" if report.raised else "ended"] += 1
            self._roster.gave_back(worker)
            if desk.held:
                self._begin(worker, when)
            yield Ended(job, report)

    def _taken_back(self) -> Iterator[Lost]:
        """Where workers have nothing to do, there is nothing else to start: they get what others keep for later."""
        idle = self._roster.idle()
        for worker, desk in enumerate(self._desks if idle else ()):
            if idle and len(desk.held) > 1:
                idle -= 1
                self.seen["taken back"] += 1
                self._roster.gave_back(worker)
                job = desk.held.pop()
                self._back.add(job.pack_id)
                yield Lost(job, "taken back", begun=False)

    def close(self) -> None:
        """See `Executor`."""
