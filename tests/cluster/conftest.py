"""Several Ray nodes on this machine, that come and go."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest
import ray
from ray.cluster_utils import Cluster
from support.disturbing import Watch, workers_of
from support.sweeps import tables

import mcdist
from mcdist.execute.ray_pool import RayExecutor

# A node whose process is gone is dead within a second; one that is only slow, on a busy machine, is not.
HEALTH = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "300",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "3",
}


@dataclass
class Nodes:
    """The nodes of a cluster beside its head, which has no CPU."""

    cluster: Cluster
    there: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self, cpus: float = 1, gpus: float = 0) -> Any:
        """Start a node; returns when Ray knows it."""
        node = self.cluster.add_node(num_cpus=cpus, num_gpus=gpus, include_dashboard=False)
        self.there.append(node)
        return node

    def kill(self, node: Any) -> None:
        """All processes of a node at once, by SIGKILL."""
        workers = workers_of(node)
        self.there.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)
        _signal(workers, signal.SIGKILL)

    def freeze(self, node_id: str) -> Any:
        """The node of that id, its workers held where they are: they end nothing until it is thawed, or killed."""
        node = next(node for node in self.there if node.node_id == node_id)
        _signal(workers_of(node), signal.SIGSTOP)
        return node

    def thaw(self, node: Any) -> None:
        """Let a frozen node's workers go on."""
        _signal(workers_of(node), signal.SIGCONT)


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in HEALTH.items():
            patch.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        yield cluster
        cluster.shutdown()


@pytest.fixture(scope="module")
def attached(_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, with this process as one of its drivers."""
    ray.init(address=_cluster.address, log_to_driver=False)
    yield _cluster
    ray.shutdown()


@pytest.fixture
def nodes(attached: Cluster) -> Iterator[Nodes]:
    """No node but the head, until the test adds some."""
    found = Nodes(attached)
    yield found
    for node in list(found.there):
        with contextlib.suppress(Exception):
            found.kill(node)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """What happens in the next run of this process."""
    found = Watch()
    found.spy_on(RayExecutor, monkeypatch)
    return found


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], dict[str, pd.DataFrame]]:
    """The tables of a sweep that nothing disturbs."""
    known: dict[str, dict[str, pd.DataFrame]] = {}

    def expected(sweep: dict[str, Any]) -> dict[str, pd.DataFrame]:
        if str(sweep) not in known:
            uri = tmp_path_factory.mktemp("undisturbed")
            assert mcdist.run(sweep, store=str(uri), executor="serial").exit_code == 0
            known[str(sweep)] = tables(uri)
        return known[str(sweep)]

    return expected
