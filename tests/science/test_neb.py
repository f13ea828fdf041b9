"""Elastic bands: spacing, tangents, and what is left of a gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mcdist.science.neb import Band, perpendicular, redistribute, tangents

# All of it is a handful of float64 operations on numbers near 1, over at most a dozen pivots.
CLOSE = 1e-12

seeds = st.integers(0, 10_000)
sizes = st.integers(3, 12)


def chains(seed: int, M: int, G: int = 3, P: int = 5, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(G, M, P, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def on_polyline(chain: Tensor, goal: Tensor) -> Tensor:
    """The points of one chain [M, P] at given lengths [T] along it, coordinate by coordinate."""
    reached = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(chain.numpy(), axis=0), axis=1))])
    columns = [np.interp(goal.numpy() * reached[-1], reached, column) for column in chain.T.numpy()]
    return torch.from_numpy(np.stack(columns, axis=1))


@given(seed=seeds, M=sizes)
def test_pivots_are_equally_spaced_along_the_old_polyline(seed: int, M: int) -> None:
    pivots = chains(seed, M)
    for old, new in zip(pivots, redistribute(pivots), strict=True):
        assert torch.allclose(new, on_polyline(old, torch.linspace(0.0, 1.0, M, dtype=torch.float64)), atol=CLOSE)


@given(seed=seeds, M=sizes)
def test_segments_take_up_their_shares(seed: int, M: int) -> None:
    pivots = chains(seed, M)
    shares = torch.rand(3, M - 1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.01
    shares /= shares.sum(1, keepdim=True)
    for old, new, share in zip(pivots, redistribute(pivots, shares), shares, strict=True):
        goal = torch.cat([torch.zeros(1, dtype=torch.float64), share.cumsum(0)])
        assert torch.allclose(new, on_polyline(old, goal), atol=CLOSE)


@given(seed=seeds, M=sizes, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_ends_stay_bit_for_bit(seed: int, M: int, dtype: torch.dtype) -> None:
    pivots = 1e3 * chains(seed, M, dtype=dtype)
    moved = redistribute(pivots)
    assert moved.dtype == dtype
    assert torch.equal(moved[:, [0, -1]], pivots[:, [0, -1]])


@given(seed=seeds, M=sizes)
def test_on_a_straight_line_once_is_enough(seed: int, M: int) -> None:
    ends = chains(seed, 2)
    u = torch.rand(3, M - 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).sort(1).values
    inner = torch.lerp(ends[:, :1], ends[:, 1:], u[..., None])
    once = redistribute(torch.cat([ends[:, :1], inner, ends[:, 1:]], dim=1))
    even = torch.linspace(0.0, 1.0, M, dtype=torch.float64)[:, None]
    assert torch.allclose(once, torch.lerp(ends[:, :1], ends[:, 1:], even), atol=CLOSE)
    assert torch.allclose(redistribute(once), once, atol=CLOSE)


def test_a_chain_of_length_0_stays_as_it_is() -> None:
    pivots = chains(0, 1).expand(3, 5, 5).contiguous()
    assert torch.equal(redistribute(pivots), pivots)


def test_pivots_that_coincide_are_drawn_apart() -> None:
    line = torch.tensor([0.0, 0.0, 0.0, 2.0, 2.0, 4.0, 4.0], dtype=torch.float64)[None, :, None]
    assert torch.allclose(redistribute(line)[0, :, 0], torch.linspace(0.0, 4.0, 7, dtype=torch.float64), atol=CLOSE)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_path_that_is_not_finite_harms_no_other(bad: float) -> None:
    pivots, losses = chains(0, 6), chains(1, 6)[..., 0]
    moved, found = redistribute(pivots), tangents(pivots, losses)
    pivots[1, 2, 0] = losses[1, 3] = bad
    assert torch.equal(redistribute(pivots)[[0, 2]], moved[[0, 2]])
    assert torch.equal(tangents(pivots, losses)[[0, 2]], found[[0, 2]])


def henkelman_jonsson(before: Tensor, here: Tensor, after: Tensor, losses: list[float]) -> Tensor:
    """The tangent of one pivot as the paper writes it: eq. 8 on slopes, eqs. 10-11 at extrema."""
    low, mid, high = losses
    plus, minus = after - here, here - before
    if high > mid > low:
        tangent = plus
    elif high < mid < low:
        tangent = minus
    else:
        most, least = max(abs(high - mid), abs(low - mid)), min(abs(high - mid), abs(low - mid))
        if high > low:
            tangent = plus * most + minus * least
        elif high < low:
            tangent = plus * least + minus * most
        else:  # both of the paper's cases are then the same, up to length
            tangent = plus + minus
    return tangent / tangent.norm()


# few different losses, so that ties come up
few = st.lists(st.integers(0, 3), min_size=12, max_size=12)


@given(seed=seeds, M=sizes, levels=few)
def test_tangents_are_those_of_the_paper(seed: int, M: int, levels: list[int]) -> None:
    pivots = chains(seed, M)
    losses = torch.tensor([levels[:M], levels[::-1][:M], sorted(levels)[:M]], dtype=torch.float64) * 0.7
    found = tangents(pivots, losses)
    for g in range(3):
        for i in range(1, M - 1):
            expected = henkelman_jonsson(*pivots[g, i - 1 : i + 2], losses[g, i - 1 : i + 2].tolist())
            assert torch.allclose(found[g, i - 1], expected, atol=CLOSE)


@given(seed=seeds, M=sizes)
def test_a_path_turned_round_has_the_opposite_tangents(seed: int, M: int) -> None:
    pivots, losses = chains(seed, M), chains(seed + 1, M)[..., 0]
    turned = tangents(pivots.flip(1), losses.flip(1)).flip(1)
    assert torch.allclose(turned, -tangents(pivots, losses), atol=CLOSE)


@pytest.mark.parametrize("others", [(0.0, 2.0), (2.0, 0.0), (0.0, -2.0), (-2.0, 0.0)])
def test_tangents_are_continuous_where_an_extremum_comes_or_goes(others: tuple[float, float]) -> None:
    """A neighbour of (nearly) equal loss, from above and from below: the weight it gets is e / 2."""
    pivots, e = chains(0, 3, G=1), 1e-9
    below, at, above = (
        tangents(pivots, torch.tensor([[others[0] or shift, 0.0, others[1] or shift]], dtype=torch.float64))
        for shift in (-e, 0.0, e)
    )
    assert (below - at).abs().max() < 10 * e
    assert (above - at).abs().max() < 10 * e


def test_a_maximum_leans_to_the_higher_neighbour_and_equal_losses_to_neither() -> None:
    corner = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]], dtype=torch.float64)  # d- = x, d+ = y

    def slope(*losses: float) -> float:
        (x, y) = tangents(corner, torch.tensor([losses], dtype=torch.float64))[0, 0].tolist()
        return float(y / x)

    assert slope(0.0, 4.0, 3.0) == pytest.approx(4.0)  # 4 d+ + 1 d-
    assert slope(3.0, 4.0, 0.0) == pytest.approx(0.25)
    assert slope(4.0, 0.0, 3.0) == pytest.approx(0.75)
    assert slope(1.0, 1.0, 1.0) == slope(0.0, 1.0, 0.0) == slope(1.0, 0.0, 1.0) == pytest.approx(1.0)


def test_a_tangent_does_not_depend_on_the_scale_of_losses() -> None:
    pivots, losses = chains(0, 6), chains(1, 6)[..., 0]
    assert torch.allclose(tangents(pivots, 1e-200 * losses), tangents(pivots, losses), atol=CLOSE)


def test_no_tangent_where_a_path_turns_back_on_itself() -> None:
    pivots = torch.tensor([[[0.0, 1.0], [2.0, 1.0], [0.0, 1.0]]])
    tangent = tangents(pivots, torch.ones(1, 3))
    assert torch.equal(tangent, torch.zeros(1, 1, 2))
    grad = torch.ones(1, 1, 2)
    assert torch.equal(perpendicular(grad, tangent), grad)


@given(seed=seeds, M=sizes)
def test_the_perpendicular_part_is_orthogonal_and_its_own(seed: int, M: int) -> None:
    tangent, grad = tangents(chains(seed, M), chains(seed + 1, M)[..., 0]), chains(seed + 2, M - 2)
    assert torch.allclose(tangent.norm(dim=-1), torch.ones(3, M - 2, dtype=torch.float64), atol=CLOSE)
    across = perpendicular(grad, tangent)
    assert (across * tangent).sum(-1).abs().max() < CLOSE
    assert torch.allclose(perpendicular(across, tangent), across, atol=CLOSE)
    along = grad - across
    assert torch.allclose(along, (along * tangent).sum(-1, keepdim=True) * tangent, atol=CLOSE)


def test_a_band_puts_the_pieces_together() -> None:
    pivots, grad, losses = chains(0, 6), chains(1, 6), chains(2, 6)[..., 0]
    shares = torch.full((3, 5), 0.2, dtype=torch.float64)
    band = Band(pivots.clone(), shares)
    (where,) = band.where(0)
    place = band.place(where)
    assert torch.equal(place.view(3, 6, 5), redistribute(pivots))
    expected = perpendicular(grad[:, 1:-1], tangents(redistribute(pivots), losses))
    pulled = band.pull(where, grad.flatten(0, 1).clone(), losses.flatten())
    assert torch.allclose(pulled, expected, atol=CLOSE)
    assert pulled.shape == band.state.shape
