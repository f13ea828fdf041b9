"""Task kind `curvature`: the curvature of the loss along a path, or at an end point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch

from mcdist.science.curvature import Curvature, CurvatureRecipe, curvature
from mcdist.science.paths.arclength import fraction
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.spec.measures import CurvatureSpec
from mcdist.spec.tasks import CurvatureTask, TaskSpec
from mcdist.tasks.positions import positions
from mcdist.tasks.stored_path import load_path
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]

_TRIED_EXAMPLES, _TRIED_PRODUCTS = 64, 8

Row = dict[str, Any]


@dataclass(frozen=True)
class _Asked:
    """Where an item is measured: a place for each of its settled points, and their random streams."""

    places: list[Row]
    points: Points
    streams: list[Stream]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """All measures at equally spaced t of every path and at its controls, or at every end point.

    The points of the whole pack are one stack. Random vectors and sampled labels come from streams named by the path
    (or end point) and the position; the training examples are the same for all.
    """
    specs = [cast(CurvatureTask, item.spec) for item in items]
    problem = bench.problem(specs[0].problem)
    asked = [_asked(item, spec, problem, bench) for item, spec in zip(items, specs, strict=True)]
    points = Points.stack([one.points for one in asked])
    streams = [stream for one in asked for stream in one.streams]
    found = curvature(problem, points, _recipe(specs[0].curvature, _decay(specs[0])), streams)
    outcomes: list[Outcome] = []
    start = 0
    for spec, one in zip(specs, asked, strict=True):
        own = found[start : start + len(one.places)]
        start += len(own)
        outcomes.append(_result(spec, one.places, own, _examples(spec.curvature, problem)))
    return outcomes


def _asked(item: Item, spec: CurvatureTask, problem: Problem, bench: Bench) -> _Asked:
    label = spec.problem.columns()["problem"]
    if spec.of == "endpoint":
        point = problem.settle(problem.point(bench.stored(item.inputs[0]).tensors))
        place = {"problem": label, "endpoint_id": item.inputs[0], "role": "endpoint"}
        return _Asked([place], point, [Stream.of("curvature", item.inputs[0])])
    path_id, *controls = item.inputs
    path = load_path(bench.stored(path_id), problem)
    t = torch.linspace(0.0, 1.0, spec.curvature.points, dtype=torch.float64)
    s = fraction(path.family, path.controls.theta, t)
    parts = list(positions(problem, [path], t, [range(len(t))]))
    places: list[Row] = [
        {"problem": label, "path_id": path_id, "role": "path", "t": float(t[i]), "s": float(s[i])}
        for i in range(len(t))
    ]
    streams = [Stream.of("curvature", path_id, i) for i in range(len(t))]
    for end, control in enumerate(controls):
        parts.append(problem.settle(problem.point(bench.stored(control).tensors)))
        where = {"role": "control", "endpoint_id": control, "t": float(end), "s": float(end)}
        places.append({"problem": label, "path_id": path_id} | where)
        streams.append(Stream.of("curvature", control))
    return _Asked(places, Points.stack(parts), streams)


def _recipe(spec: CurvatureSpec, decay: float) -> CurvatureRecipe:
    return CurvatureRecipe(
        measures=spec.measures,
        samples=spec.samples,
        seed=spec.seed,
        label_mode=spec.labels,
        weight_decay=decay,
        top_k=spec.top_k,
        tol=spec.tol,
        max_iterations=spec.max_iterations,
        probes=spec.probes,
        floor=spec.floor,
        layers=spec.layers,
    )


def _decay(spec: CurvatureTask) -> float:
    """Of the loss whose curvature is meant: the problem's own, and what is asked for on top."""
    return spec.problem.weight_decay + spec.curvature.weight_decay


def _examples(spec: CurvatureSpec, problem: Problem) -> int:
    there = sum(problem.batch_sizes(1))
    return min(spec.samples or there, there)


def _result(spec: CurvatureTask, places: Sequence[Row], found: Sequence[Curvature], examples: int) -> Result:
    tables: dict[str, list[Row]] = {"curvature": [], "spectra": [], "spectral_densities": []}
    for place, own in zip(places, found, strict=True):
        subset = {
            "n_samples": examples,
            "subset_seed": spec.curvature.seed,
            "weight_decay": _decay(spec),
        }
        tables["curvature"] += [place | subset | vars(value) for value in own.values]
        tables["spectra"] += [place | subset | vars(value) for value in own.spectrum]
        tables["spectral_densities"] += [
            place | subset | {"operator": density.operator, "x": x, "density": y, "stderr": error}
            for density in own.density
            for x, y, error in zip(
                density.x.tolist(),
                density.density.tolist(),
                [None] * len(density.x) if density.stderr is None else density.stderr.tolist(),
                strict=True,
            )
        ]
    return Result(rows={name: rows for name, rows in tables.items() if rows})


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A few products with the operators, on few examples, at random points; scaled up to what a task does."""
    tasks = [cast(CurvatureTask, spec) for spec in specs]
    wanted, problem = tasks[0].curvature, bench.problem(tasks[0].problem)
    many = len(specs) * (wanted.points if tasks[0].of == "path" else 1)
    everything = _examples(wanted, problem)
    few = min(everything, _TRIED_EXAMPLES)
    recipe = replace(
        _recipe(wanted, _decay(tasks[0])), samples=few, max_iterations=_TRIED_PRODUCTS, probes=2, density_steps=2
    )
    point = problem.initial(Stream.of("trial"))
    tried = point.at(point.theta.expand(min(many, 8) if problem.stacks(training=False) else 1, -1).clone())
    streams = [Stream.of("trial", k) for k in range(len(tried))]
    more = everything / few * min(4.0, wanted.max_iterations / _TRIED_PRODUCTS)
    return Trial(
        lambda: curvature(problem, tried, recipe, streams),
        more * many / len(tried),
        problem.stacks(training=False),
        problem.images,
    )


KIND = Kind(_run, _rehearse)
