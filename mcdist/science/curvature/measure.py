"""All that is asked of K points, in groups that fit."""

from __future__ import annotations

from collections.abc import Sequence

from mcdist.errors import RequestError, unknown_name
from mcdist.science.curvature.measures import MEASURES
from mcdist.science.curvature.operators import budget, graph_bytes
from mcdist.science.curvature.records import Curvature, CurvatureRecipe
from mcdist.science.curvature.workbench import OPERATORS, Workbench
from mcdist.science.head import Examples
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream

__all__ = ["curvature"]

_TOGETHER = 8  # points on a CPU: more gain nothing, and wait longer for the last one to settle


def curvature(problem: Problem, points: Points, recipe: CurvatureRecipe, streams: Sequence[Stream]) -> list[Curvature]:
    """The curvature of the problem's loss at each of K settled points.

    The loss is the mean over a fixed subset of the training data, in eval mode, without augmentation. Result k depends
    on point k and streams[k] alone (probes and sampled labels come from it). Raises RequestError for an unknown
    measure, for more examples than there are, and for a measure that the problem does not have.
    """
    for name in recipe.measures:
        if name not in MEASURES:
            raise RequestError(unknown_name("measure of curvature", name, MEASURES))
    if len(streams) != len(points):
        raise RequestError(f"curvature: {len(points)} points need as many streams, got {len(streams)}")
    if not len(points):
        return []
    examples = problem.sample(recipe.samples, Stream.of("curvature", "subset", recipe.seed))
    wanted = _wanted(recipe, points.theta.shape[1])
    sizes = {
        name: graph_bytes(OPERATORS[name], problem, points, examples)
        for name in dict.fromkeys(MEASURES[m].operator for m in recipe.measures)
        if name in OPERATORS
    }
    found: list[Curvature] = []
    size = _group(problem, points, examples, recipe, sum(sizes.values()))
    for start in range(0, len(points), size):
        at = slice(start, start + size)
        bench = Workbench(problem, points[at], examples, recipe, streams[at], wanted, sizes)
        results = [MEASURES[m].run(bench, m, MEASURES[m].operator) for m in recipe.measures]
        found += [_together(of_point) for of_point in zip(*results, strict=True)]
    return found


def _together(results: Sequence[Curvature]) -> Curvature:
    return Curvature(
        [value for result in results for value in result.values],
        [value for result in results for value in result.spectrum],
        [value for result in results for value in result.density],
    )


def _wanted(recipe: CurvatureRecipe, P: int) -> dict[str, tuple[int, ...]]:
    """For each operator the numbers of leading eigenvalues that the measures ask for."""
    wanted: dict[str, set[int]] = {name: set() for name in OPERATORS}
    for name in recipe.measures:
        measure = MEASURES[name]
        if measure.leading == "first" or (measure.leading == "trace" and recipe.trace_method == "krylov"):
            wanted[measure.operator].add(1)
        elif measure.leading == "top_k":
            wanted[measure.operator].add(recipe.top_k)
    return {name: tuple(sorted(ks)) for name, ks in wanted.items()}


def _group(problem: Problem, points: Points, examples: Examples, recipe: CurvatureRecipe, per_example: int) -> int:
    """How many points go together: as few groups of like size as memory allows."""
    if not problem.stacks(training=False):
        return 1
    device, P = points.theta.device, points.theta.shape[1]
    rows = max(1, recipe.density_probes if any("density" in m for m in recipe.measures) else 1)
    vectors = rows * max(recipe.max_iterations, recipe.density_steps) + recipe.probes
    each = per_example * len(examples[0]) + vectors * P * points.theta.element_size()
    most = max(1, budget(device) // each)
    if device.type == "cpu":
        most = min(most, _TOGETHER)
    groups = -(-len(points) // most)
    return -(-len(points) // groups)
