"""Task kind `join`: one path after another, through several end points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from mcdist.science.alignment import Permutations, compose, inverse
from mcdist.science.paths import Joined
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.spec.tasks import JoinTask
from mcdist.tasks.align import permutations_of, permuted
from mcdist.tasks.path import how_columns, length_columns, path_columns
from mcdist.tasks.stored_path import LoadedPath, about_path, load_path, path_tensors
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result

__all__ = ["KIND"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """Legs put end to end, each turned round where it is walked backwards; nothing is trained.

    A leg between aligned ends stands in the units of its own end a: it is permuted as a whole, which changes no loss,
    to begin with the very point at which the leg before it ended.
    """
    problem = bench.problem(cast(JoinTask, items[0].spec).problem)
    return [_join(item, cast(JoinTask, item.spec), problem, bench) for item in items]


def _join(item: Item, spec: JoinTask, problem: Problem, bench: Bench) -> Result:
    L = len(spec.reversed)
    legs = [load_path(bench.stored(i), problem) for i in item.inputs[:L]]
    alignments = [permutations_of(bench.stored(i)) for i in item.inputs[L:]]
    walked = [_walked(leg, back) for leg, back in zip(legs, spec.reversed, strict=True)]
    if alignments:
        walked = _in_one_frame(problem, spec, walked, alignments)
    sizes = [len(controls) for controls in walked]
    controls = torch.cat([walked[0].theta, *(leg.theta[1:] for leg in walked[1:])])
    family = Joined(legs[0].family, sizes)
    stops = [_stops(leg, back) for leg, back in zip(legs, spec.reversed, strict=True)]
    who = path_columns(item.id, spec.path, stops[0][0], stops[-1][1]) | {"via": [end for _, end in stops[:-1]]}
    first, last = legs[0].ends[int(spec.reversed[0])], legs[-1].ends[int(not spec.reversed[-1])]
    how = how_columns(spec.path, spec.problem.weight_decay)
    row = {**who, **length_columns(family, controls), **how, "pieces": family.pieces}
    return Result(
        rows={"paths": [row]},
        tensors=path_tensors(problem, controls, walked[0][0], walked[-1][-1]),
        about=about_path(who, (first, last), sizes, spec.path.align.structure),
    )


def _walked(leg: LoadedPath, back: bool) -> Points:
    """The control points in the order in which they are passed."""
    if not back:
        return leg.controls
    return Points(leg.controls.theta.flip(0), {name: b.flip(0) for name, b in leg.controls.buffers.items()})


def _stops(leg: LoadedPath, back: bool) -> tuple[str, str]:
    """The end points at which a leg begins and ends."""
    a, b = leg.about["endpoint_a"], leg.about["endpoint_b"]
    return (b, a) if back else (a, b)


def _in_one_frame(
    problem: Problem, spec: JoinTask, walked: Sequence[Points], alignments: Sequence[Permutations]
) -> list[Points]:
    """Each leg permuted so that it begins in the units in which the last one ended.

    A leg's end a stands as it was trained, its end b permuted by p. If the end point at which the leg begins has come
    to be permuted by q so far, the leg is permuted by q, or, walked from b to a, by p's inverse and then q.
    """
    moved: list[Points] = []
    frame: Permutations = {}  # of no group: everything stands as it was trained
    for points, back, p in zip(walked, spec.reversed, alignments, strict=True):
        turn = compose(inverse(p), frame) if back else frame
        moved.append(permuted(problem, spec.path.align, points, turn))
        frame = turn if back else compose(p, turn)
    return moved


KIND = Kind(_run)
