"""What a task will cost, before anything was measured."""

from __future__ import annotations

from dataclasses import dataclass

from mcdist.spec.sections import PathSpec
from mcdist.spec.tasks import EndpointTask, PathTask, ProfileTask, TaskSpec
from mcdist.spec.training import TrainSpec

__all__ = ["ProblemSize", "task_cost"]


@dataclass(frozen=True)
class ProblemSize:
    """Parameters of a problem, training examples, and examples in all splits."""

    n_params: int
    train: int
    evaluated: int


def task_cost(spec: TaskSpec, size: ProblemSize) -> float:
    """Forward passes of one example; a training step counts three for each (forward, and backward at twice that)."""
    if isinstance(spec, EndpointTask):
        return 3.0 * _seen(spec.train, size) + size.evaluated
    if isinstance(spec, PathTask):
        path: PathSpec = spec.path
        return 0.0 if path.train is None else 3.0 * _seen(path.train, size) * path.draws
    if isinstance(spec, ProfileTask):
        return float(spec.profile.points * (size.evaluated + size.train))
    raise TypeError(f"no cost is known for a task of kind {spec.kind!r}")


def _seen(train: TrainSpec, size: ProblemSize) -> int:
    return train.epochs * size.train
