"""Task kind `trunk`: train networks from seeds as far as they are split, and keep what their branches start from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from torch import Tensor

from mcdist.science.motion import FreePoints
from mcdist.science.training import Trained, train
from mcdist.spec.tasks import TaskSpec, TrunkTask
from mcdist.tasks.endpoint import begin
from mcdist.tasks.recipe import diverged, history_rows
from mcdist.tasks.snapshots import snapshot
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """Train each network to the last epoch at which it is split; a snapshot of it at each, and its history.

    Streams, rates and steps are those of the end point of the same seed: at epoch k a trunk is what that was. It is no
    end point itself, for its training is not finished.
    """
    specs = [cast(TrunkTask, item.spec) for item in items]
    problem, points, how, streams = begin(specs, bench)
    kept: list[dict[str, Tensor]] = [{} for _ in items]
    trained = Trained(diverged=[None] * len(items))
    for first, last in itertools.pairwise((0, *specs[0].spawn)):
        more = train(
            problem,
            FreePoints(points.theta),
            points.buffers,
            how,
            streams,
            bench.accelerate,
            first=first,
            last=last,
            memory=trained.memory if first else None,
        )
        trained = _with(trained, more)
        for k, own in enumerate(kept):
            own |= snapshot(problem, points, trained.memory, k, last)
    steps = len(problem.batch_sizes(how.batch_size))
    return [diverged(trained, k, steps) or _result(item, trained, k, kept[k]) for k, item in enumerate(items)]


def _with(before: Trained, more: Trained) -> Trained:
    """The record of a part of a training and of the part that followed."""
    bad = [first if first is not None else later for first, later in zip(before.diverged, more.diverged, strict=True)]
    return Trained([*before.history, *more.history], bad, more.memory)


def _result(item: Item, trained: Trained, k: int, kept: dict[str, Tensor]) -> Result:
    rows = history_rows(trained, k, endpoint_id=item.id)
    return Result(rows={"history": rows} if rows else {}, tensors=kept, about={"kind": "trunk"})


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial | None:
    """A training step; none where all that is kept is how a network begins."""
    tasks = [cast(TrunkTask, spec) for spec in specs]
    epochs = max(tasks[0].spawn)
    if not epochs:
        return None
    problem, points, how, streams = begin(tasks, bench)
    trial = training_trial(problem, FreePoints(points.theta), points.buffers, how, streams, bench)
    return replace(trial, steps=trial.steps * epochs / how.epochs)


KIND = Kind(_run, _rehearse)
