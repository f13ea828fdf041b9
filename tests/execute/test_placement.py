"""How many workers there is room for, on nodes as Ray lists them, and on those that an autoscaler may start."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

import mcdist
from mcdist.execute import placement
from mcdist.execute.allotment import Node
from mcdist.execute.placement import Placement, apart, sizes
from mcdist.spec.resources import ResourcesSpec

CPU, GPU, BIG = (4, 0), (8, 2), (64, 8)  # nodes: CPUs, GPUs


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets Ray list such nodes, and one that is dead."""

    def set_nodes(*nodes: tuple[float, float]) -> None:
        listed = [{"NodeID": "dead", "Alive": False, "Resources": {"CPU": 999.0, "GPU": 999.0}}]
        for i, (cpus, gpus) in enumerate(nodes):
            has = {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
            listed.append({"NodeID": str(i), "Alive": True, "Resources": has})
        monkeypatch.setattr(placement.ray, "nodes", lambda: listed)

    monkeypatch.setattr(placement, "startable", lambda: [])
    return set_nodes


@pytest.mark.parametrize(
    ("nodes", "resources", "workers"),
    [
        ([CPU, CPU], {}, 8),
        ([CPU, GPU], {}, 2),  # a GPU each, since there are some
        ([CPU, GPU], {"gpus": 1}, 2),
        ([CPU, GPU], {"gpus": 0.25}, 8),
        ([CPU, GPU], {"gpus": 0.25, "cpus": 2}, 4),
        ([CPU, GPU, BIG], {"gpus": 2}, 1 + 4),
        ([CPU, GPU, BIG], {"gpus": 4}, 2),
        ([CPU, GPU], {"gpus": 0}, 4),  # off the node with GPUs
        ([GPU], {"gpus": 0}, 8),  # there is no other
        ([CPU, GPU], {"gpus": 0, "cpus": 8}, 1),  # nor here, that could hold one
        ([CPU, CPU], {"cpus": 3}, 2),
        ([(1, 1)], {"gpus": 0.1, "cpus": 0.1}, 10),
        ([(7, 0)], {"cpus": 0.14}, 50),  # 7 / 0.14 is less than 50
        ([CPU], {"workers": 77}, 77),
    ],
)
def test_as_many_workers_as_fit(there: Any, nodes: Any, resources: dict[str, Any], workers: int) -> None:
    there(*nodes)
    assert sizes([(Placement(ResourcesSpec(**resources), own=False), 100)]) == [workers]


@pytest.mark.parametrize("resources", [{"gpus": 3}, {"gpus": 1, "cpus": 9}, {"cpus": 9}])
def test_what_no_node_has_is_refused_and_what_there_is_is_named(there: Any, resources: dict[str, Any]) -> None:
    there(CPU, GPU, CPU)
    with pytest.raises(mcdist.RequestError, match=r"there are: 2 x 4 CPU, 0 GPU; 8 CPU, 2 GPU\. Ask for less"):
        Placement(ResourcesSpec(**resources), own=False)
    Placement(ResourcesSpec(**resources, autoscaling="on"), own=False)
    with pytest.raises(mcdist.RequestError):  # nothing joins a Ray that is started for one run
        Placement(ResourcesSpec(**resources, autoscaling="on"), own=True)


def test_there_is_room_for_one_worker_where_nodes_are_yet_to_come(there: Any) -> None:
    there((0, 0))
    assert sizes([(Placement(ResourcesSpec(autoscaling="on", gpus=1), own=False), 100)]) == [1]


def test_what_an_autoscaler_may_start_counts_as_room(there: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    there((0, 0))
    monkeypatch.setattr(placement, "startable", lambda: [Node(16, 4, many=3, type="spot")])
    found = Placement(ResourcesSpec(), own=False)
    assert (found.gpus, sizes([(found, 100)]), sizes([(found, 5)])) == (1.0, [12], [5])
    with pytest.raises(mcdist.RequestError, match=r"that may be started: 3 x 16 CPU, 4 GPU \(spot\)"):
        Placement(ResourcesSpec(gpus=5), own=False)
    for resources, own in ((ResourcesSpec(gpus=1, autoscaling="off"), False), (ResourcesSpec(gpus=1), True)):
        with pytest.raises(mcdist.RequestError):
            Placement(resources, own)


def test_nodes_that_come_and_go_are_noted(there: Any) -> None:
    there(CPU)
    found = Placement(ResourcesSpec(), own=False)
    seen = []
    for nodes in ([CPU], [CPU, CPU], [CPU], []):
        there(*nodes)
        seen.append((sizes([(found, 100)])[0], found.take_notes()))
    assert seen == [
        (4, []),
        (8, ["nodes have come or gone: 8 worker(s) now, before 4"]),
        (4, ["nodes have come or gone: 4 worker(s) now, before 8"]),
        (1, ["no node has 1 CPU and 0 GPU now: waiting for one that has"]),
    ]


def crews(own: bool = False, **resources: Any) -> list[Placement]:
    return apart([Placement(one, own, kinds) for kinds, one in ResourcesSpec(**resources).crews()])


@pytest.mark.parametrize(
    ("nodes", "tasks", "workers"),
    [
        ([CPU, GPU], {"align": {"gpus": 0}}, [2, 4]),  # those without a GPU off the node that has some
        ([GPU], {"align": {"gpus": 0}}, [2, 6]),  # beside the others where there is no other node
        ([GPU], {"align": {"gpus": 0, "cpus": 3}}, [2, 2]),
        ([CPU, GPU], {"align": {"gpus": 0, "workers": 3}}, [2, 3]),
        ([CPU, GPU], {"align": {"gpus": 0}, "profile": {"gpus": 0}}, [2, 4]),  # alike: one crew
        ([CPU, GPU], {"align": {"gpus": 0}, "profile": {"gpus": 0, "cpus": 2}}, [2, 2, 1]),
        ([BIG], {"curvature": {"gpus": 2}}, [6, 1]),
        ([CPU], {"align": {"cpus": 2}}, [2, 1]),
    ],
)
def test_tasks_with_workers_of_their_own(there: Any, nodes: Any, tasks: dict[str, Any], workers: list[int]) -> None:
    there(*nodes)
    found = crews(tasks=tasks)
    assert found[0].kinds == ()
    assert sizes([(placement, 100) for placement in found]) == workers


def test_no_workers_for_what_there_is_not_to_do(there: Any) -> None:
    """A sweep without alignments keeps no CPU for them, nor a GPU for others where there are alignments alone."""
    there(CPU, GPU)
    common, align = crews(tasks={"align": {"gpus": 0}})
    assert sizes([(common, 100), (align, 0)]) == [2, 0]
    assert sizes([(common, 0), (align, 3)]) == [0, 3]
    assert common.take_notes() == align.take_notes() == []


def test_no_workers_of_their_own_where_the_others_are_the_same_or_leave_no_room(there: Any) -> None:
    """The same file works on a small machine, and a CPU is not kept for tasks that any worker does."""
    there((4, 0))
    assert len(crews(tasks={"align": {"gpus": 0}})) == 1
    there((1, 1))
    [alone] = crews(tasks={"align": {"gpus": 0}})
    assert alone.take_notes() == ["there is no room for workers for align alone: the others do that as well"]


@pytest.mark.parametrize(
    ("nodes", "resources"),
    [
        ([(4, 0)], {"workers": 4, "tasks": {"align": {"threads": 2}}}),  # the number that was asked for comes first
        ([(1, 1)], {"gpus": 0, "tasks": {"path": {"gpus": 1}}}),  # one of each does not fit, whoever is first
        ([(2, 1)], {"gpus": 0, "cpus": 2, "tasks": {"path": {"gpus": 1, "cpus": 1}}}),
    ],
)
def test_a_crew_without_room_beside_the_others_is_not_made(there: Any, nodes: Any, resources: dict[str, Any]) -> None:
    """Ray would let it wait for ever, and its tasks with it."""
    there(*nodes)
    [alone] = crews(**resources)
    assert "the others do that as well" in alone.take_notes()[0]


def test_a_crew_that_no_node_could_hold_is_refused_by_its_name(there: Any) -> None:
    there(GPU)
    with pytest.raises(
        mcdist.RequestError, match=r"^resources\.tasks\.align: .* 9 CPU .*\(resources\.tasks\.align\.cpus"
    ):
        crews(tasks={"align": {"gpus": 0, "cpus": 9}})


def test_a_second_gpu_of_a_worker_is_said_to_be_idle(there: Any) -> None:
    there(BIG)
    [found] = crews(gpus=2)
    assert found.take_notes() == ["each worker has 2 GPUs to itself, and computes on one of them"]


def cluster_file(folder: Path, types: dict[str, Any]) -> str:
    file = folder / "ray_bootstrap_config.yaml"
    config = {"available_node_types": types, "head_node_type": "head", "max_workers": 6}
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    return str(file)


def test_types_of_nodes_are_those_of_the_cluster_file_but_for_its_head(tmp_path: Path) -> None:
    types = {
        "head": {"resources": {"CPU": 4}},
        "spot": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 4},
        "many": {"resources": {"CPU": 2}, "max_workers": 100},
        "unsaid": {"node_config": {}},
        "none": {"resources": {"CPU": 99}, "max_workers": 0},
    }
    assert placement.startable(cluster_file(tmp_path, types)) == [
        Node(8, 1, 4, "spot"),
        Node(2, 0, 6, "many"),
        Node(math.inf, math.inf, 6, "unsaid"),
    ]


def test_a_type_that_does_not_say_what_it_has_may_hold_a_worker() -> None:
    unsaid = Node(math.inf, math.inf, many=6, type="unsaid")
    assert unsaid.fits(1, 1) == 6
    assert str(unsaid) == "6 x unknown (unsaid)"


@pytest.mark.parametrize("text", ["", "[]", "available_node_types: 3", "a: [", "available_node_types: {a: 1}", None])
def test_what_is_no_cluster_file_starts_nothing(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
    assert placement.startable(str(file)) == []
