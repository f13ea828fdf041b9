"""The executor on Ray: a pool of long-lived actors, each with its device and its copy of the data."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    OutOfMemoryError,
    RayActorError,
    WorkerCrashedError,
)

from mcdist.errors import RequestError
from mcdist.execute.executor import Ended, Executor, ExecutorError, Lost
from mcdist.execute.job import Job, Report
from mcdist.execute.worker import Worker
from mcdist.problems.data import Dataset
from mcdist.spec.sections import ResourcesSpec

__all__ = ["RayExecutor"]

_GONE = (RayActorError, ActorDiedError, ActorUnavailableError, OutOfMemoryError, WorkerCrashedError)
_STILLBORN = 3  # failed starts in a row, for each worker wanted, after which the run is given up


class _Actor:
    """A `Worker` in a process of its own; data sets come from Ray's object store, once per node."""

    def __init__(self, store: str, threads: int, on_gpu: bool, datasets: dict[str, Any]) -> None:
        device = "cuda" if on_gpu else "cpu"
        self._worker = Worker(store, device, threads, lambda key: ray.get(datasets[key]))

    def ready(self) -> bool:
        return True

    def do(self, job: Job) -> Report:
        return self._worker.do(job)


_REMOTE: Any = ray.remote(_Actor)


class RayExecutor(Executor):
    """Actors on the cluster at `address` (or $RAY_ADDRESS, as inside a Ray job), else on a Ray of this machine's own.

    Raises RequestError where there is no Ray to connect to, or no node that could hold one worker.
    """

    def __init__(self, resources: ResourcesSpec, datasets: Mapping[str, Dataset], address: str | None) -> None:
        self._resources, self._datasets = resources, datasets
        self._starting: dict[Any, Any] = {}  # reference that resolves once the actor is ready -> actor
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, Job]] = {}
        self._owns_ray = _connect(address)
        try:
            self._gpus = _gpus_per_worker(resources)
            _check_feasible(resources.cpus, self._gpus)
        except RequestError:
            self.close()
            raise

    def start(self, store: str, most: int) -> int:
        """See `Executor`."""
        self._store = store
        self._data = {key: ray.put(data) for key, data in self._datasets.items()}
        self._size = max(1, min(most, _room(self._resources, self._gpus)))
        self._stillborn = 0
        for _ in range(self._size):
            self._start_one()
        return self._size

    def _start_one(self) -> None:
        options = _REMOTE.options(num_cpus=self._resources.cpus, num_gpus=self._gpus, max_restarts=0)
        actor = options.remote(self._store, self._resources.threads, self._gpus > 0, self._data)
        self._starting[actor.ready.remote()] = actor

    def free(self) -> int:
        """See `Executor`: an actor gets work once it is ready; one that Ray has no room for (yet) gets none."""
        return len(self._idle)

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        actor = self._idle.pop()
        self._running[actor.do.remote(job)] = (actor, job)

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        """See `Executor`."""
        ready, _ = ray.wait([*self._running, *self._starting], num_returns=1, timeout=timeout_s)
        events = []
        for reference in ready:
            if reference in self._starting:
                self._started(reference)
            else:
                events.append(self._collect(reference))
        return events

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            ray.get(reference)
        except _GONE as error:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN * self._size:
                reason = str(error).strip().splitlines()[-1]  # before it, Ray's account and a traceback
                raise ExecutorError(f"workers do not start; the last one: {reason}") from error
            self._start_one()
            return
        self._stillborn = 0
        self._idle.append(actor)

    def _collect(self, reference: Any) -> Ended | Lost:
        actor, job = self._running.pop(reference)
        try:
            report: Report = ray.get(reference)
        except _GONE as error:
            ray.kill(actor)
            self._start_one()
            return Lost(job, f"{type(error).__name__}: {str(error).strip()}")
        except ray.exceptions.RayTaskError as error:
            raise ExecutorError(f"a worker cannot go on: {error.cause!r}") from error
        self._idle.append(actor)
        return Ended(job, report)

    def close(self) -> None:
        """See `Executor`: a Ray of our own is stopped, on a shared cluster our actors are."""
        if self._owns_ray:
            ray.shutdown()
            return
        for actor in [*self._starting.values(), *self._idle, *(actor for actor, _ in self._running.values())]:
            ray.kill(actor)


def _connect(address: str | None) -> bool:
    """Connect to Ray; whether it was started here and is ours to stop."""
    if ray.is_initialized():
        return False
    address = address or os.environ.get("RAY_ADDRESS")
    try:
        if address and address != "local":
            _check_reachable(address)
            ray.init(address=address, log_to_driver=False)
            return False
        ray.init(address="local", include_dashboard=False, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise RequestError(f"cannot connect to Ray at {address or 'this machine'}: {error}") from error
    except Exception as error:  # Ray raises plain ones when its own processes die while they start
        raise ExecutorError(f"Ray does not start: {error}") from error
    return True


def _check_reachable(address: str) -> None:
    """Raise ConnectionError where nobody listens at host:port: Ray itself would try for a minute and more."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        with socket.create_connection((host, int(port)), timeout=10):
            pass


def _gpus_per_worker(resources: ResourcesSpec) -> float:
    if resources.gpus != "auto":
        return resources.gpus
    return 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0


def _check_feasible(cpus: float, gpus: float) -> None:
    """Raise RequestError where no node could ever hold one worker: Ray itself would wait without end."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(n.get("CPU", 0) >= cpus and n.get("GPU", 0) >= gpus for n in nodes):
        return
    there = "; ".join(f"{n.get('CPU', 0):g} CPU, {n.get('GPU', 0):g} GPU" for n in nodes)
    raise RequestError(
        f"resources: a worker asks for {cpus:g} CPU and {gpus:g} GPU, and no node has that; there are: {there}"
    )


def _room(resources: ResourcesSpec, gpus: float) -> int:
    """The number of workers: as asked for, or as many as fit on the nodes there are."""
    if resources.workers != "auto":
        return resources.workers
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fits = [n.get("CPU", 0) // resources.cpus for n in nodes]
    if gpus:
        fits = [min(by_cpu, n.get("GPU", 0) // gpus) for by_cpu, n in zip(fits, nodes, strict=True)]
    return int(sum(fits))
