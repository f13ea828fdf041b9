"""What a task kind is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from mcdist.errors import TaskError
from mcdist.science.problem import Problem
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import TaskSpec

__all__ = ["Bench", "Item", "Outcome", "Result", "Run", "Stored"]


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

    def problem(self, spec: ProblemSpec) -> Problem:
        """The problem, with its data on this worker's device."""

    def stored(self, task_id: str) -> Stored:
        """What an input task left in the store."""


class Run(Protocol):
    """A task kind: does a pack of tasks of one shape as one stack."""

    def __call__(self, items: Sequence[Item], bench: Bench) -> list[Outcome]:
        """One outcome per item, in order. An exception fails the whole pack."""
