"""The members of an ensemble, method by method: where each comes from, and its point in weight space."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.optim.swa_utils import get_swa_avg_fn

from mcdist.errors import TaskError
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.spec.tasks import EnsembleTask
from mcdist.tasks.positions import positions
from mcdist.tasks.stored_path import load_path
from mcdist.tasks.work import Bench, Item, Stored

__all__ = ["Gathered", "Member", "gather", "taken"]

Row = dict[str, Any]


class Member(NamedTuple):
    """columns: of table `ensemble_members`. point: one point (K = 1)."""

    columns: Row
    point: Points


@dataclass(frozen=True)
class Gathered:
    """columns: of table `ensembles`. epochs_used: of training, until the last member. members: in order, each made when
    it is asked for. settled: whether BatchNorm statistics belong to their weights already.
    """

    columns: Row
    epochs_used: float
    members: Iterator[Member]
    settled: bool = True


def gather(item: Item, spec: EnsembleTask, problem: Problem, bench: Bench) -> Gathered:
    """The members of an ensemble, in the order of its runs, then of theirs.

    Raises TaskError where its runs have no members.
    """
    return _METHODS[spec.method](item, spec, problem, bench)


def _end_points(item: Item, spec: EnsembleTask, problem: Problem, bench: Bench) -> Gathered:
    members = (
        Member({"run_id": i, "run_member": 0, "epoch": float(spec.epochs)}, problem.point(bench.stored(i).tensors))
        for i in item.inputs
    )
    return Gathered({"runs": len(item.inputs)}, _spent(spec), members)


def _snapshots(item: Item, spec: EnsembleTask, problem: Problem, bench: Bench) -> Gathered:
    """Every member of every trajectory."""

    def members() -> Iterator[Member]:
        for run_id, run in zip(item.inputs, runs, strict=True):
            for j, said in enumerate(run["members"]):
                yield Member(_member_columns(run_id, j, said), taken(bench.stored(run_id), j, problem))

    runs = _trajectories(item, bench)
    return Gathered(_run_columns(runs, spec), _used(runs), members())


def _averages(item: Item, spec: EnsembleTask, problem: Problem, bench: Bench) -> Gathered:
    """One member per trajectory: the average of the weights of its members, where the last one was taken."""

    def members() -> Iterator[Member]:
        for run_id, run in zip(item.inputs, runs, strict=True):
            said = run["members"]
            points = (taken(bench.stored(run_id), j, problem) for j in range(len(said)))
            average, distance = _average(points, [one["distance"] for one in said])
            yield Member(_member_columns(run_id, 0, said[-1]) | {"distance": distance}, average)

    runs = _trajectories(item, bench)
    return Gathered(_run_columns(runs, spec), _used(runs), members(), settled=False)


def _average(points: Iterator[Points], distances: Sequence[float]) -> tuple[Points, float]:
    """mean_j theta_j of n points by torch's own rule, buffers of the last; its distance from x.

    distances: |theta_j - x|. x itself is not needed: |mean - x|^2 = mean_j |theta_j - x|^2 - mean_j |theta_j - mean|^2,
    the latter summed up by Welford's recursion.
    """
    update = get_swa_avg_fn()
    last = next(points)
    mean, spread = last.theta, 0.0
    for n, point in enumerate(points, start=1):
        before, mean = mean, update(mean, point.theta, n)
        spread += float(((point.theta - before).double() * (point.theta - mean).double()).sum())
        last = point
    square = sum(d * d for d in distances) / len(distances) - spread / len(distances)
    return last.at(mean), max(square, 0.0) ** 0.5


def _on_curve(item: Item, spec: EnsembleTask, problem: Problem, bench: Bench) -> Gathered:
    """phi(t) at equal distances in t, ends included."""

    def members() -> Iterator[Member]:
        start, i = path.controls.theta[:1].double(), 0
        for points in positions(problem, [path], t, [range(len(t))], bench.accelerate):
            away = (points.theta.double() - start).norm(dim=1)
            for k in range(len(points)):
                yield Member({**run, "run_member": i, "t": float(t[i]), "distance": float(away[k])}, points[k])
                i += 1

    assert spec.points is not None, "of a curve they are said"
    run = {"run_id": item.inputs[0]}
    path = load_path(bench.stored(item.inputs[0]), problem)
    t = torch.linspace(0.0, 1.0, spec.points, dtype=torch.float64)
    return Gathered({"points": spec.points, "runs": 2}, _spent(spec), members())


def taken(trajectory: Stored, j: int, problem: Problem) -> Points:
    """The j-th member of a trajectory as it was stored (K = 1), settled."""
    head = f"member_{j}."
    state = {name.removeprefix(head): t for name, t in trajectory.tensors.items() if name.startswith(head)}
    return problem.point(state)


def _trajectories(item: Item, bench: Bench) -> list[Row]:
    """What the trajectories say of themselves."""
    runs: list[Row] = [json.loads(bench.stored(i).about["trajectory"]) for i in item.inputs]
    empty = [i for i, run in zip(item.inputs, runs, strict=True) if not run["members"]]
    if empty:
        raise TaskError(f"there are no members in {', '.join(empty)}")
    return runs


def _used(runs: Sequence[Mapping[str, Any]]) -> float:
    return sum(float(run["epochs_used"]) for run in runs)


def _spent(spec: EnsembleTask) -> float:
    assert spec.spent is not None, "trajectories alone say it themselves"
    return float(spec.spent)


def _run_columns(runs: Sequence[Mapping[str, Any]], spec: EnsembleTask) -> Row:
    """What all runs of an ensemble have in common."""
    first = runs[0]
    reals = {name: None if first[name] is None else float(first[name]) for name in ("lr1", "lr2", "cycle")}
    return {
        "start": first["start"],
        **reals,
        "cycles": first["cycles"],
        "runs": len(runs),
        "restarts": first["epochs"] == spec.epochs,  # else one run has all of the budget
    }


def _member_columns(run_id: str, j: int, said: Mapping[str, Any]) -> Row:
    numbers = {name: float(said[name]) for name in ("epoch", "lr", "distance")}
    return {"run_id": run_id, "run_member": j, **numbers}


_METHODS: dict[str, Callable[[Item, EnsembleTask, Problem, Bench], Gathered]] = {
    "independent": _end_points,
    "snapshot": _snapshots,
    "fge": _snapshots,
    "swa": _averages,
    "curve": _on_curve,
}
