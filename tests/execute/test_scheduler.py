"""The scheduler: inputs first, lost packs again, failures apart, dependents of a failure blocked."""

from __future__ import annotations

import random

import pytest
from support.sweeps import small_sweep

from mcdist.execute.job import Job, Verdict
from mcdist.execute.scheduler import Scheduler
from mcdist.plan import Pack, Plan, form_packs, groups, make_plan
from mcdist.spec import load_spec

DONE = Verdict("done")


def planned(pack: int = 3) -> tuple[Plan, list[Pack]]:
    plan = make_plan(load_spec(small_sweep()))
    return plan, form_packs(plan, dict.fromkeys(groups(plan), pack))


def drain(scheduler: Scheduler, seed: int = 0) -> list[Job]:
    """Do everything, ending running jobs in a random order; the jobs in the order of their start."""
    rng, running, started = random.Random(seed), [], []
    while scheduler.pending():
        while (job := scheduler.next()) is not None:
            running.append(job)
            started.append(job)
        assert running, "nothing runs, nothing is ready, and yet work is pending"
        job = running.pop(rng.randrange(len(running)))
        scheduler.ended(job.pack_id, dict.fromkeys(job.ids, DONE))
    return started


@pytest.mark.parametrize("seed", range(5))
def test_every_task_is_done_once_after_its_inputs(seed: int) -> None:
    plan, packs = planned()
    scheduler = Scheduler(packs, {}, retries=3)
    finished: set[str] = set()
    for job in drain(scheduler, seed):
        finished.update(job.ids)
    assert finished == set(plan.tasks)
    assert set(scheduler.status.values()) == {"done"}

    order = {i: n for n, job in enumerate(drain(Scheduler(packs, {}, 3), seed)) for i in job.ids}
    assert all(order[i] < order[task.id] for task in plan.tasks.values() for i in task.inputs)


def test_every_crew_has_a_queue_of_its_own() -> None:
    """Paths are done by others: they wait for them, and nobody else waits for paths."""
    plan, packs = planned()
    scheduler = Scheduler(packs, {}, retries=1, crew_of=lambda kind: int(kind == "path"))
    while scheduler.pending():
        both = [scheduler.ready(crew) for crew in (0, 1)]
        jobs = [scheduler.next(crew) for crew in (0, 1)]
        assert [number > 0 for number in both] == [job is not None for job in jobs]
        for crew, job in enumerate(jobs):
            if job is not None:
                assert (job.kind == "path") == (crew == 1)
                if job.attempt == 1:  # lost, it is the next of its own crew
                    assert not scheduler.lost(job.pack_id)
                    job = scheduler.next(crew)
                    assert job is not None
                    assert job.attempt == 2
                scheduler.ended(job.pack_id, dict.fromkeys(job.ids, DONE))
    assert set(scheduler.status) == set(plan.tasks)


def test_settled_tasks_are_not_done_again_and_their_pack_shrinks() -> None:
    plan, packs = planned()
    first = packs[0].tasks[0].id
    jobs = drain(Scheduler(packs, {first: "done"}, 3))
    assert sorted(i for job in jobs for i in job.ids) == sorted(set(plan.tasks) - {first})
    whole = {pack.id for pack in packs}
    assert {job.pack_id for job in jobs} - whole == {jobs[0].pack_id}  # the others keep their identity


def test_everything_settled_is_nothing_to_do() -> None:
    plan, packs = planned()
    assert not Scheduler(packs, dict.fromkeys(plan.tasks, "done"), 3).pending()


def test_dependents_of_a_failed_task_are_blocked_through_all_generations() -> None:
    plan, packs = planned()
    scheduler = Scheduler(packs, {}, 3)
    job = scheduler.next()
    assert job is not None
    poisoned = job.ids[0]
    scheduler.ended(job.pack_id, dict.fromkeys(job.ids, DONE) | {poisoned: Verdict("failed", "raised")})
    drain(scheduler)

    def stuck(i: str) -> bool:
        return i == poisoned or any(stuck(j) for j in plan.tasks[i].inputs)

    expected = dict.fromkeys(plan.tasks, "done") | {i: "blocked" for i in plan.tasks if stuck(i)} | {poisoned: "failed"}
    assert scheduler.status == expected
    told = {i: causes for _, blocked in scheduler.take_blocked() for i, causes in blocked.items()}
    assert set(told) == {i for i, status in expected.items() if status == "blocked"}
    assert all(expected[c] in ("failed", "blocked") for causes in told.values() for c in causes)
    assert scheduler.take_blocked() == []


def test_a_pack_that_raises_is_done_task_by_task() -> None:
    _, packs = planned()
    scheduler = Scheduler(packs, {}, 3)
    job = scheduler.next()
    assert job is not None
    assert len(job.ids) > 1
    scheduler.raised(job.pack_id)
    singles = {j.ids for j in drain(scheduler) if set(j.ids) <= set(job.ids)}
    assert singles == {(i,) for i in job.ids}


def test_a_loss_before_the_worker_was_at_the_pack_does_not_count_but_not_without_end() -> None:
    _, packs = planned()
    scheduler = Scheduler(packs[:1], {}, retries=0)
    attempts = []
    while (job := scheduler.next()) is not None and len(job.ids) > 1:
        attempts.append((job.pack_id, job.attempt))
        assert scheduler.lost(job.pack_id, blamed=False) is False
    assert set(attempts) == {(packs[0].id, 1)}
    assert 3 < len(attempts) < 100


def test_what_is_taken_back_or_preempted_does_not_count_however_often() -> None:
    """Nor does it use up what other losses are forgiven; and those do not use up this."""
    _, packs = planned()
    scheduler = Scheduler(packs[:1], {}, retries=100)

    def attempts(losses: int, **how: bool) -> list[int]:
        seen = []
        for _ in range(losses):
            job = scheduler.next()
            assert job is not None
            seen.append(job.attempt)
            assert scheduler.lost(job.pack_id, **how) is False
        return seen

    assert attempts(100, blamed=False, harmless=True) == [1] * 100
    assert attempts(15, blamed=False) == [1] * 11 + [2, 3, 4, 5]  # ten are forgiven
    assert attempts(100, blamed=True, harmless=True) == [6] * 100


def test_ready_is_the_number_of_jobs_that_can_start() -> None:
    _, packs = planned()
    scheduler = Scheduler(packs, {}, 0)
    first = sum(pack.kind == "endpoint" for pack in packs)
    assert scheduler.ready() == first
    job = scheduler.next()
    assert job is not None
    assert scheduler.ready() == first - 1
    scheduler.lost(job.pack_id, blamed=False)
    assert scheduler.ready() == first


def test_a_lost_pack_is_retried_whole_then_task_by_task_then_given_up() -> None:
    _, packs = planned()
    scheduler = Scheduler(packs[:1], {}, retries=2)
    attempts = []
    for _ in range(3):  # once, and two retries
        job = scheduler.next()
        assert job is not None
        attempts.append((job.pack_id, job.attempt))
        assert scheduler.lost(job.pack_id) is False
    assert attempts == [(packs[0].id, n) for n in (1, 2, 3)]
    single = scheduler.next()
    assert single is not None
    assert len(single.ids) == 1
    assert scheduler.lost(single.pack_id) is False
    assert [scheduler.next() is not None, scheduler.lost(single.pack_id)] == [True, False]
    assert [scheduler.next() is not None, scheduler.lost(single.pack_id)] == [True, True]
