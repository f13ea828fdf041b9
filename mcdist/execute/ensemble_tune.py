"""The trials of a study of ensembles on Ray Tune: side by side, the worse ones stopped early or made to follow others.

Tune keeps every trial after each member in its own folder, in the store; a study whose driver was killed goes on from
there. What counts is in the store's tables.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pyarrow.fs
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from mcdist.execute.driver import Signals
from mcdist.execute.ensemble_log import EnsembleLog
from mcdist.execute.ensemble_search import setting_of, trial_name
from mcdist.execute.ensemble_trainable import EnsembleTrial, Given, ended_of, task_of
from mcdist.execute.ensemble_trials import Ended, planned_members, write_failure, write_trial
from mcdist.execute.ray_cluster import environment, room
from mcdist.execute.study_search import setting_key
from mcdist.execute.study_tune import QUIET, Interrupt, silence
from mcdist.plan.ensemble_trial import trial_task
from mcdist.plan.task import digest
from mcdist.science.streams import Stream
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.ranges import RangeSpec
from mcdist.spec.study import Setting
from mcdist.spec.tasks import EnsembleTrialTask
from mcdist.store import Store
from mcdist.tasks.checks_ensemble_study import members_of
from mcdist.tasks.problem_kinds.kind import Facts

__all__ = ["tune_ensembles"]

_METRIC, _MODE = "val_nll", "min"
_OFTEN = QUIET | {"TUNE_GLOBAL_CHECKPOINT_S": "1"}
_WRITABLE = ("s3", "gs", "file")  # by pyarrow, as Tune writes
_KEPT = 4  # states of a trial: a population copies one that may not be the last any more


class _Ends:
    """Puts trials that ended into the store, and tells the log.

    restored: whether Tune goes on from its own folder. Then a trial that does not, because the state that Tune knows of
    is gone, is `missing`: it has not failed, but is to be begun again.
    """

    def __init__(self, study: EnsembleStudySpec, store: Store, log: EnsembleLog, known: Mapping[str, Ended]) -> None:
        self._study, self._store, self._log, self._known = study, store, log, known
        self._names: dict[str, str] = {}
        self.restored = self.missing = False

    def name(self, trial_id: str, setting: Setting) -> str:
        """What the log calls a trial: of a population the settings change."""
        if trial_id not in self._names:
            adaptive = self._study.search.method == "pbt"
            self._names[trial_id] = trial_id if adaptive else trial_name(setting, self._names.values())
        return self._names[trial_id]

    def begin(self, trial_id: str, config: dict[str, Any]) -> None:
        setting = setting_of(self._study, config)
        self._log.begin(self.name(trial_id, setting), setting)

    def end(self, trial_id: str, config: dict[str, Any], told: Mapping[str, Any]) -> None:
        """A trial ended with what it told last; committed here where its own process has not done that."""
        setting = setting_of(self._study, config)
        ended, task = ended_of(self._study, config, told)
        known = self._known.get(setting_key(setting)) if told.get("shared") else None
        if known is not None:  # broken off while it was told again
            ended = known
        elif ended.failed is None and not ended.complete:
            about = json.loads(told["about"])
            about["started_at"] = datetime.fromisoformat(about["started_at"])
            write_trial(self._store, task, ended.cycles, ended.planned, about)
        seconds = None if told.get("shared") else json.loads(told.get("about", "{}")).get("wall_s", 0.0)
        self.begin(trial_id, config)
        self._log.end(self.name(trial_id, setting), ended, seconds, setting)

    def lost(self, trial_id: str, config: dict[str, Any], planned: int, why: str) -> None:
        """The process of a trial was lost once too often."""
        if self.restored:
            self.missing = True
            return
        setting = setting_of(self._study, config)
        task = task_of(self._study, setting, planned, ())
        error = f"its process was lost, the last time: {why}"
        write_failure(self._store, task, "lost", error, {"wall_s": 0.0})
        self.begin(trial_id, config)
        self._log.end(self.name(trial_id, setting), Ended(task.id, failed=error), 0.0, setting)


class _Watch(tune.Callback):
    """Passes on how trials begin and end. Ends Tune's loop once a signal came: trials are killed first, so that none is
    waited for.
    """

    def __init__(self, ends: _Ends, planned: Any, signals: Signals) -> None:
        self._ends, self._planned, self._signals = ends, planned, signals

    def on_trial_start(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """See the class."""
        self._ends.begin(trial.trial_id, trial.config)

    def on_trial_complete(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """See the class."""
        self._ends.end(trial.trial_id, trial.config, trial.last_result)

    def on_trial_error(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """See the class."""
        error = trial.get_pickled_error() or trial.get_error()
        why = str(error).strip().splitlines()[-1]
        self._ends.lost(trial.trial_id, trial.config, self._planned(trial.config), why)

    def on_step_begin(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        """See the class; called many times a second."""
        if self._signals.number is None:
            return
        for trial in trials:
            if trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)
        raise Interrupt

    def __getstate__(self) -> dict[str, Any]:
        return {}


def tune_ensembles(
    study: EnsembleStudySpec,
    given: Given,
    settings: Sequence[Setting],
    log: EnsembleLog,
    store: Store,
    facts: Facts,
    signals: Signals,
) -> bool:
    """Do all trials, on the Ray that this process is connected to. Whether all have ended; some may not have where Tune
    went on from its own folder, which is removed: called again, it begins from the store.

    settings: those of the trials, in order; of optuna's those that an earlier run began.
    """

    def planned(config: dict[str, Any]) -> int:
        return planned_members(study, setting_of(study, config), facts)

    ends = _Ends(study, store, log, given.known)
    watch = _Watch(ends, planned, signals)
    scheduler = _scheduler(study, facts)
    trainable = tune.with_resources(
        tune.with_parameters(EnsembleTrial, given=given),
        {"cpu": study.resources.cpus} | ({"gpu": given.gpus} if given.gpus else {}),
    )
    folder, name = _folder(study, store), _experiment(study)
    with environment(_OFTEN), silence():
        signals.only_note()
        tuner = _restored(folder, name, trainable, watch, scheduler, ends)
        ends.restored = tuner is not None
        if tuner is None:
            _remove(folder)
            tuner = _fresh(study, given, settings, trainable, watch, scheduler, folder, name)
        for config, told in _ended(tuner.fit()):
            ends.end(told["trial_id"], config, told)
    _remove(folder)
    return not ends.missing


def _folder(study: EnsembleStudySpec, store: Store) -> str:
    """Where Tune keeps its own: in the store; of a store where Tune cannot write, on this machine."""
    scheme = store.uri.partition("://")[0] if "://" in store.uri else None
    inside = scheme is None or scheme in _WRITABLE
    return f"{store.uri if inside else tempfile.gettempdir() + '/mcdist'}/tune/{study.name}"


def _remove(folder: str) -> None:
    """Without it a study begins from what the store has."""
    with contextlib.suppress(Exception):  # it may not be there, or not be reached: its name then serves once more
        files, path = pyarrow.fs.FileSystem.from_uri(folder)
        files.delete_dir(path)
        parent = str(PurePosixPath(path).parent)
        if not files.get_file_info(pyarrow.fs.FileSelector(parent)):
            files.delete_dir(parent)


def _experiment(study: EnsembleStudySpec) -> str:
    """The same for studies whose trials are the same, chosen in the same way."""
    return digest([study.model_dump_json(exclude={"name", "store", "final", "resources", "settings"})])


def _fresh(
    study: EnsembleStudySpec,
    given: Given,
    settings: Sequence[Setting],
    trainable: Any,
    watch: _Watch,
    scheduler: TrialScheduler | None,
    folder: str,
    name: str,
) -> tune.Tuner:
    """From the beginning; results that the store has are told again."""
    search = study.search
    at_once = min(search.concurrent or 1_000_000, max(1, room(study.resources, given.gpus)))
    points = [dict(setting) for setting in settings]
    if search.method == "optuna":
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        seed = Stream.of("ensemble study", search.seed, len(points)).seed() % 2**32
        searcher: Any = OptunaSearch(points_to_evaluate=points, seed=seed, metric=_METRIC, mode=_MODE)
    else:  # a population takes turns: none of its trials may wait for another's end
        searcher = BasicVariantGenerator(points, max_concurrent=0 if search.method == "pbt" else at_once)
    return tune.Tuner(
        trainable,
        param_space={name: _domain(given, study.whole(name)) for name, given in study.space.items()},
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=search.trials or len(points) if search.method == "optuna" else len(points),
            max_concurrent_trials=at_once if search.method == "optuna" else None,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=folder,
            verbose=0,
            callbacks=[watch],
            failure_config=tune.FailureConfig(max_failures=study.resources.retries),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=_KEPT, checkpoint_frequency=1, checkpoint_at_end=False),
        ),
    )


def _restored(
    folder: str, name: str, trainable: Any, watch: _Watch, scheduler: TrialScheduler | None, ends: _Ends
) -> tune.Tuner | None:
    """As it was when its driver was killed; None where there is nothing of that, or nothing that can be read."""
    path = f"{folder}/{name}"
    try:
        if not tune.Tuner.can_restore(path):
            return None
        tuner = tune.Tuner.restore(path, trainable, resume_unfinished=True, restart_errored=True)
        done = _ended(tuner.get_results())
        # Tune keeps neither what a scheduler knows nor what callbacks hold, and has no other way to give them back
        inner: Any = tuner._local_tuner
        inner.get_run_config().callbacks = [watch]
        inner._tune_config.scheduler = scheduler
    except Exception:  # whatever of Tune's own files is damaged: the store has what counts
        return None
    for config, told in done:
        ends.end(told["trial_id"], config, told)
        if isinstance(scheduler, Halving) and "told" in told:
            scheduler.tell(told)
    return tuner


def _ended(results: tune.ResultGrid) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of every trial that has ended, its setting and what it told last."""
    every = [results[at] for at in range(len(results))]
    return [(dict(one.config), one.metrics) for one in every if one.config and one.metrics and one.metrics.get("done")]


