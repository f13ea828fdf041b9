"""Packs: tasks of one shape that are computed as one stack and committed as one unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mcdist.plan.graph import Plan
from mcdist.plan.task import Task, digest

__all__ = ["Pack", "form_packs", "groups", "pack_of"]


@dataclass(frozen=True, slots=True)
class Pack:
    """Tasks of one shape; its id is made of theirs, so that the same pack has the same id in every run."""

    id: str
    kind: str
    tasks: tuple[Task, ...]

    @property
    def inputs(self) -> set[str]:
        """Ids of all tasks whose results go in."""
        return {i for task in self.tasks for i in task.inputs}


def pack_of(tasks: Iterable[Task]) -> Pack:
    """The pack of these tasks."""
    members = tuple(tasks)
    return Pack(digest(task.id for task in members), members[0].kind, members)


def groups(plan: Plan) -> dict[str, list[Task]]:
    """The tasks of each shape, in plan order."""
    shapes: dict[str, list[Task]] = {}
    for task in plan.tasks.values():
        shapes.setdefault(task.blueprint.group, []).append(task)
    return shapes


def form_packs(plan: Plan, sizes: Mapping[str, int]) -> list[Pack]:
    """The packs of a whole sweep: each shape's tasks cut, in plan order, into parts of nearly equal size.

    sizes: the greatest pack of each shape, by group name. Packs are formed from all tasks, never from those that
    happen to be left: a sweep that was killed and resumed has the packs, and so the bits, of an undisturbed one.
    """
    packs: list[Pack] = []
    for group, tasks in groups(plan).items():
        parts = -(-len(tasks) // sizes[group])
        size, longer = divmod(len(tasks), parts)
        start = 0
        for i in range(parts):
            end = start + size + (i < longer)
            packs.append(pack_of(tasks[start:end]))
            start = end
    return packs
