"""What a task will cost, before anything was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcdist.spec.dynamics import DynamicsSpec
from mcdist.spec.paths import NebSpec
from mcdist.spec.problem import AnyProblem
from mcdist.spec.tasks import (
    AlignTask,
    BranchTask,
    CurvatureTask,
    DriftTask,
    EndpointTask,
    EnsembleTask,
    EnsembleTrialTask,
    FinetuneTask,
    JoinTask,
    PathTask,
    PauseTask,
    PlaneTask,
    ProblemTask,
    ProfileTask,
    RelaxationTask,
    TaskSpec,
    TrajectoryTask,
    TrialTask,
    TrunkTask,
    TwinTask,
)
from mcdist.spec.training import TrainSpec

__all__ = ["ProblemSize", "task_cost"]

_STEP = 3.0  # forward, and backward at twice that
_PRODUCT = 6.0  # of the Hessian with a vector
_POSITIONS = {"three_pieces": 25, "five_pieces": 41, "large_menu": 41}  # where promises are put to the test
_PRODUCTS = 30  # until an eigenvalue has settled
_NEB_STEPS = {"long": 18_000, "short": 14_000}


@dataclass(frozen=True)
class ProblemSize:
    """Training examples of a problem, and examples in all its splits."""

    train: int
    evaluated: int


def task_cost(spec: TaskSpec, size: ProblemSize) -> float:
    """Forward passes of one example; a training step counts three for each.

    A point of a profile counts the examples it is evaluated on and those of the BatchNorm pass before it. A pause,
    which passes nothing, counts its seconds.
    """
    cost: Callable[[Any, ProblemSize], float] | None = _COSTS.get(type(spec))
    if cost is None:
        raise TypeError(f"no cost is known for a task of kind {spec.kind!r}")
    return cost(spec, size)


def _endpoint(spec: EndpointTask, size: ProblemSize) -> float:
    return _training(spec.problem, spec.train, size) + size.evaluated


def _trunk(spec: TrunkTask, size: ProblemSize) -> float:
    return _STEP * max(spec.spawn) * _passed(spec.problem, spec.train.batch_size, size)


def _branch(spec: BranchTask, size: ProblemSize) -> float:
    return (
        _STEP * (spec.train.epochs - spec.epoch) * _passed(spec.problem, spec.train.batch_size, size) + size.evaluated
    )


def _finetune(spec: FinetuneTask, size: ProblemSize) -> float:
    steps = 0.0 if spec.neb is None else _STEP * _neb_steps(spec.neb) * spec.neb.batch_size
    return steps + (0.0 if spec.train is None else _training(spec.problem, spec.train, size)) + size.evaluated


def _align(spec: AlignTask, size: ProblemSize) -> float:
    return 2.0 * spec.align.samples if spec.align.method == "activations" else 0.0


def _path(spec: PathTask, size: ProblemSize) -> float:
    if spec.path.neb is not None:
        neb = spec.path.neb
        pivots = (neb.beginning + neb.most) / 2 + 2
        return _STEP * _neb_steps(neb) * neb.batch_size * pivots + pivots * neb.dense * size.train
    if spec.path.train is None:
        return float(_POSITIONS.get(spec.path.kind, 0) * size.evaluated)
    return _training(spec.problem, spec.path.train, size) * spec.path.draws


def _profile(spec: ProfileTask, size: ProblemSize) -> float:
    return spec.profile.points * _point(spec, size)


def _plane(spec: PlaneTask, size: ProblemSize) -> float:
    return spec.plane.points**2 * _point(spec, size)


def _curvature(spec: CurvatureTask, size: ProblemSize) -> float:
    wanted, examples = spec.curvature, spec.curvature.samples or size.train
    points = wanted.points if spec.of == "path" else 1
    each = examples * _PRODUCT * _PRODUCTS * len(wanted.measures)
    return points * (each + _settling(spec.problem, size))


def _drift(spec: DriftTask, size: ProblemSize) -> float:
    drift = spec.drift
    noisy = (drift.replicas or 1) * max(drift.steps) * _batch(drift, size)
    return len(drift.starts) * _STEP * (noisy + (drift.samples or size.train))


def _twin(spec: TwinTask, size: ProblemSize) -> float:
    return len(spec.drift.starts) * _STEP * max(spec.drift.steps) * size.train


def _relaxation(spec: RelaxationTask, size: ProblemSize) -> float:
    wanted = spec.relaxation
    runs = len(wanted.starts) * (wanted.replicas or 1)
    return _STEP * runs * wanted.steps * _batch(wanted, size)


def _trajectory(spec: TrajectoryTask, size: ProblemSize) -> float:
    return _STEP * (spec.epochs - spec.start) * size.train + _cycles(spec) * spec.looks * _point(spec, size)


def _cycles(spec: TrajectoryTask) -> float:
    """Cycles of a run: of cosines so many; of triangles as many as the epochs hold."""
    left = spec.epochs - spec.start
    return float(spec.cycles or left / (spec.cycle or left))


def _ensemble(spec: EnsembleTask, size: ProblemSize) -> float:
    return (spec.points or spec.budget) * _point(spec, size)


def _ensemble_trial(spec: EnsembleTrialTask, size: ProblemSize) -> float:
    part = min(spec.cycles / _cycles(spec.trajectory), 1.0)
    return len(spec.seeds) * part * _trajectory(spec.trajectory, size)


def _batch(spec: DynamicsSpec, size: ProblemSize) -> int:
    return (spec.batch_size or 1) if spec.noise == "minibatch" else size.train


def _point(spec: ProblemTask, size: ProblemSize) -> float:
    return size.evaluated + _settling(spec.problem, size)


def _settling(problem: AnyProblem, size: ProblemSize) -> float:
    return float(getattr(problem, "statistics_size", None) or size.train)


def _training(problem: AnyProblem, train: TrainSpec, size: ProblemSize) -> float:
    return _STEP * train.epochs * _passed(problem, train.batch_size, size)


def _passed(problem: AnyProblem, batch_size: int, size: ProblemSize) -> float:
    """Examples that an epoch passes."""
    return float(problem.examples(batch_size) or size.train)


def _neb_steps(neb: NebSpec) -> float:
    if isinstance(neb.cycles, str):
        return _NEB_STEPS[neb.cycles] * (neb.scale or 1.0)
    return float(sum(cycle.steps for cycle in neb.cycles))


_COSTS: dict[type[TaskSpec], Callable[[Any, ProblemSize], float]] = {
    EndpointTask: _endpoint,
    TrunkTask: _trunk,
    BranchTask: _branch,
    FinetuneTask: _finetune,
    AlignTask: _align,
    PathTask: _path,
    JoinTask: lambda spec, size: 0.0,
    ProfileTask: _profile,
    CurvatureTask: _curvature,
    PlaneTask: _plane,
    TwinTask: _twin,
    DriftTask: _drift,
    RelaxationTask: _relaxation,
    TrialTask: lambda spec, size: 0.0,
    TrajectoryTask: _trajectory,
    EnsembleTask: _ensemble,
    EnsembleTrialTask: _ensemble_trial,
    PauseTask: lambda spec, size: float(spec.seconds),
}
