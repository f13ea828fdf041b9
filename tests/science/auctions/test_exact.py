"""Exact revenue: closed forms, clipping in rational numbers, samples; copies, useless and nearly equal options."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions import (
    Atoms,
    Beta,
    Exponential,
    Items,
    Law,
    Menus,
    Scaled,
    Steps,
    Triangle,
    Uniform,
    box,
    exact_revenue,
    regions,
)
from mcdist.science.streams import Stream

from .examples import grids, menu, menus, seeds, uniform

CLOSE = 1e-12  # sums of a few dozen areas of numbers near 1

SQUARE, TRIANGLE, LINE = box([0.0, 0.0], [1.0, 1.0]), Triangle(), box([0.0], [1.0])
STEPS = Steps((0.0, 0.25, 0.5, 1.0), (2.0, 0.0, 1.0))

few = settings(max_examples=30)

Corners = list[tuple[Fraction, Fraction]]


def clipped(corners: Corners, a: Fraction, b: Fraction, c: Fraction) -> Corners:
    """The part of a convex polygon where a x + b y >= c, in rational numbers."""
    kept: Corners = []
    for i, (x, y) in enumerate(corners):
        before_x, before_y = corners[i - 1]
        h, before = a * x + b * y - c, a * before_x + b * before_y - c
        if min(h, before) < 0 < max(h, before):
            s = before / (before - h)
            kept.append((before_x + s * (x - before_x), before_y + s * (y - before_y)))
        if h >= 0:
            kept.append((x, y))
    return kept


def area(corners: Corners) -> Fraction:
    sides = zip(corners, corners[1:] + corners[:1], strict=True)
    return abs(sum((x * w - z * y for (x, y), (z, w) in sides), Fraction(0))) / 2


def rational(menu: Menus, corners: Corners) -> tuple[Fraction, list[Fraction]]:
    """Revenue and masses of the options of one menu, with no rounding at all: each option's polygon by itself."""
    options = [(Fraction(0),) * 3] + [tuple(map(Fraction, row)) for row in menu.rows()[0].tolist()]
    masses = []
    for k, (x, y, p) in enumerate(options):
        part = [] if (x, y, p) in options[:k] else corners
        for other_x, other_y, other in options:
            part = clipped(part, x - other_x, y - other_y, p - other)
        masses.append(area(part) / area(corners))
    return sum((m * o[2] for m, o in zip(masses, options, strict=True)), Fraction(0)), masses


def corners_of(law: Law) -> Corners:
    (domain,) = law.domains()
    return [(Fraction(x), Fraction(y)) for x, y in domain.corners.tolist()]


@few
@given(seed=seeds, grid=grids, law=st.sampled_from([SQUARE, TRIANGLE, box([2.0, 1.0], [3.0, 1.5])]))
def test_two_items_agree_with_clipping_in_rational_numbers(seed: int, grid: int | None, law: Law) -> None:
    one = menus(seed, K=1, grid=grid)
    one = Menus(one.x, one.p + float(law.bound - 1.0) / 2)
    revenue, masses = rational(one, corners_of(law))
    assert float(exact_revenue(one, law)) == pytest.approx(float(revenue), abs=CLOSE)
    found = {region.option: region.mass for region in regions(one, law)}
    for option, mass in enumerate(masses):
        if mass > 0 or option in found:
            assert found.get(option, 0.0) == pytest.approx(float(mass), abs=CLOSE)


def by_breakpoints(x: Tensor, p: Tensor, low: float, high: float) -> list[tuple[float, float, float]]:
    """(from, to, price) between all places at which any two options [M] are worth the same."""
    x, p = torch.cat([torch.zeros(1), x]).double(), torch.cat([torch.zeros(1), p]).double()
    cross = ((p[:, None] - p) / (x[:, None] - x)).flatten()
    places = torch.cat([cross[(cross > low) & (cross < high)], torch.tensor([low, high])]).sort().values
    middle = 0.5 * (places[1:] + places[:-1])
    best = (middle[:, None] * x - p).argmax(1)
    return list(zip(places[:-1].tolist(), places[1:].tolist(), p[best].tolist(), strict=True))


