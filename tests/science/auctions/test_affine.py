"""Affine maximizers: payments by their definition, the laws of truthful auctions, auctions known by other rules."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions import Maximizers, Menus, options

from .examples import auction, grids, maximizers, seeds, uniform

CLOSE = 1e-12  # a handful of float64 operations on numbers near 1

few = settings(max_examples=30)


def all_assignments(bidders: int, items: int) -> Tensor:
    """Every way to give each item to one bidder or to nobody, but for nothing at all: [(m + 1)^n - 1, m, n]."""
    ways = torch.tensor(list(itertools.product(range(bidders + 1), repeat=items)))[1:]
    return torch.nn.functional.one_hot(ways, bidders + 1).mT[:, 1:].double()


def deterministic(bidders: int, items: int, boost: float) -> Maximizers:
    """All assignments, with so much boost for each item that is sold."""
    x = all_assignments(bidders, items)
    return Maximizers(x[None], boost * x.sum((1, 2))[None], torch.ones(1, bidders, dtype=torch.float64))


@few
@given(seed=seeds, grid=grids, m=st.integers(1, 3))
def test_what_is_taken_and_paid_by_the_definition(seed: int, grid: int | None, m: int) -> None:
    some, v = maximizers(seed, M=4, m=m, grid=grid), uniform(seed + 9, 6, m, 2, grid=grid)
    found = some.outcome(v)
    for k in range(2):
        for i in range(6):
            taken, payments, utilities = auction(some.x[k], some.b[k], some.w[k], v[i])
            assert found.taken[k, i].tolist() == taken
            assert found.payments[k, i].tolist() == pytest.approx(payments, abs=CLOSE)
            assert found.utilities[k, i].tolist() == pytest.approx(utilities, abs=CLOSE)


def test_ties_do_occur_on_the_grid() -> None:
    some, v = maximizers(3, grid=4), uniform(12, 200, 2, 2, grid=4)
    total, _ = some.welfare(v)
    assert float(((total == total.amax(-1, keepdim=True)).sum(-1) > 1).double().mean()) > 0.2


def test_of_equal_options_the_one_that_is_paid_more_for_is_taken() -> None:
    """One item, weights 1 and 2, a boost of 1/2 where the first bidder gets it: W = v_1 + 1/2 or 2 v_2.

    Where these are equal the first would pay 2 v_2 - 1/2 = v_1, the second (v_1 + 1/2) / 2 = v_2.
    """
    x = torch.tensor([[[[1.0], [0.0]], [[0.0], [1.0]], [[0.0], [1.0]]]], dtype=torch.float64)
    boosts, w = torch.tensor([[0.5, 0.0, 0.0]]), torch.tensor([[1.0, 2.0]])
    v = torch.tensor([[[0.5], [0.5]], [[0.25], [0.375]], [[0.75], [0.625]]], dtype=torch.float64)
    found = Maximizers(x, boosts, w).outcome(v)
    assert found.taken[0, :, 0].tolist() == [1, 2, 1]  # equal payments: the first; copies: the first
    assert found.revenue[0].tolist() == [0.5, 0.375, 0.75]


@few
@given(seed=seeds, grid=grids, m=st.integers(1, 3), top=st.sampled_from([0.0, 0.5, 1.0]))
def test_nobody_is_paid_and_nobody_loses(seed: int, grid: int | None, m: int, top: float) -> None:
    some, v = maximizers(seed, m=m, grid=grid, top=top), uniform(seed + 9, 20, m, 2, grid=grid)
    found = some.outcome(v)
    assert (found.payments >= 0.0).all()
    assert (found.utilities >= 0.0).all()
    assert (found.payments <= v.sum(-1) + CLOSE).all()


@few
@given(seed=seeds, grid=grids)
def test_nobody_gains_by_a_lie(seed: int, grid: int | None) -> None:
    some, v, lie = maximizers(seed, K=1, grid=grid), uniform(seed + 8, 20, 2, 2, grid=grid), uniform(seed + 9, 20, 2)
    truth = some.outcome(v).utilities[0]
    for i in range(2):
        bids = v.clone()
        bids[:, i] = lie
        told = some.outcome(bids)
        got = some.pick(told.taken[0, :, 0]).x[0, :, i]
        assert (truth[:, i] >= (v[:, i] * got).sum(-1) - told.payments[0, :, i] - CLOSE).all()


@few
@given(seed=seeds, grid=grids)
def test_utility_is_what_is_got_less_what_is_paid(seed: int, grid: int | None) -> None:
    some, v = maximizers(seed, K=1, grid=grid), uniform(seed + 9, 20, 2, 2, grid=grid)
    found = some.outcome(v)
    got = some.pick(found.taken[0, :, 0]).x[0]
    assert torch.allclose(found.utilities[0], (v * got).sum(-1) - found.payments[0], atol=CLOSE, rtol=0)


@few
@given(seed=seeds, m=st.integers(1, 3))
def test_the_sum_of_payments_with_equal_weights(seed: int, m: int) -> None:
    """sum_i p_i = sum_i max W_-i - (m - 1) max W - b of what is taken."""
    some, v = maximizers(seed, K=1, m=m, w=False), uniform(seed + 9, 20, m, 2)
    found = some.outcome(v)
    total, without = some.welfare(v)
    boost = some.pick(found.taken[0, :, 0]).b[0]
    expected = without.amax(-1).sum(1)[0] - (m - 1) * total.amax(-1)[0] - boost
    assert torch.allclose(found.revenue[0], expected, atol=CLOSE, rtol=0)


@few
@given(seed=seeds, top=st.sampled_from([0.0, 0.75]))
def test_one_bidder_is_a_buyer_at_a_menu(seed: int, top: float) -> None:
    """Of price max b - b, which is -b where no boost is above 0, and only there."""
    some, v = maximizers(seed, m=1, top=top, w=False), uniform(seed + 9, 30, 1, 2)
    paid = some.outcome(v).revenue
    b = some.b.clamp(max=0.0) if top == 0.0 else some.b
    most = b.amax(1, keepdim=True).clamp(min=0.0)
    assert torch.allclose(paid, Menus(some.x[:, :, 0], most - b).outcome(v[:, 0]).revenue, atol=CLOSE, rtol=0)
    if top == 0.0:
        assert torch.allclose(paid, Menus(some.x[:, :, 0], -b).outcome(v[:, 0]).revenue, atol=CLOSE, rtol=0)


def test_boosts_above_0_are_no_prices_below_0() -> None:
    """Allocation (1), boost 1/4: as a menu it would pay the buyer 1/4; here nobody is paid."""
    one = Maximizers(
        torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.full((1, 1), 0.25), torch.ones(1, 1, dtype=torch.float64)
    )
    v = uniform(0, 5, 1, 1)
    assert one.outcome(v).revenue.tolist() == [[0.0] * 5]
    assert Menus(one.x[:, :, 0], -one.b).outcome(v[:, 0]).revenue.tolist() == [[-0.25] * 5]


@few
@given(seed=seeds, grid=grids)
def test_all_assignments_without_boosts_are_a_second_price_auction_of_each_item(seed: int, grid: int | None) -> None:
    v = uniform(seed, 20, 3, 2, grid=grid)
    second = v.sort(1, descending=True).values[:, 1].sum(-1)
    assert torch.allclose(deterministic(3, 2, 0.0).outcome(v).revenue[0], second, atol=CLOSE, rtol=0)


@few
@given(seed=seeds)
def test_a_boost_of_minus_the_reserve_makes_it_the_optimal_auction_of_each_item(seed: int) -> None:
    """Myerson's for values uniform on [0, 1]: the highest bidder at or above 1/2 pays max(1/2, the second bid)."""
    v = uniform(seed, 20, 2, 2)
    low, high = v.sort(1).values.unbind(1)
    paid = torch.where(high >= 0.5, low.clamp(min=0.5), 0.0).sum(-1)
    assert torch.allclose(deterministic(2, 2, -0.5).outcome(v).revenue[0], paid, atol=CLOSE, rtol=0)


