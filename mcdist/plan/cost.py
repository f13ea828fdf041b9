"""What a task will cost, before anything was measured."""

from __future__ import annotations

from dataclasses import dataclass

from mcdist.spec.tasks import EndpointTask, PathTask, PauseTask, ProfileTask, TaskSpec
from mcdist.spec.training import TrainSpec

__all__ = ["ProblemSize", "task_cost"]


@dataclass(frozen=True)
class ProblemSize:
    """Training examples of a problem, and examples in all its splits."""

    train: int
    evaluated: int


def task_cost(spec: TaskSpec, size: ProblemSize) -> float:
    """Forward passes of one example; a training step counts three for each (forward, and backward at twice that).

    A point of a profile counts the examples it is evaluated on and those of the BatchNorm pass before it. A pause,
    which passes nothing, counts its seconds.
    """
    if isinstance(spec, EndpointTask):
        return _training(spec.train, size) + size.evaluated
    if isinstance(spec, PathTask):
        return 0.0 if spec.path.train is None else _training(spec.path.train, size) * spec.path.draws
    if isinstance(spec, ProfileTask):
        settled = spec.problem.statistics_size or size.train
        return float(spec.profile.points * (size.evaluated + settled))
    if isinstance(spec, PauseTask):
        return spec.seconds
    raise TypeError(f"no cost is known for a task of kind {spec.kind!r}")


def _training(train: TrainSpec, size: ProblemSize) -> float:
    return 3.0 * train.epochs * size.train
