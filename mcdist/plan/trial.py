"""The tasks of one trial of a study, as a sweep with that setting would have them."""

from __future__ import annotations

from collections.abc import Sequence

from mcdist.plan.graph import Plan, make_plan
from mcdist.plan.task import Blueprint
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.measures import MeasureSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.tasks import RelaxationTask, TrialTask

__all__ = ["paths_of", "trial_plan"]


def paths_of(spec: SweepSpec, relaxation: RelaxationSpec) -> list[str]:
    """Ids of the paths from whose points a sweep would start this relaxation."""
    asked = spec.model_copy(update={"measure": MeasureSpec(), "relaxations": (relaxation,)})
    return [task.inputs[0] for task in make_plan(asked).tasks.values() if task.kind == RelaxationTask.kind]


def trial_plan(spec: SweepSpec, relaxation: RelaxationSpec, paths: Sequence[str]) -> Plan:
    """The relaxation of every path, then the trial that sums them up. The paths themselves are no part of it.

    spec: of the sweep that the paths are of, with the one problem that they are on.
    """
    (problem,) = spec.problem
    run = Blueprint(RelaxationTask(problem=problem, relaxation=relaxation))
    runs = [run.task(path) for path in paths]
    trial = Blueprint(TrialTask(problem=problem, relaxation=relaxation)).task(*(task.id for task in runs))
    return Plan(spec.model_copy(update={"relaxations": (relaxation,)}), {task.id: task for task in (*runs, trial)})