@few
@given(seed=seeds, grid=grids)
def test_order_copies_and_hopeless_options_change_nothing(seed: int, grid: int | None) -> None:
    some, v = maximizers(seed, K=1, grid=grid), uniform(seed + 9, 30, 2, 2, grid=grid)
    before = some.outcome(v)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed)) + 1
    assert torch.allclose(some.pick(order).outcome(v).revenue, before.revenue, atol=CLOSE, rtol=0)
    twice = some.pick(torch.arange(1, 7).repeat(2)).outcome(v)
    assert torch.equal(twice.taken, before.taken)
    assert torch.allclose(twice.payments, before.payments, atol=CLOSE, rtol=0)
    hopeless = some.rows()[:, :1].clone()
    hopeless[..., -1] = -8.01  # two bidders, two items, weights up to 2
    assert torch.equal(some.of(torch.cat([some.rows(), hopeless], 1)).outcome(v).taken, before.taken)


@few
@given(seed=seeds, grid=grids, c=st.sampled_from([2.0**-30, 0.25, 3.0, 1e6]))
def test_units_do_not_matter(seed: int, grid: int | None, c: float) -> None:
    some, v = maximizers(seed, grid=grid), uniform(seed + 9, 30, 2, 2, grid=grid)
    before = some.outcome(v)
    money = Maximizers(some.x, c * some.b, some.w).outcome(c * v)
    assert torch.equal(money.taken, before.taken)
    assert torch.allclose(money.payments, c * before.payments, rtol=1e-10, atol=c * CLOSE)
    weights = Maximizers(some.x, c * some.b, c * some.w).outcome(v)
    assert torch.equal(weights.taken, before.taken)
    assert torch.allclose(weights.payments, before.payments, atol=CLOSE, rtol=0)


