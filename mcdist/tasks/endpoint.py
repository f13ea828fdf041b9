"""Task kind `endpoint`: train networks from seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from mcdist.science.motion import FreePoints
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, Trained, train
from mcdist.spec.tasks import EndpointTask, TaskSpec, TrunkTask
from mcdist.tasks.recipe import diverged, history_rows, recipe, training_columns
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND", "begin", "outcomes"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """Train one end point per item; its weights, its metrics with re-estimated statistics, its history.

    The streams are named by the seed alone: the same seed has the same initial weights and data order under every
    learning rate, so that settings are compared pairwise.
    """
    specs = [cast(EndpointTask, item.spec) for item in items]
    problem, points, how, streams = begin(specs, bench)
    # what is not trained stays as it is, to the bit
    motion = problem.motion(points.theta) if how.epochs else FreePoints(points.theta)
    trained = train(problem, motion, points.buffers, how, streams, bench.accelerate)
    points = Points(motion.place(motion.where(0)[0]), points.buffers)
    rows = [
        {**spec.problem.columns(), "seed": spec.seed, **training_columns(spec.train, spec.problem.weight_decay)}
        for spec in specs
    ]
    return outcomes(problem, items, points, trained, rows, how.batch_size)


def begin(
    specs: Sequence[EndpointTask] | Sequence[TrunkTask], bench: Bench
) -> tuple[Problem, Points, Recipe, list[Stream]]:
    """What a training from seeds begins with: initial points, how they are trained, their random streams."""
    problem = bench.problem(specs[0].problem)
    seeds = [spec.seed for spec in specs]
    streams = [Stream.of("endpoint", seed) for seed in seeds]
    points = Points.stack([problem.initial(s, start=seed) for s, seed in zip(streams, seeds, strict=True)])
    how = recipe([spec.train for spec in specs], points.theta, tensors=bench.accelerate is not None)
    return problem, points, how, streams


def outcomes(
    problem: Problem,
    items: Sequence[Item],
    points: Points,
    trained: Trained,
    rows: Sequence[dict[str, Any]],
    batch_size: int,
) -> list[Outcome]:
    """What is stored of K trained points, their statistics re-estimated, or that they diverged.

    rows: what is said of each in table `endpoints` beside its metrics.
    """
    settled = problem.settle(points)
    metrics = problem.evaluate(settled)
    steps = len(problem.batch_sizes(batch_size))
    found: list[Outcome] = []
    measured = [{name: float(values[k]) for name, values in metrics.items()} for k in range(len(items))]
    tables = problem.tables(settled, [row | own for row, own in zip(rows, measured, strict=True)])
    for k, (item, row, own) in enumerate(zip(items, rows, measured, strict=True)):
        result = _result(problem, item.id, row, own, settled[k], trained, k)
        for table, more in tables[k].items():
            result.rows[table] = [{"endpoint_id": item.id, **each} for each in more]
        found.append(diverged(trained, k, steps) or result)
    return found


def _result(
    problem: Problem,
    endpoint_id: str,
    row: dict[str, Any],
    metrics: dict[str, float],
    point: Points,
    trained: Trained,
    k: int,
) -> Result:
    """What is stored of a settled point (K = 1) that was trained as the k-th of its pack."""
    losses = {name: value for name, value in metrics.items() if name not in problem.gains | problem.beside}
    norm = {"l2_norm": metrics["l2_norm"]} if "l2_norm" in metrics else {}
    row = {"endpoint_id": endpoint_id, "n_params": problem.layout.size, **row, **losses, **norm}
    return Result(
        rows={"endpoints": [row], "history": history_rows(trained, k, endpoint_id=endpoint_id)},
        tensors=problem.state(point, 0),
        about={"kind": "endpoint", "metrics": json.dumps(metrics)},
    )


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial | None:
    """A training step; none where nothing is trained."""
    problem, points, how, streams = begin([cast(EndpointTask, spec) for spec in specs], bench)
    if not how.epochs:
        return None
    return training_trial(problem, problem.motion(points.theta), points.buffers, how, streams, bench)


KIND = Kind(_run, _rehearse)
