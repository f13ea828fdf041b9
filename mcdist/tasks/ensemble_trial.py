"""Task kind `ensemble_trial`: one trial of a study of ensembles, as many members as it was given.

A trial never looks at the test split. `TrialRun` is a trial on its way from member to member, to be broken off and gone
on with; the task kind makes the same steps, so that a trial is what it is whoever does it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from mcdist.errors import Diverged, RequestError, TaskError
from mcdist.science.problem import Problem
from mcdist.scores import error, nll
from mcdist.spec.problem import AnyProblem
from mcdist.spec.tasks import EnsembleTrialTask, TrajectoryTask
from mcdist.tasks.cycling import Cycling
from mcdist.tasks.kept import Kept
from mcdist.tasks.recipe import training_columns
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Stored

__all__ = ["KIND", "TrialRun", "trial_rows"]

Row = dict[str, Any]

_SPLIT = "val"
_TOTAL = "probabilities"


class TrialRun:
    """The K networks of a trial, one from each seed, and per network the mean of its members' probabilities so far.

    cycles: what was found so far, rows of table `trial_cycles` without `trial_id`.
    """

    def __init__(
        self, spec: EnsembleTrialTask, run: Cycling, total: NDArray[np.float64] | None, cycles: list[Row]
    ) -> None:
        """See `begin` and `resume`. total: [K, N, C], the sum over members of their probabilities."""
        self._spec, self._run, self._total, self.cycles = spec, run, total, cycles

    @classmethod
    def begin(cls, spec: EnsembleTrialTask, inputs: Sequence[str], bench: Bench) -> TrialRun:
        """Where its networks start: at the inputs, in the order of the seeds, or, without any, at the seeds."""
        parents: Sequence[str | None] = inputs or [None] * len(spec.seeds)
        run = Cycling.begin(_each(spec), parents, _Plainly(bench), splits=(_SPLIT,), keep=False)
        return cls(spec, run, None, [])

    @classmethod
    def resume(cls, spec: EnsembleTrialTask, kept: Kept, bench: Bench) -> TrialRun:
        """As it was when it was `kept`, for the same seeds; from here on at the rates of `spec`."""
        inner = Kept({n: t for n, t in kept.tensors.items() if n != _TOTAL}, kept.data["run"])
        run = Cycling.resume(_each(spec), inner, _Plainly(bench), splits=(_SPLIT,), keep=False)
        total = kept.tensors[_TOTAL].numpy().copy() if _TOTAL in kept.tensors else None
        return cls(spec, run, total, [dict(row) for row in kept.data["cycles"]])

    def kept(self) -> Kept:
        """All that `resume` needs."""
        inner = self._run.kept()
        total = {} if self._total is None else {_TOTAL: torch.from_numpy(self._total.copy())}
        return Kept(inner.tensors | total, {"run": inner.data, "cycles": [dict(row) for row in self.cycles]})

    @property
    def planned(self) -> int:
        """Members of each network that the epochs hold."""
        return len(self._run.ends)

    @property
    def taken(self) -> int:
        """Members of each network so far."""
        return len(self.cycles)

    @property
    def rates(self) -> list[tuple[float, float]]:
        """(lr1, lr2) of each stretch that ended in a member."""
        return self._run.rates(0)

    def change(self, lr1: float, lr2: float) -> None:
        """Other rates from here on."""
        self._run.change(lr1, lr2)

    def advance(self) -> Row:
        """Train up to the next member, and judge the ensembles of each network's members up to it.

        Returns the row of `trial_cycles`. Raises Diverged where a network's loss left the finite numbers.
        """
        run = self._run
        points = run.advance()
        bad = next((failed for k in range(len(self._spec.seeds)) if (failed := run.failed(k)) is not None), None)
        if bad is not None or points is None:
            raise bad or TaskError("the networks were lost on the way")
        found = run.problem.probabilities(points, _SPLIT).float().double().numpy()
        found = found / found.sum(axis=-1, keepdims=True)
        self._total = found if self._total is None else self._total + found
        targets = run.problem.targets(_SPLIT).numpy()
        means = self._total / (self.taken + 1)
        try:
            nlls, errors = ([score(own, targets) for own in means] for score in (nll, error))
        except RequestError as strange:
            raise TaskError(f"these networks cannot be judged: {strange}") from strange
        high, low = self.rates[-1]
        row = {
            "cycle": self.taken + 1,
            "epochs_used": float(run.epochs_used),
            "lr1": high,
            "lr2": low if self._spec.trajectory.rate == "triangle" else None,
            "val_nll": float(np.mean(nlls)),
            "val_error": float(np.mean(errors)),
            "val_nll_stderr": float(np.std(nlls, ddof=1) / math.sqrt(len(nlls))) if len(nlls) > 1 else None,
        }
        self.cycles.append(row)
        return row


@dataclass(frozen=True)
class _Plainly:
    """A bench without what makes steps faster, and changes them by rounding: a trial is the same wherever done."""

    bench: Bench
    accelerate: None = None

    def problem(self, spec: AnyProblem) -> Problem:
        return self.bench.problem(spec)

    def stored(self, task_id: str) -> Stored:
        return self.bench.stored(task_id)


def _each(spec: EnsembleTrialTask) -> list[TrajectoryTask]:
    """The trajectory of each seed, looked at no more than has to be."""
    return [spec.trajectory.model_copy(update={"seed": seed, "looks": 1}) for seed in spec.seeds]


def trial_rows(trial_id: str, spec: EnsembleTrialTask, cycles: Sequence[Row], planned: int) -> dict[str, list[Row]]:
    """What the store holds of a trial with these cycles: one row of `trials`, one of `trial_cycles` for each."""
    way, last = spec.trajectory, cycles[-1]
    how = training_columns(way.train, way.problem.weight_decay)
    setting: Row = {
        "method": "snapshot" if way.rate == "cosine" else "fge",
        "start": way.start,
        "lr1": last["lr1"],
        "lr2": last["lr2"],
        "cycle": way.cycle,
        "cycles": way.cycles,
    }
    parameters = {**setting, "rates": way.rates, "seeds": spec.seeds, "epochs": way.epochs}
    row = {
        "trial_id": trial_id,
        "problem": spec.problem.columns()["problem"],
        "subject": "ensemble",
        "parameters": json.dumps(parameters | {"train": way.train.model_dump(mode="json")}, sort_keys=True),
        **{name: how[name] for name in ("optimizer", "batch_size", "momentum", "weight_decay")},
        **setting,
        "seeds": len(spec.seeds),
        "members": len(cycles),
        "members_planned": planned,
        "complete": len(cycles) == planned,
        **{name: last[name] for name in ("epochs_used", "val_nll", "val_nll_stderr", "val_error")},
    }
    return {"trials": [row], "trial_cycles": [{"trial_id": trial_id, **cycle} for cycle in cycles]}


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """One trial after the other: the networks of each are a stack of their own, whatever else is in the pack."""
    return [_outcome(item, bench) for item in items]


def _outcome(item: Item, bench: Bench) -> Outcome:
    spec = cast(EnsembleTrialTask, item.spec)
    try:
        run = TrialRun.begin(spec, item.inputs, bench)
        if spec.cycles > run.planned:
            return TaskError(f"{spec.cycles} members are more than the {run.planned} that its epochs hold")
        while run.taken < spec.cycles:
            run.advance()
    except (TaskError, Diverged) as failed:
        return failed
    return Result(rows=trial_rows(item.id, spec, run.cycles, run.planned))


KIND = Kind(_run)
