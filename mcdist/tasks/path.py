"""Task kind `path`: connect two end points."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from mcdist.science.motion import CurveBends
from mcdist.science.paths import FAMILIES, on_chord
from mcdist.science.paths.arclength import arclength
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.training import Trained, train
from mcdist.spec.sections import PathSpec
from mcdist.spec.tasks import PathTask
from mcdist.tasks.recipe import diverged, history_rows, recipe, training_columns
from mcdist.tasks.work import Bench, Item, Outcome, Result, Stored

__all__ = ["load_path", "run"]


def run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """One path per item, its bends put on the chord and trained; all control points are kept.

    The streams are named by the path's seed and its two end points: two pairs share no random numbers.
    """
    specs = [cast(PathTask, item.spec) for item in items]
    problem, path = bench.problem(specs[0].problem), specs[0].path
    family = FAMILIES[path.kind]
    ends_a = Points.stack([problem.point(bench.stored(item.inputs[0]).tensors) for item in items])
    ends_b = Points.stack([problem.point(bench.stored(item.inputs[1]).tensors) for item in items])
    controls = on_chord(ends_a.theta, ends_b.theta, path.bends if family.trained else 0)
    trained = _train(problem, controls, ends_a.buffers, items, specs)
    outcomes: list[Outcome] = []
    for k, (item, spec) in enumerate(zip(items, specs, strict=True)):
        failure = None
        if spec.path.train is not None:
            steps = len(problem.batch_sizes(spec.path.train.batch_size))
            failure = diverged(trained, k, steps)
        outcomes.append(failure or _result(problem, item, spec.path, controls[k], ends_a[k], ends_b[k], trained, k))
    return outcomes


def _train(
    problem: Problem,
    controls: Tensor,
    buffers: dict[str, Tensor],
    items: Sequence[Item],
    specs: Sequence[PathTask],
) -> Trained:
    """Train the bends in place; the buffers of end a move along, and are then of no use."""
    settings = [spec.path.train for spec in specs if spec.path.train is not None]
    if not settings:
        return Trained(diverged=[None] * len(items))
    path = specs[0].path
    streams = [Stream.of("path", spec.path.seed, *item.inputs) for item, spec in zip(items, specs, strict=True)]
    scratch = {name: b.clone() for name, b in buffers.items()}
    motion = CurveBends(FAMILIES[path.kind], controls, streams, free_ends=path.ends == "free", draws=path.draws)
    return train(problem, motion, scratch, recipe(settings, controls), streams)


def _result(
    problem: Problem,
    item: Item,
    path: PathSpec,
    controls: Tensor,
    end_a: Points,
    end_b: Points,
    trained: Trained,
    k: int,
) -> Result:
    family = FAMILIES[path.kind]
    length = arclength(family, controls, torch.tensor([0.0, 1.0]))[-1]
    who = {
        "path_id": item.id,
        "kind": path.kind,
        "aligned": False,
        "endpoint_a": item.inputs[0],
        "endpoint_b": item.inputs[1],
        "ends": path.ends,
    }
    row: dict[str, Any] = {
        **who,
        "n_points": len(controls),
        "length": float(length),
        "chord": float((controls[-1].double() - controls[0].double()).norm()),
        "draws": path.draws if path.train is not None else None,
        "seed": path.seed,
        **training_columns(path.train),
    }
    tensors: dict[str, Tensor] = {}
    for j, theta in enumerate(controls):
        # buffers between the ends mean nothing until re-estimated; end a's stand in for them
        buffers = (end_b if j == len(controls) - 1 else end_a).buffers
        state = problem.state(Points(theta[None], buffers), 0)
        tensors |= {f"point_{j}.{name}": tensor for name, tensor in state.items()}
    return Result(
        rows={"paths": [row], "history": history_rows(trained, k, path_id=item.id)},
        tensors=tensors,
        about={"kind": "path", "path": json.dumps(who)},
    )


def load_path(stored: Stored, problem: Problem) -> tuple[Points, Mapping[str, Any]]:
    """Control points (K = n + 2, in order) of a stored path, and what the path is (kind, ends, ...)."""
    about: dict[str, Any] = json.loads(stored.about["path"])
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in stored.tensors.items():
        point, _, name = key.partition(".")
        states.setdefault(int(point.removeprefix("point_")), {})[name] = tensor
    return Points.stack([problem.point(states[j]) for j in sorted(states)]), about
