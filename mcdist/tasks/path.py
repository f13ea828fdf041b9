"""Task kind `path`: connect two end points."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from mcdist.science.motion import CurveBends
from mcdist.science.paths import FAMILIES, on_chord
from mcdist.science.paths.arclength import arclength
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, Trained, train
from mcdist.spec.paths import PathSpec
from mcdist.spec.tasks import PathTask, TaskSpec
from mcdist.tasks.recipe import diverged, history_rows, recipe, training_columns
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Stored, Trial

__all__ = ["KIND", "LoadedPath", "load_path"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """One path per item, its bends put on the chord and trained; all control points are kept.

    The streams are named by the path's seed and its two end points: two pairs share no random numbers.
    """
    specs = [cast(PathTask, item.spec) for item in items]
    problem, path = bench.problem(specs[0].problem), specs[0].path
    family = FAMILIES[path.kind]
    ends_a = Points.stack([problem.point(bench.stored(item.inputs[0]).tensors) for item in items])
    ends_b = Points.stack([problem.point(bench.stored(item.inputs[1]).tensors) for item in items])
    controls = on_chord(ends_a.theta, ends_b.theta, path.bends if family.trained else 0)
    trained = Trained(diverged=[None] * len(items))
    if family.trained:
        streams = [Stream.of("path", spec.path.seed, *item.inputs) for item, spec in zip(items, specs, strict=True)]
        motion, buffers, how = _begin(specs, controls, ends_a.buffers, streams, bench)
        trained = train(problem, motion, buffers, how, streams, bench.accelerate)
    outcomes: list[Outcome] = []
    for k, (item, spec) in enumerate(zip(items, specs, strict=True)):
        failure = None
        if spec.path.train is not None:
            steps = len(problem.batch_sizes(spec.path.train.batch_size))
            failure = diverged(trained, k, steps)
        found = failure or _result(problem, item, spec.path, controls[k], ends_a[k], ends_b[k], trained, k, bench)
        outcomes.append(found)
    return outcomes


def _begin(
    specs: Sequence[PathTask],
    controls: Tensor,
    buffers: Mapping[str, Tensor],
    streams: Sequence[Stream],
    bench: Bench,
) -> tuple[CurveBends, dict[str, Tensor], Recipe]:
    """The bends of `controls`, to be trained in place; the buffers of end a move along, and are then of no use."""
    path = specs[0].path
    settings = [spec.path.train for spec in specs if spec.path.train is not None]
    motion = CurveBends(FAMILIES[path.kind], controls, streams, free_ends=path.ends == "free", draws=path.draws)
    scratch = {name: b.clone() for name, b in buffers.items()}
    return motion, scratch, recipe(settings, controls, tensors=bench.accelerate is not None)


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial | None:
    """A training step of curves between random points; a straight line takes no work."""
    paths = [cast(PathTask, spec) for spec in specs]
    problem, path = bench.problem(paths[0].problem), paths[0].path
    if not FAMILIES[path.kind].trained:
        return None
    streams = [Stream.of("trial", k) for k in range(len(specs))]
    a, b = (Points.stack([problem.initial(s.child(end)) for s in streams]) for end in "ab")
    controls = on_chord(a.theta, b.theta, path.bends)
    motion, buffers, how = _begin(paths, controls, a.buffers, streams, bench)
    return training_trial(problem, motion, buffers, how, streams, bench)


KIND = Kind(_run, _rehearse)


def _result(
    problem: Problem,
    item: Item,
    path: PathSpec,
    controls: Tensor,
    end_a: Points,
    end_b: Points,
    trained: Trained,
    k: int,
    bench: Bench,
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
        about={"kind": "path", "path": json.dumps(who)} | _metrics_of_ends(path, item, bench),
    )


def _metrics_of_ends(path: PathSpec, item: Item, bench: Bench) -> dict[str, str]:
    """What was measured at ends that the path has not moved: nobody needs to measure it again."""
    known = [bench.stored(i).about.get("metrics") for i in item.inputs]
    if path.ends == "free" or None in known:
        return {}
    return {"metrics_a": str(known[0]), "metrics_b": str(known[1])}


class LoadedPath(NamedTuple):
    """controls: K = n + 2 control points, in order. about: what the path is (kind, ends, ...). ends: the metrics of
    end a and of end b, where they are known.
    """

    controls: Points
    about: Mapping[str, Any]
    ends: tuple[dict[str, float] | None, dict[str, float] | None]


def load_path(stored: Stored, problem: Problem) -> LoadedPath:
    """A path as it was stored."""
    about: dict[str, Any] = json.loads(stored.about["path"])
    ends = [json.loads(stored.about[key]) if key in stored.about else None for key in ("metrics_a", "metrics_b")]
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in stored.tensors.items():
        point, _, name = key.partition(".")
        states.setdefault(int(point.removeprefix("point_")), {})[name] = tensor
    return LoadedPath(Points.stack([problem.point(states[j]) for j in sorted(states)]), about, (ends[0], ends[1]))
