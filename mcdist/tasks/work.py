"""What a task kind is, what it is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from torch import Tensor

from mcdist.errors import TaskError
from mcdist.science.problem import Problem
from mcdist.science.tracing import Accelerate
from mcdist.spec.problem import AnyProblem
from mcdist.spec.tasks import TaskSpec

__all__ = ["Bench", "Item", "Kind", "Outcome", "Result", "Run", "Stored", "Trial", "Way"]


@dataclass(frozen=True)
class Way:
    """How a pack is computed. It changes speed, and results by rounding; never what a result means.

    compiled: training steps by a compiled library. graphed: as one CUDA graph. channels_last: images in that memory
    format, where networks run one by one.
    """

    compiled: bool = False
    graphed: bool = False
    channels_last: bool = False

    def __str__(self) -> str:
        """The names of what is not plain."""
        return ", ".join(name for name, used in asdict(self).items() if used) or "plain"


@dataclass(frozen=True)
class Item:
    """One task to do: its id, its specification, the ids of its inputs."""

    id: str
    spec: TaskSpec
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Stored:
    """What a task left in the store: named tensors, and text about them."""

    tensors: Mapping[str, Tensor]
    about: Mapping[str, str]


@dataclass
class Result:
    """What a task gives: rows by table (without `task_id`), named tensors, text kept beside the tensors."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)


Outcome = Result | TaskError
"""A result, or why this task of the pack (and no other) failed."""


class Bench(Protocol):
    """Where a task works: problems ready on the device, results of its inputs."""

    def problem(self, spec: AnyProblem) -> Problem:
        """The problem, with its data on this worker's device."""

    def stored(self, task_id: str) -> Stored:
        """What an input task left in the store."""

    @property
    def accelerate(self) -> Accelerate | None:
        """What makes training steps faster, where the pack is to be computed so."""


class Run(Protocol):
    """A task kind: does a pack of tasks of one shape as one stack."""

    def __call__(self, items: Sequence[Item], bench: Bench) -> list[Outcome]:
        """One outcome per item, in order. An exception fails the whole pack."""


@dataclass(frozen=True)
class Trial:
    """A piece of the work of K tasks that is like all the rest of it, to be timed.

    step: does the piece, a whole number of times if need be. steps: so many of them make up the tasks. stacked: whether
    K tasks are computed together at all (a pack of others is one after the other). images: whether the memory format
    of images could matter.
    """

    step: Callable[[], object]
    steps: float
    stacked: bool
    images: bool


class Rehearse(Protocol):
    """Sets up a trial of K tasks: random points stand for results that are not there yet."""

    def __call__(self, specs: Sequence[TaskSpec], bench: Bench) -> Trial | None:
        """specs: K specifications of one shape. None where the tasks take no work to speak of."""


@dataclass(frozen=True)
class Kind:
    """A kind of task: how a pack is done, and, where the way matters, how a piece of it is tried."""

    run: Run
    rehearse: Rehearse | None = None

    def __call__(self, items: Sequence[Item], bench: Bench) -> list[Outcome]:
        """See `Run`."""
        return self.run(items, bench)
