"""What a task will cost, in forward passes of one example."""

from __future__ import annotations

import pytest

from mcdist.plan.cost import ProblemSize, task_cost
from mcdist.spec import DataSpec, ModelSpec, PathSpec, ProblemSpec, ProfileSpec, TrainSpec
from mcdist.spec.tasks import EndpointTask, PathTask, PauseTask, ProfileTask, TaskSpec

SIZE = ProblemSize(train=100, evaluated=130)
PROBLEM = ProblemSpec(data=DataSpec(name="digits"), model=ModelSpec(name="mlp"))
TRAIN = TrainSpec(epochs=7, lr=0.1)


def test_training_an_end_point_is_three_passes_an_epoch_and_one_evaluation() -> None:
    assert task_cost(EndpointTask(problem=PROBLEM, train=TRAIN, seed=0), SIZE) == 3 * 7 * 100 + 130


def test_a_path_costs_its_training_by_its_draws() -> None:
    path = PathSpec(kind="bezier", train=TRAIN, draws=2, bends=5)
    assert task_cost(PathTask(problem=PROBLEM, path=path), SIZE) == 3 * 7 * 100 * 2
    assert task_cost(PathTask(problem=PROBLEM, path=PathSpec(kind="linear")), SIZE) == 0
    pieces = PathTask(problem=PROBLEM, path=PathSpec(kind="five_pieces"))
    assert task_cost(pieces, SIZE) == (5 * 8 + 1) * SIZE.evaluated


def test_a_point_of_a_profile_is_the_batchnorm_pass_and_one_evaluation() -> None:
    profile = ProfileSpec(points=11)
    assert task_cost(ProfileTask(problem=PROBLEM, profile=profile), SIZE) == 11 * (100 + 130)
    part = PROBLEM.model_copy(update={"statistics_size": 20})
    assert task_cost(ProfileTask(problem=part, profile=profile), SIZE) == 11 * (20 + 130)


def test_a_pause_costs_its_seconds() -> None:
    assert task_cost(PauseTask(seconds=2.5, number=3), SIZE) == 2.5


def test_a_kind_without_a_rule_is_refused() -> None:
    class Other(TaskSpec):
        kind = "other"
        version = 1

    with pytest.raises(TypeError, match="'other'"):
        task_cost(Other(), SIZE)
