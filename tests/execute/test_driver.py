"""The driver: what it makes of lost workers, and that its work does not grow with what is done."""

from __future__ import annotations

import io
import itertools
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from mcdist.execute.choice import Choice
from mcdist.execute.driver import drive
from mcdist.execute.executor import Ended, Executor, Lost
from mcdist.execute.job import Job, Report, Verdict
from mcdist.execute.progress import ProgressDisplay
from mcdist.execute.scheduler import Scheduler
from mcdist.execute.trials import Tuning
from mcdist.plan import Blueprint, pack_of
from mcdist.spec.tasks import PauseTask
from mcdist.store import open_store

Fate = Callable[[Job], Ended | Lost]


class Fateful(Executor):
    """Does nothing; what becomes of a job is up to `fate`."""

    def __init__(self, fate: Fate) -> None:
        self._fate, self._jobs, self.sizes = fate, deque[Job](), list[int]()

    def start(self, store: str, todo: Mapping[str, int]) -> int:
        return 1

    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        return [Choice(1) for _ in tunings]

    def workers(self, kind: str) -> int:
        return 1

    def free(self, ready: int, crew: int = 0) -> bool:
        return len(self._jobs) < 2

    def submit(self, job: Job) -> None:
        self._jobs.append(job)
        self.sizes.append(len(job.ids))

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        return [self._fate(self._jobs.popleft())] if self._jobs else []

    def close(self) -> None: ...


def done(job: Job) -> Ended:
    return Ended(job, Report(job.pack_id, dict.fromkeys(job.ids, Verdict("done"))))


def driven(
    uri: Path, tasks: int, pack: int, retries: int, fate: Fate, out: io.StringIO | None = None
) -> tuple[Scheduler, list[int], pd.DataFrame]:
    """A sweep of pauses: how it ended, the sizes of the jobs, and what the driver itself wrote."""
    members = [Blueprint(PauseTask(seconds=0.0, number=n)).task() for n in range(tasks)]
    scheduler = Scheduler([pack_of(members[i : i + pack]) for i in range(0, tasks, pack)], {}, retries)
    kinds, costs = {task.id: "pause" for task in members}, {task.id: 0.0 for task in members}
    executor, store = Fateful(fate), open_store(uri, create=True)
    out = out or io.StringIO()
    drive(scheduler, executor, store, ProgressDisplay({"pause": tasks}, {}, kinds, costs, lambda kind: 1, out))
    return scheduler, executor.sizes, store.table("tasks")


def test_a_pack_whose_worker_was_killed_for_want_of_memory_is_halved_a_task_given_up(tmp_path: Path) -> None:
    def fate(job: Job) -> Ended | Lost:
        fits = len(job.ids) <= 2 and '"number":7}' not in str(job.specs)
        return done(job) if fits else Lost(job, "node low on memory", memory=True)

    scheduler, sizes, rows = driven(tmp_path, tasks=8, pack=8, retries=1, fate=fate)
    assert sizes == [8, 4, 4, 2, 2, 2, 2, 1, 1, 1]
    assert pd.Series(scheduler.status).value_counts().to_dict() == {"done": 7, "failed": 1}
    (row,) = rows.itertuples()
    assert (row.status, row.error_kind, row.attempts) == ("failed", "memory", 2)
    assert row.error == "its worker was killed for want of memory 2 times; the last time: node low on memory"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, " at pause x4 (…): it is tried again"),
        ({"memory": True}, " for want of memory at pause x4 (…): its tasks are done in halves"),
        ({"node": True}, ", its node gone or out of reach, at pause x4 (…): it is tried again"),
        ({"harmless": True}, ", its node taken away, at pause x4 (…): it is tried again"),
        ({"begun": False}, None),
    ],
)
def test_the_log_says_which_work_was_lost(tmp_path: Path, how: dict[str, bool], said: str | None) -> None:
    """Not of jobs whose turn had not come: they are only given to another."""
    lost, out = [], io.StringIO()

    def fate(job: Job) -> Ended | Lost:
        lost.append(job)
        return Lost(job, "gone", **how) if len(lost) == 1 else done(job)

    driven(tmp_path, tasks=4, pack=4, retries=3, fate=fate, out=out)
    notes = out.getvalue().replace(lost[0].pack_id[:8], "…")
    assert notes == ("" if said is None else f"note: a worker was lost{said}\n")


def test_the_log_says_that_work_is_given_up(tmp_path: Path) -> None:
    out = io.StringIO()
    driven(tmp_path, tasks=1, pack=1, retries=1, fate=lambda job: Lost(job, "gone"), out=out)
    ends = [line.rsplit(": ", 1)[1] for line in out.getvalue().splitlines()]
    assert ends == ["it is tried again", "it is given up"]


@pytest.mark.parametrize("how", [{"begun": False, "memory": True}, {"node": True}, {"harmless": True}])
def test_a_job_that_has_nothing_to_do_with_the_loss_keeps_its_attempt(tmp_path: Path, how: dict[str, bool]) -> None:
    """Its turn had not come; its whole node went; it was taken back."""
    lost = []

    def fate(job: Job) -> Ended | Lost:
        if len(lost) < 3:
            lost.append(job)
            return Lost(job, "gone", **how)
        assert job.attempt == 1
        return done(job)

    scheduler, sizes, rows = driven(tmp_path, tasks=4, pack=4, retries=0, fate=fate)
    assert (sizes, set(scheduler.status.values()), len(rows)) == ([4] * 4, {"done"}, 0)


def test_what_is_done_costs_the_driver_nothing_more(tmp_path: Path) -> None:
    """Calls of Python functions, from one event to the next: as many for the last packs as for the first."""
    calls, marks = [0], list[int]()

    def count(frame: object, event: str, arg: object) -> None:
        calls[0] += event in ("call", "c_call")

    def fate(job: Job) -> Ended | Lost:
        marks.append(calls[0])
        return done(job)

    sys.setprofile(count)
    try:
        driven(tmp_path, tasks=2000, pack=4, retries=0, fate=fate)
    finally:
        sys.setprofile(None)
    steps = [after - before for before, after in itertools.pairwise(marks)]
    assert sum(steps[-100:]) <= 1.05 * sum(steps[10:110])
