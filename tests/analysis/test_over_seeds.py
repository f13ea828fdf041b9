"""Means over seeds: Student's interval, which is the jackknife's where every value is of one unit alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mcdist.analysis.intervals import estimate
from mcdist.analysis.over_seeds import SAME_VALUE, mean_columns, over_units
from mcdist.errors import RequestError

VALUES = np.array([0.31, 0.28, 0.35, 0.30, 0.33])
UNITS = [f"seed {k}" for k in range(5)]


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_the_interval_is_students(level):
    found = over_units(VALUES, UNITS, level)
    low, high = stats.t.interval(level, 4, loc=VALUES.mean(), scale=stats.sem(VALUES))
    np.testing.assert_allclose([found.value, found.low, found.high], [VALUES.mean(), low, high], rtol=1e-12)
    assert (found.units, found.reason) == (5, "")


def test_it_is_that_of_the_jackknife_over_units():
    pairs = pd.DataFrame({"endpoint_a": UNITS, "endpoint_b": UNITS})
    rng = np.random.default_rng(0)
    how = {"level": 0.95, "method": "auto", "n_boot": 10, "rng": rng, "families": None}
    (low,), (high,) = estimate(pairs, VALUES[:, None], "mean", **how).interval()
    found = over_units(VALUES, UNITS)
    np.testing.assert_allclose([found.low, found.high], [low, high], rtol=1e-12)


def test_rows_of_one_unit_count_once():
    """A seed with many rows weighs as much as one with a single row."""
    values, units = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0], ["a", "b", "c", "d", "d", "d"]
    once = over_units(np.array([1.0, 2.0, 3.0, 6.0]), list("abcd"))
    assert over_units(np.array(values), units) == once
    assert once.units == 4


def test_what_is_not_finite_is_left_out():
    found = over_units(np.array([*VALUES, np.nan, np.inf]), [*UNITS, "x", "y"])
    assert found == over_units(VALUES, UNITS)


@pytest.mark.parametrize(
    ("values", "reason"),
    [([], "no values"), ([0.1, 0.2, 0.3], "too few seeds: 3 independent, 4 needed"), ([0.2] * 5, SAME_VALUE)],
)
def test_no_interval_without_evidence_of_an_error(values, reason):
    found = over_units(np.array(values), list(range(len(values))))
    assert found.reason == reason
    assert np.isnan([found.low, found.high]).all()


def test_columns_are_bounded_below_and_missing_ones_are_null():
    rows = pd.DataFrame({"error": [0.0, 0.0, 0.0, 0.01], "seed": range(4)})
    found = mean_columns(rows, ("error", "nll"), "seed", 0.95, at_least=0.0)
    assert found["error_low"] == 0.0
    assert found["error_high"] > found["error"] == 0.0025
    assert np.isnan([found["nll"], found["nll_low"], found["nll_high"]]).all()


@given(st.lists(st.floats(-100, 100), min_size=4, max_size=20))
def test_the_mean_lies_within(values):
    found = over_units(np.array(values), list(range(len(values))))
    assert bool(found.reason) or found.low < found.value < found.high


def test_a_level_that_is_none_is_refused():
    with pytest.raises(RequestError, match="level: got 95"):
        over_units(VALUES, UNITS, 95)
