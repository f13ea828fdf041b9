"""The graph of alignments, tours, controls, curvature and planes: what goes into what, and what is shared."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import yaml
from spec.examples import FULL

from mcdist.errors import RequestError
from mcdist.plan import Plan, Task, make_plan
from mcdist.plan.cost import ProblemSize, task_cost
from mcdist.spec import load_spec
from mcdist.spec.tasks import CurvatureTask, FinetuneTask, JoinTask, PathTask

TRAIN = {"epochs": 2, "lr": 0.1}
LINEAR: dict[str, Any] = {"kind": "linear"}
BEZIER: dict[str, Any] = {"kind": "bezier", "train": TRAIN}
AUTONEB: dict[str, Any] = {"kind": "autoneb", "neb": {"cycles": [{"steps": 5, "lr": 0.1}]}}


def planned(**said: Any) -> Plan:
    sweep = {
        "name": "x",
        "problem": {"data": "digits", "model": "mlp"},
        "endpoints": {"seeds": 4, "train": TRAIN},
        "paths": [BEZIER],
        "measure": {"profile": []},
    }
    return make_plan(load_spec({**sweep, **said}))


def full() -> Plan:
    return make_plan(load_spec(yaml.safe_load(FULL)))


def of(plan: Plan, kind: str) -> list[Task]:
    return [task for task in plan.tasks.values() if task.kind == kind]


def ends(plan: Plan) -> list[str]:
    return [task.id for task in of(plan, "endpoint")]


def paths(plan: Plan) -> dict[tuple[int, ...], list[Task]]:
    """Paths by the positions of their ends, in the order of the sweep's settings."""
    at, found = ends(plan), dict[tuple[int, ...], list[Task]]()
    for task in of(plan, "path"):
        found.setdefault(tuple(at.index(i) for i in task.inputs[:2]), []).append(task)
    return found


def test_counts_of_a_sweep_with_everything() -> None:
    """Pairs 01 12 23 and, from the tours 0-2-1 and 3-1-0-2, the legs 02 and 13; six kinds of path, one of straight
    lines without alignment, two of one alignment.
    """
    pairs, settings, tours = 3 + 2, 6, 2
    walked = settings - 2  # all but repaired lines
    assert full().counts() == {
        "endpoint": 4,
        "align": 3 * pairs,
        "path": settings * pairs,
        "join": settings * tours,
        "finetune": 4,  # for the Bezier curves
        "profile": settings * (pairs + tours),
        "plane": 1 + 3 + 2,  # pair 01 of the Bezier and AutoNEB settings, and two triples
        "curvature": pairs + tours + 2 * 4,  # Bezier curves; and end points with both kinds of labels
        "twin": (2 * walked + 1) * (pairs + tours),  # two rates, whatever the batch size; and Bezier curves
        "drift": (4 * walked + 1) * (pairs + tours),
        "relaxation": 5 * walked * (pairs + tours),
    }


def test_every_task_comes_after_its_inputs() -> None:
    seen: set[str] = set()
    for key, task in full().tasks.items():
        assert set(task.inputs) <= seen, task.kind
        seen.add(key)


def test_costs_are_above_0_where_there_is_work() -> None:
    plan, size = full(), ProblemSize(train=100, evaluated=130)
    costs: dict[str, list[float]] = {}
    for task in plan.tasks.values():
        costs.setdefault(task.kind, []).append(task_cost(task.blueprint.spec, size))
    for kind in ("endpoint", "finetune", "profile", "plane", "curvature"):
        assert min(costs[kind]) > 0, kind
    assert set(costs["join"]) == {0.0}
    straight = [
        isinstance(t.blueprint.spec, PathTask) and t.blueprint.spec.path.kind == "linear" for t in of(plan, "path")
    ]
    assert [cost == 0 for cost in costs["path"]] == straight


# alignment


