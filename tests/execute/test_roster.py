"""Who gets the next job: as a plain search through all workers would say, at the same cost however many there are."""

from __future__ import annotations

import random
import time

import pytest

from mcdist.execute.roster import Roster


class Plain:
    """The definition: of the least loaded workers the one that came to that load first."""

    def __init__(self, most: int) -> None:
        self.most, self.loads, self.since, self.time = most, dict[int, int](), dict[int, int](), 0

    def set(self, worker: int, load: int) -> None:
        self.time += 1
        self.loads[worker], self.since[worker] = load, self.time

    def next(self, keep: bool) -> int | None:
        able = [w for w, load in self.loads.items() if load == 0 or (keep and load < self.most)]
        return min(able, key=lambda w: (self.loads[w], self.since[w]), default=None)


@pytest.mark.parametrize("seed", range(5))
def test_the_next_worker_is_the_one_that_a_search_would_find(seed: int) -> None:
    rng, roster, plain = random.Random(seed), Roster[int](2), Plain(2)
    for step in range(2000):
        worker = rng.choice([*plain.loads, None])
        load = plain.loads.get(worker, 0) if worker is not None else 0
        if worker is None:
            roster.add(step)
            plain.set(step, 0)
        elif rng.random() < 0.1:
            roster.remove(worker)
            del plain.loads[worker]
        elif rng.random() < 0.5 and load < 2:
            roster.gave(worker)
            plain.set(worker, load + 1)
        elif load:
            roster.gave_back(worker)
            plain.set(worker, load - 1)
        for keep in (False, True):
            assert roster.next(keep) == plain.next(keep)
        assert list(roster) == list(plain.loads)
        assert sorted(roster.full()) == sorted(w for w, load in plain.loads.items() if load == 2)
        assert (len(roster), roster.idle()) == (len(plain.loads), sum(not load for load in plain.loads.values()))


def test_nobody_has_more_than_the_most() -> None:
    roster = Roster[str](1)
    assert roster.next(keep=True) is None
    roster.add("a")
    roster.gave("a")
    assert roster.next(keep=True) is None
    with pytest.raises(IndexError):
        roster.gave("a")
    assert (roster.idle(), list(roster)) == (0, ["a"])


def test_ten_thousand_workers_cost_no_more_than_ten() -> None:
    def seconds(workers: int) -> float:
        roster = Roster[int](2)
        for worker in range(workers):
            roster.add(worker)
            roster.gave(worker)
        began = time.process_time()
        for _ in range(20_000):  # each loses its job and gets the next: the first of an ever longer row
            worker = roster.next(keep=True)
            assert worker is not None
            roster.gave_back(worker)
            roster.gave(worker)
        return time.process_time() - began

    assert min(seconds(10_000) for _ in range(3)) < 5 * min(seconds(10) for _ in range(3))
