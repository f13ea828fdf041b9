"""A trial of ensembles as Ray Tune runs it: one step trains to the next member; Tune keeps it, to go on elsewhere."""

from __future__ import annotations

import json
import platform
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from ray import tune
from safetensors.torch import load_file, save_file

from mcdist.errors import Diverged
from mcdist.execute.ensemble_search import setting_of
from mcdist.execute.ensemble_trials import Ended, write_failure, write_trial
from mcdist.execute.memory import keep_freed_memory
from mcdist.execute.study_search import setting_key
from mcdist.execute.worker import Worker
from mcdist.plan.ensemble_trial import Pair, trial_task
from mcdist.plan.task import Task
from mcdist.problems.data import Dataset
from mcdist.science.problem import Problem
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.problem import AnyProblem
from mcdist.spec.study import Setting
from mcdist.spec.tasks import EnsembleTrialTask
from mcdist.store import open_store
from mcdist.tasks.ensemble_trial import TrialRun
from mcdist.tasks.kept import Kept
from mcdist.tasks.work import Stored, Way

__all__ = ["EnsembleTrial", "Given", "ended_of", "task_of"]

_TENSORS, _DATA = "trial.safetensors", "trial.json"
_NOTHING = {
    "val_nll": float("nan"),
    "val_error": float("nan"),
    "epochs_used": 0.0,
    "since": 0.0,
    "before": 0.0,
    "members": 0,
}


@dataclass(frozen=True)
class Given:
    """What every trial's process is given once.

    known: by setting, trials that the store has: their results are told again, at no cost.
    """

    study: EnsembleStudySpec
    store: str
    datasets: Mapping[str, Dataset]
    gpus: float
    known: Mapping[str, Ended]


@dataclass(frozen=True)
class _Bench:
    """See `Bench`: a worker, computing plainly."""

    worker: Worker
    accelerate: None = None

    def problem(self, spec: AnyProblem) -> Problem:
        return self.worker.problem(spec, Way())

    def stored(self, task_id: str) -> Stored:
        return self.worker.stored(task_id)


