"""Task kind `profile`: metrics along a path, and its barriers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from mcdist.science.barriers import barrier
from mcdist.science.paths.arclength import fraction
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.spec.tasks import ProfileTask, TaskSpec
from mcdist.tasks.positions import at_position, evaluation_trial, measured, positions
from mcdist.tasks.stored_path import LoadedPath, load_path
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]

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
    found = _measured(problem, paths, t, bench.accelerate)
    return [_result(spec, problem, path, t, metrics) for path, metrics in zip(paths, found, strict=True)]


def _measured(problem: Problem, paths: Sequence[LoadedPath], t: Tensor, accelerate: Accelerate | None) -> list[Metrics]:
    """The metrics at phi(t) of every path, [T] each, by name."""
    asked = [_unknown(path, len(t)) for path in paths]
    found = measured(problem, positions(problem, paths, t, asked, accelerate), accelerate)
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


def _result(spec: ProfileTask, problem: Problem, path: LoadedPath, t: Tensor, metrics: Metrics) -> Result:
    about = path.about
    s = fraction(path.family, path.controls.theta, t)
    piece = path.family.piece(t, len(path.controls))
    pieces = [{} if piece is None else {"piece": int(piece[i])} for i in range(len(t))]
    points: list[dict[str, Any]] = [
        {"path_id": about["path_id"], "t": float(t[i]), "s": float(s[i])} | pieces[i] | at_position(problem, metrics, i)
        for i in range(len(t))
    ]
    label = spec.problem.columns()["problem"]
    barriers = [
        dict(about)
        | {"problem": label, "metric": name, "n_points": len(t)}
        | barrier(t, s, torch.tensor(values, dtype=torch.float64), gain=name in problem.gains)
        | {"stderr": _doubt(problem, path, t, name, values)}
        for name, values in metrics.items()
        if name not in problem.beside
    ]
    return Result(rows={"path_points": points, "barriers": barriers})


def _doubt(problem: Problem, path: LoadedPath, t: Tensor, name: str, values: Sequence[float]) -> float | None:
    """Standard error of the metric's difference between its worst position and the worse end."""
    worst = min if name in problem.gains else max
    at = values.index(worst(values))
    end = 0 if values[0] == worst(values[0], values[-1]) else len(values) - 1
    theta = path.family.at(path.controls.theta, t[[at, end]])
    points = path.controls.at(theta)
    return problem.doubt(name, points[0], points[1])


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A batch of the evaluation, at random points; at one of them where they are computed one by one."""
    profiles = [cast(ProfileTask, spec) for spec in specs]
    problem = bench.problem(profiles[0].problem)
    many = len(specs) * profiles[0].profile.points
    return evaluation_trial(problem, problem.initial(Stream.of("trial")), many, bench.accelerate)


KIND = Kind(_run, _rehearse)
