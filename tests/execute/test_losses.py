"""Workers that die: what they had is told apart into what ended, what they were at, and what they never touched."""

from __future__ import annotations

import contextlib
import io
import os
import platform
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray
import torch

from mcdist.execute import ray_pool
from mcdist.execute.driver import drive
from mcdist.execute.executor import Ended, Lost
from mcdist.execute.job import Job, job_of
from mcdist.execute.progress import ProgressDisplay
from mcdist.execute.ray_pool import RayExecutor
from mcdist.execute.scheduler import Scheduler
from mcdist.plan import Blueprint, pack_of
from mcdist.spec.resources import ResourcesSpec
from mcdist.spec.tasks import PauseTask
from mcdist.store import open_store

pytestmark = pytest.mark.ray

WAIT_S = 60
DEADLY, DEADLY_AFTERWARDS = 13, 14  # numbers of pauses that kill their worker: in them, and once they are committed


def faulty(fuse: Path) -> Any:
    """Actors with deadly pauses; one that is deadly afterwards is so while the fuse is there. They tell their pid."""

    class Faulty(ray_pool.Actor):
        def __init__(self, *args: Any) -> None:
            from mcdist.tasks import pause, registry
            from mcdist.tasks.work import Kind

            def run(items: Any, bench: Any) -> Any:
                outcomes = pause.KIND(items, bench)
                if any(item.spec.number == DEADLY for item in items):
                    os.kill(os.getpid(), signal.SIGKILL)
                return outcomes

            registry.KINDS["pause"] = Kind(run)
            super().__init__(*args)

        def pid(self) -> int:
            return os.getpid()

        def faults(self) -> int:
            """Page faults of the computing thread in ten blocks of 128 MiB, after ten others."""

            def count() -> int:
                before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
                for _ in range(10):
                    torch.ones(32 << 20)
                return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

            return [self._pipeline._thread.submit(count).result() for _ in range(2)][-1]

        def do(self, job: Job, place: int) -> Any:
            report = super().do(job, place)
            if f'"number":{DEADLY_AFTERWARDS}}}' in job.specs[0] and fuse.exists():
                fuse.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            return report

    return ray.remote(Faulty)


@pytest.fixture(scope="module")
def _one_ray() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def _fuse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuse") / "fuse"


@pytest.fixture
def fuse(_fuse: Path) -> Path:
    _fuse.touch()
    return _fuse


Start = Callable[..., RayExecutor]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, _one_ray: None, _fuse: Path) -> Iterator[Start]:
    """An executor with so many workers, all of them ready and with nothing to do: that of the test before, which has
    replaced those that died, where it has as many. With a store of its own it is another.
    """
    shared = str(tmp_path_factory.mktemp("shared") / "store")
    now: list[tuple[RayExecutor, int, str]] = []

    def starter(workers: int, store: str | Path = shared) -> RayExecutor:
        if now and now[0][1:] != (workers, str(store)):
            now.pop()[0].close()
        if not now:
            executor = RayExecutor(ResourcesSpec(workers=workers, gpus=0), {}, None)
            now.append((executor, workers, str(store)))
            assert executor.start(open_store(store, create=True).uri, {"pause": 100}) == workers
        executor = now[0][0]
        wait_until(executor, lambda: [member.held for member in executor._members] == [[]] * workers)
        return executor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_pool, "_REMOTE", faulty(_fuse))
        yield starter
        for executor, _, _ in now:
            executor.close()


def wait_until(executor: RayExecutor, true: Callable[[], bool]) -> list[Ended | Lost]:
    """Everything that happens until then."""
    events, deadline = [], time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, f"it did not come to that; {events}"
        events += executor.wait(0.1)
    return events


def events_of(executor: RayExecutor, number: int) -> list[Ended | Lost]:
    """The next events, so many of them."""
    events: list[Ended | Lost] = []
    deadline = time.monotonic() + WAIT_S
    while len(events) < number:
        assert time.monotonic() < deadline, events
        events += executor.wait(0.1)
    assert len(events) == number
    return events


def pause(seconds: float, number: int) -> Job:
    return job_of(pack_of([Blueprint(PauseTask(seconds=seconds, number=number)).task()]), 1)


def kill(executor: RayExecutor, which: int) -> None:
    """Kill a worker, and return when it is no more, whatever Ray knows of it."""
    pid = ray.get([*executor._members][which].actor.pid.remote())
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)


def shown(events: list[Ended | Lost]) -> list[tuple[type, int, bool | None]]:
    """Kind of event, number of the pause, and whether it had begun."""
    return [
        (type(e), PauseTask.model_validate_json(e.job.specs[0]).number, e.begun if isinstance(e, Lost) else None)
        for e in events
    ]