def test_an_aligned_path_has_its_alignment_as_third_input() -> None:
    plan = planned(paths=[{**LINEAR, "align": "weights"}, LINEAR], pairs=[[2, 0], [1, 3]])
    e = ends(plan)
    alignments = of(plan, "align")
    assert [task.inputs for task in alignments] == [(e[2], e[0]), (e[1], e[3])]
    aligned, plain = of(plan, "path")[:2], of(plan, "path")[2:]
    assert [task.inputs for task in aligned] == [(*a.inputs, a.id) for a in alignments]
    assert [task.inputs for task in plain] == [a.inputs for a in alignments]


def test_alignments_are_shared_between_kinds_and_settings_of_paths() -> None:
    kinds = [{**how, "align": "weights"} for how in (LINEAR, {**LINEAR, "repair": True}, BEZIER, AUTONEB)]
    plan = planned(paths=kinds)
    assert (len(of(plan, "align")), len(of(plan, "path"))) == (6, 24)
    other = planned(paths=[kinds[0], {**BEZIER, "align": {"method": "weights", "restarts": 2}}])
    assert len(of(other, "align")) == 12


@pytest.mark.parametrize(("change", "differ"), [({"seed": 5}, True), ({"restarts": 1}, False), ({"restarts": 2}, True)])
def test_what_tells_alignments_apart(change: dict[str, int], differ: bool) -> None:
    one, two = (
        {task.id for task in of(planned(paths=[{**LINEAR, "align": {"method": "weights", **said}}]), "align")}
        for said in ({}, change)
    )
    assert (one != two) == differ


# tours


def joined(plan: Plan) -> Task:
    (task,) = of(plan, "join")
    return task


def reversals(task: Task) -> tuple[bool, ...]:
    assert isinstance(task.blueprint.spec, JoinTask)
    return task.blueprint.spec.reversed


def test_legs_that_are_pairs_of_the_sweep_are_those_tasks_in_either_direction() -> None:
    plan = planned(tours=[[0, 2, 1, 3]])
    by_ends = paths(plan)
    assert len(of(plan, "path")) == 6  # no more than the pairs
    assert joined(plan).inputs == tuple(by_ends[pair][0].id for pair in ((0, 2), (1, 2), (1, 3)))
    assert reversals(joined(plan)) == (False, True, False)


def test_legs_that_are_none_are_made_lower_position_first() -> None:
    plan = planned(tours=[[2, 1, 3]], pairs="none")
    assert list(paths(plan)) == [(1, 2), (1, 3)]
    assert reversals(joined(plan)) == (True, False)


def test_a_pair_that_is_written_the_other_way_round_is_the_leg_all_the_same() -> None:
    """The sweep has the path from 2 to 0; a tour from 0 to 2 walks that one, from its end to its beginning."""
    there, back = (planned(tours=[tour], pairs=[[2, 0]]) for tour in ([0, 2, 3], [3, 2, 0]))
    assert list(paths(there)) == list(paths(back)) == [(2, 0), (2, 3)]
    assert reversals(joined(there)) == (True, False)
    assert reversals(joined(back)) == (True, False)


def test_a_tour_walked_the_other_way_round_has_the_same_legs() -> None:
    there, back = (planned(tours=[tour]) for tour in ([0, 2, 1], [1, 2, 0]))
    assert joined(there).inputs == joined(back).inputs[::-1]
    assert reversals(joined(there)) == (False, True)
    assert reversals(joined(back)) == (False, True)
    assert joined(there).id != joined(back).id


def test_aligned_legs_come_with_their_alignments_in_order() -> None:
    plan = planned(tours=[[0, 2, 1]], paths=[{**BEZIER, "align": "weights"}])
    legs = joined(plan).inputs[:2]
    assert joined(plan).inputs[2:] == tuple(plan.tasks[leg].inputs[2] for leg in legs)
    assert [plan.tasks[i].kind for i in joined(plan).inputs] == ["path", "path", "align", "align"]


