import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from mcdist.analysis import share_summary
from mcdist.analysis.shares import share_interval
from mcdist.errors import RequestError

from .frames import barrier_frame, dyadic


@given(st.integers(1, 40), st.data())
def test_the_ends_are_those_that_binomial_tails_give(trials, data):
    held = data.draw(st.integers(0, trials))
    low, high = share_interval(held / trials, trials)
    assert 0 <= low <= held / trials <= high <= 1
    if held:
        assert binom.sf(held - 1, trials, low) == pytest.approx(0.025)
    if held < trials:
        assert binom.cdf(held, trials, high) == pytest.approx(0.025)


def shares(values, **options):
    frame = barrier_frame(dict.fromkeys(dyadic(5, np.random.default_rng(0)), 0.0)).assign(holds=values)
    return share_summary(frame, "barriers", ("kind",), "holds", **options).iloc[0]


def test_null_is_missing_and_not_false():
    row = shares(pd.array([True, True, False, None, *[True] * 6], dtype="boolean"))
    assert (row["pairs"], row["missing"], row["estimate"]) == (9, 1, pytest.approx(8 / 9))
    assert [row["low"], row["high"]] == pytest.approx(share_interval(8 / 9, 5))


def test_plain_booleans_and_none_will_do():
    row = shares([True, False, None, *[True] * 7])
    assert (row["pairs"], row["missing"]) == (9, 1)


def test_too_few_families_have_no_interval():
    row = shares(True, families={f"e{i:02d}": f"f{i // 2}" for i in range(5)})
    assert (row["estimate"], row["reason"]) == (1, "too few end points: 3 independent, 4 needed")
    assert np.isnan([row["low"], row["high"]]).all()


def test_no_values():
    row = shares(None)
    assert (row["pairs"], row["reason"]) == (0, "no values")


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(RequestError, match="barriers: unknown column 'hold'"):
        share_summary(barrier_frame({}), "barriers", ("kind",), "hold")
