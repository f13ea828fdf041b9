"""Task kind `path`: connect two end points."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from mcdist.errors import RequestError, TaskError
from mcdist.science.autoneb import autoneb
from mcdist.science.motion import ArclengthBends, CurveBends
from mcdist.science.paths import FAMILIES, PathFamily, on_chord
from mcdist.science.paths.arclength import arclength
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, train
from mcdist.spec.paths import PathSpec
from mcdist.spec.tasks import PathTask, TaskSpec
from mcdist.tasks.align import aligned_end
from mcdist.tasks.band import band_failure, band_recipe, band_trial, cycle_rows, neb_columns
from mcdist.tasks.recipe import diverged, history_rows, recipe, training_columns
from mcdist.tasks.stored_path import about_path, path_tensors
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND", "how_columns", "length_columns", "path_columns"]

_MOTIONS = {"uniform": CurveBends, "arclength": ArclengthBends}


class _Ends(NamedTuple):
    """End a and end b of the K pairs of a pack, the latter permuted where it is aligned; the pairs' streams."""

    a: Points
    b: Points
    streams: list[Stream]


class _Found(NamedTuple):
    """A path: control points [M, P], rows that tell how it was found, and why it failed if it did."""

    controls: Tensor
    rows: dict[str, list[dict[str, Any]]]
    failure: TaskError | None = None
    columns: Mapping[str, Any] = {}


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """One path per item, its points put on the chord and moved as its kind wants; all control points are kept.

    The streams are named by the path's seed and its two end points: two pairs share no random numbers.
    """
    specs = [cast(PathTask, item.spec) for item in items]
    problem, path = bench.problem(specs[0].problem), specs[0].path
    ends = _Ends(
        Points.stack([problem.point(bench.stored(item.inputs[0]).tensors) for item in items]),
        Points.stack([_end_b(item, spec, problem, bench) for item, spec in zip(items, specs, strict=True)]),
        [Stream.of("path", spec.path.seed, *item.inputs[:2]) for item, spec in zip(items, specs, strict=True)],
    )
    if path.neb is not None:
        found = _by_band(items, specs, problem, ends, bench)
    elif FAMILIES[path.kind].trained:
        found = _by_bends(items, specs, problem, ends, bench)
    elif FAMILIES[path.kind].made:
        found = [_made(problem, path, ends.a[k], ends.b[k]) for k in range(len(items))]
    else:
        found = [_Found(controls, {}) for controls in on_chord(ends.a.theta, ends.b.theta, 0)]
    return [
        one.failure or _result(problem, item, spec.path, one, (ends.a[k], ends.b[k]), bench)
        for k, (item, spec, one) in enumerate(zip(items, specs, found, strict=True))
    ]


def _end_b(item: Item, spec: PathTask, problem: Problem, bench: Bench) -> Points:
    end = bench.stored(item.inputs[1]).tensors
    if spec.path.aligned:
        return aligned_end(problem, spec.path.align, end, bench.stored(item.inputs[2]))
    return problem.point(end)


def _by_bends(
    items: Sequence[Item], specs: Sequence[PathTask], problem: Problem, ends: _Ends, bench: Bench
) -> list[_Found]:
    controls = on_chord(ends.a.theta, ends.b.theta, specs[0].path.bends)
    motion, buffers, how = _begin(specs, controls, ends.a.buffers, ends.streams, bench)
    trained = train(problem, motion, buffers, how, ends.streams, bench.accelerate)
    steps = len(problem.batch_sizes(how.batch_size))
    return [
        _Found(controls[k], {"history": history_rows(trained, k, path_id=item.id)}, diverged(trained, k, steps))
        for k, item in enumerate(items)
    ]


def _made(problem: Problem, path: PathSpec, a: Points, b: Points) -> _Found:
    """A path that the problem makes of its ends, or why there is none between these."""
    try:
        made = problem.connect(path.kind, a, b, keep=path.keep, eps=path.eps)
    except RequestError as error:
        return _Found(a.theta, {}, TaskError(f"these end points have no path of kind {path.kind!r}: {error}"))
    return _Found(made.controls, {}, columns=made.columns)