def test_every_kind_of_path_makes_the_tour_and_all_are_profiled() -> None:
    plan = planned(tours=[[0, 1, 2]], paths=[LINEAR, BEZIER, AUTONEB], measure={"profile": {"points": 5}})
    assert plan.counts() == {"endpoint": 4, "path": 18, "join": 3, "profile": 21}
    assert {task.inputs[0] for task in of(plan, "profile")} == {t.id for k in ("path", "join") for t in of(plan, k)}


# curvature and its controls


def curvature(*entries: dict[str, Any], **said: Any) -> Plan:
    return planned(measure={"profile": [], "curvature": list(entries)}, **said)


def test_controls_are_the_ends_trained_on_as_the_path_was() -> None:
    plan = curvature({"controls": True}, paths=[BEZIER, AUTONEB], pairs=[[0, 1]])
    e = ends(plan)
    tuned = of(plan, "finetune")
    assert [task.inputs for task in tuned] == [(e[0],), (e[1],)] * 2
    specs = [task.blueprint.spec for task in tuned]
    assert all(isinstance(spec, FinetuneTask) for spec in specs)
    assert [(spec.train is None, spec.neb is None) for spec in specs] == [(False, True)] * 2 + [(True, False)] * 2  # type: ignore[attr-defined]
    measured = of(plan, "curvature")
    for path, task, own in zip(of(plan, "path"), measured, (tuned[:2], tuned[2:]), strict=True):
        assert task.inputs == (path.id, own[0].id, own[1].id)


def test_end_points_are_trained_on_once_for_all_that_want_it() -> None:
    """Aligned or not, of all paths that end there, for every measure; not where nobody asks, not for straight lines."""
    kinds = [LINEAR, {**LINEAR, "align": "weights"}, BEZIER, {**BEZIER, "align": "weights"}]
    both = curvature({"controls": True}, {"controls": True, "measures": ["top_k"]}, paths=kinds)
    assert len(of(both, "finetune")) == 4
    assert {len(task.inputs) for task in of(both, "curvature")} == {1, 3}
    assert len(of(curvature({"controls": True, "kinds": ["linear"]}, paths=kinds), "finetune")) == 0
    assert len(of(curvature({}, paths=kinds), "finetune")) == 0
    longer = {"kind": "bezier", "train": {**TRAIN, "epochs": 3}}
    for other in (longer, {**BEZIER, "seed": 1}):  # the data order is the path's too
        assert len(of(curvature({"controls": True}, paths=[BEZIER, other]), "finetune")) == 8


def test_where_curvature_is_asked_for_is_no_part_of_what_it_is() -> None:
    """The same measure for one kind and for all, with controls where there are none, is the same task."""
    kinds = [LINEAR, BEZIER]
    everywhere = {task.id for task in of(curvature({}, paths=kinds), "curvature")}
    assert len(everywhere) == 12
    straight = {task.id for task in of(curvature({"kinds": ["linear"]}, paths=kinds), "curvature")}
    assert len(straight) == 6
    assert straight < everywhere
    both = curvature({"kinds": ["linear"]}, {}, {"controls": True, "kinds": ["linear"]}, paths=kinds)
    assert {task.id for task in of(both, "curvature")} == everywhere
    controlled = {task.id for task in of(curvature({"controls": True}, paths=kinds), "curvature")}
    assert controlled & everywhere == straight  # of the others the controls are inputs


def test_curvature_at_end_points_does_not_see_paths_or_positions() -> None:
    def at_ends(entry: dict[str, Any], **said: Any) -> list[Task]:
        return of(curvature({"at": "endpoints", **entry}, **said), "curvature")

    plan = curvature({"at": "endpoints"})
    assert [task.inputs for task in of(plan, "curvature")] == [(end,) for end in ends(plan)]
    expected = [task.id for task in of(plan, "curvature")]
    assert [task.id for task in at_ends({"points": 5})] == expected
    assert [task.id for task in at_ends({}, paths=[], pairs="none")] == expected
    assert not set(expected) & {task.id for task in at_ends({"samples": 10})}
    (spec,) = {task.blueprint.spec.of for task in at_ends({}) if isinstance(task.blueprint.spec, CurvatureTask)}
    assert spec == "endpoint"


