"""Trials of ensembles as the store has them: how each ended, and how one that ended is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcdist.execute.job import job_of
from mcdist.execute.worker import task_row
from mcdist.plan.ensemble_trial import Pair, trial_task
from mcdist.plan.packs import pack_of
from mcdist.plan.task import Task
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.study import Setting
from mcdist.spec.tasks import EnsembleTrialTask
from mcdist.store import PackResult, Store
from mcdist.tasks.checks_ensemble_study import members_of
from mcdist.tasks.ensemble_trial import trial_rows
from mcdist.tasks.problem_kinds.kind import Facts

__all__ = ["Ended", "Trials", "planned_members", "write_failure", "write_trial"]

Row = dict[str, Any]

_COLUMNS = ["trial_id", "parameters", "members", "members_planned", "epochs_used", "val_nll", "val_error"]


@dataclass(frozen=True)
class Ended:
    """How a trial ended. id: of its task. cycles: its rows of `trial_cycles`; planned: how many its epochs hold.

    rates: of each stretch, where they changed on the way. failed: why there is no result, None where there is one.
    diverged: whether it would fail again.
    """

    id: str
    cycles: Sequence[Row] = ()
    planned: int = 0
    rates: tuple[Pair, ...] = ()
    failed: str | None = None
    diverged: bool = False

    @property
    def complete(self) -> bool:
        """Whether it was given its whole budget."""
        return self.failed is None and len(self.cycles) == self.planned

    @property
    def state(self) -> str:
        """done, stopped or failed."""
        return "failed" if self.failed is not None else "done" if self.complete else "stopped"

    @property
    def val_nll(self) -> float:
        """Of the ensemble at its end, mean over seeds, in nats."""
        return float(self.cycles[-1]["val_nll"])


def planned_members(study: EnsembleStudySpec, setting: Setting, facts: Facts) -> int:
    """How many members of each network the epochs of a trial hold."""
    spec = trial_task(study, study.at(setting), 1).blueprint.spec
    assert isinstance(spec, EnsembleTrialTask), "a trial"
    return len(members_of(spec.trajectory, facts))


@dataclass
class Trials:
    """The trials of ensembles that a store has, read once.

    asked: ids of those that an earlier run of the study asked for; of these alone one that was stopped counts.
    """

    rows: Mapping[str, Row]
    cycles: Mapping[str, list[Row]]
    states: Mapping[str, tuple[str, str | None]]
    asked: Sequence[str] = field(default_factory=list)

    @classmethod
    def of(cls, store: Store, study: str) -> Trials:
        """As the store is now. study: its name."""
        trials, cycles = store.table("trials"), store.table("trial_cycles")
        trials = trials[trials["subject"] == "ensemble"]
        cycles = cycles[cycles["trial_id"].isin(set(trials["trial_id"]))].sort_values(["trial_id", "cycle"])
        found: dict[str, list[Row]] = {}
        for row in _plain(cycles.drop(columns=["task_id", "pack_id"], errors="ignore")):
            found.setdefault(str(row.pop("trial_id")), []).append(row)
        rows = {str(row["trial_id"]): row for row in _plain(trials[_COLUMNS])}
        asked = store.table("sweep_tasks")
        states = {i: (t.status, t.error_kind) for i, t in store.tasks().items() if t.kind == EnsembleTrialTask.kind}
        return cls(rows, found, states, asked.loc[asked["sweep"] == study, "task_id"].tolist())

    def ended(self, trial_id: str) -> Ended | None:
        """How this one ended, None where the store has no such trial, or one that is to be tried again."""
        if trial_id in self.rows:
            rates = json.loads(self.rows[trial_id]["parameters"])["rates"]
            return Ended(
                trial_id,
                self.cycles.get(trial_id, []),
                int(self.rows[trial_id]["members_planned"]),
                tuple((float(high), float(low)) for high, low in rates),
            )
        if self.states.get(trial_id) == ("failed", "diverged"):
            return Ended(trial_id, failed="a network's loss left the finite numbers", diverged=True)
        return None

    def of_setting(self, study: EnsembleStudySpec, setting: Setting, planned: int) -> Ended | None:
        """How the trial of a setting ended: complete, whoever asked for it; or stopped, in this study."""
        ensemble = study.at(setting)
        whole = self.ended(trial_task(study, ensemble, planned).id)
        if whole is not None or study.search.scheduler != "asha":
            return whole
        asked = set(self.asked)
        for cycles in range(planned - 1, 0, -1):
            trial_id = trial_task(study, ensemble, cycles).id
            if trial_id in asked and (stopped := self.ended(trial_id)) is not None:
                return stopped
        return None

    def of_study(self) -> list[Ended]:
        """Those of the earlier run, in the order in which they ended."""
        return [ended for i in self.asked if (ended := self.ended(i)) is not None]


def _plain(frame: Any) -> list[Row]:
    """Rows with None where nothing is."""
    as_objects = frame.astype(object)
    rows: list[Row] = as_objects.where(as_objects.notna(), None).to_dict("records")
    return rows


def write_trial(store: Store, task: Task, cycles: Sequence[Row], planned: int, about: Mapping[str, Any]) -> None:
    """Commit a trial that ended, as a worker that did its task would; once, however often it is called.

    about: started_at, wall_s, device, host.
    """
    spec = task.blueprint.spec
    assert isinstance(spec, EnsembleTrialTask), "a trial"
    rows = trial_rows(task.id, spec, cycles, planned)
    _write(store, task, {"status": "done", "error_kind": None, "error": None, **about}, rows)


def write_failure(store: Store, task: Task, kind: str, error: str, about: Mapping[str, Any]) -> None:
    """Record that a trial failed. kind: diverged, raised or lost."""
    _write(store, task, {"status": "failed", "error_kind": kind, "error": error, **about}, {})


def _write(store: Store, task: Task, about: Mapping[str, Any], rows: Mapping[str, Sequence[Row]]) -> None:
    job = job_of(pack_of([task]), 1)
    row = task_row(job, task.id, job.specs[0], task.inputs) | dict(about)
    stamped = {table: [{"task_id": task.id} | one for one in some] for table, some in rows.items()}
    store.commit(PackResult(job.pack_id, [row], stamped))
