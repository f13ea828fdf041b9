"""Task kind `profile`: metrics along a path, and its barriers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from mcdist.science.barriers import barrier
from mcdist.science.paths import FAMILIES
from mcdist.science.paths.arclength import fraction
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.spec.tasks import ProfileTask, TaskSpec
from mcdist.tasks.endpoint import problem_columns
from mcdist.tasks.path import LoadedPath, load_path
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]

_NO_BARRIER = {"l2_norm"}
"""Columns of `path_points` that are no loss-like metric."""

_ELEMENTS = 1 << 27  # parameters of the positions held at once: 512 MiB in float32

Metrics = dict[str, list[float]]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """All metrics at equally spaced t; barriers of every metric.

    The positions of all paths of the pack are one row of points, BatchNorm re-estimated for as many of them as fit in
    memory in one pass over the data. Ends that the path has not moved were measured when they were trained.
    """
    spec = cast(ProfileTask, items[0].spec)
    problem = bench.problem(spec.problem)
    paths = [load_path(bench.stored(item.inputs[0]), problem) for item in items]
    t = torch.linspace(0.0, 1.0, spec.profile.points, dtype=torch.float64)
    measured = _measured(problem, paths, t, bench.accelerate)
    return [_result(spec, path, t, metrics) for path, metrics in zip(paths, measured, strict=True)]


def _measured(problem: Problem, paths: Sequence[LoadedPath], t: Tensor, accelerate: Accelerate | None) -> list[Metrics]:
    """The metrics at phi(t) of every path, [T] each, by name."""
    asked = [_unknown(path, len(t)) for path in paths]
    found: dict[str, list[float]] = {}
    for points in _points(problem, paths, t, asked):
        for name, values in problem.evaluate(problem.settle(points, accelerate), accelerate).items():
            found.setdefault(name, []).extend(values.tolist())
    columns, at = [], 0
    for path, inner in zip(paths, asked, strict=True):
        own = {name: values[at : at + len(inner)] for name, values in found.items()}
        at += len(inner)
        a, b = path.ends
        columns.append(
            {
                name: ([a[name]] if 0 not in inner and a else [])
                + values
                + ([b[name]] if len(t) - 1 not in inner and b else [])
                for name, values in own.items()
            }
        )
    return columns


def _unknown(path: LoadedPath, T: int) -> range:
    """Which positions are to be measured."""
    return range(0 if path.ends[0] is None else 1, T if path.ends[1] is None else T - 1)


def _points(problem: Problem, paths: Sequence[LoadedPath], t: Tensor, asked: Sequence[range]) -> Iterator[Points]:
    """The positions asked for, path after path; only so many at a time that their weights fit in memory."""
    places = [(k, i) for k, inner in enumerate(asked) for i in inner]
    most = max(1, _ELEMENTS // problem.layout.size)
    for start in range(0, len(places), most):
        here = places[start : start + most]
        parts = []
        for k in dict.fromkeys(k for k, _ in here):
            controls, family = paths[k].controls, FAMILIES[paths[k].about["kind"]]
            theta = family.at(controls.theta, t[[i for owner, i in here if owner == k]])
            parts.append(controls.at(theta))
        yield Points.stack(parts) if len(parts) > 1 else parts[0]


def _result(spec: ProfileTask, path: LoadedPath, t: Tensor, metrics: Metrics) -> Result:
    about = path.about
    s = fraction(FAMILIES[about["kind"]], path.controls.theta, t)
    points: list[dict[str, Any]] = [
        {"path_id": about["path_id"], "t": float(t[i]), "s": float(s[i])}
        | {name: values[i] for name, values in metrics.items()}
        for i in range(len(t))
    ]
    label = problem_columns(spec.problem)["problem"]
    barriers = [
        dict(about)
        | {"problem": label, "metric": name, "n_points": len(t)}
        | barrier(t, s, torch.tensor(values, dtype=torch.float64))
        for name, values in metrics.items()
        if name not in _NO_BARRIER
    ]
    return Result(rows={"path_points": points, "barriers": barriers})


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A batch of the evaluation, at random points; at one of them where they are computed one by one."""
    profiles = [cast(ProfileTask, spec) for spec in specs]
    problem = bench.problem(profiles[0].problem)
    stacked = problem.stacks(training=False)
    positions = len(specs) * profiles[0].profile.points
    point = problem.initial(Stream.of("trial"))
    fit = max(1, _ELEMENTS // problem.layout.size)
    tried = point.at(point.theta.expand(min(positions, fit) if stacked else 1, -1).clone())
    parts = problem.glimpse(tried, bench.accelerate)
    return Trial(
        lambda: problem.glimpse(tried, bench.accelerate), parts * positions / len(tried), stacked, problem.images
    )


KIND = Kind(_run, _rehearse)
