"""The graph of ensembles: which networks make up each, what is shared, and that no budget is exceeded."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from spec.examples import ENSEMBLES, ensembles

from mcdist.plan import Plan, Task, make_plan
from mcdist.plan.cost import ProblemSize, task_cost
from mcdist.plan.ensembles import disjoint
from mcdist.spec import load_spec
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.tasks import EnsembleTask, PathTask, TrajectoryTask, TrunkTask

from .test_connections import ends, of

B = 20
TRAIN = {"epochs": B, "lr": 0.1}
CURVE: dict[str, Any] = {"kind": "bezier", "train": TRAIN}
OF_CURVE: dict[str, Any] = {"method": "curve", "budgets": 3, "path": CURVE}
SIZE = ProblemSize(train=100, evaluated=130)


def planned(*said: dict[str, Any], seeds: int = 6, **more: Any) -> Plan:
    sweep = {
        "name": "x",
        "problem": {"data": "digits", "model": "mlp"},
        "endpoints": {"seeds": seeds, "train": TRAIN},
        "ensembles": list(said),
    }
    return make_plan(load_spec({**sweep, **more}))


def asked(task: Task) -> EnsembleTask:
    return cast(EnsembleTask, task.blueprint.spec)


def run(task: Task) -> TrajectoryTask:
    return cast(TrajectoryTask, task.blueprint.spec)


def ids(plan: Plan, kind: str) -> list[str]:
    return [task.id for task in of(plan, kind)]


def seeds_of(plan: Plan, task: Task) -> list[int]:
    """The seeds of the networks that an ensemble is made of."""
    found = [plan.tasks[i] for i in task.inputs]
    if found[0].kind == "path":
        found = [plan.tasks[i] for i in found[0].inputs[:2]]
    return [cast(Any, each.blueprint.spec).seed for each in found]


# which networks make up an ensemble

counts = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(st.integers(5, 60), counts)
def test_groups_share_no_seed_and_are_as_many_as_there_are_seeds_for(seeds: int, sizes: list[int]) -> None:
    groups = disjoint(seeds, sizes)
    assert len(groups) == seeds // max(sizes)
    assert {len(group) for group in groups} == {max(sizes)}
    used = list(itertools.chain.from_iterable(groups))
    assert len(used) == len(set(used))
    assert set(used) == set(range(len(groups) * max(sizes)))


@given(st.integers(5, 60), counts)
def test_group_r_begins_with_seed_r_whatever_the_sizes_and_a_smaller_ensemble_is_part_of_a_greater(
    seeds: int, sizes: list[int]
) -> None:
    groups = disjoint(seeds, sizes)
    assert [group[0] for group in groups] == list(range(len(groups)))
    assert groups == disjoint(seeds, [max(sizes)])


def test_ensembles_of_different_seeds_share_no_network_and_methods_share_the_first() -> None:
    plan = planned(
        {"method": "independent", "budgets": [1, 2, 3]}, {"method": "fge", "budgets": [1, 3]}, OF_CURVE, seeds=7
    )
    by_kind: dict[tuple[str, int], list[list[int]]] = {}
    for task in of(plan, "ensemble"):
        by_kind.setdefault((asked(task).method, asked(task).budget), []).append(seeds_of(plan, task))
        assert asked(task).seed == seeds_of(plan, task)[0]
    assert by_kind == {
        ("independent", 1): [[0], [1]],
        ("independent", 2): [[0, 2], [1, 4]],
        ("independent", 3): [[0, 2, 3], [1, 4, 5]],
        ("fge", 1): [[0], [1]],
        ("fge", 3): [[0, 2, 3], [1, 4, 5]],
        ("curve", 3): [[0, 2], [1, 4]],
    }


def test_seeds_are_those_of_the_sweep_not_their_positions() -> None:
    plan = planned({"method": "fge", "budgets": 2}, endpoints={"seeds": [9, 4, 7, 1], "train": TRAIN})
    assert [seeds_of(plan, task) for task in of(plan, "ensemble")] == [[9, 7], [4, 1]]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"method": "independent", "budgets": [1, 2, 3]}, {"ensemble": 3 * 2}),
        ({"method": "snapshot", "budgets": [1, 2, 3]}, {"trajectory": 6, "ensemble": 3 * 2}),
        ({"method": "snapshot", "budgets": [1, 2], "restarts": False}, {"trajectory": 12, "ensemble": 12}),
        ({"method": "fge", "budgets": [1, 2]}, {"trunk": 6, "trajectory": 6, "ensemble": 6}),
        ({"method": "fge", "budgets": [1, 2], "start": 0}, {"trajectory": 6, "ensemble": 6}),
        ({"method": "swa", "budgets": 3, "restarts": False}, {"trajectory": 6, "ensemble": 6}),
        ({"method": "swa", "budgets": [1, 3], "restarts": False}, {"trunk": 6, "trajectory": 12, "ensemble": 12}),
        (OF_CURVE, {"path": 3, "ensemble": 3}),
        (OF_CURVE | {"path": CURVE | {"align": "weights"}}, {"align": 3, "path": 3, "ensemble": 3}),
    ],
)
def test_counts(said: dict[str, Any], expected: dict[str, int]) -> None:
    """Six seeds; without restarts a network is an ensemble, and trajectories of each budget are their own."""
    assert planned(said).counts() == {"endpoint": 6} | expected


def test_each_problem_and_each_setting_has_its_own() -> None:
    model, train = {"grid": ["mlp", "convnet"]}, TRAIN | {"lr": {"grid": [0.1, 0.2, 0.3]}}
    plan = planned(
        {"method": "swa"}, problem={"data": "digits", "model": model}, endpoints={"seeds": 2, "train": train}
    )
    assert plan.counts() == dict.fromkeys(("endpoint", "trunk", "trajectory", "ensemble"), 2 * 2 * 3)


def test_networks_that_are_split_make_none() -> None:
    split = {"seeds": 3, "spawn": [1], "train": TRAIN}
    plan = planned({"method": "fge"}, endpoints=[split, {"seeds": 2, "train": TRAIN}], pairs="none")
    assert plan.counts() == {"trunk": 3 + 2, "branch": 6, "endpoint": 2, "trajectory": 2, "ensemble": 2}


# what goes into what


def test_what_a_run_starts_from() -> None:
    """The trunk at `start`; at the end of usual training the end point; at 0 nothing."""
    long = {"method": "fge", "budgets": 2, "restarts": False}
    plan = planned({"method": "fge"}, long, {"method": "fge", "start": 0}, {"method": "snapshot"}, seeds=1)
    (end,), (trunk,) = of(plan, "endpoint"), of(plan, "trunk")
    assert cast(TrunkTask, trunk.blueprint.spec).spawn == (16,)
    assert [(run(t).rate, run(t).start, run(t).epochs, t.inputs) for t in of(plan, "trajectory")] == [
        ("triangle", 16, 20, (trunk.id,)),
        ("triangle", 20, 40, (end.id,)),
        ("triangle", 0, 20, ()),
        ("cosine", 0, 20, ()),
    ]


def test_the_rates_of_a_run() -> None:
    fge = {"method": "fge", "lr1": 0.3, "lr2": 0.2, "cycle": 1, "looks": 2}
    plan = planned(fge, {"method": "snapshot", "cycles": 3}, {"method": "snapshot", "lr1": 0.4}, seeds=1)
    said = [(r.lr1, r.lr2, r.cycle, r.cycles, r.looks, r.rates) for r in map(run, of(plan, "trajectory"))]
    assert said == [
        (0.3, 0.2, 1.0, None, 2, ()),
        (0.1, 0.0, None, 3, 4, ()),  # the end points' rate
        (0.4, 0.0, None, 5, 4, ()),
    ]


def test_an_end_point_is_that_of_the_sweep() -> None:
    """Two by two they are three ensembles, and so three by every other method."""
    plan = planned({"method": "independent", "budgets": 2}, {"method": "swa", "budgets": 2, "restarts": False})
    assert plan.counts() == {"endpoint": 6, "trajectory": 3, "ensemble": 6}
    assert {i for t in of(plan, "ensemble") if asked(t).method == "independent" for i in t.inputs} == set(ends(plan))
    assert [t.inputs for t in of(plan, "trajectory")] == [(end,) for end in ends(plan)[:3]]


def test_averages_in_weight_space_and_of_probabilities_share_their_runs() -> None:
    settings = {"start": 12, "lr1": 0.2, "lr2": 0.1, "cycle": 4, "looks": 3, "budgets": [1, 2]}
    plan = planned({"method": {"grid": ["fge", "swa"]}, **settings})
    assert plan.counts() == {"endpoint": 6, "trunk": 6, "trajectory": 6, "ensemble": 2 * 2 * 3}
    inputs = {name: [t.inputs for t in of(plan, "ensemble") if asked(t).method == name] for name in ("fge", "swa")}
    assert inputs["fge"] == inputs["swa"]


def test_what_differs_in_rates_alone_shares_its_trunks_and_its_shape() -> None:
    plan = planned({"method": "fge", "lr1": {"grid": [0.05, 0.1, 0.2]}}, {"method": "swa", "cycle": 1})
    assert plan.counts() == {"endpoint": 6, "trunk": 6, "trajectory": 4 * 6, "ensemble": 4 * 6}
    shapes = {run(task).cycle: set[str]() for task in of(plan, "trajectory")}
    for task in of(plan, "trajectory"):
        shapes[run(task).cycle].add(task.blueprint.group)
    assert [len(groups) for groups in shapes.values()] == [1, 1]
    assert not shapes[1.0] & shapes[2.0]


def test_a_budget_of_one_is_one_run_with_restarts_or_without() -> None:
    plan = planned({"method": "fge", "restarts": {"grid": [True, False]}})
    assert plan.counts() == {"endpoint": 6, "trunk": 6, "trajectory": 6, "ensemble": 6}


def test_a_trunk_is_shared_with_networks_that_are_split_there() -> None:
    split = {"seeds": 2, "spawn": [16], "train": TRAIN}
    plan = planned({"method": "fge"}, endpoints=[{"seeds": 2, "train": TRAIN}, split], pairs="none")
    assert plan.counts()["trunk"] == 2
    assert {t.inputs[0] for t in of(plan, "trajectory")} == {t.inputs[0] for t in of(plan, "branch")}


@pytest.mark.parametrize("align", ["none", "weights", "activations"])
def test_a_curve_is_that_of_the_pair_among_the_paths(align: str) -> None:
    path = CURVE | {"align": align}
    alone, among = (planned(OF_CURVE | {"path": path}, paths=paths) for paths in ([], [path]))
    assert set(ids(alone, "path")) < set(ids(among, "path"))
    assert ids(alone, "ensemble") == ids(among, "ensemble")
    assert among.counts()["path"] == 15  # all pairs, and no others
    for task in of(alone, "ensemble"):
        (curve,) = (alone.tasks[i] for i in task.inputs)
        a, b, *aligned = curve.inputs
        assert [alone.tasks[i].kind for i in aligned] == ([] if align == "none" else ["align"])
        assert all(alone.tasks[i].inputs == (a, b) for i in aligned)
        assert cast(PathTask, curve.blueprint.spec).path.kind == "bezier"


@pytest.mark.parametrize("text", [ENSEMBLES])
def test_every_task_comes_after_its_inputs(text: str) -> None:
    plan, seen = make_plan(load_spec(yaml.safe_load(text))), set[str]()
    for key, task in plan.tasks.items():
        assert set(task.inputs) <= seen, task.kind
        seen.add(key)
    assert {"trunk", "trajectory", "ensemble", "align", "path"} <= set(plan.counts())


# ids


def test_overlapping_sweeps_share_their_ensembles() -> None:
    every = [{"method": "independent", "budgets": 1}, {"method": "fge"}, {"method": "snapshot"}]
    one, two = (planned(*every, endpoints={"seeds": seeds, "train": TRAIN}) for seeds in ([0, 1, 2], [2, 5, 1]))
    both = planned(*every, endpoints={"seeds": [1, 2], "train": TRAIN})
    for kind in ("endpoint", "trunk", "trajectory", "ensemble"):
        assert set(ids(one, kind)) & set(ids(two, kind)) == set(ids(both, kind))


@pytest.mark.parametrize("method", ["independent", "fge", "swa", "snapshot"])
def test_ids_do_not_depend_on_what_else_is_in_the_sweep(method: str) -> None:
    """Neither on other methods and smaller budgets, nor on defaults that are written out."""
    written = {
        "independent": {},
        "snapshot": {"lr1": 0.1, "cycles": 5, "looks": 4},
        "fge": {"start": 16, "lr1": 5e-2, "lr2": 0.01, "cycle": 2, "predictions": False},
        "swa": {"start": None, "cycle": 2.0, "points": None, "path": None},
    }
    alone = planned({"method": method, "budgets": 2})
    out = planned({"method": method, "budgets": [2], "restarts": True, **written[method]})
    assert list(alone.tasks) == list(out.tasks)
    beside = planned({"method": "independent", "budgets": [1]}, {"method": method, "budgets": [2, 1]}, pairs="chain")
    assert set(alone.tasks) <= set(beside.tasks)


@pytest.mark.parametrize(
    "change",
    [{"start": 12}, {"lr1": 0.06}, {"lr2": 0.02}, {"cycle": 1}, {"looks": 5}, {"predictions": True}, {"method": "swa"}],
)
def test_whatever_is_said_differently_is_another_ensemble(change: dict[str, Any]) -> None:
    base = {"method": "fge", "budgets": 2}
    assert not set(ids(planned(base), "ensemble")) & set(ids(planned(base | change), "ensemble"))


def test_ids_of_one_ensemble_of_each_method() -> None:
    """If this fails and the numbers that tasks give are the same, mend the code; else raise the kinds' versions."""
    plan = planned(
        {"method": "independent", "budgets": 2},
        {"method": "snapshot"},
        {"method": "fge", "budgets": 2},
        {"method": "swa", "budgets": 2, "restarts": False, "lr1": 0.1},
        OF_CURVE,
        seeds=2,
    )
    assert [(t.kind, t.id) for t in plan.tasks.values() if t.kind in ("trajectory", "ensemble")] == PINNED


