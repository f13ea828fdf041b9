"""The trials of a study of ensembles on Ray Tune: side by side, the worse ones stopped early or made to follow others.

Tune keeps every trial after each member in its own folder, in the store; a study whose driver was killed goes on from
there. What counts is in the store's tables.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import pyarrow.fs
from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from mcdist.execute.driver import Signals
from mcdist.execute.ensemble_log import EnsembleLog
from mcdist.execute.ensemble_schedulers import METRIC, MODE, Halving, domain_of, scheduler_of
from mcdist.execute.ensemble_search import setting_of, trial_name
from mcdist.execute.ensemble_trainable import EnsembleTrial, Given, ended_of, task_of
from mcdist.execute.ensemble_trials import Ended, planned_members, write_failure, write_trial
from mcdist.execute.placement import room
from mcdist.execute.ray_cluster import environment
from mcdist.execute.study_search import setting_key
from mcdist.execute.study_tune import QUIET, silence
from mcdist.execute.tune_watch import Watch, why_lost
from mcdist.plan.task import digest
from mcdist.science.streams import Stream
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.study import Setting
from mcdist.store import Store
from mcdist.tasks.problem_kinds.kind import Facts

__all__ = ["tune_ensembles"]

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


class _Watch(Watch):
    """Passes on, besides, how trials begin and end."""

    def __init__(self, ends: _Ends, planned: Any, signals: Signals) -> None:
        super().__init__(signals)
        self._ends, self._planned = ends, planned

    def on_trial_start(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """See the class."""
        self._ends.begin(trial.trial_id, trial.config)

    def on_trial_complete(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """See the class."""
        self._ends.end(trial.trial_id, trial.config, trial.last_result)

    def on_trial_error(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """See the class."""
        self._ends.lost(trial.trial_id, trial.config, self._planned(trial.config), why_lost(trial))


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
    scheduler = scheduler_of(study, facts)
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
        searcher: Any = OptunaSearch(points_to_evaluate=points, seed=seed, metric=METRIC, mode=MODE)
    else:  # a population takes turns: none of its trials may wait for another's end
        searcher = BasicVariantGenerator(points, max_concurrent=0 if search.method == "pbt" else at_once)
    return tune.Tuner(
        trainable,
        param_space={name: domain_of(given, study.whole(name)) for name, given in study.space.items()},
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
