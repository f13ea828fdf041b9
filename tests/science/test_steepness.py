"""The steepness of a time in the noise level against laws whose slope is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcdist.science.steepness import steepness

MANY = 1e9  # arrivals: times without error, against which the prior of slopes counts for nothing


def measured(x: np.ndarray, y: np.ndarray, arrived: float = MANY) -> np.ndarray:
    """At ln levels x with ln times y."""
    return steepness(np.exp(x), np.exp(y), np.full(len(x), arrived))


@given(
    st.lists(st.integers(-40, 40), min_size=2, max_size=12, unique=True),
    st.floats(-5.0, 5.0),
    st.floats(-3.0, 3.0),
)
def test_of_a_power_law_it_is_the_exponent_wherever_the_trials_are(
    tenths: list[int], slope: float, offset: float
) -> None:
    x = np.array(tenths) / 10
    np.testing.assert_allclose(measured(x, offset + slope * x), abs(slope), atol=1e-5)


@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_units_of_level_and_time_make_no_difference(level: float, time: float) -> None:
    rng = np.random.default_rng(0)
    levels, times = np.exp(rng.normal(size=(2, 9)))
    arrived = rng.integers(0, 20, 9).astype(float)
    got = steepness(levels * level, times * time, arrived)
    np.testing.assert_allclose(got, steepness(levels, times, arrived), rtol=1e-9)


def test_the_order_of_trials_makes_no_difference() -> None:
    rng = np.random.default_rng(1)
    x, y, order = rng.normal(size=20), rng.normal(size=20), rng.permutation(20)
    np.testing.assert_allclose(measured(x[order], y[order], 7.0), measured(x, y, 7.0)[order], rtol=1e-12)


def test_a_sigmoid_is_steepest_in_its_middle_and_flat_at_both_sides() -> None:
    """y = -4 tanh(x / w) has the slope -4 / w at 0; the kernel, a few trials wide, smooths that a little."""
    width = 0.5
    x = np.linspace(-4.0, 4.0, 81)
    found = measured(x, -4.0 * np.tanh(x / width))
    exact = 4.0 / width / np.cosh(x / width) ** 2
    assert x[found.argmax()] == pytest.approx(0.0, abs=0.11)
    assert found.max() == pytest.approx(exact.max(), rel=0.4)
    assert found[np.abs(x) > 2.0].max() < 0.05 * found.max()


def test_times_that_differ_by_chance_are_steep_only_as_far_as_they_are_certain() -> None:
    """Two trials a hundredth apart and half a log unit of time: the plain quotient would be 50."""
    x, y = np.array([0.0, 0.01, 3.0, 3.1]), np.array([0.0, 0.5, 0.1, 0.2])
    assert measured(x, y, arrived=4.0)[:2].max() < 1.0
    assert measured(x[:2], y[:2], arrived=MANY).max() == pytest.approx(50.0, rel=1e-3)


def test_precise_trials_count_for_more() -> None:
    """Three trials on a line, a fourth off it with one arrival."""
    x, y = np.array([0.0, 1.0, 2.0, 1.5]), np.array([0.0, -1.0, -2.0, 3.0])
    sure = steepness(np.exp(x), np.exp(y), np.array([1e4, 1e4, 1e4, 1.0]))
    np.testing.assert_allclose(sure, 1.0, atol=0.02)
    assert np.abs(steepness(np.exp(x), np.exp(y), np.full(4, 1e4)) - 1.0).max() > 0.5


def test_one_trial_or_one_level_is_flat_and_none_is_nothing() -> None:
    assert measured(np.array([0.3]), np.array([2.0])).tolist() == [0.0]
    assert measured(np.zeros(3), np.array([1.0, 2.0, 3.0])).tolist() == [0.0, 0.0, 0.0]
    assert measured(np.zeros(0), np.zeros(0)).tolist() == []


@pytest.mark.parametrize(("level", "time"), [(0.0, 1.0), (np.nan, 1.0), (1.0, 0.0), (1.0, np.nan), (1.0, np.inf)])
def test_what_has_no_level_or_no_time_says_nothing_and_leaves_the_others_as_they_are(level: float, time: float) -> None:
    levels, times, arrived = np.array([1.0, 2.0, 4.0]), np.array([4.0, 2.0, 1.0]), np.full(3, MANY)
    found = steepness(np.append(levels, level), np.append(times, time), np.append(arrived, MANY))
    np.testing.assert_array_equal(found, np.append(steepness(levels, times, arrived), np.nan))


def test_a_lower_bound_counts_as_one_arrival() -> None:
    levels, times = np.array([1.0, 2.0, 4.0]), np.array([4.0, 2.0, 1.0])
    none, one = (steepness(levels, times, np.array([first, 9.0, 9.0])) for first in (0.0, 1.0))
    np.testing.assert_array_equal(none, one)
