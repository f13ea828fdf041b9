"""Allocations that are led back: to the nearest that are feasible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from torch import Tensor

from mcdist.science.auctions.feasible import confine_to_simplex, confine_to_unit
from science.auctions.examples import grids, seeds, uniform

# A handful of float64 operations on numbers near 1.
CLOSE = 1e-12


def led_back(x: Tensor, axis: int = -1) -> Tensor:
    moved = x.clone()
    confine_to_simplex(moved, axis)
    return moved


def scattered(seed: int, *shape: int, grid: int | None = None) -> Tensor:
    return 3.0 * uniform(seed, *shape, grid=grid) - 1.0


@given(seed=seeds, grid=grids, n=st.integers(1, 5))
def test_the_simplex_has_no_nearer_point(seed: int, grid: int | None, n: int) -> None:
    """x is the nearest to y in a convex set if <y - x, z - x> <= 0 for all its corners z: here 0 and the units."""
    given_points = scattered(seed, 8, n, grid=grid)
    found = led_back(given_points)
    assert (found >= 0.0).all()
    assert (found.sum(1) <= 1.0 + CLOSE).all()
    corners = torch.cat([torch.zeros(1, n, dtype=torch.float64), torch.eye(n, dtype=torch.float64)])
    towards = corners[None] - found[:, None]
    assert (torch.einsum("kn,kcn->kc", given_points - found, towards) <= CLOSE).all()


@pytest.mark.parametrize("seed", range(5))
def test_as_a_quadratic_programme_finds_it(seed: int) -> None:
    """To the square root of the solver's tolerance."""
    y = scattered(seed, 4).numpy()
    solved = optimize.minimize(
        lambda x: np.square(x - y).sum(),
        np.full(4, 0.1),
        jac=lambda x: 2.0 * (x - y),
        bounds=[(0.0, None)] * 4,
        constraints={"type": "ineq", "fun": lambda x: 1.0 - x.sum(), "jac": lambda x: -np.ones(4)},
        options={"ftol": 1e-14},
    )
    assert np.allclose(led_back(torch.from_numpy(y)[None])[0].numpy(), solved.x, atol=1e-6)


@given(seed=seeds, grid=grids)
def test_what_is_feasible_stays_where_it_is(seed: int, grid: int | None) -> None:
    """To the bit; and what was led back moves by rounding at most."""
    once = led_back(scattered(seed, 6, 3, grid=grid))
    assert torch.allclose(led_back(once), once, atol=CLOSE, rtol=0.0)
    inside = 0.3 * uniform(seed, 6, 3)
    assert torch.equal(led_back(inside), inside)


@given(seed=seeds)
def test_along_any_axis(seed: int) -> None:
    x = scattered(seed, 4, 3, 2)
    assert torch.equal(led_back(x, -2), led_back(x.mT.contiguous(), -1).mT)


@given(seed=seeds)
def test_each_entry_to_its_interval(seed: int) -> None:
    x = scattered(seed, 5, 3)
    moved = x.clone()
    confine_to_unit(moved)
    assert torch.equal(moved, torch.where(x < 0.0, 0.0, torch.where(x > 1.0, 1.0, x)))
