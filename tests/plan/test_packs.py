"""Packs: the tasks of each shape, cut into parts of nearly equal size."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from spec.examples import GOOD, sweeps

from mcdist.plan import Plan, form_packs, groups, make_plan, pack_of
from mcdist.spec import load_spec


def planned(*changes: str) -> Plan:
    return make_plan(load_spec(yaml.safe_load(GOOD), changes))


def group_of(change: str) -> str:
    """The shape of the end points, or of the paths that are trained."""
    task = next(iter(planned(change, "pairs=none").tasks.values()))
    return task.blueprint.group


@pytest.mark.parametrize(
    "change",
    ["train.lr=7", "train.momentum=0.5", "train.weight_decay=0.1", "seeds=[9]", "train.lr=1e-5"],
)
def test_tasks_that_differ_in_scalars_share_a_shape(change: str) -> None:
    assert group_of(f"endpoints.{change}") == group_of("name=test")


@pytest.mark.parametrize(
    "change",
    [
        "endpoints.train.epochs=3",
        "endpoints.train.batch_size=7",
        "endpoints.train.optimizer=adam",
        "endpoints.train.nesterov=true",
        "endpoints.train.schedule=cosine",
        "endpoints.train.precision=bfloat16",
        "problem.model.args.hidden=[9]",
        "problem.data.validation=0.1",
        "problem.dtype=float64",
    ],
)
def test_tasks_that_differ_in_anything_else_do_not(change: str) -> None:
    assert group_of(change) != group_of("name=test")


def test_kinds_and_path_families_are_shapes_of_their_own() -> None:
    plan = planned()
    kinds = [(tasks[0].kind, len(tasks)) for tasks in groups(plan).values()]
    assert kinds == [("endpoint", 4), ("path", 6), ("path", 6), ("profile", 12)]


def test_paths_that_differ_in_seed_and_rate_share_a_shape() -> None:
    train = "{epochs: 3, lr: {grid: [0.1, 0.2]}}"
    plan = planned(f"paths=[{{kind: bezier, seed: {{grid: [0, 1]}}, train: {train}}}]")
    assert len(groups(plan)) == 3
    assert plan.counts()["path"] == 4 * 6


@settings(max_examples=60)
@given(sweeps(), st.integers(1, 20))
def test_packs_are_a_partition_of_the_tasks_into_parts_of_nearly_equal_size(data: dict[str, Any], size: int) -> None:
    plan = make_plan(load_spec(data))
    packs = form_packs(plan, dict.fromkeys(groups(plan), size))
    by_shape: dict[str, list[int]] = {}
    members: dict[str, list[str]] = {}
    for pack in packs:
        (shape,) = {task.blueprint.group for task in pack.tasks}
        by_shape.setdefault(shape, []).append(len(pack.tasks))
        members.setdefault(shape, []).extend(task.id for task in pack.tasks)
        assert pack.kind == pack.tasks[0].kind
        assert pack.inputs == {i for task in pack.tasks for i in task.inputs}
    assert members == {shape: [task.id for task in tasks] for shape, tasks in groups(plan).items()}
    for sizes in by_shape.values():
        assert 1 <= max(sizes) <= size
        assert max(sizes) - min(sizes) <= 1
        assert len(sizes) == -(-sum(sizes) // size)  # as few as can be
    assert packs == form_packs(make_plan(load_spec(data)), dict.fromkeys(groups(plan), size))
    assert len({pack.id for pack in packs}) == len(packs)


def test_each_shape_has_its_own_size() -> None:
    plan = planned()
    sizes = dict(zip(groups(plan), [1, 6, 4, 5], strict=True))
    found: dict[str, list[int]] = {}
    for pack in form_packs(plan, sizes):
        found.setdefault(pack.tasks[0].blueprint.group, []).append(len(pack.tasks))
    assert list(found.values()) == [[1, 1, 1, 1], [6], [3, 3], [4, 4, 4]]


def test_the_id_of_a_pack_depends_on_its_members_alone() -> None:
    tasks = list(planned().tasks.values())[:4]
    others = list(planned("name=other", "endpoints.seeds=6", "resources.pack=2").tasks.values())[:4]
    assert pack_of(tasks).id == pack_of(others).id
    assert len({pack_of(tasks[:n]).id for n in range(1, 5)}) == 4
