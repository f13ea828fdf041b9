"""Task kind `plane`: losses on a plane through three points of weight space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from mcdist.errors import TaskError
from mcdist.science.plane import Plane, through
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.spec.tasks import PlaneTask, TaskSpec
from mcdist.tasks.positions import at_once, at_position, evaluation_trial, measured
from mcdist.tasks.stored_path import LoadedPath, load_path
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]

_ROUNDING = 1e-6  # of the greatest parameter: points on the edge, as float32 has them
_HALF = torch.tensor([0.5])
_DRAWN = 61  # positions of the path that are drawn in its plane


@dataclass(frozen=True)
class _Spanned:
    """A plane with its grid coordinates x, y [points], and the points that span it; path: the one they belong to."""

    plane: Plane
    x: list[float]
    y: list[float]
    three: Points
    path: LoadedPath | None


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """All metrics on a grid over each plane, BatchNorm re-estimated at every grid point; none where weights are no
    point of the problem. Planes of a pack are measured one after the other: each has hundreds of points.
    """
    problem = bench.problem(cast(PlaneTask, items[0].spec).problem)
    return [_plane(item, problem, bench) for item in items]


def _plane(item: Item, problem: Problem, bench: Bench) -> Outcome:
    spec = cast(PlaneTask, item.spec)
    try:
        spanned = _span(item, spec, problem, bench)
    except ValueError as error:
        return TaskError(f"{error}; the plane is through {', '.join(item.inputs)}")
    metrics = measured(problem, _grid(problem, spanned, bench), bench.accelerate)
    inside = _inside(problem, spanned)
    ends = [spanned.path.about[f"endpoint_{end}"] for end in "ab"] if spanned.path else list(item.inputs)
    who = {
        "plane_id": item.id,
        "problem": spec.problem.columns()["problem"],
        "path_id": spanned.path.about["path_id"] if spanned.path else None,
        **dict(zip(("endpoint_a", "endpoint_b", "endpoint_c"), ends, strict=False)),
    }
    places = [(x, y) for y in spanned.y for x in spanned.x]
    rows = [
        who | {"x": x, "y": y} | (at_position(problem, metrics, i) if inside[i] else {})
        for i, (x, y) in enumerate(places)
    ]
    return Result(rows={"planes": rows, "plane_marks": _marks(item.id, spanned)})


def _span(item: Item, spec: PlaneTask, problem: Problem, bench: Bench) -> _Spanned:
    path = load_path(bench.stored(item.inputs[0]), problem) if spec.of == "path" else None
    if path is None:
        three = Points.stack([problem.point(bench.stored(i).tensors) for i in item.inputs])
    else:
        middle = path.controls.theta[1:2] if _by_its_bend(path) else path.family.at(path.controls.theta, _HALF)
        three = path.controls.at(torch.cat([path.controls.theta[[0, -1]], middle]))
    plane = through(*three.theta)
    x, y = plane.grid(spec.plane.points, spec.plane.margin)
    return _Spanned(plane, x.tolist(), y.tolist(), three, path)


def _grid(problem: Problem, spanned: _Spanned, bench: Bench) -> Iterator[Points]:
    """Settled grid points, row by row of y, a few at a time."""
    places = torch.tensor([(x, y) for y in spanned.y for x in spanned.x], dtype=torch.float64)
    for some in places.split(at_once(problem)):
        yield problem.settle(spanned.three.at(spanned.plane.at(some)), bench.accelerate)


def _inside(problem: Problem, spanned: _Spanned) -> list[bool]:
    """Whether each grid point is a point of the problem at all: its numbers would mean nothing elsewhere."""
    places = torch.tensor([(x, y) for y in spanned.y for x in spanned.x], dtype=torch.float64)
    found: list[bool] = []
    for some in places.split(at_once(problem)):
        theta = spanned.plane.at(some)
        nearest = theta.clone()
        problem.confine(nearest)
        found += ((nearest - theta).abs().amax(1) <= _ROUNDING * theta.abs().amax(1)).tolist()
    return found


def _marks(plane_id: str, spanned: _Spanned) -> list[dict[str, Any]]:
    marks = [
        {"role": role, "t": t, **where}
        for role, t, where in zip(
            "abc", _places_of_three(spanned), spanned.plane.marks(spanned.three.theta), strict=True
        )
    ]
    if spanned.path is not None:
        t = torch.linspace(0.0, 1.0, _DRAWN, dtype=torch.float64)
        theta = spanned.path.family.at(spanned.path.controls.theta, t)
        marks += [
            {"role": "path", "t": float(u), **where} for u, where in zip(t, spanned.plane.marks(theta), strict=True)
        ]
    return [{"plane_id": plane_id, **mark} for mark in marks]


def _places_of_three(spanned: _Spanned) -> tuple[float | None, ...]:
    """t of a, b and c on the path; the bend of a curve is no point of it."""
    if spanned.path is None:
        return (None, None, None)
    return (0.0, 1.0, None if _by_its_bend(spanned.path) else 0.5)


def _by_its_bend(path: LoadedPath) -> bool:
    """Whether the third point is the only bend of a curve, as Garipov et al. draw it, and not the path's middle."""
    return path.about["kind"] == "bezier" and len(path.controls) == 3


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """See `profile`."""
    planes = [cast(PlaneTask, spec) for spec in specs]
    problem = bench.problem(planes[0].problem)
    many = len(specs) * planes[0].plane.points ** 2
    return evaluation_trial(problem, problem.initial(Stream.of("trial")), many, bench.accelerate)


KIND = Kind(_run, _rehearse)