def test_curvature_of_tours_has_the_tours_ends_as_controls() -> None:
    plan = curvature({"controls": True}, tours=[[0, 3, 1]], pairs="none")
    e = ends(plan)
    tuned = {task.inputs[0]: task.id for task in of(plan, "finetune")}
    (of_tour,) = [task for task in of(plan, "curvature") if task.inputs[0] == joined(plan).id]
    assert of_tour.inputs == (joined(plan).id, tuned[e[0]], tuned[e[1]])


# planes


def planes(plane: dict[str, Any], **said: Any) -> list[tuple[str, ...]]:
    return [task.inputs for task in of(planned(measure={"profile": [], "plane": plane}, **said), "plane")]


def test_planes_of_paths_are_of_all_that_are_not_straight() -> None:
    kinds = [LINEAR, BEZIER, AUTONEB]
    plan = planned(paths=kinds)
    bent = {
        (t.id,)
        for t in of(plan, "path")
        if isinstance(t.blueprint.spec, PathTask) and t.blueprint.spec.path.kind != "linear"
    }
    assert len(bent) == 12
    assert set(planes({}, paths=kinds)) == bent
    assert len(planes({"kinds": ["autoneb"]}, paths=kinds)) == 6
    assert len(planes({}, paths=kinds, tours=[[0, 1, 2]])) == 12  # a tour has no one plane


def test_planes_of_some_pairs() -> None:
    by_ends = paths(planned())
    assert planes({"pairs": [[1, 2]]}) == planes({"pairs": [[2, 1]]}) == [(by_ends[1, 2][0].id,)]
    assert planes({"pairs": "none"}) == []
    assert len(planes({"pairs": "chain"})) == 3
    assert len(planes({"pairs": {"random": 2}})) == 2


def test_planes_of_a_pair_that_the_sweep_has_the_other_way_round() -> None:
    backwards = {"pairs": [[3, 1], [2, 0]]}
    every = [(task.id,) for task in of(planned(**backwards), "path")]
    assert planes({}, **backwards) == every
    assert planes({"pairs": [[1, 3]]}, **backwards) == every[:1]


def test_a_plane_of_a_pair_that_nothing_connects_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match=r"^measure\.plane\.0: no path of the sweep connects .* \[0, 3\]$"):
        planes({"pairs": [[0, 1], [0, 3]]}, pairs="chain")
    assert len(planes({"pairs": [[0, 3]]}, pairs="chain", tours=[[1, 0, 3]])) == 1  # a leg is a path


def test_planes_through_end_points_need_no_path_and_keep_the_order() -> None:
    plan = planned(paths=[], measure={"profile": [], "plane": {"through": [[0, 1, 2], [3, 1, 0]]}})
    e = ends(plan)
    assert [task.inputs for task in of(plan, "plane")] == [(e[0], e[1], e[2]), (e[3], e[1], e[0])]


def test_planes_asked_for_in_other_words_are_the_same() -> None:
    one, two = planned(measure={"plane": {}}), planned(measure={"plane": {"kinds": ["bezier"], "pairs": "all"}})
    assert {t.id for t in of(one, "plane")} == {t.id for t in of(two, "plane")}


def test_packs_share_what_differs_in_seeds_alone() -> None:
    seeds = [{**LINEAR, "align": {"method": "weights", "seed": seed}} for seed in (0, 1)]
    groups = {task.blueprint.group for task in of(planned(paths=seeds), "align")}
    assert len(groups) == 1
    shapes = [of(planned(paths=[how]), "path")[0].blueprint.group for how in (LINEAR, seeds[0], BEZIER, AUTONEB)]
    assert all(one != other for one, other in itertools.combinations(shapes, 2))
