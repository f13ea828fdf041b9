"""Simulated workers: the clock, what becomes of jobs, and that the real driver brings every task to its end on them."""

from __future__ import annotations

import time

import pytest

from mcdist.bench.simulated import Costs, Fates, Simulated
from mcdist.execute.executor import Ended, Lost
from mcdist.execute.job import Job

CERTAIN = Fates(task_s=2.0, spread=0.0, lost=0.0, raised=0.0, failed=0.0)
TIMELESS = Costs(own=False)


def job(number: int, tasks: int = 1, attempt: int = 1) -> Job:
    ids = tuple(f"{number}-{i}" for i in range(tasks))
    return Job(f"pack{number}", "pause", ids, ("{}",) * tasks, ((),) * tasks, attempt)


def test_a_driver_that_takes_no_time_sees_each_event_when_it_is_due() -> None:
    workers = Simulated(1, CERTAIN, TIMELESS)
    workers.submit(job(1))
    workers.submit(job(2, tasks=3))  # kept behind the first
    assert not workers.free(ready=10)
    (first,) = workers.wait(1.0)
    assert (first.job.pack_id, workers.now) == ("pack1", 2.0)
    (second,) = workers.wait(1.0)
    assert (second.job.pack_id, workers.now, workers.occupied_s) == ("pack2", 8.0, 8.0)
    assert workers.fed == 0.0


def test_a_worker_with_nothing_left_waits_for_the_driver_whose_own_time_counts() -> None:
    workers = Simulated(1, CERTAIN, Costs(job=5.0))
    workers.submit(job(1))  # begins after the five seconds that sending it takes
    workers.wait(1.0)
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass
    workers.submit(job(2))
    workers.wait(1.0)
    assert workers.now == pytest.approx(5 + 2 + 0.2 + 5 + 2, abs=0.1)
    assert workers.driver_s == pytest.approx(0.2, abs=0.1)
    assert workers.fed == pytest.approx(5 + 2 + 0.2 + 5, abs=0.1)


def test_each_reference_takes_its_time_at_each_look() -> None:
    workers = Simulated(3, CERTAIN, Costs(reference=0.5))
    workers.submit(job(1))
    workers.submit(job(2))
    assert len(workers.wait(1.0)) == 2  # both ended before the driver had looked through two jobs and three workers
    assert workers.now == pytest.approx(2.5, abs=0.1)


def test_a_lost_worker_takes_what_it_held_and_is_replaced() -> None:
    workers = Simulated(1, Fates(spread=0.0, lost=1.0, back_s=60.0), TIMELESS)
    workers.submit(job(1))
    workers.submit(job(2))
    lost = workers.wait(1.0)
    assert [(e.job.pack_id, e.begun) for e in lost if isinstance(e, Lost)] == [("pack1", True), ("pack2", False)]
    died = workers.now
    assert 0 < died < 4.0
    assert not workers.free(ready=1)
    assert workers.wait(1.0) == []
    assert workers.free(ready=1)
    assert workers.now == died + 60.0


def test_what_one_keeps_for_later_goes_to_one_that_has_nothing_to_do() -> None:
    workers = Simulated(2, CERTAIN, TIMELESS)
    for number in (1, 2, 3):
        workers.submit(job(number, tasks=9 if number != 2 else 1))
    assert [type(event) for event in workers.wait(1.0)] == [Ended]  # job 2, and its worker is idle; 3 waits behind 1
    (back,) = workers.wait(1.0)
    assert isinstance(back, Lost)
    assert (back.job.pack_id, back.begun, workers.now) == ("pack3", False, 2.0)


def test_fates_are_as_frequent_as_said_and_follow_from_pack_and_attempt() -> None:
    fates = Fates(task_s=3.0, spread=1.0, lost=0.1, raised=0.05, failed=0.01)
    drawn = [fates.draw(job(n, tasks=4)) for n in range(20_000)]
    ended = [fate.report for fate in drawn if fate.report is not None]
    raised = sum(report.raised is not None for report in ended)
    failed = sum(v.status == "failed" for report in ended for v in report.verdicts.values())
    seconds = sum(fate.seconds for fate in drawn if fate.report is not None) / len(ended)
    # three standard errors: of counts of 20,000 draws; of a mean of log-normals, whose deviation is 1.31 means
    assert 1 - len(ended) / 20_000 == pytest.approx(0.1, abs=0.0064)
    assert raised / len(ended) == pytest.approx(0.05, abs=0.005)
    assert failed / (len(ended) - raised) == pytest.approx(0.04, abs=0.0045)
    assert seconds == pytest.approx(12.0, abs=12 * 3 * 1.31 / 18_000**0.5)
    assert fates.draw(job(7, tasks=4)) == drawn[7]
    assert fates.draw(job(7, tasks=4, attempt=2)).seconds != drawn[7].seconds