PINNED = [
    ("trajectory", "36ca15257c18788e48aeff56"),
    ("trajectory", "145024d007410307e9108a02"),
    ("trajectory", "898a9b4f8b7e3f25d7cc784f"),
    ("trajectory", "e64f24167f515370d861f638"),
    ("ensemble", "7262ac1d3e13b3818d7ca207"),
    ("ensemble", "6568752a1e412020ac0ee2dd"),
    ("ensemble", "4e99d2659cdea78075a17d96"),
    ("ensemble", "7dbe64edcaab307af47872fd"),
    ("ensemble", "d92b171b880ab3b9ac157e7c"),
]


# budgets and costs


@settings(max_examples=60)
@given(ensembles, st.integers(1, 30))
def test_no_budget_is_exceeded(said: dict[str, Any], B: int) -> None:
    """By most epochs of the runs, and all of the end points and curves, that go into an ensemble."""
    budgets = EnsembleSpec.model_validate(said).budgets
    seeds = 2 if said["method"] == "curve" else max(budgets)
    plan = planned(said, endpoints={"seeds": seeds, "train": {"epochs": B, "lr": 0.1}})
    made = of(plan, "ensemble")
    assert {asked(task).budget for task in made} == set(budgets)
    for task in made:
        inputs = [plan.tasks[i] for i in task.inputs]
        spent = 0
        for each in inputs:
            if each.kind == "path":
                curve = cast(PathTask, each.blueprint.spec).path.train
                spent += 2 * B + (0 if curve is None else curve.epochs)
            else:
                spent += B if each.kind == "endpoint" else run(each).epochs
        assert spent <= asked(task).budget * asked(task).epochs
        assert asked(task).epochs == B
        assert asked(task).spent == (None if inputs[0].kind == "trajectory" else spent)


def test_a_run_costs_what_an_end_point_of_as_many_epochs_does_and_its_looks() -> None:
    plan = planned({"method": "snapshot", "cycles": 3}, {"method": "fge", "start": 12, "looks": 1}, seeds=1)
    snapshot, fge = of(plan, "trajectory")
    end, trunk, *_ = (task_cost(of(plan, kind)[0].blueprint.spec, SIZE) for kind in ("endpoint", "trunk"))
    look = 100 + 130  # the BatchNorm pass and one evaluation
    assert task_cost(snapshot.blueprint.spec, SIZE) == end - 130 + 3 * 4 * look
    assert trunk + task_cost(fge.blueprint.spec, SIZE) == end - 130 + 4 * 1 * look


def test_an_ensemble_costs_an_evaluation_of_each_network() -> None:
    plan = planned({"method": "independent", "budgets": 3}, OF_CURVE | {"points": 7})
    independent, curve = of(plan, "ensemble")[0], of(plan, "ensemble")[-1]
    assert task_cost(independent.blueprint.spec, SIZE) == 3 * (100 + 130)
    assert task_cost(curve.blueprint.spec, SIZE) == 7 * (100 + 130)
