"""Task kind `twin`: the noise-free twins of drifts, from points of a path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from mcdist.science.dynamics.drift import twins
from mcdist.science.dynamics.walk import together
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from mcdist.spec.tasks import TaskSpec, TwinTask
from mcdist.tasks.dynamics import departure, dynamics_of
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["KIND"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """The twins from all starts on all paths of the pack, as one stack.

    What is kept: `along`, `across` and `loss`, [C, S] each, of S starts after each of C numbers of steps. It gives no
    rows: those are of the drifts that are measured against it.
    """
    specs = [cast(TwinTask, item.spec) for item in items]
    problem, wanted = bench.problem(specs[0].problem), specs[0].drift
    froms = [departure(item.inputs[0], spec.drift, problem, bench) for item, spec in zip(items, specs, strict=True)]
    found = twins(
        problem,
        Points.stack([one.points for one in froms]),
        torch.cat([one.tangents for one in froms]),
        dynamics_of(wanted),
        wanted.steps,
    )
    S = len(wanted.starts)
    parts = {"along": found.along, "across": found.across, "loss": found.loss}
    return [
        Result(
            tensors={name: part[:, i * S : (i + 1) * S, 0].contiguous() for name, part in parts.items()},
            about={"kind": "twin"},
        )
        for i in range(len(items))
    ]


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """A step of as many twins as go together, scaled up to all of them and all steps."""
    tasks = [cast(TwinTask, spec) for spec in specs]
    wanted, problem = tasks[0].drift, bench.problem(tasks[0].problem)
    many = len(specs) * len(wanted.starts)
    size = min(many, together(problem))
    point = problem.initial(Stream.of("trial"))
    tried, how = point.at(point.theta.expand(size, -1).clone()), dynamics_of(wanted)
    direction = torch.nn.functional.normalize(tried.theta.double())
    return Trial(
        lambda: twins(problem, tried, direction, how, [1]),
        many / size * max(wanted.steps),
        problem.stacks(training=True),
        problem.images,
    )


KIND = Kind(_run, _rehearse)
