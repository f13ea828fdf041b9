"""Which end points are connected."""

from __future__ import annotations

import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from mcdist.plan.pairs import choose_pairs
from mcdist.spec import PairsSpec

sizes = st.integers(2, 12)


@given(sizes)
def test_all(n: int) -> None:
    pairs = choose_pairs(PairsSpec(kind="all"), n)
    assert len(pairs) == n * (n - 1) // 2
    assert pairs == sorted(set(pairs))
    assert all(0 <= i < j < n for i, j in pairs)


@given(sizes)
def test_chain_visits_all_in_order(n: int) -> None:
    pairs = choose_pairs(PairsSpec(kind="chain"), n)
    assert [i for i, _ in pairs] + [pairs[-1][1]] == list(range(n))
    assert all(j == i + 1 for i, j in pairs)


def test_list_and_none_are_as_given() -> None:
    given_pairs = ((3, 1), (0, 2))
    assert choose_pairs(PairsSpec(kind="list", pairs=given_pairs), 4) == [(3, 1), (0, 2)]
    assert choose_pairs(PairsSpec(kind="none"), 4) == []


def test_a_single_end_point_has_no_pairs() -> None:
    assert choose_pairs(PairsSpec(kind="all"), 1) == choose_pairs(PairsSpec(kind="chain"), 1) == []


def drawn(n: int, number: int, seed: int = 0) -> list[tuple[int, int]]:
    return choose_pairs(PairsSpec(kind="random", random=number, seed=seed), n)


@given(sizes, st.integers(0, 99), st.data())
def test_random_pairs_are_so_many_different_ones_out_of_all(n: int, seed: int, choose: st.DataObject) -> None:
    every = choose_pairs(PairsSpec(kind="all"), n)
    number = choose.draw(st.integers(1, len(every)))
    pairs = drawn(n, number, seed)
    assert len(pairs) == number
    assert set(pairs) <= set(every)
    assert pairs == sorted(set(pairs)) == drawn(n, number, seed)


@given(sizes, st.integers(0, 99))
def test_more_random_pairs_hold_the_fewer_and_as_many_as_there_are_is_all(n: int, seed: int) -> None:
    every = choose_pairs(PairsSpec(kind="all"), n)
    draws = [set(drawn(n, number, seed)) for number in range(1, len(every) + 1)]
    assert all(fewer < more for fewer, more in itertools.pairwise(draws))
    assert draws[-1] == set(every)


def test_random_pairs_are_pinned() -> None:
    """A Python or a version of mcdist that draws others would not resume a sweep but begin another."""
    assert drawn(8, 5) == [(1, 3), (2, 3), (3, 6), (5, 6), (6, 7)]
    assert drawn(8, 5, seed=1) == [(0, 2), (0, 5), (1, 7), (2, 6), (4, 5)]


def test_every_pair_is_as_likely() -> None:
    counts = dict.fromkeys(itertools.combinations(range(5), 2), 0)
    for seed in range(2000):
        for pair in drawn(5, 3, seed):
            counts[pair] += 1
    assert all(abs(count - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5 for count in counts.values())  # 5 sigma


def test_a_few_of_very_many_are_drawn_without_making_all() -> None:
    start = time.perf_counter()
    assert len(drawn(1_000_000, 1000)) == 1000
    assert time.perf_counter() - start < 5.0
