"""Task kind `align`: permute the hidden units of one end point to match another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor

from mcdist.errors import RequestError, TaskError
from mcdist.science.alignment import Matching, Permutations, apply, weight_matching
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.spec.paths import AlignSpec
from mcdist.spec.tasks import AlignTask, TaskSpec
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Stored, Trial

__all__ = ["KIND", "aligned_end", "permutations_of", "permuted"]

_PREFIX = "permutation."

State = Mapping[str, Tensor]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """One alignment per item, one after the other; what is kept are the permutations, not another copy of b."""
    problem = bench.problem(cast(AlignTask, items[0].spec).problem)
    return [_align(item, cast(AlignTask, item.spec), problem, bench) for item in items]


def _align(item: Item, spec: AlignTask, problem: Problem, bench: Bench) -> Outcome:
    a, b = (bench.stored(i).tensors for i in item.inputs)
    try:
        found = _match(problem, spec.align, a, b, Stream.of("align", spec.align.seed, *item.inputs))
    except (RequestError, TaskError) as error:
        return TaskError(f"these end points cannot be aligned: {error}")
    at_a, at_b, moved = (problem.point(state).theta.double() for state in (a, b, found.apply(b)))
    row: dict[str, Any] = {
        "alignment_id": item.id,
        "problem": spec.problem.columns()["problem"],
        "endpoint_a": item.inputs[0],
        "endpoint_b": item.inputs[1],
        "method": spec.align.method,
        "groups": len(found.structure.groups),
        "units": found.structure.units,
        "moved": found.moved,
        "sweeps": found.sweeps if spec.align.method == "weights" else None,
        "distance_before": float((at_a - at_b).norm()),
        "distance_after": float((at_a - moved).norm()),
    }
    tensors = {f"{_PREFIX}{group}": p.cpu() for group, p in found.permutations.items()}
    return Result(rows={"alignments": [row]}, tensors=tensors, about={"kind": "align"})


def _match(problem: Problem, how: AlignSpec, a: State, b: State, stream: Stream) -> Matching:
    structure = problem.structure(how.structure)
    if how.method == "weights":
        return weight_matching(a, b, structure, stream.generator(), restarts=how.restarts, names=problem.layout.names)
    return problem.match_activations(a, b, structure, how.samples)


def permutations_of(alignment: Stored) -> dict[str, Tensor]:
    """The permutations of an alignment, by group."""
    return {name.removeprefix(_PREFIX): p for name, p in alignment.tensors.items()}


def aligned_end(problem: Problem, how: AlignSpec, end: State, alignment: Stored) -> Points:
    """An end point permuted as an alignment says."""
    return problem.point(apply(end, problem.structure(how.structure), permutations_of(alignment)))


def permuted(problem: Problem, how: AlignSpec, points: Points, permutations: Permutations) -> Points:
    """K points, all permuted alike."""
    structure = problem.structure(how.structure)
    states = (problem.state(points, k) for k in range(len(points)))
    return Points.stack([problem.point(apply(state, structure, permutations)) for state in states])


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """The matching of a random point with another."""
    spec = cast(AlignTask, specs[0])
    problem = bench.problem(spec.problem)
    a, b = (problem.state(problem.initial(Stream.of("trial", end)), 0) for end in "ab")
    return Trial(
        lambda: _match(problem, spec.align, a, b, Stream.of("trial")), float(len(specs)), stacked=False, images=False
    )


KIND = Kind(_run, _rehearse)
