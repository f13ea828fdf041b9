"""A worker's pipeline: one job is computed while the next is loaded and the last one written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from mcdist.execute.job import Job, Report
from mcdist.execute.pipeline import Pipeline
from mcdist.execute.worker import Computed

WAIT_S = 30


def job(name: str) -> Job:
    return Job(name, "pause", (name,), ("{}",), ((),), 1)


class Recording:
    """Stages that note what happens, `load a` and `-load a` at its end; `at` may make one of them wait, or raise."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.threads: dict[str, list[int]] = {"load": [], "compute": [], "commit": []}
        self.at: dict[str, Callable[[], object]] = {}
        self._changed = threading.Condition()

    def _stage(self, stage: str, name: str) -> None:
        self.threads[stage].append(threading.get_ident())
        self._note(f"{stage} {name}")
        self.at.get(f"{stage} {name}", lambda: None)()
        self._note(f"-{stage} {name}")

    def _note(self, event: str) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def await_event(self, event: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: event in self.events, WAIT_S), f"no {event!r} in {self.events}"

    def load(self, job: Job) -> None:
        self._stage("load", job.pack_id)

    def compute(self, job: Job) -> Computed:
        self._stage("compute", job.pack_id)
        return Computed(Report(job.pack_id, {}), None)

    def commit(self, computed: Computed) -> Report:
        self._stage("commit", computed.report.pack_id)
        return computed.report


class Callers:
    """A pipeline, and threads that call it."""

    def __init__(self) -> None:
        self.stages = Recording()
        self.pipeline = Pipeline(lambda: self.stages)
        self._threads = ThreadPoolExecutor(8)

    def hold(self, event: str) -> threading.Event:
        """Let a stage not end before the event that is returned."""
        gate = threading.Event()
        self.stages.at[event] = lambda: gate.wait(WAIT_S)
        return gate

    def do(self, name: str, place: int) -> Future[Report | None]:
        return self._threads.submit(self.pipeline.do, job(name), place)

    def reached(self, place: int) -> Future[None]:
        return self._threads.submit(self.pipeline.reached, place)


@pytest.fixture
def callers() -> Callers:
    return Callers()


def ended(future: Future[Report | None]) -> str:
    report = future.result(WAIT_S)
    assert report is not None
    return report.pack_id


def test_the_next_job_is_loaded_while_one_is_computed(callers: Callers) -> None:
    gate = callers.hold("compute a")
    first, second = callers.do("a", 0), callers.do("b", 1)
    callers.stages.await_event("-load b")
    assert "-compute a" not in callers.stages.events
    gate.set()
    assert [ended(first), ended(second)] == ["a", "b"]


def test_the_next_job_is_computed_while_one_is_written(callers: Callers) -> None:
    gate = callers.hold("commit a")
    first, second = callers.do("a", 0), callers.do("b", 1)
    callers.stages.await_event("-compute b")
    assert "-commit a" not in callers.stages.events
    gate.set()
    assert [ended(first), ended(second)] == ["a", "b"]


def test_at_most_two_results_wait_to_be_written(callers: Callers) -> None:
    gates = [callers.hold(f"commit {name}") for name in "ab"]
    jobs = [callers.do(name, place) for place, name in enumerate("abc")]
    callers.stages.await_event("-compute b")
    callers.stages.await_event("-load c")
    assert "compute c" not in callers.stages.events
    gates[1].set()
    callers.stages.await_event("compute c")
    gates[0].set()
    assert [ended(j) for j in jobs] == ["a", "b", "c"]


def test_jobs_are_computed_in_order_by_one_thread_whoever_comes_first(callers: Callers) -> None:
    later = callers.do("b", 1)
    callers.stages.await_event("-load b")
    assert [ended(callers.do("a", 0)), ended(later), ended(callers.do("c", 2))] == ["a", "b", "c"]
    assert [e for e in callers.stages.events if e.startswith("compute")] == ["compute a", "compute b", "compute c"]
    assert len(set(callers.stages.threads["compute"])) == 1
    assert not set(callers.stages.threads["compute"]) & set(callers.stages.threads["commit"])


def test_a_job_is_reached_when_all_before_it_are_computed(callers: Callers) -> None:
    gates = [callers.hold("compute a"), callers.hold("commit a")]
    first = callers.do("a", 0)
    callers.reached(0).result(WAIT_S)
    callers.stages.await_event("compute a")
    second = callers.reached(1)
    assert not second.done()
    gates[0].set()
    second.result(WAIT_S)
    assert "-commit a" not in callers.stages.events
    gates[1].set()
    assert ended(first) == "a"


def test_a_job_whose_turn_has_not_come_can_be_taken_back(callers: Callers) -> None:
    gate = callers.hold("compute a")
    first, second = callers.do("a", 0), callers.do("b", 1)
    callers.stages.await_event("compute a")
    callers.pipeline.take_back(1)
    assert second.result(WAIT_S) is None
    callers.pipeline.take_back(0)  # too late
    third = callers.do("c", 2)
    gate.set()
    assert [ended(first), ended(third)] == ["a", "c"]
    assert "compute b" not in callers.stages.events


@pytest.mark.parametrize("stage", ["compute", "commit"])
def test_an_error_is_the_callers_and_leaves_the_next_job_its_turn(callers: Callers, stage: str) -> None:
    def fail() -> None:
        raise OSError("disk full")

    callers.stages.at[f"{stage} a"] = fail
    first, second = callers.do("a", 0), callers.do("b", 1)
    with pytest.raises(OSError, match="disk full"):
        first.result(WAIT_S)
    assert ended(second) == "b"
