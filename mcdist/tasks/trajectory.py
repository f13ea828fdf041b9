"""Task kind `trajectory`: train networks with a cyclic rate, and keep the members of ensembles that they pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from mcdist.science.motion import FreePoints
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from mcdist.spec.tasks import TaskSpec, TrajectoryTask
from mcdist.tasks.cycling import Cycling, cyclic_rate
from mcdist.tasks.recipe import recipe
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """From where each starts to the last member that its epochs hold; members, and looks on the way.

    Streams, data order and optimizer are those of the end point of the same seed: only the rate differs.
    """
    specs = [cast(TrajectoryTask, item.spec) for item in items]
    run = Cycling.begin(specs, [item.inputs[0] if item.inputs else None for item in items], bench)
    while not run.done:
        run.advance()
    return [run.failed(k) or _result(item, run, k) for k, item in enumerate(items)]


def _result(item: Item, run: Cycling, k: int) -> Result:
    """What is stored of network k."""
    spec = cast(TrajectoryTask, item.spec)
    own = {
        "trajectory_id": item.id,
        "problem": spec.problem.columns()["problem"],
        "parent_id": item.inputs[0] if item.inputs else None,
    }
    said: dict[str, Any] = {name: getattr(spec, name) for name in ("seed", "rate", "start", "cycle", "cycles")}
    lr2 = spec.lr2 if spec.rate == "triangle" else None
    none = {} if spec.rate == "triangle" else {"lr2": None}
    trajectory = said | {
        "epochs": spec.epochs,
        "lr1": spec.lr1,
        "lr2": lr2,
        "epochs_used": run.epochs_used,
        "members": run.members(k),
    }
    return Result(
        rows={"trajectories": [own | said | look | none for look in run.looks(k)]},
        tensors=run.tensors(k),
        about={"kind": "trajectory", "trajectory": json.dumps(trajectory)},
    )


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A training step from random points."""
    tasks = [cast(TrajectoryTask, spec) for spec in specs]
    problem, streams = bench.problem(tasks[0].problem), [Stream.of("endpoint", spec.seed) for spec in tasks]
    points = Points.stack([problem.initial(stream) for stream in streams])
    how = recipe([spec.train for spec in tasks], points.theta, tensors=bench.accelerate is not None)
    steps = len(problem.batch_sizes(how.batch_size))
    last = cyclic_rate(tasks, steps).members((tasks[0].epochs - tasks[0].start) * steps)[-1]
    trial = training_trial(problem, FreePoints(points.theta), points.buffers, how, streams, bench)
    return replace(trial, steps=trial.steps / how.epochs * last / steps)


KIND = Kind(_run, _rehearse)