def _by_band(
    items: Sequence[Item], specs: Sequence[PathTask], problem: Problem, ends: _Ends, bench: Bench
) -> list[_Found]:
    neb = specs[0].path.neb
    assert neb is not None
    how = band_recipe(neb)
    bands = autoneb(problem, ends.a, ends.b, how, ends.streams, bench.accelerate)
    return [
        _Found(band.controls, {"path_cycles": cycle_rows(item.id, band)}, band_failure(band, how.cycles))
        for item, band in zip(items, bands, strict=True)
    ]


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
    motion = _MOTIONS[path.objective](
        FAMILIES[path.kind], controls, streams, free_ends=path.ends == "free", draws=path.draws
    )
    scratch = {name: b.clone() for name, b in buffers.items()}
    return motion, scratch, recipe(settings, controls, tensors=bench.accelerate is not None)


def _result(
    problem: Problem, item: Item, path: PathSpec, found: _Found, ends: tuple[Points, Points], bench: Bench
) -> Result:
    family, controls = FAMILIES[path.kind], found.controls
    who = path_columns(item.id, path, item.inputs[0], item.inputs[1])
    row = {**who, **length_columns(family, controls), **how_columns(path, problem.weight_decay), **found.columns}
    moved = path.ends == "free"
    known = [None if moved else _metrics(bench, i) for i in item.inputs[:2]]
    return Result(
        rows={"paths": [row], **found.rows},
        tensors=path_tensors(problem, controls, *ends),
        about=about_path(who, known if None not in known else (None, None), structure=path.align.structure),
    )


def path_columns(path_id: str, path: PathSpec, endpoint_a: str, endpoint_b: str) -> dict[str, Any]:
    """The columns that say what a path is."""
    return {
        "path_id": path_id,
        "kind": path.kind,
        "aligned": path.aligned,
        "alignment": path.align.method if path.aligned else None,
        "repair": path.repair,
        "endpoint_a": endpoint_a,
        "endpoint_b": endpoint_b,
        "ends": path.ends,
    }


def length_columns(family: PathFamily, controls: Tensor) -> dict[str, Any]:
    """Number of control points, length and chord of a path."""
    length = arclength(family, controls, torch.tensor([0.0, 1.0]))[-1]
    return {
        "n_points": len(controls),
        "length": float(length),
        "chord": float((controls[-1].double() - controls[0].double()).norm()),
    }


def how_columns(path: PathSpec, own_decay: float = 0.0) -> dict[str, Any]:
    """The columns that say how a path was trained. own_decay: the problem's weight decay."""
    if path.neb is not None:
        return {"seed": path.seed, **neb_columns(path.neb, own_decay)}
    how: dict[str, Any] = {"seed": path.seed, **training_columns(path.train, own_decay)}
    if path.train is not None:
        how |= {"draws": path.draws, "objective": path.objective}
    return how


def _metrics(bench: Bench, endpoint_id: str) -> dict[str, float] | None:
    """What was measured at an end point when it was trained."""
    text = bench.stored(endpoint_id).about.get("metrics")
    return None if text is None else cast(dict[str, float], json.loads(text))


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial | None:
    """A training step of paths between random points; a straight line takes no work."""
    paths = [cast(PathTask, spec) for spec in specs]
    problem, path = bench.problem(paths[0].problem), paths[0].path
    if not FAMILIES[path.kind].trained:
        return None
    streams = [Stream.of("trial", k) for k in range(len(specs))]
    a, b = (Points.stack([problem.initial(s.child(end)) for s in streams]) for end in "ab")
    if path.neb is not None:
        return band_trial(path.neb, problem, a, b, bench)
    controls = on_chord(a.theta, b.theta, path.bends)
    motion, buffers, how = _begin(paths, controls, a.buffers, streams, bench)
    return training_trial(problem, motion, buffers, how, streams, bench)


KIND = Kind(_run, _rehearse)
