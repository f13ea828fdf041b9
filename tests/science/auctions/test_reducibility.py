"""Reducibility: the best few options by trying all, judged on another sample; pruning changes nothing."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions import Outcome, capacity, choose, judge, matter, prune, shares

from .examples import grids, maximizers, menus, seeds, uniform

few = settings(max_examples=40)


def outcome(taken: Tensor, revenue: Tensor | None = None) -> Outcome:
    """Of one mechanism, with these options [N, S] that matter; revenue [N], 1 of everybody if not given."""
    paid = torch.ones(len(taken), dtype=torch.float64) if revenue is None else revenue
    return Outcome(taken[None], paid[None, :, None], torch.zeros_like(paid)[None, :, None])


def least_lost(taken: Tensor, options: int, size: int) -> float:
    """The least share of valuations [N, S] lost with any set of so many options, the default among them."""
    sets = itertools.combinations(range(1, options + 1), size - 1)
    return min(float((~torch.isin(taken, torch.tensor([0, *s])).all(1)).double().mean()) for s in sets)


def test_how_many_may_be_kept() -> None:
    assert [capacity(M) for M in (1, 2, 3, 7, 8, 63, 99)] == [1, 1, 2, 2, 3, 8, 10]


@few
@given(seed=seeds, size=st.integers(1, 5))
def test_of_a_menu_the_options_most_taken_are_the_best(seed: int, size: int) -> None:
    taken = menus(seed, K=1, M=8).outcome(uniform(seed + 9, 60, 2)).taken[0]
    kept = choose(outcome(taken), 8, size)
    assert kept[0] == 0
    assert len(kept) <= size
    assert torch.equal(kept, kept.sort().values)
    assert judge(outcome(taken), kept).lost == pytest.approx(least_lost(taken, 8, size), abs=1e-15)


def test_of_options_taken_as_often_the_first_are_kept() -> None:
    assert choose(outcome(torch.tensor([[3], [1], [2], [2], [3], [1], [0]])), 8).tolist() == [0, 1, 2]


def test_an_option_that_nobody_takes_is_not_kept() -> None:
    assert choose(outcome(torch.tensor([[0], [5], [0]])), 24).tolist() == [0, 5]
    assert choose(outcome(torch.tensor([[0], [0]])), 24).tolist() == [0]


def test_an_option_that_saves_none_without_another_is_not_kept() -> None:
    """4 and 5 matter together to three, 1 and 2 each alone to two."""
    taken = torch.tensor([[4, 5], [4, 5], [4, 5], [1, 0], [1, 1], [2, 2], [0, 2]])
    assert choose(outcome(taken), 8, 4).tolist() in ([0, 1, 4, 5], [0, 2, 4, 5])
    assert choose(outcome(taken), 8, 3).tolist() == [0, 1, 2]
    assert choose(outcome(taken[:5]), 8, 3).tolist() == [0, 4, 5]
    assert choose(outcome(taken), 8, 2).tolist() in ([0, 1], [0, 2])


@few
@given(seed=seeds, size=st.integers(1, 5))
def test_of_several_bidders_what_is_chosen_is_nearly_the_best(seed: int, size: int) -> None:
    taken = maximizers(seed, K=1, M=8).outcome(uniform(seed + 9, 60, 2, 2)).taken[0]
    found = judge(outcome(taken), choose(outcome(taken), 8, size))
    best = least_lost(taken, 8, size)
    assert best - 1e-15 <= found.lost <= best + 0.1


@few
@given(seed=seeds)
def test_the_more_are_kept_the_fewer_are_lost(seed: int) -> None:
    some = maximizers(seed, K=1, M=8).outcome(uniform(seed + 9, 60, 2, 2))
    lost = [judge(some, choose(some, 8, size)).lost for size in range(1, 10)]
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] == 0.0


@few
@given(seed=seeds, m=st.integers(1, 3))
def test_what_is_lost_by_its_definition(seed: int, m: int) -> None:
    some = maximizers(seed, K=1, m=m)
    kept = choose(some.outcome(uniform(seed + 8, 40, m, 2)), 6)
    held = some.outcome(uniform(seed + 9, 40, m, 2))
    found = judge(held, kept)
    lost = [not set(row) <= set(kept.tolist()) for row in held.taken[0].tolist()]
    assert found.lost == sum(lost) / 40
    revenue = sum(r for r, out in zip(held.revenue[0].tolist(), lost, strict=True) if out) / 40
    assert found.dropped == pytest.approx(revenue, abs=1e-15)
    assert found.eps == m * found.lost
    assert found.dropped <= found.eps * 2.0 + 1e-15  # values of two items


def test_a_set_that_loses_nothing_on_one_sample_may_on_another() -> None:
    kept = choose(outcome(torch.tensor([[1], [0]])), 8)
    found = judge(outcome(torch.tensor([[1], [2], [2], [0]]), torch.tensor([1.0, 2.0, 3.0, 0.0])), kept)
    assert (found.lost, found.dropped, found.eps) == (0.5, 1.25, 0.5)


@few
@given(seed=seeds, grid=grids)
def test_shares_and_options_that_matter(seed: int, grid: int | None) -> None:
    some = maximizers(seed, grid=grid).outcome(uniform(seed + 9, 40, 2, 2, grid=grid))
    for k in range(2):
        taken = some.taken[k].tolist()
        assert shares(some, 6)[k].tolist() == [sum(row[0] == option for row in taken) / 40 for option in range(7)]
        active = {0}.union(*taken)
        assert matter(some, 6)[k].tolist() == [option in active for option in range(7)]


@few
@given(seed=seeds, grid=grids)
def test_pruning_changes_nothing_on_the_sample(seed: int, grid: int | None) -> None:
    for some, v in (
        (menus(seed, K=1, M=9, grid=grid), uniform(seed + 9, 40, 2, grid=grid)),
        (maximizers(seed, K=1, M=9, grid=grid), uniform(seed + 9, 40, 2, 2, grid=grid)),
    ):
        before = some.outcome(v)
        small = prune(some, before)
        after = small.outcome(v)
        assert small.size == max(1, int(matter(before, 9).sum()) - 1)
        assert torch.allclose(after.payments, before.payments, atol=1e-12, rtol=0)
        assert torch.allclose(after.utilities, before.utilities, atol=1e-12, rtol=0)


def test_of_a_menu_that_nobody_buys_from_one_option_stays() -> None:
    dear = menus(0, K=1).closed(torch.tensor([0]), 2.0)
    assert prune(dear, dear.outcome(uniform(0, 9, 2))).size == 1


def test_there_is_always_room_for_the_default() -> None:
    with pytest.raises(RequestError, match="at least the default, not for 0"):
        choose(outcome(torch.tensor([[1]])), 8, 0)