class Halving(ASHAScheduler):
    """Asynchronous successive halving (Li et al. 2020) at equal epochs: at rungs grace x reduction^k, in epochs from
    the earliest start, one of `reduction` trials goes on.

    A trial is compared at a rung by its first member at or past it, and only where the stretch before that member
    crossed it: one that begins later was no ensemble yet at the rungs before.
    """

    def __init__(self, grace: float, reduction: float, most: float) -> None:
        """most: epochs that are left after the earliest start."""
        super().__init__(
            time_attr="since",
            metric=_METRIC,
            mode=_MODE,
            max_t=cast(int, most),
            grace_period=cast(int, grace),
            reduction_factor=reduction,
            stop_last_trials=False,  # they end by themselves
        )
        self._grace, self._each, self._most = grace, reduction, most

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See the class."""
        if not self._crossed(result):
            return str(TrialScheduler.CONTINUE)
        return str(super().on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """See the class."""
        super().on_trial_complete(tune_controller, trial, result if self._crossed(result) else {})

    def _crossed(self, result: Mapping[str, Any]) -> bool:
        rungs = itertools.takewhile(
            lambda at: at <= self._most, (self._grace * self._each**k for k in itertools.count())
        )
        return any(result["before"] < at <= result["since"] for at in rungs)

    def tell(self, told: Mapping[str, Any]) -> None:
        """What a trial reported that has ended."""
        trial: Any = SimpleNamespace(trial_id=f"ended {told['trial_id']}")
        cycles, begun = json.loads(told["told"])["cycles"], told["epochs_used"] - told["since"]
        self.on_trial_add(cast(Any, None), trial)
        before = told["began"]
        for row in cycles:
            since = row["epochs_used"] - begun
            self.on_trial_result(None, trial, {"before": before, "since": since, _METRIC: row["val_nll"]})
            before = since


def _scheduler(study: EnsembleStudySpec, facts: Facts) -> TrialScheduler | None:
    search = study.search
    if search.method == "pbt":
        return PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=search.interval,
            hyperparam_mutations={
                name: list(given.values) if given.values is not None else _domain(given, False)
                for name, given in study.space.items()
            },
            custom_explore_fn=partial(_within, study),
            log_config=False,
            synch=True,  # all are compared at the same member, whatever the number of workers
            metric=_METRIC,
            mode=_MODE,
        )
    if search.scheduler == "none":
        return None
    most = study.endpoints.train.epochs - min(study.starts)
    return Halving(min(search.grace or _first_members(study, facts), most), search.reduction, most)


def _first_members(study: EnsembleStudySpec, facts: Facts) -> float:
    """Epochs after the earliest start until every trial that starts then has a member."""
    first, found = min(study.starts), 0.0
    for corner in study.corners():
        spec = trial_task(study, study.at({name: value for name, (value, _) in corner.items()}), 1).blueprint.spec
        assert isinstance(spec, EnsembleTrialTask), "a trial"
        if spec.trajectory.start == first:
            found = max(found, members_of(spec.trajectory, facts)[0] - first)
    return found


def _within(study: EnsembleStudySpec, config: dict[str, Any]) -> dict[str, Any]:
    """Rates that a population has changed, back within their bounds, in few digits."""
    return config | setting_of(study, config)


def _domain(given: RangeSpec, whole: bool) -> Any:
    """A range as Tune has it."""
    if given.values is not None:
        return tune.choice(list(given.values))
    low, high = given.bounds
    if whole:
        return (tune.lograndint if given.log else tune.randint)(int(low), int(high) + 1)
    return (tune.loguniform if given.log else tune.uniform)(low, high)
