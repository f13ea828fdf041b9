"""Packs too large for memory: halved, down to single tasks, in the same way by every run."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcdist.execute.halving import StoredHalvings, halves
from mcdist.execute.job import Verdict
from mcdist.execute.scheduler import Scheduler
from mcdist.plan import Blueprint, Pack, Task, pack_of
from mcdist.spec.tasks import PauseTask
from mcdist.store import Store, open_store


def tasks(count: int, *inputs: str) -> list[Task]:
    return [Blueprint(PauseTask(seconds=0.0, number=n)).task(*inputs) for n in range(count)]


@pytest.mark.parametrize(("count", "first"), [(2, 1), (3, 2), (5, 3), (8, 4)])
def test_the_first_half_is_the_larger_one(count: int, first: int) -> None:
    members = tasks(count)
    assert halves(members) == (pack_of(members[:first]), pack_of(members[first:]))


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path / "store", create=True)


def test_halvings_are_kept_in_the_store_and_the_first_of_a_pack_holds(store: Store) -> None:
    StoredHalvings(store)["p1"] = ["a", "b"]
    StoredHalvings(store)["p1"] = ["a"]
    assert StoredHalvings(store).get("p1") == ["a", "b"]
    assert StoredHalvings(store).get("p2") is None


def test_a_choice_for_a_group_is_no_halving(store: Store) -> None:
    store.write_choice("group", {"most": 4})
    assert StoredHalvings(store).get("group") is None


class Run:
    """A run of packs in a memory for so many tasks; what was settled and halved outlives it."""

    def __init__(self) -> None:
        self.settled: dict[str, str] = {}
        self.halvings: dict[str, list[str]] = {}
        self.committed: list[tuple[str, ...]] = []

    def go(self, packs: list[Pack], memory: int, commits: int = 1000, seed: int = 0, poison: str = "") -> None:
        """Until all is done, or killed after so many commits, several packs being done at a time."""
        scheduler = Scheduler(packs, dict(self.settled), 3, self.halvings)  # type: ignore[arg-type]
        rng, running = random.Random(seed), []
        while scheduler.pending() and commits:
            while len(running) < 3 and (job := scheduler.next()) is not None:
                running.append(job)
            job = running.pop(rng.randrange(len(running)))
            if len(job.ids) > memory:
                scheduler.halve(job.pack_id)
                continue
            commits -= 1
            verdicts = {i: Verdict("failed", "diverged") if i == poison else Verdict("done") for i in job.ids}
            self.committed.append(job.ids)
            self.settled |= {i: verdict.status for i, verdict in verdicts.items()}
            scheduler.ended(job.pack_id, verdicts)
            for pack, _ in scheduler.take_blocked():
                self.settled |= {task.id: "blocked" for task in pack.tasks}


@pytest.mark.parametrize(("memory", "sizes"), [(11, [11]), (6, [6, 5]), (5, [5, 3, 3]), (1, [1] * 11)])
def test_a_pack_is_halved_until_it_fits(memory: int, sizes: list[int]) -> None:
    run, members = Run(), tasks(11)
    run.go([pack_of(members)], memory)
    assert sorted(map(len, run.committed), reverse=True) == sizes
    assert sorted(i for ids in run.committed for i in ids) == sorted(task.id for task in members)


@given(
    count=st.integers(2, 20),
    memory=st.integers(1, 8),
    later_memory=st.integers(1, 30),
    kills=st.lists(st.integers(1, 6), max_size=4),
    seed=st.integers(0, 1000),
    before=st.integers(0, 3),
    poisoned=st.booleans(),
)
def test_killed_and_resumed_runs_have_the_packs_of_an_undisturbed_one(
    count: int, memory: int, later_memory: int, kills: list[int], seed: int, before: int, poisoned: bool
) -> None:
    """Two generations; some tasks settled by another sweep before, some blocked by a failure. As much memory as before,
    or more: what was halved stays halved.
    """
    first = tasks(4)
    second = [Blueprint(PauseTask(seconds=1.0, number=n)).task(first[n % 4].id) for n in range(count)]
    packs, poison = [pack_of(first), pack_of(second)], first[1].id if poisoned else ""

    def new() -> Run:
        run = Run()
        run.settled = dict.fromkeys([task.id for task in second[:before:2]], "done")
        return run

    undisturbed, run = new(), new()
    undisturbed.go(packs, memory, poison=poison)
    for n, commits in enumerate(kills):
        run.go(packs, memory, commits, seed + n, poison)
    run.go(packs, memory, 1000, seed, poison)
    assert sorted(run.committed) == sorted(undisturbed.committed)
    assert run.settled == undisturbed.settled

    roomier = new()
    roomier.halvings = dict(undisturbed.halvings)
    roomier.go(packs, max(memory, later_memory), poison=poison)
    assert sorted(roomier.committed) == sorted(undisturbed.committed)
