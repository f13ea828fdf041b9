"""From a sweep to its tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mcdist.plan.pairs import choose_pairs
from mcdist.plan.task import Blueprint, Task
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.tasks import EndpointTask, PathTask, ProfileTask

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """The tasks of a sweep by id, every task after its inputs."""

    spec: SweepSpec
    tasks: dict[str, Task]

    def counts(self) -> dict[str, int]:
        """Number of tasks of each kind, in order of first appearance."""
        return dict(Counter(task.kind for task in self.tasks.values()))


def make_plan(spec: SweepSpec) -> Plan:
    """All tasks of a sweep. Settings that come to the same task share it."""
    tasks: dict[str, Task] = {}
    for task in _tasks(spec):
        tasks.setdefault(task.id, task)
    return Plan(spec, tasks)


def _tasks(spec: SweepSpec) -> Iterator[Task]:
    """End points first, then paths, then measures: the order in which packs are formed."""
    paths: list[tuple[Task, list[Blueprint]]] = []
    for problem in spec.problem:
        measures = [Blueprint(ProfileTask(problem=problem, profile=p)) for p in spec.measure.profile]
        families = [Blueprint(PathTask(problem=problem, path=p)) for p in spec.paths]
        for setting in spec.endpoints:
            ends = [
                Blueprint(EndpointTask(problem=problem, train=setting.train, seed=seed)).task()
                for seed in setting.seeds
            ]
            yield from ends
            pairs = choose_pairs(spec.pairs, len(ends))
            for family in families:
                paths += [(family.task(ends[i].id, ends[j].id), measures) for i, j in pairs]
    for path, _ in paths:
        yield path
    for path, measures in paths:
        for measure in measures:
            yield measure.task(path.id)
