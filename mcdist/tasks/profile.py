"""Task kind `profile`: metrics along a path, and its barriers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from mcdist.science.barriers import barrier
from mcdist.science.paths import FAMILIES, PathFamily
from mcdist.science.paths.arclength import fraction
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.spec.tasks import ProfileTask
from mcdist.tasks.endpoint import problem_columns
from mcdist.tasks.path import load_path
from mcdist.tasks.work import Bench, Item, Outcome, Result

__all__ = ["run"]

_NO_BARRIER = {"l2_norm"}
"""Columns of `path_points` that are no loss-like metric."""

_ELEMENTS = 1 << 27  # parameters of the positions held at once: 512 MiB in float32


def run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """All metrics at equally spaced t, the ends included and treated like the rest; barriers of every metric."""
    return [_profile(item, bench) for item in items]


def _profile(item: Item, bench: Bench) -> Outcome:
    spec = cast(ProfileTask, item.spec)
    problem = bench.problem(spec.problem)
    controls, path = load_path(bench.stored(item.inputs[0]), problem)
    family = FAMILIES[path["kind"]]
    t = torch.linspace(0.0, 1.0, spec.profile.points, dtype=torch.float64)
    s = fraction(family, controls.theta, t)
    metrics = _measured(problem, family, controls, t)
    points = [
        {"path_id": path["path_id"], "t": float(t[i]), "s": float(s[i])}
        | {name: float(values[i]) for name, values in metrics.items()}
        for i in range(len(t))
    ]
    label = problem_columns(spec.problem)["problem"]
    barriers = [
        dict(path) | {"problem": label, "metric": name, "n_points": len(t)} | barrier(t, s, values)
        for name, values in metrics.items()
        if name not in _NO_BARRIER
    ]
    return Result(rows={"path_points": points, "barriers": barriers})


def _measured(problem: Problem, family: PathFamily, controls: Points, t: Tensor) -> dict[str, Tensor]:
    """The metrics at phi(t), [T] each; only so many positions at a time that their weights fit in memory."""
    parts = [
        problem.evaluate(problem.settle(controls.at(family.at(controls.theta, part))))
        for part in t.split(max(1, _ELEMENTS // problem.layout.size))
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
