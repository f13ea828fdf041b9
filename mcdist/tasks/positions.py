"""Many points of weight space, made a few at a time and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from torch import Tensor

from mcdist.science.points import ELEMENTS, Points
from mcdist.science.problem import Problem
from mcdist.science.tracing import Accelerate
from mcdist.tasks.stored_path import LoadedPath
from mcdist.tasks.work import Trial

__all__ = ["at_once", "at_position", "evaluation_trial", "measured", "positions"]


def at_once(problem: Problem) -> int:
    """How many points are held at a time."""
    return max(1, ELEMENTS // problem.layout.size)


def positions(
    problem: Problem,
    paths: Sequence[LoadedPath],
    t: Tensor,
    asked: Sequence[range],
    accelerate: Accelerate | None = None,
) -> Iterator[Points]:
    """The settled points at phi(t[i]) for the i asked of every path, path after path, as many at a time as fit."""
    places = [(k, i) for k, inner in enumerate(asked) for i in inner]
    most = at_once(problem)
    for start in range(0, len(places), most):
        here = places[start : start + most]
        parts = []
        for k in dict.fromkeys(k for k, _ in here):
            path, own = paths[k], t[[i for owner, i in here if owner == k]]
            points = path.controls.at(path.family.at(path.controls.theta, own))
            parts.append(_repaired(problem, path, points, own) if path.about.get("repair") else points)
        yield problem.settle(Points.stack(parts) if len(parts) > 1 else parts[0], accelerate)


def _repaired(problem: Problem, path: LoadedPath, points: Points, t: Tensor) -> Points:
    """Each leg's positions (t increases) with activation statistics between those of the leg's own ends."""
    L = len(path.sizes)
    leg = (t * L).floor().clamp(max=L - 1).long()
    structure, parts, start = problem.structure(path.structure), [], 0
    for at, count in zip(*(x.tolist() for x in leg.unique_consecutive(return_counts=True)), strict=True):
        here = slice(start, start := start + count)
        ends = path.controls[at : at + 2]  # of straight lines alone: the legs' ends are all the points there are
        parts.append(problem.repair(points[here], t[here] * L - at, ends, structure))
    return Points.stack(parts)


def measured(
    problem: Problem, settled: Iterable[Points], accelerate: Accelerate | None = None
) -> dict[str, list[float]]:
    """The metrics of settled points by name, one number per point, in order."""
    found: dict[str, list[float]] = {}
    for points in settled:
        for name, values in problem.evaluate(points, accelerate).items():
            found.setdefault(name, []).extend(values.tolist())
    return found


def at_position(problem: Problem, metrics: Mapping[str, Sequence[float]], i: int) -> dict[str, float]:
    """The metrics of the i-th of some points, as they stand in a row: counts as whole numbers."""
    return {name: int(values[i]) if name in problem.counts else values[i] for name, values in metrics.items()}


def evaluation_trial(problem: Problem, point: Points, many: int, accelerate: Accelerate | None) -> Trial:
    """A batch of the evaluation of so many points; of one of them where they are computed one by one."""
    stacked = problem.stacks(training=False)
    tried = point.at(point.theta.expand(min(many, at_once(problem)) if stacked else 1, -1).clone())
    parts = problem.glimpse(tried, accelerate)
    step: Callable[[], object] = lambda: problem.glimpse(tried, accelerate)  # noqa: E731
    return Trial(step, parts * many / len(tried), stacked, problem.images)
