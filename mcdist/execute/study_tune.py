"""The trials of a study on Ray Tune: each in a process of its own, several at a time."""

from __future__ import annotations

import logging
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from mcdist.errors import RequestError
from mcdist.execute.driver import Signals
from mcdist.execute.memory import keep_freed_memory
from mcdist.execute.placement import check_feasible, gpus_per_worker, room
from mcdist.execute.ray_cluster import connect, environment
from mcdist.execute.serial import SerialExecutor
from mcdist.execute.study_log import Begun, StudyLog
from mcdist.execute.study_trial import Outcome, Work, do_trial
from mcdist.execute.tune_watch import Watch, why_lost
from mcdist.problems.data import Dataset
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.resources import ResourcesSpec
from mcdist.spec.study import StudySpec
from mcdist.store import Store, open_store

__all__ = ["QUIET", "Next", "silence", "tune_trials"]

QUIET = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the store holds all there is to know
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a user's own modules find their files as in `mcdist run`
    "TUNE_WARN_THRESHOLD_S": "60",  # it warns of a driver that is busy for half a second
    "RAY_AIR_NEW_OUTPUT": "0",  # the other one prints tables however quiet it is told to be
}
"""Environment of Tune, read where it starts."""


@dataclass(frozen=True)
class _Given:
    """What every trial's process is given once."""

    work: Work
    store: str
    datasets: Mapping[str, Dataset]
    resources: ResourcesSpec


class _Trials(tune.Trainable):
    """A process that does trials, one after the other, each in one step."""

    def setup(self, config: dict[str, Any], given: _Given) -> None:  # type: ignore[override]
        """Once, before the first trial."""
        keep_freed_memory()
        self._given = given
        self._executor = SerialExecutor(given.resources, given.datasets)
        self._executor.start(given.store, {})

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial: data and compiled programs are kept."""
        return True

    def step(self) -> dict[str, Any]:
        """Do the trial. An exception is told like a result: a process that is lost is tried again, an error is not."""
        try:
            relaxation = RelaxationSpec.model_validate_json(self.config["relaxation"])
            outcome = do_trial(self._given.work, relaxation, open_store(self._given.store), self._executor)
        except Exception as error:
            reason = traceback.format_exception_only(error)[-1].strip()
            outcome = Outcome(None, error=reason.splitlines()[0])
        return {"outcome": outcome, "done": True}


class Next(Searcher):
    """Gives Tune the trials of a study's log, and tells the log how they ended. What it knows is in the store: of
    Tune's own records nothing is read again.

    retries: how often a trial whose process was lost, at work or while it started, is begun again.
    """

    def __init__(self, log: StudyLog, first: Begun, retries: int) -> None:
        super().__init__()
        self._log, self._first, self._retries = log, [first], retries
        self._running: dict[str, tuple[Begun, float]] = {}
        self._losses: Counter[int] = Counter()

    def suggest(self, trial_id: str) -> Any:
        """The next trial; None for now where those that run may yet have to be begun again."""
        trial = self._first.pop() if self._first else self._log.begin()
        if trial is None:
            return None if self._running else Searcher.FINISHED
        self._running[trial_id] = trial, time.monotonic()
        return {"relaxation": trial.relaxation.model_dump_json()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note how a trial ended; of an error, which comes without a reason, `lost` is told."""
        if not error and result is not None and "outcome" in result:
            trial, began = self._running.pop(trial_id)
            self._log.end(trial.number, result["outcome"], time.monotonic() - began)

    def lost(self, trial_id: str, why: str) -> None:
        """The process of a trial is gone: begin it again, unless that happened too often."""
        trial, began = self._running.pop(trial_id)
        self._losses[trial.number] += 1
        if self._losses[trial.number] <= self._retries:
            self._log.again(trial.number)
            return
        error = f"its process was lost {self._losses[trial.number]} times; the last time: {why}"
        self._log.end(trial.number, Outcome(None, error=error), time.monotonic() - began)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: see the class."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see the class."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Watch(Watch):
    """Passes on, besides, which processes were lost."""

    def __init__(self, trials: Next, signals: Signals) -> None:
        super().__init__(signals)
        self._trials = trials

    def on_trial_error(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """See the class."""
        self._trials.lost(trial.trial_id, why_lost(trial))


def tune_trials(
    log: StudyLog,
    work: Work,
    store: Store,
    datasets: Mapping[str, Dataset],
    study: StudySpec,
    address: str | None,
    signals: Signals,
) -> None:
    """Do every trial that the log says is next, on the cluster at `address` (or $RAY_ADDRESS, else on this machine).

    Raises RequestError where there is no Ray to connect to, or no node that could hold one trial.
    """
    first = log.begin()
    if first is None:
        log.open()
        return
    owns_ray = connect(address)
    try:
        signals.install()
        if ray.util.client.ray.is_connected():
            raise RequestError(f"cannot drive a study through Ray's client, {address}: run it on the cluster, as a job")
        resources = study.resources
        gpus = gpus_per_worker(resources)
        check_feasible(resources.cpus, gpus)
        log.open()
        given = _Given(work, store.uri, datasets, resources.model_copy(update={"gpus": gpus}))
        trials = Next(log, first, resources.retries)
        at_once = min(study.search.concurrent or log.total, max(1, room(resources, gpus)))
        with tempfile.TemporaryDirectory(prefix="mcdist-tune-") as folder, environment(QUIET), silence():
            signals.only_note()
            tune.Tuner(
                tune.with_resources(
                    tune.with_parameters(_Trials, given=given),
                    {"cpu": resources.cpus} | ({"gpu": gpus} if gpus else {}),
                ),
                tune_config=tune.TuneConfig(
                    search_alg=trials, num_samples=-1, max_concurrent_trials=at_once, reuse_actors=True
                ),
                run_config=tune.RunConfig(
                    name=study.name,
                    storage_path=folder,
                    verbose=0,
                    callbacks=[_Watch(trials, signals)],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            ).fit()
    finally:
        signals.ignore()  # a second Ctrl-C must not break off the stopping
        if owns_ray:
            ray.shutdown()


@contextmanager
def silence() -> Iterator[None]:
    """Without Tune's own remarks: what became of a trial is said by the log."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