def test_idle_workers_come_first_and_a_second_job_only_while_enough_are_left(start: Start) -> None:
    executor = start(2)
    assert executor.free(1)
    executor.submit(pause(1.0, 0))
    executor.submit(pause(1.0, 1))
    assert [len(member.held) for member in executor._members] == [1, 1]
    assert [executor.free(ready) for ready in (1, 2, 3)] == [False, False, True]
    executor.submit(pause(0.0, 2))
    executor.submit(pause(0.0, 3))
    assert not executor.free(100)
    assert {(kind, number) for kind, number, _ in shown(events_of(executor, 4))} == {(Ended, n) for n in range(4)}


def test_what_waits_behind_a_long_job_is_taken_back_for_a_worker_with_nothing_to_do(start: Start) -> None:
    executor = start(2)
    for job in (pause(3.0, 0), pause(0.2, 1), pause(0.0, 2), pause(0.0, 3)):
        executor.submit(job)
    events = shown(events_of(executor, 3))
    queued = next(member.held[0].job for member in executor._members if member.held)
    assert queued == pause(3.0, 0)
    assert (Lost, 2, False) in events or (Lost, 3, False) in events
    assert (Ended, 1, None) in events


def test_a_dead_worker_with_nothing_to_do_is_replaced_and_no_job_charged(start: Start) -> None:
    executor = start(2)
    dead = next(iter(executor._members))
    kill(executor, 0)
    assert wait_until(executor, lambda: dead not in executor._members and len(executor._members) == 2) == []
    executor.submit(pause(0.0, 0))
    assert shown(events_of(executor, 1)) == [(Ended, 0, None)]


def test_a_job_sent_to_a_worker_already_dead_is_not_charged(start: Start) -> None:
    executor = start(1)
    kill(executor, 0)
    executor.submit(pause(0.0, 0))
    assert shown(events_of(executor, 1)) == [(Lost, 0, False)]


def test_only_the_job_that_a_worker_was_at_is_charged(start: Start) -> None:
    executor = start(1)
    executor.submit(pause(0.5, DEADLY))
    executor.submit(pause(0.0, 0))
    assert sorted(shown(events_of(executor, 2)), key=lambda e: e[1]) == [(Lost, 0, False), (Lost, DEADLY, True)]


@pytest.mark.long
def test_a_deadly_job_is_charged_wherever_it_stood(start: Start) -> None:
    executor = start(1)
    executor.submit(pause(0.2, 0))
    executor.submit(pause(0.5, DEADLY))
    assert shown(events_of(executor, 2)) == [(Ended, 0, None), (Lost, DEADLY, True)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_workers_keep_the_memory_of_large_blocks(start: Start) -> None:
    pages = 10 * (128 << 20) // resource.getpagesize()
    assert ray.get(next(iter(start(1)._members)).actor.faults.remote()) < 0.1 * pages


class Sweep:
    """Pauses, one a pack, driven through an executor."""

    def __init__(self, uri: Path, pauses: list[PauseTask], retries: int) -> None:
        self.tasks = [Blueprint(spec).task() for spec in pauses]
        self.scheduler = Scheduler([pack_of([task]) for task in self.tasks], {}, retries)
        self.store = open_store(uri, create=True)

    def drive(self, executor: RayExecutor) -> None:
        kinds, costs = ({task.id: value for task in self.tasks} for value in ("pause", 1.0))
        progress = ProgressDisplay({"pause": len(self.tasks)}, {}, kinds, costs, executor.workers, io.StringIO())
        drive(self.scheduler, executor, self.store, progress)

    def rows(self) -> pd.DataFrame:
        """Rows of `tasks`, in the order of the pauses."""
        return self.store.table("tasks").set_index("task_id").loc[[task.id for task in self.tasks]]


def test_idle_workers_that_die_cost_nobody_an_attempt(start: Start, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "store", [PauseTask(seconds=0.1, number=n) for n in range(6)], retries=0)
    executor = start(2, tmp_path / "store")
    kill(executor, 0)
    kill(executor, 1)
    sweep.drive(executor)
    assert sweep.rows()["status"].tolist() == ["done"] * 6
    assert sweep.rows()["attempts"].tolist() == [1] * 6


def test_what_a_worker_wrote_before_it_died_is_not_done_again(start: Start, tmp_path: Path, fuse: Path) -> None:
    sweep = Sweep(tmp_path / "store", [PauseTask(seconds=0.1, number=n) for n in (0, DEADLY_AFTERWARDS, 1)], retries=0)
    sweep.drive(start(1, tmp_path / "store"))
    assert not fuse.exists()
    assert sweep.rows()["status"].tolist() == ["done"] * 3
    assert sweep.rows()["attempts"].tolist() == [1] * 3


@pytest.mark.long
def test_only_the_deadly_task_is_given_up(start: Start, tmp_path: Path) -> None:
    pauses = [PauseTask(seconds=0.05, number=n) for n in (0, 1, DEADLY, 2, 3, 4)]
    sweep = Sweep(tmp_path / "store", pauses, retries=1)
    sweep.drive(start(1, tmp_path / "store"))
    assert sweep.rows()["status"].tolist() == ["done", "done", "failed", "done", "done", "done"]
    assert sweep.rows()["error"].iloc[2].startswith("its worker was lost 2 times")
