"""Nodes that leave, come, differ, or are missing: the sweep goes on with those that there are."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray
import yaml
from ray.core.generated.autoscaler_pb2 import DrainNodeReason
from support.disturbing import Background, Watch, assert_not_redone, committed, wait_for
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist
import mcdist.spec
from cluster.conftest import Nodes
from mcdist.execute import ray_pool

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

Expected = Callable[[dict[str, Any]], dict[str, pd.DataFrame]]


def long_curves(**resources: Any) -> dict[str, Any]:
    """The small sweep with curves that take seconds."""
    sweep = small_sweep(resources={"pack": 3, "gpus": 0} | resources)
    sweep["paths"][1]["train"]["epochs"] = 100
    return sweep


def run(sweep: dict[str, Any], store: Path, nodes: Nodes, out: io.StringIO | None = None) -> mcdist.execute.Summary:
    return mcdist.run(sweep, store=str(store), executor="ray", address=nodes.address, out=out or io.StringIO())


def gpu_in_name_only() -> Any:
    """Workers that ask for a GPU, and compute without."""

    class WithoutIt(ray_pool.Actor):
        def __init__(self, store: str, threads: int, gpus: float, *rest: Any) -> None:
            super().__init__(store, threads, 0, *rest)

    return ray.remote(WithoutIt)


def attempts(store: Path) -> set[int]:
    return set(mcdist.open_store(store).table("tasks")["attempts"])


def test_a_node_killed_in_the_midst_of_a_curve_costs_no_attempt(
    nodes: Nodes, watch: Watch, tmp_path: Path, undisturbed: Expected
) -> None:
    expected, out = undisturbed(long_curves()), io.StringIO()
    nodes.add()
    nodes.add()
    with Background(watch, lambda: run(long_curves(), tmp_path, nodes, out)) as sweep:
        doomed = nodes.freeze(wait_for(lambda: watch.node_at("path", "bezier"), "a curve on its way"))
        before = committed(tmp_path)
        nodes.kill(doomed)
    assert sweep.summary.counts == {"done": 28}
    assert [loss.node for loss in watch.losses() if loss.begun] == [True]
    assert attempts(tmp_path) == {1}
    assert "1 worker(s) now, before 2" in out.getvalue()
    assert_not_redone(tmp_path, before)
    assert_same_tables(tables(tmp_path), expected)


def test_a_node_that_joins_is_used_and_a_sweep_without_nodes_waits_for_one(
    nodes: Nodes, watch: Watch, tmp_path: Path, undisturbed: Expected
) -> None:
    expected, out = undisturbed(long_curves()), io.StringIO()
    first = nodes.add()
    with Background(watch, lambda: run(long_curves(), tmp_path, nodes, out)) as sweep:
        wait_for(lambda: watch.node_at("path", "bezier"), "a curve on its way")
        nodes.kill(first)
        wait_for(lambda: "waiting for one that has" in out.getvalue(), "the note")
        later = {nodes.add().node_id}
        slow = nodes.freeze(wait_for(lambda: watch.node_at("path"), "work on the first that joins"))
        later.add(nodes.add().node_id)
        wait_for(lambda: later <= watch.used, "work on the second as well")
        nodes.thaw(slow)
    assert sweep.summary.exit_code == 0
    assert watch.used == {first.node_id} | later
    assert attempts(tmp_path) == {1}
    assert "2 worker(s) now" in out.getvalue()
    assert_same_tables(tables(tmp_path), expected)


def test_work_without_gpus_is_kept_off_the_node_that_has_some(nodes: Nodes, watch: Watch, tmp_path: Path) -> None:
    with_gpu = nodes.add(cpus=4, gpus=1)
    plain = nodes.add(cpus=2)
    assert run(small_sweep(resources={"pack": 1, "gpus": 0}), tmp_path, nodes).exit_code == 0
    assert watch.used == {plain.node_id}
    assert with_gpu.node_id not in watch.used


def test_shares_of_a_gpu_go_to_the_node_that_has_it(
    nodes: Nodes, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU is one in name only, so what is seen is where workers are, and that they ask for a share."""
    monkeypatch.setattr(ray_pool, "_REMOTE", gpu_in_name_only())
    with_gpu = nodes.add(cpus=2, gpus=1)
    nodes.add(cpus=2)
    executor = ray_pool.RayExecutor(mcdist.spec.ResourcesSpec(gpus=0.5), {}, nodes.address)
    assert executor.start(mcdist.open_store(tmp_path / "s", create=True).uri, {"path": 100}) == 2
    try:
        wait_for(lambda: executor.wait(0.1) or len(executor._members) == 2, "two workers")
        assert [member.node for member in executor._members] == [with_gpu.node_id] * 2
    finally:
        executor.close()


