"""From a sweep to its tasks."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mcdist.errors import RequestError
from mcdist.plan.ensembles import Ensembles
from mcdist.plan.pairs import choose_pairs
from mcdist.plan.task import Blueprint, Task
from mcdist.spec.dynamics import DynamicsSpec
from mcdist.spec.measures import CurvatureSpec, PlaneSpec
from mcdist.spec.paths import PathSpec
from mcdist.spec.problem import AnyProblem
from mcdist.spec.sections import EndpointsSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.tasks import (
    AlignTask,
    BranchTask,
    CurvatureTask,
    DriftTask,
    EndpointTask,
    FinetuneTask,
    JoinTask,
    PathTask,
    PlaneTask,
    ProfileTask,
    RelaxationTask,
    TrunkTask,
    TwinTask,
)

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
    """All tasks of a sweep. Settings that come to the same task share it.

    Raises RequestError for planes of pairs that nothing connects.
    """
    tasks: dict[str, Task] = {}
    for task in _tasks(spec):
        tasks.setdefault(task.id, task)
    return Plan(spec, tasks)


def _tasks(spec: SweepSpec) -> Iterator[Task]:
    """End points first, then what connects them, then measures: the order in which packs are formed."""
    groups = []
    for problem in spec.problem:
        families = [_Family(problem, path) for path in spec.paths]
        for setting in spec.endpoints:
            trunks, connectable = _ends(problem, setting)
            yield from trunks
            yield from itertools.chain.from_iterable(connectable)
            groups += [_Group(spec, problem, families, setting, ends) for ends in connectable]
    for part in zip(*(group.parts() for group in groups), strict=True):
        yield from itertools.chain.from_iterable(part)


def _ends(problem: AnyProblem, setting: EndpointsSpec) -> tuple[list[Task], list[list[Task]]]:
    """Networks that are split into several, and the end points, in groups among which pairs are made.

    One group of all seeds; or, where networks are split, a group for each of these and each epoch of splitting.
    """
    if not setting.spawn:
        return [], [
            [Blueprint(EndpointTask(problem=problem, train=setting.train, seed=seed)).task() for seed in setting.seeds]
        ]
    epochs, trunks, branches = tuple(sorted(setting.spawn)), [], []
    for seed in setting.seeds:
        trunks.append(Blueprint(TrunkTask(problem=problem, train=setting.train, seed=seed, spawn=epochs)).task())
        for epoch in epochs:
            how = {"problem": problem, "train": setting.train, "seed": seed, "epoch": epoch}
            of_epoch = [BranchTask(**how, branch=branch) for branch in range(setting.branches)]
            branches.append([Blueprint(spec).task(trunks[-1].id) for spec in of_epoch])
    return trunks, branches


class _Family:
    """What the paths of one setting have in common."""

    def __init__(self, problem: AnyProblem, path: PathSpec) -> None:
        self.path = path
        self._problem = problem
        self._connect = Blueprint(PathTask(problem=problem, path=path))
        self._align = Blueprint(AlignTask(problem=problem, align=path.align)) if path.aligned else None
        finetune = FinetuneTask(problem=problem, train=path.train, neb=path.neb, seed=path.seed)
        self._finetune = None if not path.trained else Blueprint(finetune)

    def alignment(self, a: Task, b: Task) -> list[Task]:
        """The task that aligns b to a; none where nothing is aligned."""
        return [] if self._align is None else [self._align.task(a.id, b.id)]

    def between(self, a: Task, b: Task) -> Task:
        """The path from a to b."""
        return self._connect.task(a.id, b.id, *(task.id for task in self.alignment(a, b)))

    def controls(self, *ends: Task) -> list[Task]:
        """The ends trained on as the interior of the path is; none where nothing is trained."""
        return [] if self._finetune is None else [self._finetune.task(end.id) for end in ends]

    def through(self, legs: Sequence[tuple[Task, Task, bool]]) -> Task:
        """The path along these legs (a, b, whether walked from b to a)."""
        spec = JoinTask(problem=self._problem, path=self.path, reversed=tuple(back for _, _, back in legs))
        walked = [self.between(a, b).id for a, b, _ in legs]
        aligned = [task.id for a, b, _ in legs for task in self.alignment(a, b)]
        return Blueprint(spec).task(*walked, *aligned)


@dataclass(frozen=True)
class _Connected:
    """A path of the plan with the positions of its ends; join: whether it is made of others."""

    family: _Family
    ends: tuple[int, int]
    task: Task
    join: bool = False


class _Group:
    """All tasks of one problem and one way of training end points, part after part."""

    def __init__(
        self,
        spec: SweepSpec,
        problem: AnyProblem,
        families: Sequence[_Family],
        setting: EndpointsSpec,
        ends: Sequence[Task],
    ) -> None:
        self._spec, self._problem, self._families, self._ends = spec, problem, families, ends
        pairs = choose_pairs(spec.pairs, len(ends))
        known = set(pairs)
        tours = [_legs(tour, known) for tour in spec.tours]
        # a leg that is a pair of the sweep is that pair's path, in whichever direction it is walked
        reached = list(dict.fromkeys([*pairs, *((i, j) for legs in tours for i, j, _ in legs)]))
        self.alignments = [t for f in families for i, j in reached for t in f.alignment(ends[i], ends[j])]
        direct = [_Connected(f, (i, j), f.between(ends[i], ends[j])) for f in families for i, j in reached]
        joined = [
            _Connected(f, (tour[0], tour[-1]), f.through([(ends[i], ends[j], back) for i, j, back in legs]), join=True)
            for f in families
            for tour, legs in zip(spec.tours, tours, strict=True)
        ]
        self.paths = [c.task for c in direct]
        self.joins = [c.task for c in joined]
        self._connected = [*direct, *joined]
        self._ensembles = Ensembles(problem, () if setting.spawn else spec.ensembles, setting, ends)

    def parts(self) -> tuple[Iterable[Task], ...]:
        """Its tasks, each part after those that it needs."""
        return (
            self.alignments,
            self.paths,
            self.joins,
            self.controls,
            self.profiles,
            self.planes,
            self.curvatures,
            self.twins,
            self.drifts,
            self.relaxations,
            self._ensembles.starts,
            self._ensembles.runs,
            self._ensembles.curves,
            self._ensembles.ensembles,
        )

    @property
    def profiles(self) -> Iterator[Task]:
        """Every profile of every path."""
        blueprints = [Blueprint(ProfileTask(problem=self._problem, profile=p)) for p in self._spec.measure.profile]
        return (blueprint.task(c.task.id) for c in self._connected for blueprint in blueprints)

    @property
    def controls(self) -> Iterator[Task]:
        """The ends trained on, for those measures of curvature that want them."""
        for curvature in self._spec.measure.curvature:
            for c in self._measured(curvature):
                if curvature.controls:
                    yield from c.family.controls(*self._ends_of(c))

    @property
    def curvatures(self) -> Iterator[Task]:
        """Curvature along paths, and at end points."""
        for curvature in self._spec.measure.curvature:
            if curvature.at == "endpoints":
                # where t is meant, and how finely, says nothing of an end point
                bare = curvature.model_copy(update={"points": CurvatureSpec.model_fields["points"].default})
                at_end = Blueprint(CurvatureTask(problem=self._problem, curvature=bare, of="endpoint"))
                yield from (at_end.task(end.id) for end in self._ends)
                continue
            along = Blueprint(CurvatureTask(problem=self._problem, curvature=curvature))
            for c in self._measured(curvature):
                controls = c.family.controls(*self._ends_of(c)) if curvature.controls else []
                yield along.task(c.task.id, *(task.id for task in controls))

    @property
    def planes(self) -> Iterator[Task]:
        """Planes through end points, and planes of paths."""
        for i, plane in enumerate(self._spec.measure.plane):
            self._check(plane, f"measure.plane.{i}")
            through = Blueprint(PlaneTask(problem=self._problem, plane=plane, of="endpoints"))
            for triple in plane.through:
                yield through.task(*(self._ends[i].id for i in triple))
            if not plane.through:
                of_path = Blueprint(PlaneTask(problem=self._problem, plane=plane))
                yield from (of_path.task(c.task.id) for c in self._spanning(plane))

    @property
    def twins(self) -> Iterator[Task]:
        """The noise-free twins of the drifts, shared by settings that differ in noise alone."""
        return (twin for twin, _ in self._drifts())

    @property
    def drifts(self) -> Iterator[Task]:
        """Mean drifts from points of paths."""
        return (drift for _, drift in self._drifts())

    def _drifts(self) -> Iterator[tuple[Task, Task]]:
        for drift in self._spec.measure.drift:
            of_twin = Blueprint(TwinTask(problem=self._problem, drift=drift.twin))
            blueprint = Blueprint(DriftTask(problem=self._problem, drift=drift))
            for c in self._walked(drift):
                twin = of_twin.task(c.task.id)
                yield twin, blueprint.task(c.task.id, twin.id)

    @property
    def relaxations(self) -> Iterator[Task]:
        """Noisy runs from points of paths."""
        for relaxation in self._spec.relaxations:
            blueprint = Blueprint(RelaxationTask(problem=self._problem, relaxation=relaxation))
            yield from (blueprint.task(c.task.id) for c in self._walked(relaxation))

    def _walked(self, dynamics: DynamicsSpec) -> list[_Connected]:
        """The paths from whose points something moves: a repaired one is a path of other weights than its points."""
        return [
            c
            for c in self._connected
            if not c.family.path.repair and (not dynamics.kinds or c.family.path.kind in dynamics.kinds)
        ]

    def _measured(self, curvature: CurvatureSpec) -> list[_Connected]:
        wanted = curvature.at == "paths"
        return [c for c in self._connected if wanted and (not curvature.kinds or c.family.path.kind in curvature.kinds)]

    def _spanning(self, plane: PlaneSpec) -> list[_Connected]:
        pairs = {frozenset(pair) for pair in choose_pairs(plane.pairs, len(self._ends))}
        return [
            c
            for c in self._connected
            if not c.join
            and frozenset(c.ends) in pairs
            and not c.family.path.straight
            and (not plane.kinds or c.family.path.kind in plane.kinds)
        ]

    def _check(self, plane: PlaneSpec, where: str) -> None:
        connected = {frozenset(c.ends) for c in self._connected if not c.join}
        for pair in plane.pairs.pairs:
            if frozenset(pair) not in connected:
                raise RequestError(f"{where}: no path of the sweep connects the end points {list(pair)}")

    def _ends_of(self, connected: _Connected) -> tuple[Task, Task]:
        i, j = connected.ends
        return self._ends[i], self._ends[j]


def _legs(tour: Sequence[int], pairs: Collection[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """The legs (i, j, back) of a tour, as they are among the pairs or else i < j; back: walked from j to i."""
    back = [(j, i) in pairs or (i > j and (i, j) not in pairs) for i, j in itertools.pairwise(tour)]
    return [(j, i, True) if b else (i, j, False) for b, (i, j) in zip(back, itertools.pairwise(tour), strict=True)]
