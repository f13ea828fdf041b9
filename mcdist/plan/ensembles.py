"""The ensembles of a sweep: which networks make up each, and the tasks that train them."""

from __future__ import annotations

from collections.abc import Sequence

from mcdist.plan.task import Blueprint, Task
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.paths import PathSpec
from mcdist.spec.problem import AnyProblem
from mcdist.spec.sections import EndpointsSpec
from mcdist.spec.tasks import AlignTask, EndpointTask, EnsembleTask, PathTask, TrajectoryTask, TrunkTask

__all__ = ["Ensembles", "disjoint", "run_of"]


def disjoint(seeds: int, sizes: Sequence[int]) -> list[list[int]]:
    """Positions of seeds in groups that share none, as many groups as there are seeds for: these are independent.

    Each has as many as the greatest of `sizes`; a smaller ensemble takes the first ones of a group. Group r begins with
    seed r, which is thus the first network of ensemble r by every method and at every budget.
    """
    size = max(sizes)
    groups = seeds // size
    return [[r, *(groups + r * (size - 1) + j for j in range(size - 1))] for r in range(groups)]


def run_of(problem: AnyProblem, ensemble: EnsembleSpec, setting: EndpointsSpec, budget: int, seed: int) -> list[Task]:
    """The tasks of one run with a cyclic rate, the trajectory last: before it what it starts from, unless that is the
    seed. An end point is that of the sweep.
    """
    B = setting.train.epochs
    start = ensemble.begins(B, budget)
    spec = TrajectoryTask(
        problem=problem,
        train=setting.train,
        seed=seed,
        start=start,
        epochs=ensemble.run_epochs(B, budget),
        rate="cosine" if ensemble.method == "snapshot" else "triangle",
        lr1=setting.train.lr if ensemble.lr1 is None else ensemble.lr1,
        lr2=0.0 if ensemble.lr2 is None else ensemble.lr2,
        cycle=ensemble.cycle,
        cycles=ensemble.cycles,
        looks=ensemble.looks,
    )
    before = []
    if start == B:
        before = [Blueprint(EndpointTask(problem=problem, train=setting.train, seed=seed)).task()]
    elif start:
        before = [Blueprint(TrunkTask(problem=problem, train=setting.train, seed=seed, spawn=(start,))).task()]
    return [*before, Blueprint(spec).task(*(task.id for task in before))]


class Ensembles:
    """All ensembles of one problem and one way of training end points.

    starts, runs, curves, ensembles: their tasks, each part after those that it needs.
    """

    def __init__(
        self, problem: AnyProblem, entries: Sequence[EnsembleSpec], setting: EndpointsSpec, ends: Sequence[Task]
    ) -> None:
        self._problem, self._setting, self._ends = problem, setting, ends
        self.starts: list[Task] = []
        self.runs: list[Task] = []
        self.curves: list[Task] = []
        self.ensembles: list[Task] = []
        sizes = [entry.networks(budget) for entry in entries for budget in entry.budgets]
        groups = disjoint(len(ends), sizes) if sizes else []
        for entry in entries:
            for budget in entry.budgets:
                for group in groups:
                    self._add(entry, budget, group[: entry.networks(budget)])

    def _add(self, entry: EnsembleSpec, budget: int, group: Sequence[int]) -> None:
        """One ensemble, and what it is made of."""
        seeds, ends = [self._setting.seeds[i] for i in group], [self._ends[i] for i in group]
        B, spent = self._setting.train.epochs, None
        if entry.cyclic:
            inputs = []
            for seed in seeds:
                *before, run = run_of(self._problem, entry, self._setting, budget, seed)
                self.starts += before
                inputs.append(run)
            self.runs += inputs
        elif entry.path is not None:
            *aligned, curve = self._curve(entry.path, ends)
            self.starts += aligned
            self.curves.append(curve)
            inputs = [curve]
            assert entry.path.train is not None, "checked where the problem was"
            spent = 2 * B + entry.path.train.epochs * entry.path.draws
        else:
            inputs, spent = ends, len(ends) * B
        spec = EnsembleTask(
            problem=self._problem,
            method=entry.method,
            seed=seeds[0],
            budget=budget,
            epochs=B,
            spent=spent,
            points=entry.points,
            predictions=entry.predictions,
        )
        self.ensembles.append(Blueprint(spec).task(*(task.id for task in inputs)))

    def _curve(self, path: PathSpec, ends: Sequence[Task]) -> list[Task]:
        """The curve between two end points, as `paths` has it; before it what aligns one to the other, if asked for."""
        a, b = (end.id for end in ends)
        aligned = []
        if path.aligned:
            aligned = [Blueprint(AlignTask(problem=self._problem, align=path.align)).task(a, b)]
        return [*aligned, Blueprint(PathTask(problem=self._problem, path=path)).task(a, b, *(t.id for t in aligned))]
