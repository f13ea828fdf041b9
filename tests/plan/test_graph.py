"""From a sweep to its tasks: which there are, in what order, and when two of them are one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from spec.examples import GOOD, fractions, rates, reordered, small, sweeps

from mcdist.plan import Blueprint, Plan, make_plan
from mcdist.spec import ProblemSpec, ProfileSpec, TrainSpec, load_spec
from mcdist.spec.tasks import EndpointTask, ProfileTask


def planned(*changes: str) -> Plan:
    return make_plan(load_spec(yaml.safe_load(GOOD), changes))


def ids(*changes: str) -> set[str]:
    return set(planned(*changes).tasks)


def of_kind(plan: Plan, kind: str) -> set[str]:
    return {task.id for task in plan.tasks.values() if task.kind == kind}


def test_all_pairs_by_all_paths_by_all_measures() -> None:
    plan = planned("endpoints.seeds=5", "measure.profile.points={grid: [5, 7, 9]}")
    assert plan.counts() == {"endpoint": 5, "path": 2 * 10, "profile": 3 * 2 * 10}


def test_each_problem_and_each_setting_has_its_own_end_points() -> None:
    plan = planned("endpoints.train.lr={grid: [0.1, 0.2, 0.3]}", "problem.model={grid: [mlp, convnet]}", "pairs=chain")
    assert plan.counts() == {"endpoint": 6 * 4, "path": 6 * 3 * 2, "profile": 6 * 3 * 2}


def test_without_paths_or_pairs_there_are_end_points_alone() -> None:
    assert planned("pairs=none").counts() == planned("paths=[]").counts() == {"endpoint": 4}


def test_settings_that_come_to_the_same_task_share_it() -> None:
    plan = planned("endpoints=[{seeds: 3, train: {epochs: 2, lr: 1}}, {seeds: [2, 1], train: {epochs: 2, lr: 1}}]")
    assert plan.counts() == {"endpoint": 3, "path": 2 * (3 + 1), "profile": 2 * (3 + 1)}  # (2, 1) is not (1, 2)


@settings(max_examples=40)
@given(sweeps())
def test_every_task_comes_after_its_inputs(data: dict[str, Any]) -> None:
    seen: set[str] = set()
    for key, task in make_plan(load_spec(data)).tasks.items():
        assert key == task.id
        assert set(task.inputs) <= seen
        seen.add(key)


@settings(max_examples=40)
@given(sweeps())
def test_ids_do_not_see_the_order_of_keys(data: dict[str, Any]) -> None:
    assert list(make_plan(load_spec(reordered(data))).tasks) == list(make_plan(load_spec(data)).tasks)


@pytest.mark.parametrize(
    "change",
    [
        "name=other",
        "store=elsewhere",
        "problem.data.root=/data",
        "problem.data.download=true",
        "resources={workers: 3, gpus: 0, threads: 2, pack: 7, retries: 0}",
        "pairs=[[3, 0], [0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]",
        # defaults written out, and numbers in other words
        "endpoints.train.momentum=0.9",
        "endpoints.train.lr=1e-1",
        "endpoints.train.weight_decay=-0.0",
        "endpoints.train.schedule=constant",
        "problem.loss=cross_entropy",
        "paths.0.bends=1",
    ],
)
def test_ids_of_end_points_do_not_depend_on(change: str) -> None:
    assert of_kind(planned(change), "endpoint") == of_kind(planned(), "endpoint")
    if not change.startswith("pairs"):
        assert ids(change) == ids()


def test_ids_do_not_depend_on_what_else_is_in_the_sweep() -> None:
    assert ids("endpoints.seeds=3") < ids("endpoints.seeds=5")
    assert ids("paths=[{kind: linear}]") < ids()
    assert ids("endpoints.train.lr={grid: [0.3, 0.1]}") == ids() | ids("endpoints.train.lr=0.3")
    assert ids("pairs={random: 2}") < ids("pairs={random: 3}") < ids("pairs=all")


def test_overlapping_sweeps_share_the_tasks_of_their_overlap() -> None:
    one, two = ids("endpoints.seeds=[0, 1, 2]"), ids("endpoints.seeds=[1, 2, 3]")
    assert one & two == ids("endpoints.seeds=[1, 2]")


def test_the_direction_of_a_pair_counts() -> None:
    one, two = planned("pairs=[[0, 1]]"), planned("pairs=[[1, 0]]")
    assert not of_kind(one, "path") & of_kind(two, "path")


def test_a_data_file_is_known_by_its_content() -> None:
    def with_data(name: str, content: str) -> set[str]:
        return ids(f"problem.data={{name: 'npz:{name}', digest: {content * 32}}}")

    assert with_data("a.npz", "0f") == with_data("b/c.npz", "0f")
    assert not with_data("a.npz", "0f") & with_data("a.npz", "f0")
    assert not with_data("a.npz", "0f") & ids("problem.data=npz:a.npz")


NUMBERS = {
    ("problem", "data", "validation"): fractions,
    ("problem", "data", "test"): fractions,
    ("problem", "data", "split_seed"): small,
    ("problem", "data", "train_size"): small,
    ("problem", "data", "test_size"): small,
    ("problem", "data", "crop_pad"): small,
    ("problem", "eval_batch"): st.integers(2, 9),
    ("problem", "statistics_size"): st.integers(2, 9),
    ("problem", "model", "args", "width"): rates,
    ("endpoints", "train", "epochs"): small,
    ("endpoints", "train", "lr"): rates,
    ("endpoints", "train", "batch_size"): small,
    ("endpoints", "train", "momentum"): fractions,
    ("endpoints", "train", "weight_decay"): rates,
    ("endpoints", "train", "schedule", "gamma"): fractions,
    ("paths", "bends"): small,
    ("paths", "draws"): small,
    ("paths", "seed"): small,
    ("paths", "train", "lr"): rates,
    ("paths", "train", "eps"): rates,
    ("paths", "train", "schedule", "floor"): fractions,
    ("measure", "profile", "points"): st.integers(3, 9),
}

KINDS = {"problem": 3, "endpoints": 3, "paths": 2, "measure": 1}
"""How many of the kinds end point, path, profile a section reaches, from the last."""

BASE: dict[str, Any] = {
    "name": "x",
    "problem": {"data": {"name": "digits", "augment": "crop_flip"}, "model": {"name": "mlp", "args": {}}},
    "endpoints": {"seeds": 2, "train": {"epochs": 1, "lr": 1.0, "schedule": {"kind": "step"}}},
    "paths": {
        "kind": "bezier",
        "train": {"epochs": 1, "lr": 1.0, "optimizer": "adam", "schedule": {"kind": "piecewise"}},
    },
    "measure": {"profile": {}},
}


@settings(max_examples=150)
@given(st.data(), st.sampled_from(list(NUMBERS)))
def test_any_number_that_differs_makes_other_ids_for_all_that_it_reaches(
    choose: st.DataObject, keys: tuple[str, ...]
) -> None:
    def with_number(number: float) -> Plan:
        data: Any = copy.deepcopy(BASE)
        at = data
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = number
        return make_plan(load_spec(data))

    one, two = choose.draw(st.lists(NUMBERS[keys], min_size=2, max_size=2, unique=True))
    first, second = with_number(one), with_number(two)
    reached = ["endpoint", "path", "profile"][-KINDS[keys[0]] :]
    for kind in ("endpoint", "path", "profile"):
        shared = of_kind(first, kind) & of_kind(second, kind)
        assert bool(shared) == (kind not in reached)


def test_a_field_added_later_leaves_ids_and_shapes_alone() -> None:
    class LaterTrain(TrainSpec):
        clip: float | None = None
        warmup: int = 0

    class LaterTask(EndpointTask):
        train: LaterTrain
        average: bool = False

    problem = load_spec(yaml.safe_load(GOOD)).problem[0]
    now = Blueprint(EndpointTask(problem=problem, train=TrainSpec(epochs=1, lr=0.1), seed=3))
    later = Blueprint(LaterTask(problem=problem, train=LaterTrain(epochs=1, lr=0.1), seed=3))
    used = Blueprint(LaterTask(problem=problem, train=LaterTrain(epochs=1, lr=0.1, clip=1.0), seed=3))
    assert (now.task().id, now.group) == (later.task().id, later.group)
    assert (used.task().id, used.group) != (later.task().id, later.group)


def test_a_raised_version_makes_other_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    before = planned()
    monkeypatch.setattr(ProfileTask, "version", 2)
    after = planned()
    assert of_kind(before, "path") == of_kind(after, "path")
    assert not of_kind(before, "profile") & of_kind(after, "profile")


def test_inputs_count_in_their_order() -> None:
    problem: ProblemSpec = load_spec(yaml.safe_load(GOOD)).problem[0]
    blueprint = Blueprint(ProfileTask(problem=problem, profile=ProfileSpec()))
    assert len({blueprint.task(*inputs).id for inputs in [(), ("a",), ("a", "b"), ("b", "a"), ("ab",)]}) == 5
