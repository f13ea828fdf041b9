"""One trial of a study: its tasks, done by an executor into the store like those of any sweep."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mcdist.execute.driver import drive
from mcdist.execute.executor import Executor
from mcdist.execute.progress import ProgressDisplay
from mcdist.execute.state import what_remains
from mcdist.execute.sweep import scheduled
from mcdist.plan.graph import Plan
from mcdist.plan.trial import trial_plan
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.store import Store

__all__ = ["Found", "Outcome", "Silent", "Work", "do_trial", "found_in"]

_COLUMNS = ["trial_id", "t_nominal", "runs", "arrived", "exposure", "relaxation_time"]


@dataclass(frozen=True)
class Work:
    """What all trials of a study share. spec: of the sweep whose paths these are, with the one problem that they are
    on, the study's name, and how the work is done. paths: their ids.
    """

    spec: SweepSpec
    paths: tuple[str, ...]

    def plan(self, relaxation: RelaxationSpec) -> Plan:
        """The tasks of a trial; the last one is the trial's own."""
        return trial_plan(self.spec, relaxation, self.paths)


@dataclass(frozen=True)
class Found:
    """What a complete trial found: of its row in `trials`. time: the relaxation time, None where no run arrived."""

    t_nominal: float | None
    runs: int
    arrived: int
    exposure: float
    time: float | None


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. found: None where it is not complete; failed: its tasks that did not succeed, by status;
    error: what kept it from being done at all; notes: what the user should know of its worker.
    """

    found: Found | None
    failed: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    notes: tuple[str, ...] = ()


def found_in(store: Store, ids: Sequence[str]) -> dict[str, Found]:
    """What the complete ones of these trials found, by id."""
    rows = store.table("trials", _COLUMNS)
    rows = rows[rows["trial_id"].isin(set(ids))].astype(object)
    found = {}
    for trial_id, t_nominal, runs, arrived, exposure, time in rows.where(rows.notna(), None).itertuples(index=False):
        found[trial_id] = Found(t_nominal, runs or 0, arrived or 0, exposure or 0.0, time)
    return found


def do_trial(work: Work, relaxation: RelaxationSpec, store: Store, executor: Executor) -> Outcome:
    """Do what is missing of a trial. executor: was started on the store."""
    plan = work.plan(relaxation)
    remains = what_remains(plan, store.tasks())
    statuses, notes = dict(remains.settled), list[str]()
    if len(statuses) < len(plan.tasks):
        # the paths, which are done, are no tasks of the plan: it is of what the study asks for
        scheduler = scheduled(
            plan, replace(remains, settled=statuses | dict.fromkeys(work.paths, "done")), store, executor
        )
        progress = Silent(plan)
        drive(scheduler, executor, store, progress)
        statuses, notes = scheduler.status, progress.notes
    failed = Counter(statuses[i] for i in plan.tasks if statuses[i] != "done")
    trial_id = list(plan.tasks)[-1]
    return Outcome(found_in(store, [trial_id]).get(trial_id), dict(failed), notes=tuple(notes))


class Silent(ProgressDisplay):
    """Shows nothing, and keeps the notes: what the user sees of a study are whole trials."""

    def __init__(self, plan: Plan) -> None:
        kinds: dict[str, Any] = {i: task.kind for i, task in plan.tasks.items()}
        super().__init__(plan.counts(), {}, kinds, dict.fromkeys(kinds, 0.0), lambda kind: 1, io.StringIO())
        self.notes: list[str] = []

    def tell(self, note: str) -> None:
        """See `ProgressDisplay`."""
        self.notes.append(note)
