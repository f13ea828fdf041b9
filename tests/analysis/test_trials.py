"""Trials: times with their lower bounds, and where they are steep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcdist.analysis import steepness, trial_summary, trial_times
from mcdist.errors import RequestError

from .moved import frames, trial_rows


def trials(temperatures, times, **columns):
    return frames("trials", trial_rows(temperatures, times, **columns))


def test_a_trial_without_arrivals_has_its_exposure_as_a_lower_bound():
    rows = trial_times(trials([0.01, 0.1], [None, 5.0]))
    assert rows["time"].tolist() == [1000.0, 5.0]
    assert rows["bound"].tolist() == [True, False]


def test_a_trial_that_diverged_as_a_whole_says_nothing():
    table = trials([0.01, 0.1, 1.0], [None, 5.0, 1.0])
    table.loc[0, "exposure"] = 0.0
    assert len(trial_times(table)) == 2
    assert np.isnan(steepness(table)[0])
    assert np.isfinite(steepness(table)[[1, 2]]).all()


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_a_law_of_powers_is_as_steep_everywhere(power):
    T = np.geomspace(1e-4, 1e-1, 13)
    found = steepness(trials(T, T**-power))
    np.testing.assert_allclose(found, power, rtol=0.01)


def test_a_cliff_is_the_steepest_place():
    T = np.geomspace(1e-3, 1.0, 25)
    times = 10 / (1 + np.exp(8 * (np.log(T) - np.log(0.03))))
    found = steepness(trials(T, times + 0.01))
    assert T[found.argmax()] == pytest.approx(0.05, rel=0.7)
    assert found.max() > 2 * found.iloc[0]


@given(st.lists(st.tuples(st.floats(1e-6, 10), st.none() | st.floats(1e-3, 1e6)), min_size=2, max_size=8))
def test_it_is_finite_from_two_trials_on_whatever_they_are(rows):
    found = steepness(trials(*zip(*rows, strict=True)))
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_two_trials_have_the_slope_between_them():
    np.testing.assert_allclose(steepness(trials([0.01, 0.1], [100.0, 1.0])), 2.0, rtol=0.05)
    assert steepness(trials([0.01, 0.01], [100.0, 1.0])).tolist() == [0, 0]
    assert steepness(trials([0.01], [100.0])).tolist() == [0]


def test_trials_without_noise_have_no_steepness():
    found = steepness(trials([0.0, 0.01, 0.1], [None, 100.0, 1.0]))
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1:], 2.0, rtol=0.05)


def test_the_summary():
    table = trials([0.001, 0.01, 0.1, 1.0], [None, 100.0, 10.0, None])
    table.loc[3, "exposure"] = 0.0
    row = trial_summary(table).iloc[0]
    assert (row["trials"], row["left_out"], row["bounds"], row["arrived"]) == (3, 1, 1, 20)
    assert (row["t_low"], row["t_high"], row["time_low"], row["time_high"]) == (0.001, 0.1, 10.0, 100.0)
    assert row["slope"] == pytest.approx(-1.0)
    assert len(trial_summary(table.assign(k_project=[1, 1, 5, None]))) == 3
    assert trial_summary(table.iloc[:0]).empty


def test_trials_of_ensembles_are_none_of_these():
    table = trials([0.001, 0.01, 0.1], [None, 100.0, 10.0])
    table.loc[1, "subject"] = "ensemble"
    assert trial_times(table)["t_nominal"].tolist() == [0.001, 0.1]
    row = trial_summary(table).iloc[0]
    assert (row["trials"], row["left_out"], row["arrived"]) == (2, 0, 10)
    assert np.isnan(steepness(table)[1])


def test_columns_that_are_not_there_are_refused():
    with pytest.raises(RequestError, match="trials: unknown column 'exposure'"):
        steepness(trials([1.0], [1.0]).drop(columns="exposure"))
