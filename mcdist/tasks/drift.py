"""Task kind `drift`: the mean drift of noisy dynamics from points of a path, by paired replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from mcdist.science.dynamics.drift import Drift, drift
from mcdist.science.dynamics.polyline import Polyline
from mcdist.science.dynamics.walk import together
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.spec.dynamics import DriftSpec
from mcdist.spec.tasks import DriftTask, TaskSpec
from mcdist.tasks.dynamics import (
    Temperatures,
    dynamics_columns,
    dynamics_of,
    polyline_of,
    starts_of,
    temperatures,
)
from mcdist.tasks.endpoint import problem_columns
from mcdist.tasks.stored_path import load_path
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]

_REACH = 1e-3  # of the path's length: a start's tangent is that of the piece so far to either side, corners halved
_MIDDLE = 1e-9  # from 1/2: neither end is the nearer one


@dataclass(frozen=True)
class _Asked:
    """Where the replicas of an item start: points, unit tangents [S, P], random streams [S][R]."""

    polyline: Polyline
    points: Points
    tangents: Tensor
    streams: list[list[Stream]]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """Replicas and twins from all starts on all paths of the pack, as one stack.

    A replica's stream is named by seed, path, start and its own number: settings (rate, batch size) are compared with
    the same random numbers, and no result depends on what else is in the pack.
    """
    specs = [cast(DriftTask, item.spec) for item in items]
    problem, wanted = bench.problem(specs[0].problem), specs[0].drift
    asked = [_asked(item, spec.drift, problem, bench) for item, spec in zip(items, specs, strict=True)]
    starts = Points.stack([one.points for one in asked])
    heat = temperatures(problem, starts, wanted)
    found = drift(
        problem,
        starts,
        torch.cat([one.tangents for one in asked]),
        dynamics_of(wanted),
        wanted.steps,
        [own for one in asked for own in one.streams],
        heat.measured if wanted.noise == "isotropic" else None,
    )
    S = len(wanted.starts)
    return [
        _result(item, spec, problem, one.polyline, found, heat, range(k * S, (k + 1) * S))
        for k, (item, spec, one) in enumerate(zip(items, specs, asked, strict=True))
    ]


def _asked(item: Item, spec: DriftSpec, problem: Problem, bench: Bench) -> _Asked:
    path_id = item.inputs[0]
    path = load_path(bench.stored(path_id), problem)
    polyline = polyline_of(path, spec)
    s = torch.tensor(spec.starts, dtype=torch.float64)
    ahead, behind = (polyline.at((s + reach).clamp(0.0, 1.0)).double() for reach in (_REACH, -_REACH))
    tangents = ahead - behind
    streams = [
        [Stream.of("drift", spec.seed, path_id, repr(start), r) for r in range(spec.replicas or 1)]
        for start in spec.starts
    ]
    unit = tangents / tangents.norm(dim=1, keepdim=True)
    return _Asked(polyline, starts_of(path, polyline, spec.starts), unit, streams)


def _result(
    item: Item,
    spec: DriftTask,
    problem: Problem,
    polyline: Polyline,
    found: Drift,
    heat: Temperatures,
    own: range,
) -> Result:
    wanted, length = spec.drift, polyline.length
    t = polyline.t(torch.tensor(wanted.starts, dtype=torch.float64)).tolist()
    about = {
        "problem": problem_columns(spec.problem)["problem"],
        "path_id": item.inputs[0],
        "path_length": length,
        **dynamics_columns(problem, wanted),
    }
    rows = []
    for place, (k, s) in enumerate(zip(own, wanted.starts, strict=True)):
        where = {"s": s, "t": t[place], "outward": _outward(s), **heat.columns(k)}
        for c, steps in enumerate(wanted.steps):
            when = {"steps": steps, "t_eff": steps * wanted.lr / (1.0 - wanted.momentum)}
            rows.append(about | where | when | _measured(found, c, k, length, _outward(s) or 1))
    return Result(rows={"drifts": rows})


def _outward(s: float) -> int | None:
    return None if abs(s - 0.5) < _MIDDLE else 1 if s > 0.5 else -1


def _measured(found: Drift, c: int, k: int, length: float, sign: int) -> dict[str, Any]:
    """The numbers of start k after the c-th number of steps; replicas that left the finite numbers are left out."""
    along, across = found.along[c, k], found.across[c, k]
    there = along.isfinite()
    n = int(there.sum())
    twin = float(found.twin_along[c, k])
    spread = float(along[there].std()) if n > 1 else float("nan")
    return {
        "replicas": n,
        "diverged": len(along) - n,
        "drift_full_batch": _finite(sign * twin / length),
        "drift_noise": _finite(sign * (float(along[there].mean()) - twin) / length) if n else None,
        "stderr": _finite(spread / n**0.5 / length) if n > 1 else None,
        "spread": _finite(spread / length),
        "excursion": _finite(float(across[there].square().mean().sqrt()) / length) if n else None,
        "excursion_full_batch": _finite(float(found.twin_across[c, k]) / length),
        "value": _finite(float(found.twin_loss[c, k])),
    }


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None  # of a number that is not one, that is false, too


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A few steps of as many replicas as go together, scaled up to all replicas and all steps; twins are left out."""
    tasks = [cast(DriftTask, spec) for spec in specs]
    wanted, problem = tasks[0].drift, bench.problem(tasks[0].problem)
    many = len(specs) * len(wanted.starts) * (wanted.replicas or 1)
    point = problem.initial(Stream.of("trial"))
    size = min(many, together(problem))
    tried = point.at(point.theta.expand(1, -1).clone())
    streams = [[Stream.of("trial", k) for k in range(size)]]
    direction = torch.nn.functional.normalize(tried.theta.double())
    heat = torch.zeros(1, dtype=torch.float64) if wanted.noise == "isotropic" else None
    how = dynamics_of(wanted)
    return Trial(
        lambda: drift(problem, tried, direction, how, [2], streams, heat),
        many / size * max(wanted.steps) / 2,
        problem.stacks(training=True),
        problem.images,
    )


KIND = Kind(_run, _rehearse)
