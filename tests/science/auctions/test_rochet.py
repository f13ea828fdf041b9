"""Menus of one buyer: the choice by its definition and its tie rule, the laws of truthful menus, the surrogate."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions import Menus, options

from .examples import buyer, grids, menu, menus, seeds, uniform

CLOSE = 1e-12  # a handful of float64 operations on numbers near 1

few = settings(max_examples=40)


def value(menu: Menus, v: Tensor) -> Tensor:
    """u(v), [K, N]."""
    return menu.outcome(v).utilities[..., 0]


@few
@given(seed=seeds, grid=grids)
def test_the_choice_is_the_best_option_of_several_the_dearest_of_equal_ones_the_first(
    seed: int, grid: int | None
) -> None:
    some, v = menus(seed, grid=grid), uniform(seed + 9, 12, 2, grid=grid)
    found = some.outcome(v)
    for k in range(2):
        for i in range(12):
            option, price, utility = buyer(some.x[k], some.p[k], v[i])
            assert int(found.taken[k, i, 0]) == option
            assert float(found.payments[k, i, 0]) == price
            assert float(found.utilities[k, i, 0]) == pytest.approx(utility, abs=CLOSE)


def test_ties_do_occur_on_the_grid() -> None:
    """The test above would say little if they did not."""
    some, v = menus(3, grid=4), uniform(12, 200, 2, grid=4)
    u = some.utilities(v)
    assert float(((u == u.amax(-1, keepdim=True)).sum(-1) > 1).double().mean()) > 0.1


def test_rounding_parts_no_tie() -> None:
    """0.1 + 0.7 is less than 0.8 in float64, and the buyer who values the bundle at just its price buys it."""
    one = menu(((1.0, 1.0), 0.8))
    assert 0.1 + 0.7 < 0.8
    found = one.outcome(torch.tensor([[0.1, 0.7], [0.1, 0.7 - 1e-9]], dtype=torch.float64))
    assert found.taken.flatten().tolist() == [1, 0]
    assert found.payments.flatten().tolist() == [0.8, 0.0]


def test_a_free_option_that_is_worth_nothing_is_not_taken() -> None:
    assert menu(((0.0, 0.0), 0.0)).outcome(uniform(0, 5, 2)).taken.tolist() == [[[0]] * 5]


@few
@given(seed=seeds, n=st.integers(1, 4), share=st.floats(0, 1))
def test_utility_is_convex_non_negative_and_has_slopes_from_0_to_1(seed: int, n: int, share: float) -> None:
    some, v, other = menus(seed, n=n), uniform(seed + 8, 20, n, top=2.0), uniform(seed + 9, 20, n, top=2.0)
    u, middle = value(some, v), value(some, torch.lerp(v, other, share))
    assert (u >= 0.0).all()
    assert (middle <= (1.0 - share) * u + share * value(some, other) + CLOSE).all()
    for j in range(n):
        moved = v.clone()
        moved[:, j] += share
        rise = value(some, moved) - u
        assert ((rise >= -CLOSE) & (rise <= share + CLOSE)).all()


@few
@given(seed=seeds, grid=grids)
def test_nobody_gains_by_a_lie(seed: int, grid: int | None) -> None:
    some, v, lie = menus(seed, grid=grid), uniform(seed + 8, 20, 2, grid=grid), uniform(seed + 9, 20, 2, grid=grid)
    told = some.outcome(lie)
    got = torch.stack([some[k].pick(told.taken[k, :, 0]).x[0] for k in range(2)])
    assert (value(some, v) >= (v * got).sum(-1) - told.payments[..., 0] - CLOSE).all()


@few
@given(seed=seeds, grid=grids)
def test_utility_is_what_is_got_less_what_is_paid(seed: int, grid: int | None) -> None:
    some, v = menus(seed, grid=grid), uniform(seed + 9, 20, 2, grid=grid)
    found = some.outcome(v)
    got = torch.stack([some[k].pick(found.taken[k, :, 0]).x[0] for k in range(2)])
    assert torch.allclose(found.utilities, ((v * got).sum(-1) - found.payments[..., 0])[..., None], atol=CLOSE, rtol=0)


@few
@given(seed=seeds, grid=grids)
def test_order_copies_and_what_nobody_can_pay_change_nothing(seed: int, grid: int | None) -> None:
    some, v = menus(seed, K=1, grid=grid), uniform(seed + 9, 30, 2, grid=grid)
    before = some.outcome(v)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed)) + 1
    assert torch.equal(some.pick(order).outcome(v).payments, before.payments)
    twice = some.pick(torch.arange(1, 7).repeat(2)).outcome(v)
    assert torch.equal(twice.payments, before.payments)
    assert torch.equal(twice.taken, before.taken)  # of copies the first
    dear = menu(((1.0, 1.0), 2.01))
    assert torch.equal(some.of(torch.cat([some.rows(), dear.rows()], 1)).outcome(v).taken, before.taken)


@few
@given(seed=seeds, grid=grids, c=st.sampled_from([2.0**-30, 0.25, 3.0, 1e6]))
def test_units_do_not_matter(seed: int, grid: int | None, c: float) -> None:
    some, v = menus(seed, grid=grid), uniform(seed + 9, 30, 2, grid=grid)
    scaled = Menus(some.x, c * some.p).outcome(c * v)
    assert torch.equal(scaled.taken, some.outcome(v).taken)
    assert torch.allclose(scaled.mean(), c * some.outcome(v).mean(), rtol=CLOSE, atol=0)


@few
@given(seed=seeds)
def test_closed_options_are_taken_by_nobody_and_the_others_are_as_before(seed: int) -> None:
    some, v = menus(seed, K=1), uniform(seed + 9, 30, 2)
    kept = torch.tensor([0, 2, 5])
    closed = some.closed(kept, 2.0)
    found, only = closed.outcome(v), some.pick(kept[1:]).outcome(v)
    assert torch.equal(found.payments, only.payments)
    assert torch.isin(found.taken, kept).all()
    assert torch.equal(closed.rows()[:, kept[1:] - 1], some.rows()[:, kept[1:] - 1])
    assert (closed.p >= some.p).all()


def test_each_menu_may_have_a_sample_of_its_own() -> None:
    some, v = menus(0, K=3), uniform(9, 3, 25, 2)
    found = some.outcome(v)
    for k in range(3):
        alone = some[k].outcome(v[k])
        assert torch.equal(found.taken[k], alone.taken[0])
        assert torch.equal(found.payments[k], alone.payments[0])
        assert torch.allclose(some.surrogate(v, 9.0)[k], some[k].surrogate(v[k], 9.0)[0], atol=CLOSE, rtol=0)


def test_a_large_sample_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    some, v = menus(0), uniform(9, 100, 2)
    whole = some.outcome(v)
    monkeypatch.setattr(options, "ELEMENTS", 50)
    assert torch.equal(some.outcome(v).taken, whole.taken)
    assert torch.equal(some.outcome(v).payments, whole.payments)


def test_what_is_reported_is_float64() -> None:
    some = menus(0)
    single = Menus(some.x.float(), some.p.float()).outcome(uniform(9, 10, 2).float())
    assert single.payments.dtype == single.utilities.dtype == single.mean().dtype == torch.float64


def test_a_menu_of_no_numbers_earns_no_number() -> None:
    some = menus(0)
    some.p[1, 2] = math.nan
    assert some.outcome(uniform(9, 10, 2)).mean().isnan().tolist() == [False, True]


def test_mean_and_standard_error() -> None:
    """A price of 1/2 that three in four pay: mean 3/8, standard deviation sqrt(n / (n - 1) 3 / 64)."""
    found = menu(((1.0,), 0.5)).outcome(torch.tensor([[0.1], [0.6], [0.7], [0.8]]))
    assert float(found.mean()) == 0.375
    assert float(found.stderr()) == pytest.approx(math.sqrt(4 / 3 * 3 / 64) / 2, rel=1e-14)


@few
@given(seed=seeds, kappa=st.floats(0.1, 1000))
def test_the_surrogate_by_its_definition(seed: int, kappa: float) -> None:
    some, v = menus(seed), uniform(seed + 9, 10, 2)
    for k, found in enumerate(some.surrogate(v, kappa)):
        paid = []
        for one in v:
            logits = [0.0] + [kappa * float(one @ x - p) for x, p in zip(some.x[k], some.p[k], strict=True)]
            chances = [math.exp(logit - max(logits)) for logit in logits]
            paid.append(sum(c * float(p) for c, p in zip(chances[1:], some.p[k], strict=True)) / sum(chances))
        assert float(found) == pytest.approx(sum(paid) / 10, abs=CLOSE)


def test_the_surrogate_of_one_option_is_a_logistic_curve() -> None:
    v = torch.tensor([[0.7]], dtype=torch.float64)
    assert float(menu(((1.0,), 0.4)).surrogate(v, 10.0)) == pytest.approx(0.4 / (1 + math.exp(-3.0)), rel=1e-14)


@few
@given(seed=seeds)
def test_the_surrogate_tends_to_the_revenue(seed: int) -> None:
    """But for buyers next to a tie, who are few."""
    some, v = menus(seed), uniform(seed + 9, 50, 2)
    top = some.utilities(v).topk(2).values
    clear = ((top[..., 0] - top[..., 1]) > 1e-4).all(0)
    assert torch.allclose(some.surrogate(v[clear], 1e6), some.outcome(v[clear]).mean(), atol=1e-12, rtol=0)


def test_the_surrogate_has_the_gradient_of_its_values() -> None:
    v = uniform(9, 5, 2)

    def surrogate(x: Tensor, p: Tensor) -> Tensor:
        return Menus(x, p).surrogate(v, 7.0)

    some = menus(0, M=3)
    assert torch.autograd.gradcheck(surrogate, (some.x.requires_grad_(), some.p.requires_grad_()))


def test_rows_are_the_menu_bit_for_bit() -> None:
    some = menus(0)
    again = some.of(some.rows())
    assert torch.equal(again.x, some.x)
    assert torch.equal(again.p, some.p)
    assert (len(some), some.size) == (2, 6)
    assert torch.equal(some[1].p, some.p[1:])
    assert torch.equal(some[-1].p, some.p[1:])


def test_what_is_no_menu() -> None:
    menu(((1.0, 0.0), 0.5), ((1.0, 1.0), 0.5)).check()
    menu(((1.0, 0.0), 0.5), ((0.5, 0.5), 0.5)).check(unit_demand=True)
    with pytest.raises(RequestError, match=r"infeasible by 0\.25"):
        menu(((1.0, 0.0), 0.5), ((1.0, 1.25), 0.5)).check()
    with pytest.raises(RequestError, match=r"infeasible by 0\.5"):
        menu(((-0.5, 0.0), 0.5)).check()
    with pytest.raises(RequestError, match=r"infeasible by 1: .* at most 1 item"):
        menu(((1.0, 1.0), 0.5)).check(unit_demand=True)
    with pytest.raises(RequestError, match="0 options"):
        Menus(torch.zeros(1, 0, 2), torch.zeros(1, 0)).check()
    with pytest.raises(RequestError, match="not finite"):
        menu(((1.0, 0.0), math.nan)).check()