@few
@given(seed=seeds)
def test_closed_options_matter_to_nobody_and_the_others_are_as_before(seed: int) -> None:
    some, v = maximizers(seed, K=1), uniform(seed + 9, 30, 2, 2)
    kept = torch.tensor([0, 2, 5])
    closed = some.closed(kept, 8.0)
    found, only = closed.outcome(v), some.pick(kept[1:]).outcome(v)
    assert torch.allclose(found.payments, only.payments, atol=CLOSE, rtol=0)
    assert torch.isin(found.taken, kept).all()
    assert torch.equal(closed.rows()[:, kept[1:] - 1], some.rows()[:, kept[1:] - 1])
    assert (closed.b <= some.b).all()


def test_options_of_no_numbers_earn_no_number() -> None:
    some = maximizers(0)
    some.b[1, 2] = math.nan
    assert some.outcome(uniform(9, 10, 2, 2)).mean().isnan().tolist() == [False, True]


def test_each_may_have_a_sample_of_its_own() -> None:
    some, v = maximizers(0, K=3), uniform(9, 3, 25, 2, 2)
    found = some.outcome(v)
    for k in range(3):
        alone = some[k].outcome(v[k])
        assert torch.equal(found.taken[k], alone.taken[0])
        assert torch.equal(found.payments[k], alone.payments[0])
        assert torch.allclose(some.surrogate(v, 9.0)[k], some[k].surrogate(v[k], 9.0)[0], atol=CLOSE, rtol=0)


def test_a_large_sample_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    some, v = maximizers(0), uniform(9, 100, 2, 2)
    whole = some.outcome(v)
    monkeypatch.setattr(options, "ELEMENTS", 50)
    assert torch.equal(some.outcome(v).taken, whole.taken)
    assert torch.allclose(some.outcome(v).payments, whole.payments, atol=CLOSE, rtol=0)


@few
@given(seed=seeds, kappa=st.floats(0.1, 1000))
def test_the_surrogate_by_its_definition(seed: int, kappa: float) -> None:
    some, v = maximizers(seed, K=1, M=3), uniform(seed + 9, 4, 2, 2)
    total, without = some.welfare(v)
    paid = 0.0
    for s, i in itertools.product(range(4), range(2)):
        soft = torch.softmax(kappa * without[0, i, s], 0) @ without[0, i, s]
        given_up = torch.softmax(kappa * total[0, s], 0) @ without[0, i, s]
        paid += float(soft - given_up) / float(some.w[0, i]) / 4
    assert float(some.surrogate(v, kappa)) == pytest.approx(paid, abs=CLOSE)


@few
@given(seed=seeds)
def test_the_surrogate_tends_to_the_revenue(seed: int) -> None:
    some, v = maximizers(seed), uniform(seed + 9, 50, 2, 2)
    total, without = some.welfare(v)
    tables = torch.cat([total[:, None], without], 1).topk(2).values
    clear = ((tables[..., 0] - tables[..., 1]) > 1e-4).all(1).all(0)
    assert torch.allclose(some.surrogate(v[clear], 1e6), some.outcome(v[clear]).mean(), atol=1e-12, rtol=0)


def test_the_surrogate_has_the_gradient_of_its_values() -> None:
    v = uniform(9, 3, 2, 2)

    def surrogate(x: Tensor, b: Tensor, w: Tensor) -> Tensor:
        return Maximizers(x, b, w).surrogate(v, 7.0)

    some = maximizers(0, M=3)
    assert torch.autograd.gradcheck(surrogate, tuple(part.requires_grad_() for part in (some.x, some.b, some.w)))


def test_rows_are_the_options_bit_for_bit() -> None:
    some = maximizers(0, m=3)
    again = some.of(some.rows())
    assert torch.equal(again.x, some.x)
    assert torch.equal(again.b, some.b)
    assert torch.equal(some[1].w, some.w[1:])
    assert torch.equal(some[-1].b, some.b[1:])
    assert some[1].of(some.rows()).w.tolist() == [some.w[1].tolist()] * 2


def test_what_is_no_auction() -> None:
    maximizers(0, m=3).check()
    deterministic(2, 2, 0.0).check()
    with pytest.raises(RequestError, match=r"infeasible by 1: .* at most 1 item"):
        deterministic(2, 2, 0.0).check(unit_demand=True)
    x, b, w = deterministic(2, 2, 0.0).x.clone(), torch.zeros(1, 8), torch.ones(1, 2)
    x[0, 3, :, 1] = torch.tensor([0.75, 0.5])
    with pytest.raises(RequestError, match=r"infeasible by 0\.25: .* all bidders together"):
        Maximizers(x, b, w).check()
    x[0, 3, :, 1] = torch.tensor([1.125, -0.125])
    with pytest.raises(RequestError, match=r"infeasible by 0\.125"):
        Maximizers(x, b, w).check()
    with pytest.raises(RequestError, match="not finite"):
        Maximizers(x, torch.full((1, 8), math.inf), w).check()
