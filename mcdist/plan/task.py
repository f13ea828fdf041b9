"""A task: a piece of work with an identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from mcdist.spec.base import canonical
from mcdist.spec.tasks import TaskSpec

__all__ = ["Blueprint", "Task", "digest"]

_ID_LENGTH = 24  # hexadecimal digits, 96 bits: two of a billion tasks share one with probability 6e-12


def digest(parts: Iterable[str]) -> str:
    """An id from strings: the first 96 bits, in hexadecimal, of the SHA-256 of their JSON."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:_ID_LENGTH]


class Blueprint:
    """A task specification with what is derived from it once, for all tasks that share it.

    group: a name of their shape, the same for specifications that differ in scalars (seed, rate, ...) alone: such tasks
    can be computed as one stack.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.spec, self.kind = spec, spec.kind
        head = json.dumps([self.kind, str(spec.version), _json(canonical(spec))])
        self._begun = hashlib.sha256(head.removesuffix("]").encode())  # once for all: a plan may have a million ids
        self.group = digest([self.kind, str(spec.version), _json(canonical(spec, shape=True))])

    def task(self, *inputs: str) -> Task:
        """The task of this specification on these inputs, in order; its id is the digest of kind, version, canonical
        specification and inputs.
        """
        sha = self._begun.copy()
        sha.update(("".join(f", {json.dumps(i)}" for i in inputs) + "]").encode())
        return Task(sha.hexdigest()[:_ID_LENGTH], self, inputs)


@dataclass(frozen=True, slots=True)
class Task:
    """One unit of work: `id` says what it is, not who asked for it, when or where. Equal ids make equal tasks."""

    id: str
    blueprint: Blueprint = field(compare=False, repr=False)
    inputs: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The kind of work."""
        return self.blueprint.kind


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