@few
@given(
    seed=seeds,
    grid=grids,
    marginal=st.sampled_from([Uniform(), Uniform(0.25, 2.0), STEPS, Beta(1.0, 2.0), Exponential(3.0)]),
)
def test_one_item_agrees_with_its_breakpoints(seed: int, grid: int | None, marginal: Uniform) -> None:
    some = menus(seed, n=1, grid=grid)
    top = min(marginal.high, 100.0)
    for k, found in enumerate(exact_revenue(some, Items((marginal,)))):
        pieces = by_breakpoints(some.x[k, :, 0], some.p[k], marginal.low, top)
        expected = sum(price * (marginal.below(b) - marginal.below(a)) for a, b, price in pieces)
        assert float(found) == pytest.approx(expected, abs=CLOSE)


def test_the_barrier_between_two_prices() -> None:
    """Density 3/2 on (0, 29/60] and (49/60, 1]: at .36 buy 27.6/60 of the buyers, from .6 on 16.5/60, at .84 24/100."""
    law = Items((Steps((0.0, 29 / 60, 49 / 60, 1.0), (1.5, 0.0, 1.5)),))
    prices = torch.tensor([[0.36], [0.6], [0.84]], dtype=torch.float64)
    found = exact_revenue(Menus(torch.ones(3, 1, 1, dtype=torch.float64), prices), law)
    assert found.tolist() == pytest.approx([0.1656, 0.165, 0.2016], abs=1e-15)


@pytest.mark.parametrize(
    "law",
    [
        LINE,
        SQUARE,
        TRIANGLE,
        Items((STEPS, Uniform(0.5, 2.0))),
        Scaled(Items((STEPS, STEPS)), 3.0),
        Items((Beta(2.0, 3.0),)),
    ],
    ids=["line", "square", "triangle", "steps", "scaled", "beta"],
)
def test_samples_agree(law: Law) -> None:
    some = menus(1, K=6, n=law.items)
    some = Menus(some.x, law.bound / law.items * some.p)
    found, exact = some.outcome(law.sample(Stream.of("exact"), 20_000)), exact_revenue(some, law)
    away = (found.mean() - exact).abs()
    assert float(exact.min()) > 0.0
    assert (away < 4.0 * found.stderr() + CLOSE).all()  # some menus sell the same to all
    assert (away > 0.01 * found.stderr()).any()  # they are samples


def test_atoms_are_counted() -> None:
    """The first of three pays 1 (the tie is the seller's), the second nothing, the third 2: a half, no, a quarter."""
    law = Atoms(((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (2.0, 1.0, 0.0)), (2.0, 1.0, 1.0))
    one = menu(((1.0, 0.0, 0.0), 1.0), ((1.0, 1.0, 0.0), 2.0))
    assert float(exact_revenue(one, law)) == 0.5 * 1.0 + 0.25 * 2.0
    with pytest.raises(RequestError, match="no exact revenue"):
        regions(one, law)


@few
@given(seed=seeds, law=st.sampled_from([SQUARE, TRIANGLE, LINE]))
def test_regions_are_where_the_options_are_taken(seed: int, law: Law) -> None:
    one = menus(seed, K=1, n=law.items)
    v = law.sample(Stream.of("regions", seed), 60)
    taken = one.outcome(v).taken[0, :, 0]
    found = {region.option: region for region in regions(one, law)}
    assert sum(region.mass for region in found.values()) == pytest.approx(1.0, abs=CLOSE)
    assert list(found) == sorted(found)
    for option, place in zip(taken.tolist(), v.numpy(), strict=True):
        corners = found[option].corners
        if law.items == 1:
            assert corners[0, 0] <= place[0] <= corners[1, 0]
            continue
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            assert (b[0] - a[0]) * (place[1] - a[1]) - (b[1] - a[1]) * (place[0] - a[0]) >= -1e-9


def test_the_regions_of_a_menu_with_a_bundle() -> None:
    """Items at 1/2, both at 3/4: nothing for v_1 + v_2 <= 3/4 inside the square of side 1/2, ..."""
    one = menu(((1.0, 0.0), 0.5), ((0.0, 1.0), 0.5), ((1.0, 1.0), 0.75))
    nothing, first, second, both = regions(one, SQUARE)
    assert sorted(map(tuple, nothing.corners.round(12))) == [(0, 0), (0, 0.5), (0.25, 0.5), (0.5, 0), (0.5, 0.25)]
    assert sorted(map(tuple, first.corners.round(12))) == [(0.5, 0), (0.5, 0.25), (1, 0), (1, 0.25)]
    assert [r.mass for r in (nothing, first, second, both)] == pytest.approx([7 / 32, 1 / 8, 1 / 8, 17 / 32], abs=CLOSE)


@few
@given(seed=seeds, grid=grids, law=st.sampled_from([SQUARE, TRIANGLE, LINE]))
def test_copies_order_and_useless_options_change_nothing(seed: int, grid: int | None, law: Law) -> None:
    one = menus(seed, K=1, n=law.items, grid=grid)
    before = exact_revenue(one, law)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed)) + 1
    worse = one.rows().clone()
    worse[..., -1] += 0.1
    for same in (one.pick(order), one.pick(torch.arange(1, 7).repeat(3)), one.of(torch.cat([worse, one.rows()], 1))):
        assert torch.allclose(exact_revenue(same, law), before, atol=CLOSE, rtol=0)
    twice = regions(one.pick(torch.arange(1, 7).repeat(2)), law)
    assert [r.option for r in twice] == [r.option for r in regions(one, law)]  # of copies the first has it all


