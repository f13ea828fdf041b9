"""A study of ensembles from its specification to its trials, its winner, and the run that compares it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TextIO

from mcdist.errors import RequestError
from mcdist.execute.driver import Signals, Summary, drive
from mcdist.execute.ensemble_log import EnsembleLog
from mcdist.execute.ensemble_search import listed_settings, trial_name
from mcdist.execute.ensemble_trials import Ended, Trials, planned_members
from mcdist.execute.executor import Executor
from mcdist.execute.progress import ProgressDisplay
from mcdist.execute.serial import SerialExecutor
from mcdist.execute.state import what_remains
from mcdist.execute.study_search import setting_key
from mcdist.execute.study_trial import Silent
from mcdist.execute.sweep import ExecutorName, run_sweep, scheduled, task_costs
from mcdist.plan.ensemble_trial import compared, pairless, starts_plan, trial_task
from mcdist.plan.graph import Plan
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.load_ensemble_study import load_ensemble_study
from mcdist.spec.study import Setting
from mcdist.spec.yaml_source import parse_yaml
from mcdist.store import Store, check_target, open_store
from mcdist.tasks.checks import at
from mcdist.tasks.checks_ensemble_study import check_ensemble_study
from mcdist.tasks.problems import Prepared, prepare

__all__ = ["run_ensemble_study"]

Earlier = tuple[str, Setting, Ended]
"""A trial that an earlier run of the study ended, and what the log calls it."""


def run_ensemble_study(
    study: EnsembleStudySpec,
    *,
    store_uri: str | None,
    executor: ExecutorName,
    address: str | None,
    out: TextIO,
    source: str = "study",
) -> Summary:
    """Do the trials of a study that the store does not have yet, then the sweep that compares the best of them; the
    summary counts trials, or the tasks of that sweep where one of these failed.

    Raises RequestError, before anything is written, for a wrong request. source: what messages call the study.
    """
    uri = store_uri or study.store
    if uri is None:
        raise RequestError(f"{source}: no store: give --store, or a line 'store: FOLDER' in the study")
    with at(source):
        run = _Run(_checked(study, executor), uri, out)
    with Signals() as signals:
        try:
            run.trials(executor, address, signals)
        except BaseException:
            if signals.number is None:
                raise
            return Summary(interrupted=signals.number)
    return run.comparison(executor, address)


def _checked(study: EnsembleStudySpec, executor: ExecutorName) -> tuple[EnsembleStudySpec, Prepared]:
    """The study with its data resolved, against data, model and executor."""
    if executor == "serial" and study.search.method in ("optuna", "pbt"):
        raise RequestError(
            f"search.method: {study.search.method} is Ray Tune's: run it without '--executor serial', which does grid "
            "and random alone"
        )
    prepared = prepare(pairless(study, study.name), "study")
    check_ensemble_study(study, prepared.facts[0])
    return study.model_copy(update={"problem": prepared.spec.problem[0]}), prepared


class _Run:
    """One call of `mcdist tune`. Nothing is written before `trials`."""

    def __init__(self, checked: tuple[EnsembleStudySpec, Prepared], uri: str, out: TextIO) -> None:
        self._study, self._prepared = checked
        self._uri, self._out = uri, out
        there = open_store(uri) if check_target(uri) else None
        kept, earlier = _kept(self._study, there)
        self._settings = kept
        if self._study.search.method != "optuna":
            self._settings = listed_settings(self._study, kept)
        self._found = Trials({}, {}, {}) if there is None else Trials.of(there, self._study.name)
        if not earlier:
            self._found.asked = []
        self._starts = starts_plan(self._study)
        self._total = self._study.search.trials or len(self._settings)

    def _known(self) -> dict[str, Ended]:
        """By setting, the trials that the store has."""
        known = {}
        for setting in self._settings:
            planned = planned_members(self._study, setting, self._prepared.facts[0])
            if (ended := self._found.of_setting(self._study, setting, planned)) is not None:
                known[setting_key(setting)] = ended
        return known

    def trials(self, executor: ExecutorName, address: str | None, signals: Signals) -> None:
        """Do what is missing of the trials."""
        study, known = self._study, self._known()
        asked = set(self._found.asked)
        earlier: list[Earlier] = []
        for setting in self._settings:
            ended = known.get(setting_key(setting))
            if ended is not None and ended.id in asked:
                earlier.append((trial_name(setting, [name for name, *_ in earlier]), setting, ended))
        population = self._found.of_study() if study.search.method == "pbt" else []
        if len(population) >= self._total:  # of fewer nothing can be told: a population begins anew
            earlier = [(ended.id, _last(ended), ended) for ended in population]
        ready = len(earlier) >= self._total
        if ready:
            self._begin(earlier)
        elif executor == "serial":
            self._serial(known, earlier)
        else:
            self._tune(known, earlier, address, signals)
        self._log.conclude()

    def _begin(self, earlier: Sequence[Earlier]) -> None:
        """Open the store, and the log with the trials that an earlier run ended."""
        self._store = open_store(self._uri, create=True)
        self._log = EnsembleLog(self._study, self._store, list(self._starts.tasks), self._total, self._out)
        for name, setting, ended in earlier:
            self._log.known(name, setting, ended)
        begun = f"{len(self._starts.tasks)} trainings begun" if self._starts.tasks else "their seeds"
        self._log.say(
            f"{len(earlier)} of {self._total} trials ended, {len(self._study.endpoints.seeds)} networks each, from "
            f"{begun}; results in {self._store.uri}"
        )
        self._log.open()

    def _serial(self, known: Mapping[str, Ended], earlier: Sequence[Earlier]) -> None:
        """Every trial here, to its end, one after the other."""
        workers = SerialExecutor(self._study.resources, self._prepared.datasets)
        try:
            self._begin(earlier)
            if self._study.search.scheduler != "none":
                self._log.say("note: without Ray every trial goes on to its end: none is stopped early")
            workers.start(self._store.uri, {})
            self._do_starts(workers)
            for setting in self._settings:
                name = setting_key(setting)
                if name in self._log.trials:
                    continue
                self._log.begin(name, setting)
                if name in known:
                    self._log.end(name, known[name], None)
                    continue
                began = time.monotonic()
                self._log.end(name, self._one(setting, workers), time.monotonic() - began)
        finally:
            workers.close()

    def _one(self, setting: Setting, workers: Executor) -> Ended:
        """A trial as a task of its own."""
        planned = planned_members(self._study, setting, self._prepared.facts[0])
        task = trial_task(self._study, self._study.at(setting), planned)
        plan = Plan(self._starts.spec, {**self._starts.tasks, task.id: task})
        _do(plan, self._store, workers, Silent(plan))
        ended = Trials.of(self._store, self._study.name).ended(task.id)
        return ended or Ended(task.id, failed=_why(self._store, task.id))

    def _tune(
        self, known: Mapping[str, Ended], earlier: Sequence[Earlier], address: str | None, signals: Signals
    ) -> None:
        """By Ray Tune; what trials start from is done first, as in a sweep."""
        import ray  # Ray takes seconds to import

        from mcdist.execute.ensemble_trainable import Given
        from mcdist.execute.ensemble_tune import tune_ensembles
        from mcdist.execute.placement import check_feasible, gpus_per_worker
        from mcdist.execute.ray_cluster import connect
        from mcdist.execute.ray_pool import RayExecutor

        study, resources = self._study, self._study.resources
        owns_ray = connect(address)
        try:
            signals.install()
            if ray.util.client.ray.is_connected():
                raise RequestError(
                    f"cannot drive a study through Ray's client, {address}: run it on the cluster, as a job"
                )
            gpus = gpus_per_worker(resources)
            check_feasible(resources.cpus, gpus)
            self._begin(earlier)
            if self._missing():
                workers = RayExecutor(resources, self._prepared.datasets, address)
                try:
                    workers.start(self._store.uri, self._missing())
                    self._do_starts(workers)
                finally:
                    workers.close()
            given = Given(study, self._store.uri, self._prepared.datasets, gpus, known)
            with_facts = (self._log, self._store, self._prepared.facts[0], signals)
            if not tune_ensembles(study, given, self._settings, *with_facts):
                self._found = Trials.of(self._store, study.name)
                self._settings = self._log.again(self._settings)
                tune_ensembles(study, replace(given, known=self._known()), self._settings, *with_facts)
        finally:
            signals.ignore()  # a second Ctrl-C must not break off the stopping
            if owns_ray:
                ray.shutdown()

    def _missing(self) -> Counter[str]:
        """The tasks that trials start from and that are to be done, by kind."""
        settled = what_remains(self._starts, self._store.tasks()).settled
        return Counter(task.kind for i, task in self._starts.tasks.items() if i not in settled)

    def _do_starts(self, workers: Executor) -> None:
        """What trials start from. Trials whose start failed will fail, and say so."""
        if self._missing():
            counts, kinds = self._starts.counts(), {i: task.kind for i, task in self._starts.tasks.items()}
            costs = task_costs(self._starts, self._prepared)
            progress = ProgressDisplay(counts, {}, dict(kinds), costs, workers.workers, self._out)
            try:
                _do(self._starts, self._store, workers, progress)
            finally:
                progress.close()

    def comparison(self, executor: ExecutorName, address: str | None) -> Summary:
        """The sweep that compares the winner, where there is one and it is asked for."""
        summary, best = self._log.summary(), self._log.winner
        if self._study.final is None or best is None or best.ended is None:
            return summary
        setting = dict(best.setting)
        if len(set(best.ended.rates)) > 1:
            lr1, lr2 = best.ended.rates[-1]
            setting |= {"lr1": lr1, "lr2": lr2}
            self._log.say(f"its rates changed on the way; compared are the last ones, lr1 {lr1:.4g}, lr2 {lr2:.4g}")
        sweep = compared(self._study, self._study.at({k: v for k, v in setting.items() if k in self._study.space}))
        self._log.say(f"comparing it, as sweep {sweep.name}, on seeds that no trial used")
        last = run_sweep(sweep, store_uri=self._uri, executor=executor, address=address, out=self._out)
        if last.exit_code:
            last.what = f"tasks of sweep {sweep.name}"
            return last
        return summary


def _do(plan: Plan, store: Store, workers: Executor, progress: ProgressDisplay) -> None:
    """Do what is missing of a plan. workers: were started on the store."""
    remains = what_remains(plan, store.tasks())
    if len(remains.settled) < len(plan.tasks):
        drive(scheduled(plan, remains, store, workers, progress.say), workers, store, progress)


def _why(store: Store, task_id: str) -> str:
    """Why a task is not done, in one line."""
    tasks = store.table("tasks", ["task_id", "error"])
    errors = tasks.loc[tasks["task_id"] == task_id, "error"].tolist()
    return str(errors[0]).strip().splitlines()[-1] if errors else "it was not done"


def _last(ended: Ended) -> Setting:
    lr1, lr2 = ended.rates[-1] if ended.rates else (ended.cycles[-1]["lr1"], ended.cycles[-1]["lr2"])
    return {"lr1": lr1, "lr2": lr2}


def _kept(study: EnsembleStudySpec, store: Store | None) -> tuple[list[Setting], bool]:
    """Settings that an earlier run of the same study began, in order, and whether there was one; none where what its
    trials share has changed. Raises RequestError where the name is that of something else.
    """
    if store is None or study.name not in store.sweeps():
        return [], False
    record: Any = parse_yaml(store.sweep_spec(study.name), study.name).data
    if not isinstance(record, dict) or "space" not in record or "ensemble" not in record:
        what = "study of noise" if isinstance(record, dict) and "space" in record else "sweep"
        raise RequestError(f"name: {store.uri} has a {what} of the name {study.name!r}: give the study another one")
    before = load_ensemble_study(record)
    shared = ("problem", "endpoints", "ensemble")
    if any(getattr(before, name) != getattr(study, name) for name in shared):
        return [], False
    return [dict(setting) for setting in before.settings if study.holds(setting)], True
