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
from mcdist.spec.base import canonical
from mcdist.spec.problem import AnyProblem, ProblemSpec
from mcdist.spec.tasks import EndpointTask, TaskSpec, TrunkTask
from mcdist.tasks.recipe import diverged, history_rows, recipe, training_columns
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND", "begin", "outcomes", "problem_columns"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """Train one end point per item; its weights, its metrics with re-estimated statistics, its history.

    The streams are named by the seed alone: the same seed has the same initial weights and data order under every
    learning rate, so that settings are compared pairwise.
    """
    specs = [cast(EndpointTask, item.spec) for item in items]
    problem, points, how, streams = begin(specs, bench)
    trained = train(problem, FreePoints(points.theta), points.buffers, how, streams, bench.accelerate)
    rows = [
        {**problem_columns(spec.problem), "seed": spec.seed, **training_columns(spec.train, spec.problem.weight_decay)}
        for spec in specs
    ]
    return outcomes(problem, items, points, trained, rows, how.batch_size)


def begin(
    specs: Sequence[EndpointTask] | Sequence[TrunkTask], bench: Bench
) -> tuple[Problem, Points, Recipe, list[Stream]]:
    """What a training from seeds begins with: initial points, how they are trained, their random streams."""
    problem = bench.problem(specs[0].problem)
    streams = [Stream.of("endpoint", spec.seed) for spec in specs]
    points = Points.stack([problem.initial(stream) for stream in streams])
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
    for k, (item, row) in enumerate(zip(items, rows, strict=True)):
        own = {name: float(values[k]) for name, values in metrics.items()}
        found.append(diverged(trained, k, steps) or _result(problem, item.id, row, own, settled[k], trained, k))
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
    row = {"endpoint_id": endpoint_id, "n_params": problem.layout.size, **row, **metrics}
    return Result(
        rows={"endpoints": [row], "history": history_rows(trained, k, endpoint_id=endpoint_id)},
        tensors=problem.state(point, 0),
        about={"kind": "endpoint", "metrics": json.dumps(metrics)},
    )


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A training step."""
    problem, points, how, streams = begin([cast(EndpointTask, spec) for spec in specs], bench)
    return training_trial(problem, FreePoints(points.theta), points.buffers, how, streams, bench)


KIND = Kind(_run, _rehearse)


def problem_columns(spec: AnyProblem) -> dict[str, str | None]:
    """The columns that name a problem."""
    if not isinstance(spec, ProblemSpec):
        return {"problem": _valley(spec), "dataset": None, "model": None}
    data = spec.data.name if spec.data.digest is None else f"npz:{spec.data.digest[:12]}"
    decay = f", weight decay {spec.weight_decay:g}" if spec.weight_decay else ""
    return {"problem": f"{data}/{spec.model.name}{decay}", "dataset": spec.data.name, "model": spec.model.name}


def _valley(spec: AnyProblem) -> str:
    """`valley`, and what of it is not as usual."""
    said = {name: value for name, value in canonical(spec).items() if name not in ("kind", "dtype")}
    return ", ".join(["valley", *(f"{name} {value:g}" for name, value in said.items())])
