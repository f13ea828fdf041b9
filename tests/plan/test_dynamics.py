"""The graph of drifts, their twins and relaxations: of which paths, and what is shared."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mcdist.plan import Plan, Task
from mcdist.plan.cost import ProblemSize, task_cost
from mcdist.spec.tasks import DriftTask, TwinTask

from .test_connections import AUTONEB, BEZIER, LINEAR, TRAIN, of, planned

DRIFT: dict[str, Any] = {"starts": [0.2, 0.8], "lr": 0.1}
RELAX: dict[str, Any] = {"starts": [0.2, 0.8], "lr": 0.1, "time": 5.0}
SIZE = ProblemSize(train=100, evaluated=150)


def moving(*drifts: dict[str, Any], relaxations: Any = (), paths: Any = (BEZIER,), **said: Any) -> Plan:
    measure = {"profile": [], "drift": list(drifts)}
    return planned(measure=measure, relaxations=list(relaxations), paths=list(paths), pairs=[[0, 1], [0, 2]], **said)


def batch_size(task: Task) -> int | None:
    return cast(DriftTask, task.blueprint.spec).drift.batch_size


def test_every_path_has_its_twin_and_its_drift() -> None:
    plan = moving(DRIFT)
    paths, twins, drifts = (of(plan, kind) for kind in ("path", "twin", "drift"))
    assert [task.inputs for task in twins] == [(path.id,) for path in paths]
    assert [task.inputs for task in drifts] == [(path.id, twin.id) for path, twin in zip(paths, twins, strict=True)]


def test_settings_that_differ_in_noise_alone_share_their_twins() -> None:
    plan = moving(DRIFT | {"batch_size": {"grid": [4, 8]}}, DRIFT | {"noise": "isotropic", "temperature": 0.1})
    assert len(of(plan, "twin")) == 2
    assert len(of(plan, "drift")) == 3 * 2
    assert {task.inputs[1] for task in of(plan, "drift")} == {task.id for task in of(plan, "twin")}
    apart = moving(DRIFT, DRIFT | {"lr": 0.05})
    assert len(of(apart, "twin")) == 4


def test_a_twin_does_not_depend_on_who_asked_for_it() -> None:
    one, other = (moving(DRIFT | {"batch_size": size}) for size in (4, 64))
    assert [t.id for t in of(one, "twin")] == [t.id for t in of(other, "twin")]
    assert not {t.id for t in of(one, "drift")} & {t.id for t in of(other, "drift")}


@pytest.mark.parametrize("section", ["drift", "relaxation"])
def test_kinds_choose_the_paths_and_are_no_part_of_the_id(section: str) -> None:
    paths = [LINEAR, BEZIER, AUTONEB]

    def made(**kinds: Any) -> list[Task]:
        if section == "drift":
            return of(moving(DRIFT | kinds, paths=paths), "drift")
        return of(moving(relaxations=[RELAX | kinds], paths=paths), "relaxation")

    everything, some = made(), made(kinds=["bezier", "autoneb"])
    assert (len(everything), len(some)) == (6, 4)
    assert {t.id for t in some} < {t.id for t in everything}


def test_nothing_moves_from_a_repaired_line() -> None:
    """Its networks are others than its weights."""
    plan = moving(DRIFT, relaxations=[RELAX], paths=[LINEAR, {"kind": "linear", "repair": True}])
    assert len(of(plan, "path")) == 4
    assert len(of(plan, "drift")) == len(of(plan, "relaxation")) == 2


def test_tours_are_walked_too() -> None:
    plan = moving(DRIFT, relaxations=[RELAX], tours=[[0, 1, 2]])
    (join,) = of(plan, "join")
    for kind in ("twin", "drift", "relaxation"):
        assert join.id in {task.inputs[0] for task in of(plan, kind)}


def test_dynamics_come_after_all_that_they_need() -> None:
    order = list(dict.fromkeys(task.kind for task in moving(DRIFT, relaxations=[RELAX]).tasks.values()))
    assert order == ["endpoint", "path", "twin", "drift", "relaxation"]


def test_what_they_cost() -> None:
    """Three passes of an example for each step, replica and start; a twin takes all examples at each step."""
    plan = moving(
        DRIFT | {"batch_size": 8, "replicas": 5, "steps": [3, 20], "samples": 50},
        relaxations=[RELAX | {"batch_size": 8, "replicas": 3}, RELAX | {"noise": "none"}],
    )
    noisy, silent = (task for task in of(plan, "relaxation")[::2])
    for task, cost in (
        (of(plan, "twin")[0], 2 * 20 * 3 * 100),
        (of(plan, "drift")[0], 2 * 3 * (5 * 20 * 8 + 50)),
        (noisy, 2 * 3 * 50 * 3 * 8),
        (silent, 2 * 50 * 3 * 100),
    ):
        assert task_cost(task.blueprint.spec, SIZE) == cost
    assert isinstance(of(plan, "twin")[0].blueprint.spec, TwinTask)


def test_branches_are_moved_between_as_any_end_points() -> None:
    endpoints = {"seeds": 2, "train": TRAIN, "spawn": [0, 1], "branches": 3}
    plan = moving(DRIFT, endpoints=endpoints)
    assert len(of(plan, "branch")) == 2 * 2 * 3
    assert len(of(plan, "path")) == len(of(plan, "drift")) == 2 * 2 * 2
    assert batch_size(of(plan, "drift")[0]) == 16
