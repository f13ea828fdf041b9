"""Task kind `drift`: the mean drift of noisy dynamics from points of a path, by paired replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from mcdist.science.dynamics.drift import Displacements, replicas
from mcdist.science.dynamics.walk import together
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from mcdist.spec.tasks import DriftTask, TaskSpec
from mcdist.tasks.dynamics import Departure, departure, dynamics_columns, dynamics_of, temperatures
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]

_MIDDLE = 1e-9  # from 1/2: neither end is the nearer one


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """Replicas from all starts on all paths of the pack, as one stack, against the twins that are there already.

    A replica's stream is named by seed, path, start and its own number: settings (rate, batch size) are compared with
    the same random numbers, and no result depends on what else is in the pack.
    """
    specs = [cast(DriftTask, item.spec) for item in items]
    problem, wanted = bench.problem(specs[0].problem), specs[0].drift
    froms = [departure(item.inputs[0], spec.drift, problem, bench) for item, spec in zip(items, specs, strict=True)]
    starts = Points.stack([one.points for one in froms])
    heat = temperatures(problem, starts, wanted)
    found = replicas(
        problem,
        starts,
        torch.cat([one.tangents for one in froms]),
        dynamics_of(wanted),
        wanted.steps,
        [
            [Stream.of("drift", spec.drift.seed, item.inputs[0], repr(s), r) for r in range(wanted.replicas or 1)]
            for item, spec in zip(items, specs, strict=True)
            for s in wanted.starts
        ],
        heat.measured if wanted.noise == "isotropic" else None,
    )
    outcomes: list[Outcome] = []
    for i, (item, spec, one) in enumerate(zip(items, specs, froms, strict=True)):
        twin = bench.stored(item.inputs[1]).tensors
        about = {
            "problem": spec.problem.columns()["problem"],
            "path_id": item.inputs[0],
            "path_length": one.polyline.length,
            **dynamics_columns(problem, spec.drift),
        }
        rows = []
        for place, s in enumerate(wanted.starts):
            k = i * len(wanted.starts) + place
            where = {"s": s, "t": one.t[place], "outward": _outward(s), **heat.columns(k)}
            for c, steps in enumerate(wanted.steps):
                when = {"steps": steps, "t_eff": steps * wanted.lr / (1.0 - wanted.momentum)}
                silent = {name: float(numbers[c, place]) for name, numbers in twin.items()}
                rows.append(about | where | when | _measured(found, silent, (c, k), one, _outward(s) or 1))
        outcomes.append(Result(rows={"drifts": rows}))
    return outcomes


def _outward(s: float) -> int | None:
    return None if abs(s - 0.5) < _MIDDLE else 1 if s > 0.5 else -1


def _measured(
    found: Displacements, twin: dict[str, float], at: tuple[int, int], one: Departure, sign: int
) -> dict[str, Any]:
    """The numbers of a start after so many steps; replicas that left the finite numbers are left out."""
    length = one.polyline.length
    along, across = found.along[at], found.across[at]
    there: Tensor = along.isfinite()
    n = int(there.sum())
    spread = float(along[there].std()) if n > 1 else float("nan")
    return {
        "replicas": n,
        "diverged": len(along) - n,
        "drift_full_batch": _finite(sign * twin["along"] / length),
        "drift_noise": _finite(sign * (float(along[there].mean()) - twin["along"]) / length) if n else None,
        "stderr": _finite(spread / n**0.5 / length) if n > 1 else None,
        "spread": _finite(spread / length),
        "excursion": _finite(float(across[there].square().mean().sqrt()) / length) if n else None,
        "excursion_full_batch": _finite(twin["across"] / length),
        "value": _finite(twin["loss"]),
    }


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None  # of a number that is not one, that is false, too


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A few steps of as many replicas as go together, scaled up to all replicas and all steps."""
    tasks = [cast(DriftTask, spec) for spec in specs]
    wanted, problem = tasks[0].drift, bench.problem(tasks[0].problem)
    many = len(specs) * len(wanted.starts) * (wanted.replicas or 1)
    size = min(many, together(problem))
    tried = problem.initial(Stream.of("trial"))
    streams = [[Stream.of("trial", k) for k in range(size)]]
    heat = torch.zeros(1, dtype=torch.float64) if wanted.noise == "isotropic" else None
    direction, how = torch.nn.functional.normalize(tried.theta.double()), dynamics_of(wanted)
    return Trial(
        lambda: replicas(problem, tried, direction, how, [2], streams, heat),
        many / size * max(wanted.steps) / 2,
        problem.stacks(training=True),
        problem.images,
    )


KIND = Kind(_run, _rehearse)