def test_tasks_with_workers_of_their_own_are_done_off_the_gpus_the_others_on_them(
    nodes: Nodes, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Expected
) -> None:
    """In one sweep; what comes of it is the same, and a resumed one has nothing to do."""
    monkeypatch.setattr(ray_pool, "_REMOTE", gpu_in_name_only())
    with_gpu, plain = nodes.add(cpus=2, gpus=1), nodes.add(cpus=2)
    sweep = small_sweep(resources={"pack": 3, "gpus": 1, "tasks": {"profile": {"gpus": 0}, "path": {"gpus": 0}}})
    out = io.StringIO()
    assert run(sweep, tmp_path, nodes, out).exit_code == 0
    assert dict(watch.kinds) == {
        "endpoint": {with_gpu.node_id},
        "path": {plain.node_id},
        "profile": {plain.node_id},
    }
    assert "on 3 worker(s)" in out.getvalue()
    assert_same_tables(tables(tmp_path), undisturbed(small_sweep(resources={"pack": 3, "gpus": 0})))


def test_where_workers_of_their_own_lose_their_room_the_others_do_those_tasks(
    nodes: Nodes, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Expected
) -> None:
    """Their node goes, for good, and the other has no CPU left."""
    monkeypatch.setattr(ray_pool, "_REMOTE", gpu_in_name_only())
    monkeypatch.setattr(ray_pool, "_PATIENCE_S", 8.0)
    with_gpu, plain = nodes.add(cpus=1, gpus=1), nodes.add(cpus=1)
    sweep, out = long_curves(gpus=1, tasks={"path": {"gpus": 0}}), io.StringIO()
    with Background(watch, lambda: run(sweep, tmp_path, nodes, out)) as going:
        wait_for(lambda: plain.node_id in watch.kinds["path"], "a path on its way there")
        nodes.kill(nodes.freeze(plain.node_id))
    assert going.summary.exit_code == 0
    assert watch.kinds["path"] == {plain.node_id, with_gpu.node_id}
    assert "workers for path have found no room: others do that meanwhile" in out.getvalue()
    assert_same_tables(tables(tmp_path), undisturbed(long_curves()))


def test_what_no_node_has_is_refused_unless_one_may_come(
    nodes: Nodes, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the head's file says that an autoscaler could start a node with a `CPU` more."""
    nodes.add()
    sweep = small_sweep(resources={"pack": 3, "cpus": 2, "gpus": 0})
    with pytest.raises(mcdist.RequestError, match=r"asks for 2 CPU and 0 GPU.*there are: 0 CPU, 0 GPU; 1 CPU, 0 GPU"):
        run(sweep, tmp_path / "s", nodes)
    assert not (tmp_path / "s").exists()
    types = {"large": {"resources": {"CPU": 2}, "max_workers": 1}}
    (tmp_path / "ray_bootstrap_config.yaml").write_text(
        yaml.safe_dump({"available_node_types": types, "max_workers": 1})
    )
    monkeypatch.setenv("HOME", str(tmp_path))

    with Background(watch, lambda: run(sweep, tmp_path / "s", nodes)) as waiting:
        wait_for(lambda: watch.executor and watch.executor._starting, "a worker that waits for its node")
        nodes.add(cpus=2)
    assert waiting.summary.exit_code == 0


def test_a_node_on_which_workers_do_not_start_is_done_without(
    nodes: Nodes, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Expected
) -> None:
    expected = undisturbed(long_curves())
    nodes.add()
    bad = nodes.add().node_id

    class Picky(ray_pool.Actor):
        def __init__(self, *args: Any) -> None:
            if ray.get_runtime_context().get_node_id() == bad:
                raise OSError("this node has no such folder")
            super().__init__(*args)

    monkeypatch.setattr(ray_pool, "_REMOTE", ray.remote(Picky))
    out = io.StringIO()
    assert run(long_curves(), tmp_path, nodes, out).exit_code == 0
    assert bad not in watch.used
    assert attempts(tmp_path) == {1}
    assert_same_tables(tables(tmp_path), expected)


def test_work_on_a_preempted_node_is_done_elsewhere_without_end(nodes: Nodes, watch: Watch, tmp_path: Path) -> None:
    """A node is preempted when whoever lends it says that it will be gone at a certain time, and then it is."""
    nodes.add()
    with Background(watch, lambda: run(long_curves(), tmp_path, nodes)) as sweep:
        doomed = nodes.freeze(wait_for(lambda: watch.node_at("path", "bezier"), "a curve on its way"))
        soon = int(1000 * (time.time() + 0.2))
        accepted, why = ray._private.worker.global_worker.gcs_client.drain_node(
            doomed.node_id, DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"), "taken away", soon
        )
        assert accepted, why
        time.sleep(0.3)
        nodes.kill(doomed)
        nodes.add()
    assert sweep.summary.exit_code == 0
    assert [loss.harmless for loss in watch.losses() if loss.begun] == [True]
    assert attempts(tmp_path) == {1}
