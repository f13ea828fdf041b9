"""A study from its specification to its trials in the store."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any, TextIO

from mcdist.errors import RequestError, unknown_name
from mcdist.execute.driver import Signals, Summary
from mcdist.execute.serial import SerialExecutor
from mcdist.execute.study_log import StudyLog
from mcdist.execute.study_trial import Work, do_trial
from mcdist.execute.sweep import ExecutorName
from mcdist.plan.trial import paths_of
from mcdist.problems.data import Dataset
from mcdist.spec.load import load_spec
from mcdist.spec.load_study import load_study
from mcdist.spec.measures import MeasureSpec
from mcdist.spec.study import Setting, StudySpec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.yaml_source import parse_yaml
from mcdist.store import Store, open_store
from mcdist.tasks.checks import at
from mcdist.tasks.checks_dynamics import check_walk
from mcdist.tasks.problems import Prepared, prepare

__all__ = ["run_study"]

_MOST_CORNERS = 512


def run_study(
    study: StudySpec,
    *,
    store_uri: str | None,
    executor: ExecutorName,
    address: str | None,
    out: TextIO,
    source: str = "study",
) -> Summary:
    """Do the trials of a study that the store does not have yet; the summary counts trials.

    Raises RequestError, before anything is written, for a wrong request: no store, no such sweep, no path of it that
    is done. source: what messages call the study.
    """
    uri = store_uri or study.store
    if uri is None:
        raise RequestError(f"{source}: no store: give --store, or a line 'store: FOLDER' in the study")
    with at(source):
        store = open_store(uri)
        records = {name: parse_yaml(store.sweep_spec(name), name).data for name in store.sweeps()}
        prepared = _prepared(study, store, records)
        paths = _paths(study, prepared.spec, store)
    work = Work(prepared.spec, tuple(paths))
    log = StudyLog(study, work, store, _kept(study, records), out)
    log.say(
        f"{log.done()} of {log.total} trials done, on {len(paths)} paths of sweep {study.sweep}; results in {store.uri}"
    )
    with Signals() as signals:
        try:
            if executor == "serial":
                _serial(log, work, store, prepared.datasets)
            else:
                from mcdist.execute.study_tune import tune_trials  # Ray takes seconds to import

                tune_trials(log, work, store, prepared.datasets, study, address, signals)
            return log.summary()
        except BaseException:
            if signals.number is None:
                raise
            return Summary(interrupted=signals.number)


def _serial(log: StudyLog, work: Work, store: Store, datasets: Mapping[str, Dataset]) -> None:
    """Every trial here, one after the other."""
    workers = SerialExecutor(work.spec.resources, datasets)
    try:
        log.open()
        workers.start(store.uri, {})
        while (trial := log.begin()) is not None:
            began = time.monotonic()
            outcome = do_trial(work, trial.relaxation, store, workers)
            log.end(trial.number, outcome, time.monotonic() - began)
    finally:
        workers.close()


def _prepared(study: StudySpec, store: Store, records: Mapping[str, Any]) -> Prepared:
    """The sweep that the study is about, with the one problem of it, checked against the registries and the data."""
    sweeps = [name for name, one in records.items() if not _is_study(one)]
    if study.sweep not in sweeps:
        what = unknown_name("sweep", study.sweep, sweeps, also="" if sweeps else "none yet; 'mcdist run' makes one")
        raise RequestError(f"sweep: {store.uri}: {what}")
    if study.name in sweeps:
        raise RequestError(f"name: {store.uri} has a sweep of the name {study.name!r}: give the study another one")
    spec = load_spec(records[study.sweep])
    if study.problem >= len(spec.problem):
        raise RequestError(
            f"problem: {study.problem} is out of range: sweep {study.sweep!r} has {len(spec.problem)} problems, "
            f"positions 0 to {len(spec.problem) - 1}"
        )
    kinds = list(dict.fromkeys(path.kind for path in spec.paths))
    for kind in study.kinds:
        if kind not in kinds:
            raise RequestError(f"kinds: {unknown_name('path kind', kind, kinds)}")
    only = {
        "name": study.name,
        "problem": (spec.problem[study.problem],),
        "measure": MeasureSpec(),
        "relaxations": (),
        "resources": study.resources,
    }
    prepared = prepare(spec.model_copy(update=only), f"sweep {study.sweep}")
    with at("trials"):
        for corner in itertools.islice(study.corners(), _MOST_CORNERS):
            check_walk(study.at({name: value for name, (value, _) in corner.items()}), prepared.facts[0])
    return prepared


def _paths(study: StudySpec, spec: SweepSpec, store: Store) -> list[str]:
    """The paths of the sweep that are done. Raises RequestError where there is none, or one is still to be done."""
    corner = {name: value for name, (value, _) in next(study.corners()).items()}
    asked = paths_of(spec, study.at(corner))
    of_kinds = f" of kind {' or '.join(study.kinds)}" if study.kinds else ""
    if not asked:
        raise RequestError(f"sweep: {study.sweep!r} in {store.uri} has no paths{of_kinds} to start from")
    states = store.tasks()
    todo = [i for i in asked if i not in states]
    done = [i for i in asked if i in states and states[i].status == "done"]
    if todo or not done:
        counts = f"{len(done)} done, {len(asked) - len(done) - len(todo)} failed, {len(todo)} to do"
        raise RequestError(
            f"sweep: the paths{of_kinds} of {study.sweep!r} in {store.uri} are not there yet: {counts}; do them first, "
            "by 'mcdist run'"
        )
    return done


def _kept(study: StudySpec, records: Mapping[str, Any]) -> list[Setting]:
    """Settings that an earlier run of the same study began, in order; none where what its trials share has changed."""
    record = records.get(study.name)
    if record is None:
        return []
    before = load_study(record)
    kept = [dict(setting) for setting in before.settings if study.holds(setting)]
    same = (before.sweep, before.problem, before.kinds) == (study.sweep, study.problem, study.kinds)
    return [setting for setting in kept if same and before.at(setting) == study.at(setting)]


def _is_study(record: Any) -> bool:
    return isinstance(record, dict) and "space" in record
