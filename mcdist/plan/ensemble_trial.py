"""The tasks of a study of ensembles: what trials start from, the trials themselves, and the sweep at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcdist.plan.ensembles import run_of
from mcdist.plan.graph import Plan
from mcdist.plan.task import Blueprint, Task
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.measures import MeasureSpec
from mcdist.spec.sections import EndpointsSpec, PairsSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.tasks import EnsembleTrialTask, TrajectoryTask

__all__ = ["Pair", "compared", "pairless", "starts_plan", "trial_task"]

Pair = tuple[float, float]


def pairless(
    study: EnsembleStudySpec, name: str, ensembles: Sequence[EnsembleSpec] = (), seeds: Sequence[int] = ()
) -> SweepSpec:
    """A sweep over the study's problem with ensembles alone. seeds: those of the trials if not said."""
    group = EndpointsSpec(seeds=tuple(seeds) or study.endpoints.seeds, train=study.endpoints.train)
    return SweepSpec(
        name=name,
        problem=(study.problem,),
        endpoints=(group,),
        pairs=PairsSpec(kind="none"),
        ensembles=tuple(ensembles),
        measure=MeasureSpec(profile=()),
        resources=study.resources,
    )


def starts_plan(study: EnsembleStudySpec) -> Plan:
    """What the networks of all trials start from: of each epoch at which cycles may begin, that of every seed."""
    tasks = [
        task
        for start in study.starts
        for seed in study.endpoints.seeds
        for task in run_of(study.problem, _starting(study, start), study.endpoints, 1, seed)[:-1]
    ]
    return Plan(pairless(study, study.name), {task.id: task for task in tasks})


def _starting(study: EnsembleStudySpec, start: int) -> EnsembleSpec:
    fixed = {"start": start} if study.method == "fge" else {}
    return EnsembleSpec.model_validate({"method": study.method, **fixed})


def trial_task(study: EnsembleStudySpec, ensemble: EnsembleSpec, cycles: int, rates: Sequence[Pair] = ()) -> Task:
    """A trial with so many members of each network.

    rates: those of each stretch that ended in a member. Where all are the same they are a setting like any other, and
    the trial is that of this setting; else the setting says the last of them.
    """
    runs = [run_of(study.problem, ensemble, study.endpoints, 1, seed) for seed in study.endpoints.seeds]
    way = runs[0][-1].blueprint.spec
    assert isinstance(way, TrajectoryTask), "the last task of a run"
    changes: dict[str, Any] = {"seed": 0}
    if rates and way.rate == "triangle":
        lr1, lr2 = rates[-1]
        changes |= {"lr1": lr1, "lr2": lr2, "rates": tuple(rates) if len(set(rates)) > 1 else ()}
    spec = EnsembleTrialTask(
        problem=study.problem,
        trajectory=way.model_copy(update=changes),
        seeds=study.endpoints.seeds,
        cycles=cycles,
    )
    return Blueprint(spec).task(*(task.id for run in runs for task in run[:-1]))


def compared(study: EnsembleStudySpec, winner: EnsembleSpec) -> SweepSpec:
    """The final run as a sweep: the winner, the published setting unless it is the same, independent networks."""
    assert study.final is not None, "a study without a final run"
    budgets = {"budgets": study.final.budgets}
    published = EnsembleSpec.model_validate({"method": study.method, **study.final.published, **budgets})
    best = EnsembleSpec.model_validate(winner.model_dump(exclude={"budgets"}) | budgets)
    independent = EnsembleSpec.model_validate({"method": "independent", **budgets})
    B = study.endpoints.train.epochs
    entries = [_with_start(one, B) for one in (best, published)]
    seeds = study.final.fresh(study.endpoints.seeds)
    return pairless(study, f"{study.name}-final", tuple(dict.fromkeys([*entries, independent])), seeds)


def _with_start(ensemble: EnsembleSpec, B: int) -> EnsembleSpec:
    """The same with its start written out, so that equal ones are seen to be."""
    return ensemble if ensemble.method == "snapshot" else ensemble.model_copy(update={"start": ensemble.begins(B, 1)})
