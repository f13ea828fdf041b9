"""What goes where: data once to each node, weights by the store, and next to nothing to the driver."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private.internal_api import node_stats
from support.disturbing import Background, Watch, wait_for

from cluster.conftest import Nodes
from cluster.test_nodes import long_curves, run
from mcdist.execute.driver import drive
from mcdist.execute.progress import ProgressDisplay
from mcdist.execute.ray_pool import RayExecutor
from mcdist.execute.scheduler import Scheduler
from mcdist.plan import Blueprint, pack_of
from mcdist.spec.resources import ResourcesSpec
from mcdist.spec.tasks import PauseTask
from mcdist.store import open_store

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

MB = 1_000_000


def object_store(node: Any) -> Any:
    """What Ray keeps in the memory of a node, shared by its processes."""
    (listed,) = (each for each in ray.nodes() if each["NodeID"] == node.node_id)
    return node_stats(listed["NodeManagerAddress"], listed["NodeManagerPort"]).store_stats


def test_data_are_once_on_each_node_and_weights_are_not_there_at_all(
    nodes: Nodes, watch: Watch, tmp_path: Path
) -> None:
    """Two workers on each of two nodes, of which all have had work of the one data set, seen while curves are made."""
    there = [nodes.add(cpus=2), nodes.add(cpus=2)]
    with Background(watch, lambda: run(long_curves(pack=1), tmp_path, nodes)) as sweep:
        wait_for(lambda: watch.node_at("path", "bezier"), "a curve on its way")
        wait_for(lambda: {node.node_id for node in there} <= watch.used, "work on both nodes")
        wait_for(lambda: sum(member.given > 1 for member in watch.executor._members) == 4, "work for all workers")
        stats = [object_store(node) for node in there]
        (data,) = watch.executor._datasets.values()
    assert sweep.summary.exit_code == 0
    size = sum(array.nbytes for split in (data.train, data.test) for array in (split.inputs, split.targets))
    assert [stat.num_local_objects for stat in stats] == [1, 1]
    assert all(size <= stat.object_store_bytes_used < 1.1 * size + 10_000 for stat in stats)


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux only")
def test_the_memory_of_a_driver_does_not_grow_with_what_is_done(nodes: Nodes, tmp_path: Path) -> None:
    """10,000 empty tasks in packs of four: what the driver has after a fifth of them is what it has at the end."""
    nodes.add(cpus=2)
    tasks = [Blueprint(PauseTask(seconds=0.0, number=n)).task() for n in range(10_000)]
    scheduler = Scheduler([pack_of(tasks[i : i + 4]) for i in range(0, len(tasks), 4)], {}, retries=0)
    store, sizes = open_store(tmp_path, create=True), list[int]()

    class Measured(ProgressDisplay):
        def tick(self) -> None:
            if self._settled >= len(sizes) * 1000:
                sizes.append(resident())

    kinds, costs = {task.id: "pause" for task in tasks}, {task.id: 0.0 for task in tasks}
    executor = RayExecutor(ResourcesSpec(gpus=0), {}, nodes.address)
    try:
        executor.start(store.uri, {"pause": len(tasks)})
        drive(
            scheduler,
            executor,
            store,
            Measured({"pause": len(tasks)}, {}, kinds, costs, executor.workers, io.StringIO()),
        )
    finally:
        executor.close()
    print("driver, MB:", [size // MB for size in sizes])
    assert set(scheduler.status.values()) == {"done"}
    assert len(sizes) >= 10
    assert sizes[-1] - sizes[2] < 8 * MB
