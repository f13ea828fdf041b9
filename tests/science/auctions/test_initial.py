"""Options to begin with: each is the best for the valuation it was made for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mcdist.science.auctions import Maximizers, Menus
from mcdist.science.auctions.initial import tangents
from science.auctions.examples import grids, seeds, uniform

# Sums of a hundred float64 numbers near 1.
CLOSE = 1e-12


def bought(v: Tensor, price: Tensor, axis: int | None) -> tuple[Tensor, float]:
    """What one valuation buys at one price, and pays, entry by entry; along an axis the best one alone."""
    got = torch.zeros_like(v)
    if axis is None:
        got[v >= price] = 1.0
        return got, float(price[v >= price].sum())
    gain, units = (v - price).movedim(axis, -1), got.movedim(axis, -1)
    for at in [()] if v.dim() == 1 else [(j,) for j in range(gain.shape[0])]:
        best = int(gain[at].argmax())
        if gain[at][best] >= 0.0:
            units[(*at, best)] = 1.0
    return got, float((got * price).sum())


@given(seed=seeds, grid=grids, shape=st.sampled_from([((2,), None), ((3,), -1), ((2, 3), -2)]))
def test_options_are_the_means_of_what_is_bought(
    seed: int, grid: int | None, shape: tuple[tuple[int, ...], int | None]
) -> None:
    """And one part of N + 1 is given away: half of each entry, or the same to all who share it, one more counted."""
    entries, axis = shape
    v, prices = uniform(seed, 5, *entries, grid=grid), uniform(seed + 1, 7, *entries, grid=grid)
    x, paid = tangents(v, prices, axis)
    free = 1.0 / 2.0 if axis is None else 1.0 / (entries[axis] + 1)
    for k in range(5):
        purchases = [bought(v[k], price, axis) for price in prices]
        assert torch.allclose(x[k], (sum(got for got, _ in purchases) + free) / 8.0, atol=CLOSE)
        assert float(paid[k]) == pytest.approx(sum(p for _, p in purchases) / 8.0, abs=CLOSE)


@given(seed=seeds, grid=grids, unit=st.booleans())
def test_the_buyer_of_an_option_of_a_menu_likes_no_other_better(seed: int, grid: int | None, unit: bool) -> None:
    v, prices = uniform(seed, 6, 2, grid=grid), uniform(seed + 1, 31, 2, grid=grid)
    x, paid = tangents(v, prices, -1 if unit else None)
    menu = Menus(x[None], paid[None])
    menu.check(unit)
    u = menu.utilities(v)[0]
    assert (u.diagonal(offset=1) >= u.amax(1) - CLOSE).all()
    assert ((x > 0.0) & (x < 1.0)).all()


@given(seed=seeds, grid=grids)
def test_an_option_of_a_maximizer_is_the_best_of_its_profile(seed: int, grid: int | None) -> None:
    w = torch.tensor([1.0, 2.0], dtype=torch.float64)[:, None]
    v, prices = uniform(seed, 6, 2, 3, grid=grid), uniform(seed + 1, 31, 2, 3, grid=grid)
    x, paid = tangents(v * w, prices * w, -2)
    maximizer = Maximizers(x[None], -paid[None], w.T)
    maximizer.check()
    total, _ = maximizer.welfare(v)
    assert (total[0].diagonal(offset=1) >= total[0].amax(1) - CLOSE).all()


def test_many_options_are_made_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    v, prices = uniform(0, 9, 2), uniform(1, 50, 2)
    whole = tangents(v, prices, None)
    monkeypatch.setattr("mcdist.science.auctions.initial.ELEMENTS", 250)
    for one, other in zip(tangents(v, prices, None), whole, strict=True):
        assert torch.equal(one, other)
