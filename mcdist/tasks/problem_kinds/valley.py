"""Problem kind `valley`: the toy model of entropic confinement."""

from __future__ import annotations

import torch

from mcdist.problems.data import Dataset
from mcdist.problems.valley import Valley
from mcdist.science.problem import Problem
from mcdist.spec.problem import ValleySpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.problem_kinds.kind import DTYPES, Datasets, Facts, Need, ProblemKind

__all__ = ["VALLEY"]

_LACKS: dict[Need, str] = {
    "examples": "needs training examples; a valley is a function of the weights alone, and has none",
    "outputs": "needs outputs of a network; a valley is a loss alone",
    "likelihood": "needs the likelihood of labels; a valley is a loss alone",
    "symmetry": "is for networks; a valley has no hidden units",
    "menus": "is made of the menus of auctions; a valley has none",
}


def _prepare(
    problem: ValleySpec, sweep: SweepSpec, datasets: dict[str, Dataset], where: str
) -> tuple[ValleySpec, Facts]:
    note = f"valley: {problem.stiff} stiff directions and a soft one, a closed form"
    return problem, Facts(problem.stiff + 1, 1, 1, convolutional=False, note=note, lacks=_LACKS)


def _build(problem: ValleySpec, datasets: Datasets, device: torch.device, channels_last: bool) -> Problem:
    return Valley(
        problem.stiff,
        problem.stiffness,
        problem.middle,
        problem.energy,
        problem.wall,
        device=device,
        dtype=DTYPES[problem.dtype],
    )


VALLEY = ProblemKind(_prepare, _build)
