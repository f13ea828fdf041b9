"""Networks that are split: trunks, branches, and which of these are connected."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from spec.examples import GOOD

from mcdist.errors import RequestError
from mcdist.plan import Plan, make_plan
from mcdist.spec import load_spec


def planned(*changes: str) -> Plan:
    return make_plan(load_spec(yaml.safe_load(GOOD), changes))


def of_kind(plan: Plan, kind: str) -> set[str]:
    return {task.id for task in plan.tasks.values() if task.kind == kind}


SPAWN = "endpoints={seeds: 3, spawn: [4, 0, 2], branches: 3, train: {epochs: 5, lr: 0.1, batch_size: 64}}"


def tasks_of(plan: Plan, kind: str) -> list[Any]:
    return [task for task in plan.tasks.values() if task.kind == kind]


def family(plan: Plan, end: str) -> tuple[str, int]:
    """The trunk of a branch, and the epoch of splitting."""
    task = plan.tasks[end]
    assert task.kind == "branch"
    return task.inputs[0], task.blueprint.spec.epoch


def test_networks_are_trained_once_and_split_at_every_epoch() -> None:
    """Pairs are of branches of one network and epoch: 3 seeds by 3 epochs by the 3 pairs of 3 branches."""
    plan = planned(SPAWN)
    assert plan.counts() == {"trunk": 3, "branch": 27, "path": 2 * 27, "profile": 2 * 27}
    assert {trunk.blueprint.spec.spawn for trunk in tasks_of(plan, "trunk")} == {(0, 2, 4)}
    for branch in tasks_of(plan, "branch"):
        (parent,) = branch.inputs
        assert plan.tasks[parent].blueprint.spec.seed == branch.blueprint.spec.seed
    for path in tasks_of(plan, "path"):
        a, b = path.inputs
        assert a != b
        assert family(plan, a) == family(plan, b)


def branches_of(plan: Plan) -> set[tuple[int, ...]]:
    """The pairs of each network and epoch, by the branches' numbers; they are the same everywhere."""
    found: dict[tuple[str, int], set[tuple[int, ...]]] = {}
    for path in tasks_of(plan, "path"):
        numbers = tuple(plan.tasks[end].blueprint.spec.branch for end in path.inputs)
        found.setdefault(family(plan, path.inputs[0]), set()).add(numbers)
    assert len(found) == 9
    (everywhere,) = {frozenset(pairs) for pairs in found.values()}
    return set(everywhere)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("all", {(0, 1), (0, 2), (1, 2)}),
        ("chain", {(0, 1), (1, 2)}),
        ("[[0, 1]]", {(0, 1)}),
        ("[[2, 0]]", {(2, 0)}),
    ],
)
def test_pairs_are_positions_among_the_branches(pairs: str, expected: set[tuple[int, int]]) -> None:
    assert branches_of(planned(SPAWN, f"pairs={pairs}")) == expected


def test_pairs_drawn_at_random_are_the_same_of_every_network() -> None:
    (pair,) = branches_of(planned(SPAWN, "pairs={random: 1, seed: 3}"))
    assert pair in {(0, 1), (0, 2), (1, 2)}


@pytest.mark.parametrize("pairs", ["[[0, 3]]", "{random: 4}"])
def test_pairs_that_there_are_not_among_the_branches_are_refused(pairs: str) -> None:
    with pytest.raises(RequestError, match=r"3\b"):
        planned(SPAWN, f"pairs={pairs}")


def test_a_trunk_is_shared_by_sweeps_with_the_same_epochs_of_splitting() -> None:
    """Whatever else they ask for: other seeds, other numbers of branches, pairs and paths, the epochs in any order."""
    plan = planned(SPAWN)
    fewer = planned(SPAWN.replace("branches: 3", "branches: 2").replace("[4, 0, 2]", "[0, 2, 4]"), "pairs=chain")
    more = planned(SPAWN.replace("seeds: 3", "seeds: [0, 2, 7]"), "paths=[{kind: linear}]")
    assert of_kind(fewer, "trunk") == of_kind(plan, "trunk")
    assert of_kind(fewer, "branch") < of_kind(plan, "branch")
    assert len(of_kind(more, "trunk") & of_kind(plan, "trunk")) == 2
    assert len(of_kind(more, "branch") & of_kind(plan, "branch")) == 2 * 9
    other = planned(SPAWN.replace("[4, 0, 2]", "[0, 2]"))
    assert not of_kind(other, "trunk") & of_kind(plan, "trunk")


def test_each_problem_and_each_setting_has_its_own_trunks() -> None:
    plan = planned(SPAWN.replace("lr: 0.1", "lr: {grid: [0.1, 0.2]}"), "problem.model={grid: [mlp, convnet]}")
    assert plan.counts() == {"trunk": 12, "branch": 108, "path": 2 * 108, "profile": 2 * 108}
    for path in tasks_of(plan, "path"):
        assert family(plan, path.inputs[0]) == family(plan, path.inputs[1])
        assert path.blueprint.spec.problem == plan.tasks[path.inputs[0]].blueprint.spec.problem


def test_trunks_stand_beside_end_points_that_are_not_split() -> None:
    """Trained from the same seeds in the same way they are tasks of their own all the same."""
    plain = "{seeds: 3, train: {epochs: 5, lr: 0.1, batch_size: 64}}"
    plan = planned(f"endpoints=[{plain}, {SPAWN.removeprefix('endpoints=')}]")
    assert plan.counts() == {"endpoint": 3, "trunk": 3, "branch": 27, "path": 2 * 30, "profile": 2 * 30}
    seen: set[str] = set()
    for key, task in plan.tasks.items():
        assert set(task.inputs) <= seen
        seen.add(key)


def test_branches_of_one_epoch_are_of_one_shape_and_those_of_others_are_not() -> None:
    groups = {}
    for branch in tasks_of(planned(SPAWN), "branch"):
        groups.setdefault(branch.blueprint.spec.epoch, set()).add(branch.blueprint.group)
    assert [len(shapes) for shapes in groups.values()] == [1, 1, 1]
    assert len(set.union(*groups.values())) == 3


def test_what_is_asked_of_end_points_is_asked_of_every_branch() -> None:
    plan = planned(SPAWN, "measure.curvature=[{at: endpoints}]", "measure.plane=[{through: [[0, 1, 2]]}]")
    assert {task.inputs[0] for task in tasks_of(plan, "curvature")} == of_kind(plan, "branch")
    assert len(tasks_of(plan, "plane")) == 9
    for plane in tasks_of(plan, "plane"):
        assert len({family(plan, end) for end in plane.inputs}) == 1
