"""Paths that are made: flat, linear, flat for every buyer; what they promise is kept; ends bit for bit."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions import (
    Kept,
    Maximizers,
    Menus,
    Options,
    Pieces,
    box,
    choose,
    exact_revenue,
    five_pieces,
    judge,
    large_maximizer,
    large_menu,
    large_menu_pieces,
    three_pieces,
)
from mcdist.science.auctions.pieces import pairing

from .examples import few_open, maximizers, menus, seeds, uniform

CLOSE = 1e-12  # float64 on numbers near 1
INTERVALS = 6  # of a piece

few = settings(max_examples=20)
ways = st.sampled_from([three_pieces, five_pieces])


def buyers(seed: int, n: int = 2, N: int = 60) -> Tensor:
    """Valuations with |v|_1 <= 1."""
    return uniform(seed, N, n) / n


def bidders(seed: int, m: int = 2, n: int = 2, N: int = 60) -> Tensor:
    return uniform(seed, N, m, n) / n


def cheap(seed: int, M: int = 24, n: int = 2) -> Menus:
    """One menu with most options in use: nearly tangent planes of n |v|^2 / 2, at v = x / n."""
    x = uniform(seed, 1, M, n)
    return Menus(x, x.square().sum(-1) / (2 * n) * (0.95 + 0.05 * uniform(seed + 1, 1, M)))


def kept(options: Options, v: Tensor) -> Kept:
    some = options.outcome(v)
    return judge(some, choose(some, options.size))


def payments(path: Pieces[Menus] | Pieces[Maximizers], v: Tensor) -> list[Tensor]:
    """Of each piece, [INTERVALS + 1, N, m]."""
    paid = path.at(path.grid(INTERVALS)).outcome(v).payments
    return [paid[INTERVALS * j : INTERVALS * (j + 1) + 1] for j in range(len(path))]


def bend(paid: Tensor) -> float:
    """How far payments [T, ...] at equally spaced places are from linear, valuation by valuation."""
    t = torch.linspace(0.0, 1.0, len(paid), dtype=torch.float64).view(-1, *[1] * (paid.dim() - 1))
    return float((paid - torch.lerp(paid[:1], paid[-1:], t)).abs().max())


def change(paid: Tensor) -> float:
    """How far payments [T, ...] are from constant."""
    return float((paid - paid[:1]).abs().max())


# the pairing


@given(M=st.integers(1, 60), data=st.data())
def test_the_pairing_is_onto_and_leaves_kept_indices_where_they_are(M: int, data: st.DataObject) -> None:
    first = data.draw(st.sets(st.integers(1, M), max_size=M))
    second = data.draw(st.sets(st.integers(1, M), max_size=max(0, (M + 1) // (len(first) + 1) - 1)))
    first, second = {0} | first, {0} | second
    phi1, phi2 = pairing(M, torch.tensor(sorted(first)), torch.tensor(sorted(second)))
    pairs = list(zip(phi1.tolist(), phi2.tolist(), strict=True))
    assert len(pairs) == M + 1
    assert set(pairs) == {(k, other) for k in first for other in second}
    assert pairs[0] == (0, 0)
    assert all(pairs[k][0] == k for k in first)
    assert all(pairs[k][1] == k for k in second)


def test_as_many_pairs_as_options_are_enough() -> None:
    """|K1| |K2| = M + 1 with K1 and K2 apart, equal, and of different sizes; one more is too many."""
    for first, second in (([0, 1, 2], [0, 3, 4]), ([0, 1, 2], [0, 1, 2]), ([0, 1, 2], [0, 2, 8])):
        pairs = zip(*(phi.tolist() for phi in pairing(8, torch.tensor(first), torch.tensor(second))), strict=True)
        assert len(set(pairs)) == 9
    with pytest.raises(RequestError, match=r"3 and 4 options needs 12 .* a menu of 8 has 9: it needs 11"):
        pairing(8, torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2, 3]))


# menus that are 0-reducible


@few
@given(seed=seeds)
def test_three_pieces_between_reducible_menus_are_flat_linear_and_flat_for_every_buyer(seed: int) -> None:
    a, b = (few_open(menus(seed + i, K=1, M=24), seed + i, 1.0) for i in (0, 3))
    v = buyers(seed + 9)
    path = three_pieces(a, b, (kept(a, v), kept(b, v)))
    first, middle, last = payments(path, v)
    assert change(first) == 0.0
    assert bend(middle) < CLOSE
    assert change(last) == 0.0
    assert (path.eps, path.sharp) == (0.0, 0.0)


def test_their_exact_revenue_is_flat_linear_and_flat() -> None:
    """For all buyers, not those of a sample; what is kept are the options that are open."""
    law = box([0.0, 0.0], [0.5, 0.5])
    a, b = (few_open(menus(i, K=1, M=24), i, 1.0) for i in (0, 3))
    sets = tuple(
        Kept(torch.cat([torch.zeros(1).long(), (o.p[0] < 1.0).nonzero()[:, 0] + 1]), 0.0, 0.0, 1) for o in (a, b)
    )
    path = three_pieces(a, b, (sets[0], sets[1]))
    revenue = exact_revenue(path.at(path.grid(INTERVALS)), law)
    first, middle, last = (revenue[INTERVALS * j : INTERVALS * (j + 1) + 1] for j in range(3))
    assert max(change(first), bend(middle), change(last)) < CLOSE
    assert abs(float(revenue[0] - revenue[-1])) > 1e-3


@few
@given(seed=seeds)
def test_a_pairing_at_random_breaks_it(seed: int) -> None:
    """Every pair is there, but not where K1 and K2 are: buyers leave their options on the outer pieces. And a straight
    line, which has one pair for each index, is linear for no one."""
    a, b = (few_open(menus(seed + i, K=1, M=24), seed + i, 1.0) for i in (0, 3))
    v = buyers(seed + 9)
    path = three_pieces(a, b, (kept(a, v), kept(b, v)))
    order = torch.randperm(24, generator=torch.Generator().manual_seed(seed)) + 1
    near, far = path.corners[1].pick(order), path.corners[2].pick(order)
    wrong = Pieces(a.of(torch.cat([a.rows(), near.rows(), far.rows(), b.rows()])), path.sizes, 0.0, 0.0)
    straight = Pieces(a.of(torch.cat([a.rows(), b.rows()])), path.sizes, 0.0, 0.0)
    if len(kept(a, v).index) == 1 or len(kept(b, v).index) == 1:
        return  # nobody buys
    first, middle, last = payments(wrong, v)
    assert max(change(first), change(last)) > 1e-3
    assert bend(middle) < CLOSE
    assert bend(payments(straight, v)[0]) > 1e-3


# any menus


@few
@given(seed=seeds, way=ways)
def test_the_promise_is_kept_on_the_sample(seed: int, way: object) -> None:
    a, b, v = cheap(seed), cheap(seed + 3), buyers(seed + 9)
    sets = kept(a, v), kept(b, v)
    assert callable(way)
    path = way(a, b, sets)
    revenue = path.at(path.grid(INTERVALS)).outcome(v).mean()
    least = torch.minimum(revenue[0], revenue[-1])
    assert path.sharp == max(s.dropped for s in sets) <= path.eps == max(s.lost for s in sets)
    assert (revenue >= least - path.sharp - CLOSE).all()
    outer = len(path) // 2 * INTERVALS + 1
    assert (revenue[:outer] >= revenue[0] - sets[0].dropped - CLOSE).all()
    assert (revenue[-outer:] >= revenue[-1] - sets[1].dropped - CLOSE).all()
    assert bend(payments(path, v)[path.middle]) < CLOSE


def test_promises_are_put_to_the_test() -> None:
    """Some of those menus do lose options, some of the revenue on the way is less than at both ends."""
    lost, fell = [], []
    for seed in range(20):
        a, b, v = cheap(seed), cheap(seed + 3), buyers(seed + 9)
        sets = kept(a, v), kept(b, v)
        path = three_pieces(a, b, sets)
        revenue = path.at(path.grid(INTERVALS)).outcome(v).mean()
        lost.append(path.eps)
        fell.append(float(torch.minimum(revenue[0], revenue[-1]) - revenue.min()))
    assert sum(eps > 0.1 for eps in lost) > 5
    assert sum(f > 0.0 for f in fell) > 2


@few
@given(seed=seeds, way=ways)
def test_the_promise_is_kept_on_another_sample_but_for_its_error(seed: int, way: object) -> None:
    a, b, held = cheap(seed), cheap(seed + 3), buyers(seed + 10, N=2000)
    assert callable(way)
    path = way(a, b, (kept(a, buyers(seed + 9, N=2000)), kept(b, buyers(seed + 9, N=2000))))
    found = path.at(path.grid(INTERVALS)).outcome(held)
    least = torch.minimum(found.mean()[0], found.mean()[-1])
    # of two revenues and of two shares, the options kept being chosen on other buyers
    assert (found.mean() >= least - path.eps - 4.0 * (found.stderr() + found.stderr()[0] + 0.5 / math.sqrt(2000))).all()


@few
@given(seed=seeds, way=ways, unit=st.booleans())
def test_ends_are_the_menus_bit_for_bit_and_all_between_is_feasible(seed: int, way: object, unit: bool) -> None:
    a, b, v = cheap(seed), cheap(seed + 3), buyers(seed + 9)
    if unit:
        a, b = (Menus(o.x / o.x.sum(-1, keepdim=True).clamp(min=1.0), o.p) for o in (a, b))
    assert callable(way)
    path = way(a, b, (kept(a, v), kept(b, v)))
    between = path.at(path.grid(INTERVALS))
    for end, t in ((a, 0.0), (b, 1.0)):
        at = path.at(torch.tensor([t]))
        assert torch.equal(at.x, end.x)
        assert torch.equal(at.p, end.p)
    assert float(between.excess(unit).max()) < 1e-15
    assert float(between.p.min()) >= 0.0
    assert path.sizes[0] * path.sizes[1] <= 25


def test_corners_pieces_and_places() -> None:
    a, b, v = cheap(0), cheap(3), buyers(9)
    path = five_pieces(a, b, (kept(a, v), kept(b, v)))
    assert (len(path), path.middle) == (5, 2)
    assert (len(three_pieces(a, b, (kept(a, v), kept(b, v)))), len(path.corners)) == (3, 6)
    assert path.grid(2).tolist() == pytest.approx([i / 10 for i in range(11)], abs=1e-16)
    assert path.piece(torch.tensor([0.0, 0.1, 0.2, 0.5, 0.99, 1.0])).tolist() == [0, 0, 1, 2, 4, 4]
    assert torch.allclose(path.at(path.grid(1)).rows(), path.corners.rows(), atol=1e-15, rtol=0)
    half = path.at(torch.tensor([0.5])).rows()
    assert torch.allclose(half, path.corners.rows()[2:4].mean(0, keepdim=True), atol=1e-15, rtol=0)


def test_units_scale_a_path() -> None:
    """Prices above |v|_1 = 3 in place of 1."""
    a, b, v = cheap(0), cheap(3), buyers(9)
    sets = kept(a, v), kept(b, v)
    once = five_pieces(a, b, sets)
    thrice = five_pieces(Menus(a.x, 3.0 * a.p), Menus(b.x, 3.0 * b.p), sets, bound=3.0)
    assert torch.allclose(thrice.corners.p, 3.0 * once.corners.p, atol=CLOSE, rtol=0)
    assert thrice.eps == 3.0 * once.eps


# large menus

LARGE = st.sampled_from([(1, 24, 0.9), (1, 255, 0.5), (2, 255, 1.0)])
"""Items, options, eps: just enough options."""


@few
@given(
    seed=seeds, case=st.sampled_from([(1, 24, 0.9), (1, 255, 0.5), (2, 255, 1.0)]), bound=st.sampled_from([1.0, 4.0])
)
def test_large_menus_cost_no_buyer_more_than_eps(seed: int, case: tuple[int, int, float], bound: float) -> None:
    n, M, eps = case
    a, b, v = cheap(seed, M, n), cheap(seed + 3, M, n), bound * buyers(seed + 9, n)
    a, b = Menus(a.x, bound * a.p), Menus(b.x, bound * b.p)
    path = large_menu_pieces(a, b, eps * bound, bound)
    paid = payments(path, v)
    assert (paid[0] >= paid[0][:1] - eps * bound - CLOSE).all()
    assert (paid[4] >= paid[4][-1:] - eps * bound - CLOSE).all()
    assert max(change(paid[1]), bend(paid[2]), change(paid[3])) < CLOSE * bound
    assert max(path.sizes) <= math.isqrt(M + 1)
    assert path.eps == path.sharp == eps * bound
    assert torch.equal(path.at(torch.tensor([0.0, 1.0])).rows(), torch.cat([a.rows(), b.rows()]))
    assert float(path.at(path.grid(INTERVALS)).excess().max()) < 1e-15


def test_an_allocation_of_1_makes_no_level_more() -> None:
    """eps = 1: multiples 0 .. 3 of 1/4, whatever is offered; the cheapest of a level, the default of the lowest."""
    x = torch.linspace(0.0, 1.0, 17, dtype=torch.float64)[None, :, None].flip(1)
    path = large_menu_pieces(Menus(x, 0.5 * x[..., 0]), Menus(x, 0.25 * x[..., 0]), 1.0)
    assert path.sizes == (4, 4)
    rounded = path.corners[1]
    assert sorted(set(rounded.x.flatten().tolist())) == [0.0, 0.25, 0.5, 0.75]
    assert torch.equal(rounded.p, 0.25 * x[..., 0])


def test_how_large_a_menu_must_be() -> None:
    assert large_menu(1, 1.0) == 4**2 - 1
    assert large_menu(2, 0.5) == 16**4 - 1
    assert large_menu(2, 0.2) == 100**4 - 1
    assert large_menu(2, 0.6, bound=3.0) == 100**4 - 1  # not 101: 0.6 is below 6 / 10 in float64
    assert large_menu(1, 0.3) == 45**2 - 1
    assert large_menu(2, 3.0, bound=6.0) == large_menu(2, 0.5)
    assert large_maximizer(2, 2, 0.25) == 2048**8 - 1
    large_menu_pieces(cheap(0, 15, 1), cheap(1, 15, 1), 1.0)
    with pytest.raises(RequestError, match=r"= 15 options for 1 items .* the menus have 14"):
        large_menu_pieces(cheap(0, 14, 1), cheap(1, 14, 1), 1.0)


# affine maximizers


def auction(seed: int, M: int = 24, m: int = 2) -> Maximizers:
    return maximizers(seed, K=1, M=M, m=m, w=False)


@few
@given(seed=seeds, m=st.integers(1, 3))
def test_three_pieces_between_reducible_maximizers_are_flat_linear_and_flat(seed: int, m: int) -> None:
    a, b = (few_open(auction(seed + i, m=m), seed + i, float(m)) for i in (0, 3))
    v = bidders(seed + 9, m)
    sets = kept(a, v), kept(b, v)
    first, middle, last = payments(three_pieces(a, b, sets), v)
    assert sets[0].lost == sets[1].lost == 0.0
    assert max(change(first), bend(middle), change(last)) < CLOSE


@few
@given(seed=seeds, way=ways, m=st.integers(1, 3))
def test_the_promise_of_maximizers_is_kept_on_the_sample(seed: int, way: object, m: int) -> None:
    a, b, v = auction(seed, m=m), auction(seed + 3, m=m), bidders(seed + 9, m)
    sets = kept(a, v), kept(b, v)
    assert callable(way)
    path = way(a, b, sets)
    revenue = path.at(path.grid(INTERVALS)).outcome(v).mean()
    assert path.sharp == max(s.dropped for s in sets) <= path.eps + CLOSE
    assert path.eps == m * max(s.lost for s in sets)
    assert (revenue >= torch.minimum(revenue[0], revenue[-1]) - path.sharp - CLOSE).all()
    assert bend(payments(path, v)[path.middle]) < CLOSE
    between = path.at(path.grid(INTERVALS))
    assert float(between.excess().max()) < 1e-15
    assert torch.equal(path.at(torch.tensor([0.0, 1.0])).rows(), torch.cat([a.rows(), b.rows()]))


@few
@given(seed=seeds)
def test_weights_stay_what_they_are(seed: int) -> None:
    w = torch.tensor([[1.0, 2.5]], dtype=torch.float64)
    a, b = (Maximizers(o.x, o.b, w) for o in (auction(seed), auction(seed + 3)))
    v = bidders(seed + 9)
    path = five_pieces(a, b, (kept(a, v), kept(b, v)))
    closed = path.corners[1]
    assert torch.equal(path.corners.w, w.expand(6, 2))
    assert torch.isin(closed.outcome(v).taken, kept(a, v).index).all()
    assert float(closed.b.min()) < -3.5  # sum_i w_i |v_i|_1
    assert bend(payments(path, v)[2]) < CLOSE


# what cannot be joined


def test_what_cannot_be_joined() -> None:
    a, v = cheap(0), buyers(9)
    k = kept(a, v)
    for other in (cheap(1, 23), cheap(1, 24, 3), menus(0, K=2, M=24)):
        with pytest.raises(RequestError, match="two lists of one shape"):
            three_pieces(a, other, (k, k))
    one, heavy = auction(0), auction(0)
    heavy = Maximizers(heavy.x, heavy.b, 2.0 * heavy.w)
    s = kept(one, bidders(9))
    with pytest.raises(RequestError, match=r"same weights, not \[1\.0, 1\.0\] and \[2\.0, 2\.0\]"):
        three_pieces(one, heavy, (s, s))
    with pytest.raises(RequestError, match="not bounded by inf"):
        five_pieces(a, a, (k, k), math.inf)
    with pytest.raises(RequestError, match="at most 1, the greatest"):
        large_menu_pieces(a, a, 1.5)
    with pytest.raises(RequestError, match="above 0"):
        large_menu(2, 0.0)
    with pytest.raises(RequestError, match="bounded"):
        large_menu(2, 0.5, math.inf)
    wide = Kept(torch.arange(6), 0.0, 0.0, 1)
    with pytest.raises(RequestError, match="6 and 6 options needs 36"):
        three_pieces(a, a, (wide, wide))
