"""Task kind `relaxation`: noisy runs from points of a path, held to it, until they reach one of its ends."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from mcdist.errors import TaskError
from mcdist.science.dynamics.polyline import Polyline
from mcdist.science.dynamics.relaxation import Hold, Look, Relaxed, relax
from mcdist.science.dynamics.walk import Walk, together
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.tasks import RelaxationTask, TaskSpec
from mcdist.tasks.dynamics import (
    Temperatures,
    dynamics_columns,
    dynamics_of,
    polyline_of,
    starts_of,
    temperatures,
)
from mcdist.tasks.stored_path import load_path
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]

_LOOK = 15  # steps between looks at runs that are never put back
_MIDDLE = 1e-9  # from 1/2: neither end is the nearer one
_HEAT = ("t_nominal", "t_measured")


@dataclass(frozen=True)
class _Asked:
    """What is to be run for an item: the path, the points where runs start [S], their random streams, [S * R]."""

    item: Item
    spec: RelaxationTask
    polyline: Polyline
    points: Points
    streams: list[Stream]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """All replicas from all starts on all paths of the pack, as one stack.

    A run's stream is named by seed, path, start and replica: settings (rate, batch size, projection) are compared with
    the same random numbers, and no result depends on what else is in the pack.
    """
    specs = [cast(RelaxationTask, item.spec) for item in items]
    problem, wanted = bench.problem(specs[0].problem), specs[0].relaxation
    found = [_asked(item, spec, problem, bench) for item, spec in zip(items, specs, strict=True)]
    asked = [one for one in found if isinstance(one, _Asked)]
    if not asked:
        return [one for one in found if isinstance(one, TaskError)]
    S, R = len(wanted.starts), wanted.replicas or 1
    starts = Points.stack([one.points for one in asked])
    heat = temperatures(problem, starts, wanted)
    each = torch.arange(len(starts)).repeat_interleave(R)
    here = each.to(starts.theta.device)
    relaxed = relax(
        problem,
        [one.polyline for one in asked for _ in range(S * R)],
        Points(starts.theta[here], {name: b[here] for name, b in starts.buffers.items()}),
        dynamics_of(wanted),
        _hold(wanted),
        [stream for one in asked for stream in one.streams],
        heat.measured.cpu()[each] if wanted.noise == "isotropic" else None,
    )
    done = iter([_result(one, k, problem, relaxed, heat) for k, one in enumerate(asked)])
    return [one if isinstance(one, TaskError) else next(done) for one in found]


def _asked(item: Item, spec: RelaxationTask, problem: Problem, bench: Bench) -> _Asked | TaskError:
    path_id, wanted = item.inputs[0], spec.relaxation
    path = load_path(bench.stored(path_id), problem)
    try:
        polyline = polyline_of(path, wanted)
    except TaskError as error:
        return TaskError(f"path {path_id}: {error}")
    streams = [
        Stream.of("relaxation", wanted.seed, path_id, repr(start), replica)
        for start in wanted.starts
        for replica in range(wanted.replicas or 1)
    ]
    return _Asked(item, spec, polyline, starts_of(path, polyline, wanted.starts), streams)


def _hold(spec: RelaxationSpec) -> Hold:
    return Hold(
        steps=spec.steps,
        every=spec.project or _LOOK,
        project=spec.project is not None,
        buffers=spec.buffers,
        margin=spec.margin,
        stop=spec.stop,
        trace=spec.trace,
    )


def _result(asked: _Asked, k: int, problem: Problem, relaxed: Relaxed, heat: Temperatures) -> Result:
    """What came of the k-th path of those that were run together."""
    wanted, speed = asked.spec.relaxation, dynamics_of(asked.spec.relaxation).speed
    S, R = len(wanted.starts), wanted.replicas or 1
    said = {
        "problem": asked.spec.problem.columns()["problem"],
        **_columns(problem, wanted),
        "path_length": asked.polyline.length,
    }
    rows, traces = [], []
    for place, (start, replica) in enumerate(itertools.product(range(S), range(R))):
        run, s0 = k * S * R + place, wanted.starts[start]
        who = {"path_id": asked.item.inputs[0], "s0": s0, "replica": replica}
        rows.append(said | who | heat.columns(k * S + start) | _outcome(relaxed, run, s0, speed))
        traces += [who | _seen(look, speed) for look in relaxed.traces[run]]
    own = slice(k * S * R, (k + 1) * S * R)
    return Result(
        rows={"relaxations": rows, "relaxation_traces": traces},
        tensors=_summary(relaxed, own, rows, speed),
        about={"kind": "relaxation", "path_id": asked.item.inputs[0]},
    )


def _summary(relaxed: Relaxed, own: slice, rows: Sequence[dict[str, Any]], speed: float) -> dict[str, Tensor]:
    """What a trial sums up, so that it needs no table: one number of each run, float64 or bool.

    exposure: effective time until a run arrived or was broken off.
    """
    first, diverged = relaxed.first[own], relaxed.diverged[own].clone()
    reached = first.double() * speed
    return {
        "t_first_passage": reached.masked_fill(first == 0, math.nan),
        "exposure": torch.where(first > 0, reached, relaxed.steps[own].double() * speed),
        "censored": (first == 0) & ~diverged,
        "diverged": diverged,
        **{name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in _HEAT},
    }


def _columns(problem: Problem, spec: RelaxationSpec) -> dict[str, Any]:
    """The columns that say how runs moved and were held."""
    return {
        **dynamics_columns(problem, spec),
        "optimizer": spec.optimizer,
        "nesterov": spec.nesterov,
        "temperature": spec.temperature,
        "k_project": spec.project,
        "buffers": spec.buffers,
        "time_limit": spec.time,
        "margin": spec.margin,
    }


def _outcome(relaxed: Relaxed, run: int, s0: float, speed: float) -> dict[str, Any]:
    """The columns that say what became of a run."""
    steps, first, diverged = int(relaxed.steps[run]), int(relaxed.first[run]), bool(relaxed.diverged[run])
    outward = 1.0 if s0 > 0.5 - _MIDDLE else -1.0
    s = float(relaxed.s[run])
    return {
        "steps": steps,
        "t_eff": steps * speed,
        "end": ("b" if relaxed.at_b[run] else "a") if first else None,
        "t_first_passage": first * speed if first else None,
        "censored": not first and not diverged,
        "diverged": diverged,
        "s_last": _finite(s),
        "drift": _finite(outward * (s - s0)),
        "residual": _finite(float(relaxed.residual[run])),
    }


def _seen(look: Look, speed: float) -> dict[str, Any]:
    """The columns of a look at a run."""
    return {
        "step": look.step,
        "t_eff": look.step * speed,
        "s": look.s,
        "residual": look.residual,
        "train_loss": look.loss,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """Two steps of as many runs as go together, scaled up to all runs and all steps."""
    tasks = [cast(RelaxationTask, spec) for spec in specs]
    wanted, problem = tasks[0].relaxation, bench.problem(tasks[0].problem)
    many = len(specs) * len(wanted.starts) * (wanted.replicas or 1)
    point = problem.initial(Stream.of("trial"))
    size = min(many, together(problem))
    how = dynamics_of(wanted)
    walk = Walk(
        problem,
        point.at(point.theta.expand(size, -1).clone()),
        replace(how, lr=how.lr * 1e-3),  # the weights stay where numbers are ordinary ones, however often it is done
        [Stream.of("trial", k) for k in range(size)],
        torch.zeros(size, device=point.theta.device) if wanted.noise == "isotropic" else None,
    )
    return Trial(
        lambda: walk.advance(2),
        many / size * wanted.steps / 2,
        problem.stacks(training=True),
        problem.images,
    )


KIND = Kind(_run, _rehearse)