@few
@given(seed=seeds, law=st.sampled_from([SQUARE, TRIANGLE]), size=st.sampled_from([1e-16, 1e-14, 1e-12, 1e-9, 1e-6]))
def test_options_that_are_nearly_the_same_are_not_counted_twice(seed: int, law: Law, size: float) -> None:
    one = menus(seed, K=1)
    noise = uniform(seed + 5, 1, 12, 3, top=2.0) - 1.0
    crowd = one.of(one.rows().repeat(1, 2, 1) + size * noise)
    assert sum(r.mass for r in regions(crowd, law)) == pytest.approx(1.0, abs=CLOSE)
    assert float(exact_revenue(crowd, law)) == pytest.approx(float(rational(crowd, corners_of(law))[0]), abs=CLOSE)


@few
@given(seed=seeds, c=st.sampled_from([2.0**-30, 0.1, 1e6]))
def test_units_do_not_matter(seed: int, c: float) -> None:
    some = menus(seed)
    scaled = exact_revenue(Menus(some.x, c * some.p), Scaled(SQUARE, c))
    assert torch.allclose(scaled, c * exact_revenue(some, SQUARE), rtol=1e-11, atol=0)


def test_many_options_in_use() -> None:
    """Tangent planes of |v|^2 / 2 at a grid of 12 x 12 places: each is taken on the square around its place."""
    side = torch.linspace(0.0, 1.0, 12, dtype=torch.float64)
    x = torch.cartesian_prod(side, side)[None]
    one = Menus(x, x.square().sum(-1) / 2)
    cells = torch.full((12,), 1 / 11, dtype=torch.float64)
    cells[[0, -1]] /= 2
    expected = (cells * side.square()).sum()  # E[x_1^2 / 2 + x_2^2 / 2]
    assert float(exact_revenue(one, SQUARE)) == pytest.approx(float(expected), abs=CLOSE)
    assert len(regions(one, SQUARE)) == 144


def test_laws_without_an_exact_revenue() -> None:
    for law in (box([0.0] * 3, [1.0] * 3), Items((Beta(1.0, 2.0),) * 2), Items((Uniform(), Exponential()))):
        with pytest.raises(RequestError, match=r"no exact revenue .* sample it"):
            exact_revenue(menus(0, n=law.items), law)


def test_a_menu_of_no_numbers_earns_no_number() -> None:
    some = menus(0)
    for bad in (math.nan, math.inf):
        some.x[1, 2, 0] = bad
        found = exact_revenue(some, SQUARE)
        assert math.isnan(float(found[1]))
        assert float(found[0]) > 0.0


def test_an_exponential_value_at_the_price_of_its_mean() -> None:
    """P(v >= p) = exp(-p); the price 1 is the best one."""
    law = Items((Exponential(),))
    assert float(exact_revenue(menu(((1.0,), 1.0)), law)) == pytest.approx(math.exp(-1.0), rel=1e-14)
    assert float(exact_revenue(menu(((1.0,), 20.0)), law)) == pytest.approx(20 * math.exp(-20.0), rel=1e-6)
