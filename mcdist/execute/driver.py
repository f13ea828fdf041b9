"""Running a plan: packs through an executor, results into the store, until nothing is left to do."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import FrameType
from typing import Any

from mcdist.execute.executor import Ended, Executor, Lost
from mcdist.execute.job import Job, Report, Verdict, job_of
from mcdist.execute.progress import ProgressDisplay
from mcdist.execute.scheduler import Scheduler
from mcdist.execute.worker import task_row
from mcdist.store import PackResult, Store

__all__ = ["Interrupted", "Signals", "Summary", "drive"]

_WRITERS = 8  # packs whose rows the driver writes at a time


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@dataclass
class Summary:
    """How a run ended: tasks by status, those that did not succeed, and the signal that interrupted it, if any.

    what: that was counted.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    interrupted: int | None = None
    what: str = "tasks"

    @property
    def exit_code(self) -> int:
        """0 all done; 1 some tasks failed; 128 + signal number when interrupted."""
        if self.interrupted is not None:
            return 128 + self.interrupted
        return 1 if self.failed else 0


class Signals:
    """SIGINT and SIGTERM raise Interrupted while this is entered; elsewhere than in the main thread nothing changes.

    number: the signal that came. It is kept because libraries wrap what is raised inside them: Ray turns an exception
    from a signal handler into a SystemError of its own.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self.install()
        return self

    def install(self) -> None:
        """Put the handlers in place; once more after connecting to Ray, which installs its own, which abort."""
        for number in self._before:
            signal.signal(number, self._interrupt)

    def only_note(self) -> None:
        """Let signals set `number` alone, for whoever looks there every so often."""
        for number in self._before:
            signal.signal(number, self._note)

    def ignore(self) -> None:
        """Let no more signals through: all that is left to do is to stop."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self.ignore()
        raise Interrupted(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def drive(scheduler: Scheduler, executor: Executor, store: Store, progress: ProgressDisplay) -> None:
    """Keep the executor busy until every task of the scheduler is settled. Work in flight is bounded by the workers."""
    while scheduler.pending():
        _note_blocked(scheduler, store, progress)
        for crew in range(executor.crews):
            while executor.free(scheduler.ready(crew), crew) and (job := scheduler.next(crew)) is not None:
                executor.submit(job)
        for event in executor.wait(timeout_s=1.0):
            if isinstance(event, Lost):
                _lost(event, scheduler, store, progress)
            else:
                _ended(event, scheduler, progress)
        for note in executor.notes():
            progress.say(note)
        progress.tick()
    _note_blocked(scheduler, store, progress)


def _ended(event: Ended, scheduler: Scheduler, progress: ProgressDisplay) -> None:
    for note in event.report.notes:
        progress.say(note)
    if event.report.raised is not None:
        again = scheduler.halve if event.report.memory else scheduler.raised
        again(event.job.pack_id)
        return
    for task_id, verdict in event.report.verdicts.items():
        progress.note(task_id, verdict.status, event.report.wall_s / len(event.job.ids))
    scheduler.ended(event.job.pack_id, event.report.verdicts)


def _lost(event: Lost, scheduler: Scheduler, store: Store, progress: ProgressDisplay) -> None:
    """Try again, or record the failure: the worker that should have written it is no more.

    If it had just written it, and not yet said so, there is nothing to try.
    """
    states = store.pack_states(event.job.pack_id)
    if all(task_id in states for task_id in event.job.ids):
        verdicts = {i: Verdict(states[i].status, states[i].error_kind) for i in event.job.ids}
        wall_s = sum(states[i].wall_s or 0.0 for i in event.job.ids)
        _ended(Ended(event.job, Report(event.job.pack_id, verdicts, wall_s=wall_s)), scheduler, progress)
        return
    job = event.job
    halved = event.memory and event.begun and len(job.ids) > 1
    if halved:
        scheduler.halve(job.pack_id)
    given_up = not halved and scheduler.lost(job.pack_id, event.blamed, event.harmless)
    if event.begun:
        then = "its tasks are done in halves" if halved else "it is given up" if given_up else "it is tried again"
        progress.tell(f"a worker was lost{_how(event)} at {job.kind} x{len(job.ids)} ({job.pack_id[:8]}): {then}")
    if not given_up:
        return
    kind, what = ("memory", "was killed for want of memory") if event.memory else ("lost", "was lost")
    error = f"its worker {what} {job.attempt} times; the last time: {event.why}"
    store.commit(_result(job, dict.fromkeys(job.ids, ("failed", kind, error))))
    for task_id in job.ids:
        progress.note(task_id, "failed", 0.0)
    scheduler.ended(job.pack_id, {i: Verdict("failed", kind) for i in job.ids})


def _how(event: Lost) -> str:
    if event.memory:
        return " for want of memory"
    return ", its node taken away," if event.harmless else ", its node gone or out of reach," if event.node else ""


def _note_blocked(scheduler: Scheduler, store: Store, progress: ProgressDisplay) -> None:
    found = []
    for pack, causes in scheduler.take_blocked():
        verdicts = {
            i: (
                "blocked",
                "blocked",
                f"not done, because of its input: {', '.join(inputs)} ({_what(scheduler, inputs)})",
            )
            for i, inputs in causes.items()
        }
        found.append((job_of(pack, 0), verdicts))
        for task_id in verdicts:
            progress.note(task_id, "blocked", 0.0)

    if found:  # of what one failure blocks there may be much, and to write it is to wait for the store
        with ThreadPoolExecutor(min(_WRITERS, len(found))) as pool:
            list(pool.map(lambda one: store.commit(_result(*one)), found))


def _what(scheduler: Scheduler, inputs: list[str]) -> str:
    return ", ".join(sorted({scheduler.status[i] for i in inputs}))


def _result(job: Job, verdicts: Mapping[str, tuple[str, str, str]]) -> PackResult:
    """Rows of `tasks` for what no worker wrote: task id -> status, kind of error, message."""
    rows = [
        task_row(job, i, spec, inputs)
        | {"status": verdicts[i][0], "error_kind": verdicts[i][1], "error": verdicts[i][2], "wall_s": 0.0}
        | {"started_at": datetime.now(timezone.utc)}
        for i, spec, inputs in zip(job.ids, job.specs, job.inputs, strict=True)
    ]
    return PackResult(job.pack_id, rows)
