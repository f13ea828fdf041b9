"""What a kind of problem is to a sweep: checked and described before any work, built on a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch

from mcdist.problems.data import Dataset
from mcdist.science.problem import Problem
from mcdist.spec.problem import AnyProblem
from mcdist.spec.sweep import SweepSpec

__all__ = ["DTYPES", "Datasets", "Facts", "Need", "ProblemKind"]

DTYPES = {"float32": torch.float32, "float64": torch.float64}

Datasets = Callable[[str], Dataset]
"""The data set of a key."""

Need = Literal["examples", "outputs", "likelihood", "symmetry", "menus"]
"""What measures, dynamics and paths may need of a problem."""


@dataclass(frozen=True)
class Facts:
    """What a problem amounts to before any work.

    n_params: parameters. train: training examples, evaluated: examples in all its splits; 1 where the loss is a
    function of the weights alone. convolutional: whether it has convolutions. note: its data in words. lacks: what it
    does not have, and why, as the end of a sentence that begins with what needs it ("fisher_trace is of ..."). noisy:
    why none of its gradients is without noise and of the objective that minibatches follow, if so; found out when it is
    asked, since a model may have to be built for it. steps: of an epoch, for a batch size. splits: of "train", "val",
    "test" those that there are. unlimited: whether any number of training examples can be drawn.
    """

    n_params: int
    train: int
    evaluated: int
    convolutional: bool
    note: str
    lacks: Mapping[Need, str] = field(default_factory=dict)
    noisy: Callable[[], str | None] = lambda: None
    steps: Callable[[int], int] = lambda batch_size: 1
    splits: tuple[str, ...] = ()
    unlimited: bool = False


class Prepare(Protocol):
    """Checks a problem of a sweep; what it comes to."""

    def __call__(
        self, problem: Any, sweep: SweepSpec, datasets: dict[str, Dataset], where: str
    ) -> tuple[AnyProblem, Facts]:
        """The specification, digests of files filled in, and what it amounts to.

        sweep: what is asked of it. datasets: those loaded so far, to be added to. where: what messages call it. Raises
        RequestError for a problem that cannot be, or that cannot do what its sweep asks.
        """


class Build(Protocol):
    """Makes the problem of a specification."""

    def __call__(self, problem: Any, datasets: Datasets, device: torch.device, channels_last: bool) -> Problem:
        """channels_last: images in that memory format."""


@dataclass(frozen=True)
class ProblemKind:
    """How problems of a kind are prepared, and built."""

    prepare: Prepare
    build: Build