class EnsembleTrial(tune.Trainable):
    """See the module. What ends is committed here, before it is told; what Tune stops, by the driver."""

    def setup(self, config: dict[str, Any], given: Given) -> None:  # type: ignore[override]
        """Once, before the first trial of this process."""
        keep_freed_memory()
        device = "cuda" if given.gpus > 0 else "cpu"
        threads = given.study.resources.threads
        self._given, self._store = given, open_store(given.store)
        self._bench = _Bench(Worker(given.store, device, threads, given.datasets.__getitem__))
        self._begin()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial, or this one at other rates: data are kept."""
        self.config = new_config
        self._begin()
        return True

    def _begin(self) -> None:
        self._setting = setting_of(self._given.study, self.config)
        adaptive = self._given.study.search.method == "pbt"
        self._known = None if adaptive else self._given.known.get(setting_key(self._setting))
        self._run: TrialRun | None = None
        self._told, self._spent = 0, 0.0
        self._started = datetime.now(timezone.utc)

    def step(self) -> dict[str, Any]:
        """On to the next member. An exception is told like a result: a process that is lost is begun again from what
        Tune has kept, an error is not.
        """
        if self._known is not None:
            return self._again(self._known)
        began = time.monotonic()
        try:
            run = self._going()
            run.advance()
        except Exception as error:
            self._spent += time.monotonic() - began
            return self._failed(error)
        self._spent += time.monotonic() - began
        done = run.taken == run.planned
        if done:
            task = task_of(self._given.study, self._setting, run.taken, run.rates)
            write_trial(self._store, task, run.cycles, run.planned, self._about())
        return self._result(run.cycles, run.planned, run.rates) | {"done": done}

    def _going(self) -> TrialRun:
        """The run, begun where that was not done yet."""
        if self._run is None:
            spec, inputs = _what(self._given.study, self._setting)
            self._run = TrialRun.begin(spec, inputs, self._bench)
        return self._run

    def _again(self, known: Ended) -> dict[str, Any]:
        """The next result of a trial that the store has."""
        if known.failed is not None:
            return {**_NOTHING, "failed": known.failed, "diverged": known.diverged, "shared": True, "done": True}
        self._told += 1
        told = self._result(known.cycles[: self._told], known.planned, known.rates)
        return told | {"shared": True, "done": self._told == len(known.cycles)}

    def _result(self, cycles: Any, planned: int, rates: Any) -> dict[str, Any]:
        """What Tune is told. In epochs from the earliest start: `since`, of this member; `before`, of the one before it
        or of where the cycles began; `began`, of the latter.
        """
        study, last = self._given.study, cycles[-1]
        begun = study.at(self._setting).begins(study.endpoints.train.epochs, 1)
        before = cycles[-2]["epochs_used"] if len(cycles) > 1 else begun
        return {
            **{name: last[name] for name in ("val_nll", "val_error", "epochs_used")},
            "since": last["epochs_used"] - min(study.starts),
            "before": before - min(study.starts),
            "began": begun - min(study.starts),
            "members": len(cycles),
            "planned": planned,
            "told": json.dumps({"cycles": list(cycles), "rates": list(rates)}),
            "about": json.dumps(self._about(), default=str),
        }

    def _failed(self, error: Exception) -> dict[str, Any]:
        """Record that the trial failed, as its task would have."""
        study, run = self._given.study, self._run
        reason = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
        diverged = isinstance(error, Diverged)
        text = str(error) if diverged else traceback.format_exc()
        rates = list(run.rates) if run is not None else []
        planned = run.planned if run is not None else 1
        if rates and study.search.method == "pbt":
            ensemble = study.at(self._setting)
            rates += [(ensemble.lr1 or 0.0, ensemble.lr2 or 0.0)] * (planned - len(rates))
        task = task_of(study, self._setting, planned, rates)
        write_failure(self._store, task, "diverged" if diverged else "raised", text, self._about())
        said = {"failed": reason.removeprefix("mcdist.errors."), "diverged": diverged, "failed_id": task.id}
        return {**_NOTHING, **said, "done": True}

    def _about(self) -> dict[str, Any]:
        on = "cuda" if self._given.gpus > 0 else f"cpu: {torch.get_num_threads()} thread(s)"
        return {"started_at": self._started, "wall_s": self._spent, "device": on, "host": platform.node()}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tensors by name and plain data, as `TrialRun` keeps them."""
        data: dict[str, Any] = {"told": self._told, "spent": self._spent, "started": self._started.isoformat()}
        if self._run is not None:
            kept = self._run.kept()
            save_file(kept.tensors, Path(checkpoint_dir, _TENSORS))
            data["kept"] = kept.data
        Path(checkpoint_dir, _DATA).write_text(json.dumps(data))

    def load_checkpoint(self, checkpoint: dict[str, Any] | str | None) -> None:
        """Go on from there, at the rates of this trial's own setting."""
        folder = Path(str(checkpoint))
        data = json.loads(Path(folder, _DATA).read_text())
        self._told, self._spent = data["told"], data["spent"]
        self._started = datetime.fromisoformat(data["started"])
        if "kept" in data:
            spec, _ = _what(self._given.study, self._setting)
            self._run = TrialRun.resume(spec, Kept(load_file(folder / _TENSORS), data["kept"]), self._bench)


def _what(study: EnsembleStudySpec, setting: Setting) -> tuple[EnsembleTrialTask, tuple[str, ...]]:
    """The specification of a trial and its inputs."""
    task = trial_task(study, study.at(setting), 1)
    assert isinstance(task.blueprint.spec, EnsembleTrialTask), "a trial"
    return task.blueprint.spec, task.inputs


def task_of(study: EnsembleStudySpec, setting: Setting, cycles: int, rates: Any) -> Task:
    """The task of a trial that came to so many members. rates: what counts where a population changes them."""
    ensemble: EnsembleSpec = study.at(setting)
    pairs: list[Pair] = [(float(high), float(low)) for high, low in rates]
    return trial_task(study, ensemble, cycles, pairs if study.search.method == "pbt" else ())


def ended_of(study: EnsembleStudySpec, config: dict[str, Any], told: Mapping[str, Any]) -> tuple[Ended, Task]:
    """How a trial ended, by what it told last, and its task. config: its setting at the end."""
    setting = setting_of(study, config)
    if told.get("failed") is not None:
        task = task_of(study, setting, 1, ())
        return Ended(str(told.get("failed_id", task.id)), failed=told["failed"], diverged=bool(told["diverged"])), task
    said = json.loads(told["told"])
    task = task_of(study, setting, len(said["cycles"]), said["rates"])
    rates = tuple((float(high), float(low)) for high, low in said["rates"])
    return Ended(task.id, said["cycles"], int(told["planned"]), rates), task
