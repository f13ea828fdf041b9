"""Task kind `finetune`: train an end point on, as the interior of a path was trained.

The careful reader's control: curvature that is greater inside a path than at its ends could come from another schedule
or weight decay alone. An end point that went through the same is compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from mcdist.science.motion import FreePoints
from mcdist.science.optimizers import Sgd
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.schedules import Constant
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, Trained, train
from mcdist.spec.tasks import FinetuneTask, TaskSpec
from mcdist.tasks.band import band_recipe, neb_columns
from mcdist.tasks.endpoint import outcomes
from mcdist.tasks.recipe import recipe, training_columns
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Trial

__all__ = ["KIND"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """Train every end point on; its weights, its metrics with re-estimated statistics, its history.

    The streams are named by the seed and the end point: two end points share no random numbers.
    """
    specs = [cast(FinetuneTask, item.spec) for item in items]
    problem = bench.problem(specs[0].problem)
    points = Points.stack([problem.point(bench.stored(item.inputs[0]).tensors) for item in items])
    streams = [Stream.of("finetune", spec.seed, *item.inputs) for item, spec in zip(items, specs, strict=True)]
    trained = Trained(diverged=[None] * len(items))
    for cycle, how in enumerate(_recipes(specs, points, problem, bench)):
        own = [stream.child("cycle", cycle) for stream in streams]
        more = train(problem, FreePoints(points.theta), points.buffers, how, own, bench.accelerate)
        trained = _one_after_another(trained, more, len(problem.batch_sizes(how.batch_size)))
    rows = [
        {
            **spec.problem.columns(),
            "seed": spec.seed,
            "parent_id": item.inputs[0],
            **_how_columns(spec, len(trained.history)),
        }
        for item, spec in zip(items, specs, strict=True)
    ]
    return outcomes(problem, items, points, trained, rows, _batch_size(specs[0]))


def _recipes(specs: Sequence[FinetuneTask], points: Points, problem: Problem, bench: Bench) -> list[Recipe]:
    """One training, or those of the cycles of an elastic band, each rounded up to whole epochs."""
    neb = specs[0].neb
    if neb is None:
        settings = [spec.train for spec in specs if spec.train is not None]
        return [recipe(settings, points.theta, tensors=bench.accelerate is not None)]
    how, per_epoch = band_recipe(neb), len(problem.batch_sizes(neb.batch_size))
    return [
        Recipe(
            epochs=-(-cycle.steps // per_epoch),
            batch_size=how.batch_size,
            optimizer=Sgd(momentum=how.momentum),  # a fresh one each cycle, as the pivots have
            lr=cycle.lr,
            weight_decay=how.weight_decay,
            schedule=Constant(),
            precision=how.precision,
        )
        for cycle in how.cycles
    ]


def _one_after_another(first: Trained, second: Trained, steps: int) -> Trained:
    """The record of two trainings, the second after the first; steps: per epoch of either."""
    done = len(first.history)
    for epoch in second.history:
        first.history.append(type(epoch)(epoch.epoch + done, epoch.lr, epoch.loss, epoch.error))
    later = [None if s is None else s + done * steps for s in second.diverged]
    both = [a if a is not None else b for a, b in zip(first.diverged, later, strict=True)]
    return Trained(first.history, both)


def _how_columns(spec: FinetuneTask, epochs: int) -> dict[str, Any]:
    own = spec.problem.weight_decay
    return training_columns(spec.train, own) if spec.neb is None else neb_columns(spec.neb, own) | {"epochs": epochs}


def _batch_size(spec: FinetuneTask) -> int:
    if spec.neb is not None:
        return spec.neb.batch_size
    assert spec.train is not None
    return spec.train.batch_size


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A training step from random points, as many as all cycles have."""
    tasks = [cast(FinetuneTask, spec) for spec in specs]
    problem = bench.problem(tasks[0].problem)
    streams = [Stream.of("trial", k) for k in range(len(specs))]
    points = Points.stack([problem.initial(stream) for stream in streams])
    first, *others = _recipes(tasks, points, problem, bench)
    trial = training_trial(problem, FreePoints(points.theta), points.buffers, first, streams, bench)
    whole = (first.epochs + sum(how.epochs for how in others)) / first.epochs
    return Trial(trial.step, trial.steps * whole, trial.stacked, trial.images)


KIND = Kind(_run, _rehearse)
