"""Convex polygons: areas, cuts that lose nothing, hulls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mcdist.science.auctions.polygons import hull, measure, split

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])

few = settings(max_examples=50)
seeds = st.integers(0, 10_000)


def polygon(seed: int) -> NDArray[np.float64]:
    return hull(np.random.default_rng(seed).random((12, 2)))


def test_areas_and_lengths() -> None:
    assert measure(SQUARE) == measure(SQUARE[::-1]) == measure(SQUARE + 1e6) == 1.0
    assert measure(SQUARE[:3]) == 0.5
    assert measure(np.array([[2.0], [5.0]])) == measure(np.array([[5.0], [2.0], [2.0]])) == 3.0
    assert measure(SQUARE[:2]) == measure(SQUARE[:0]) == 0.0


def test_a_square_cut_in_two() -> None:
    above, below = split(SQUARE, SQUARE @ np.array([1.0, 0.0]) - 0.25)
    assert measure(above) == 0.75
    assert measure(below) == 0.25
    assert sorted(map(tuple, below)) == [(0.0, 0.0), (0.0, 1.0), (0.25, 0.0), (0.25, 1.0)]


def test_a_cut_through_corners_and_one_beside() -> None:
    above, below = split(SQUARE, SQUARE @ np.array([1.0, -1.0]))
    assert len(above) == len(below) == 3
    assert measure(above) == measure(below) == 0.5
    above, below = split(SQUARE, SQUARE @ np.array([1.0, 0.0]) + 1.0)
    assert measure(above) == 1.0
    assert len(below) == 0


@few
@given(seed=seeds, angle=st.floats(0, 6.3), level=st.floats(-1, 1))
def test_parts_make_up_the_whole_each_on_its_side(seed: int, angle: float, level: float) -> None:
    whole = polygon(seed)
    normal = np.array([np.cos(angle), np.sin(angle)])
    above, below = split(whole, whole @ normal - level)
    assert measure(above) + measure(below) == pytest.approx(measure(whole), abs=1e-15)
    assert (above @ normal - level >= -1e-15).all()
    assert (below @ normal - level <= 1e-15).all()


@few
@given(seed=seeds)
def test_a_hull_holds_every_point_and_is_convex(seed: int) -> None:
    points = np.random.default_rng(seed).integers(0, 5, (12, 2)).astype(float)  # many on one line, many the same
    corners = hull(points)
    if len(corners) < 3:
        return
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        turn = (b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0])
        assert (turn >= 0.0).all()
    assert {tuple(c) for c in corners} <= {tuple(p) for p in points}
    assert np.array_equal(hull(corners), corners)


def test_hulls_without_an_area() -> None:
    assert hull(np.array([[3.0], [1.0], [2.0]])).tolist() == [[1.0], [3.0]]
    assert hull(np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]])).tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert hull(np.array([[2.0, 1.0], [2.0, 1.0]])).tolist() == [[2.0, 1.0]]


@few
@given(seed=seeds)
def test_places_that_are_the_same_but_for_rounding_take_no_corner_away(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = rng.random(2), 1.0 + rng.random(2)
    square = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    twins = square * (1.0 + 2.0**-52 * rng.integers(-2, 3, size=(3, 4, 2)))
    corners = hull(np.concatenate([square, *twins]))
    assert len(corners) == 4
    assert measure(corners) == pytest.approx(measure(square), rel=1e-12)


def test_a_corner_beside_twins_is_kept() -> None:
    """Where an item alone is taken, of a trained menu: the left corner on the right side stands twice, a bit apart."""
    a, b = 0.16520442133401292, 0.16520442133401295
    points = np.array([[0.0, 0.6753], [0.0, 1.0], [a, 0.6734], [b, 0.6734], [a, 1.0]])
    assert measure(hull(points)) == pytest.approx(a * (2 - 0.6753 - 0.6734) / 2, rel=1e-12)
