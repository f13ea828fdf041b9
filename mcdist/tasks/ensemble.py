"""Task kind `ensemble`: several networks that predict together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from mcdist.errors import RequestError, TaskError
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.scores import Scores, score
from mcdist.spec.tasks import EnsembleTask, TaskSpec
from mcdist.tasks.members import Gathered, gather
from mcdist.tasks.positions import at_once, evaluation_trial
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result, Trial

__all__ = ["JUDGED", "KIND"]

JUDGED = ("val", "test")
"""The splits on which ensembles are judged, where there are such."""

_ROUNDING = 1e-6  # epochs: sums of fractions of them

Row = dict[str, Any]
T = TypeVar("T")


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """The mean of the members' softmax probabilities, scored; each member, and those up to it, too.

    Probabilities are taken in float32, which is what is kept of them, and scored in float64 (see `scores`). The members
    of all ensembles of the pack are one row of points, a few of them in memory at a time.
    """
    problem = bench.problem(cast(EnsembleTask, items[0].spec).problem)
    gathered = [_gathered(item, problem, bench) for item in items]
    splits = [split for split in JUDGED if split in problem.splits]
    rows, found = _predictions([g for g in gathered if isinstance(g, Gathered)], problem, splits, bench)
    targets = {split: problem.targets(split) for split in splits}
    outcomes: list[Outcome] = []
    at = iter(zip(rows, found, strict=True))
    for item, one in zip(items, gathered, strict=True):
        outcomes.append(one if isinstance(one, TaskError) else _outcome(item, one, *next(at), targets))
    return outcomes


def _gathered(item: Item, problem: Problem, bench: Bench) -> Gathered | TaskError:
    """Its members, or why there are none to be judged: no method is given more training than another."""
    spec = cast(EnsembleTask, item.spec)
    try:
        found = gather(item, spec, problem, bench)
    except TaskError as error:
        return error
    if found.epochs_used > spec.budget * spec.epochs + _ROUNDING:
        return TaskError(
            f"its networks took {found.epochs_used:g} epochs of training, more than its budget of "
            f"{spec.budget} x {spec.epochs}"
        )
    return found


def _predictions(
    ensembles: Sequence[Gathered], problem: Problem, splits: Sequence[str], bench: Bench
) -> tuple[list[list[Row]], list[dict[str, Tensor]]]:
    """Of every ensemble its members' columns, and by split their probabilities [M, N, C] in float32."""
    rows: list[list[Row]] = [[] for _ in ensembles]
    found: list[dict[str, list[Tensor]]] = [{split: [] for split in splits} for _ in ensembles]
    members = ((e, member) for e, ensemble in enumerate(ensembles) for member in ensemble.members)
    for some in _a_few(members, at_once(problem)):
        owners = [e for e, _ in some]
        points = Points.stack([member.point for _, member in some])
        if not all(ensembles[e].settled for e in owners):
            points = problem.settle(points, bench.accelerate)
        for e, member in some:
            rows[e].append(member.columns)
        for split in splits:
            for e, own in zip(owners, problem.probabilities(points, split).float(), strict=True):
                found[e][split].append(own)
    return rows, [{split: torch.stack(own) for split, own in each.items()} for each in found]


def _a_few(many: Iterable[T], most: int) -> Iterator[list[T]]:
    rest = iter(many)
    while some := list(islice(rest, most)):
        yield some


def _outcome(
    item: Item, one: Gathered, members: Sequence[Row], found: dict[str, Tensor], targets: dict[str, Tensor]
) -> Outcome:
    spec = cast(EnsembleTask, item.spec)
    try:
        scores = {split: score(p.numpy(), targets[split].numpy()) for split, p in found.items()}
    except RequestError as error:
        return TaskError(f"these networks cannot be judged: {error}")
    row: Row = {
        "ensemble_id": item.id,
        "problem": spec.problem.columns()["problem"],
        "method": spec.method,
        "seed": spec.seed,
        **one.columns,
        "size": len(members),
        "budget": spec.budget,
        "budget_epochs": spec.budget * spec.epochs,
        "epochs_used": one.epochs_used,
    }
    for split, own in scores.items():  # the test split last: to it belong the columns that are of one split alone
        row |= own.columns(split)
    each = [
        {"ensemble_id": item.id, "member": m, **columns, **_member_scores(scores, m)}
        for m, columns in enumerate(members)
    ]
    result = Result(rows={"ensembles": [row], "ensemble_members": each})
    if spec.predictions:
        result.tensors = {f"{split}.probabilities": p for split, p in found.items()}
        result.tensors |= {f"{split}.targets": targets[split] for split in found}
        result.about = {"kind": "ensemble"}
    return result


def _member_scores(scores: dict[str, Scores], m: int) -> Row:
    row: Row = {}
    for split, own in scores.items():
        row[f"{split}_error"], row[f"{split}_nll"] = own.member_errors[m], own.member_nlls[m]
        row[f"running_{split}_error"], row[f"running_{split}_nll"] = own.running_errors[m], own.running_nlls[m]
    return row


def _rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
    """See `profile`; by no program, which predictions are not made by. How many members a run will have is not known
    here: one is taken for each budget.
    """
    ensembles = [cast(EnsembleTask, spec) for spec in specs]
    problem = bench.problem(ensembles[0].problem)
    many = sum(spec.points or spec.budget for spec in ensembles)
    return evaluation_trial(problem, problem.initial(Stream.of("trial")), many, None)


KIND = Kind(_run, _rehearse)
