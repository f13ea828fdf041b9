"""Task kind `branch`: train networks on to the end from where they were split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from mcdist.science.motion import FreePoints
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from mcdist.science.training import train
from mcdist.spec.tasks import BranchTask, TaskSpec
from mcdist.tasks.endpoint import outcomes
from mcdist.tasks.recipe import recipe, training_columns
from mcdist.tasks.snapshots import resumed
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Trial

__all__ = ["KIND"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """From the trunk's snapshot to the end of training; what an end point gives, epochs counted from the trunk's first.

    Rates go on by the schedule of the whole training, and so does the optimizer with its memory. The data order is the
    branch's own: no other branch, epoch or seed has it, nor the trunk; under another learning rate it is the same.
    """
    specs = [cast(BranchTask, item.spec) for item in items]
    problem, epoch = bench.problem(specs[0].problem), specs[0].epoch
    points, memory = resumed(problem, [bench.stored(item.inputs[0]).tensors for item in items], epoch)
    how = recipe([spec.train for spec in specs], points.theta, tensors=bench.accelerate is not None)
    trained = train(
        problem,
        FreePoints(points.theta),
        points.buffers,
        how,
        _streams(specs),
        bench.accelerate,
        first=epoch,
        memory=memory,
    )
    rows = [
        {
            **spec.problem.columns(),
            "seed": spec.seed,
            "parent_id": item.inputs[0],
            "spawn_epoch": epoch,
            "branch": spec.branch,
            **training_columns(spec.train, spec.problem.weight_decay),
        }
        for item, spec in zip(items, specs, strict=True)
    ]
    return outcomes(problem, items, points, trained, rows, how.batch_size)


def _streams(specs: Sequence[BranchTask]) -> list[Stream]:
    return [Stream.of("branch", spec.seed, spec.epoch, spec.branch) for spec in specs]


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A training step from random points."""
    tasks = [cast(BranchTask, spec) for spec in specs]
    problem, streams = bench.problem(tasks[0].problem), _streams(tasks)
    points = Points.stack([problem.initial(stream) for stream in streams])
    how = recipe([spec.train for spec in tasks], points.theta, tensors=bench.accelerate is not None)
    trial = training_trial(problem, FreePoints(points.theta), points.buffers, how, streams, bench)
    return replace(trial, steps=trial.steps * (1 - tasks[0].epoch / how.epochs))


KIND = Kind(_run, _rehearse)
