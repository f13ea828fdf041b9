"""Censored times against scipy's own estimators, a plain likelihood, and known laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import CensoredData, ecdf, norm, weibull_min

from mcdist.analysis.survival import LAWS, MEDIANS, fit_failure_times, median_time


def censored(n=400, seed=0, limit=30.0):
    """Times exp(3 - x + 0.3 y) of a Weibull law of shape 1.3, broken off at a limit."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n))
    time = np.exp(3 - x + 0.3 * y) * rng.weibull(1.3, size=n)
    return np.minimum(time, limit), time <= limit, np.column_stack([np.ones(n), x, y])


def plain(time, arrived, x, law):
    """The same likelihood as in a book, by a general minimiser."""

    def loss(p):
        scale = np.exp(p[0])
        z = (np.log(time) - x @ p[1:]) / scale
        density = z - np.exp(z) if law == "weibull" else norm.logpdf(z)
        survival = -np.exp(z) if law == "weibull" else norm.logsf(z)
        return -np.where(arrived, density - np.log(scale) - np.log(time), survival).sum()

    found = minimize(loss, np.zeros(x.shape[1] + 1), method="BFGS", options={"gtol": 1e-8})
    return found.x[1:], np.exp(found.x[0]), -found.fun


@pytest.mark.parametrize("law", LAWS)
def test_the_fit_is_the_greatest_likelihood(law):
    time, arrived, x = censored()
    assert 0.2 < (~arrived).mean() < 0.5
    fit = fit_failure_times(time, arrived, x, law)
    coefficients, scale, likelihood = plain(time, arrived, x, law)
    np.testing.assert_allclose(fit.coefficients, coefficients, atol=2e-4)  # the minimiser's own tolerance
    assert fit.scale == pytest.approx(scale, abs=2e-4)
    assert fit.log_likelihood == pytest.approx(likelihood, abs=1e-6)


def test_without_covariates_it_is_scipy_s_censored_weibull():
    time, arrived, x = censored()
    shape, _, scale = weibull_min.fit(CensoredData.right_censored(time, ~arrived), floc=0)
    fit = fit_failure_times(time, arrived, x[:, :1])
    assert 1 / fit.scale == pytest.approx(shape, rel=1e-3)
    assert np.exp(fit.coefficients[0]) == pytest.approx(scale, rel=1e-3)
    middle = np.exp(fit.coefficients[0] + fit.scale * MEDIANS["weibull"])
    assert middle == pytest.approx(weibull_min.median(shape, scale=scale), rel=1e-3)


def test_censored_runs_are_not_taken_for_arrivals():
    time, arrived, x = censored(4000)
    fit = fit_failure_times(time, arrived, x)
    np.testing.assert_allclose(fit.coefficients, [3, -1, 0.3], atol=0.06)
    assert fit.scale == pytest.approx(1 / 1.3, abs=0.03)
    naive = fit_failure_times(time, np.ones_like(arrived), x)
    assert naive.coefficients[1] > -0.8


def test_weights_are_counts():
    time, arrived, x = censored(60)
    counts = np.random.default_rng(1).integers(0, 3, size=60)
    repeated = np.repeat(np.arange(60), counts)
    for law in LAWS:
        one = fit_failure_times(time, arrived, x, law, counts.astype(float))
        other = fit_failure_times(time[repeated], arrived[repeated], x[repeated], law)
        np.testing.assert_allclose(one.coefficients, other.coefficients, atol=1e-6)
        assert one.log_likelihood == pytest.approx(other.log_likelihood)


@given(st.floats(1e-3, 1e3))
@settings(max_examples=10, deadline=None)
def test_other_units_of_time_change_the_constant_alone(unit):
    time, arrived, x = censored(80)
    one, other = (fit_failure_times(t, arrived, x) for t in (time, unit * time))
    np.testing.assert_allclose(other.coefficients - one.coefficients, [np.log(unit), 0, 0], atol=1e-6)
    assert other.scale == pytest.approx(one.scale, rel=1e-6)


def test_what_cannot_be_fitted_says_why():
    time, arrived, x = censored(50)
    assert fit_failure_times(time, np.zeros_like(arrived), x).reason == "no run arrived"
    assert fit_failure_times(time, arrived, np.column_stack([x, x[:, 1]])).reason == "too few different settings"
    hot = x[:, 1] > 0
    never = fit_failure_times(np.where(hot, time, 5.0), arrived & hot, np.column_stack([x[:, 0], hot * 1.0]))
    assert never.reason == "no greatest likelihood: a setting where nothing arrived"
    assert np.isnan(never.coefficients).all()


times = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=12)


@given(times)
def test_the_median_is_kaplan_and_meier_s(rows):
    time, arrived = np.array([float(t) for t, _ in rows]), np.array([a for _, a in rows])
    survival = ecdf(CensoredData.right_censored(time, ~arrived)).sf
    below = survival.quantiles[survival.probabilities <= 0.5 + 1e-12]
    assert median_time(time, arrived) == (below[0] if len(below) else np.inf)


@given(times, st.data())
def test_weights_of_the_median_are_counts(rows, data):
    time, arrived = np.array([float(t) for t, _ in rows]), np.array([a for _, a in rows])
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    repeated = np.repeat(np.arange(len(rows)), counts)
    weighted, plainly = median_time(time, arrived, counts * 1.0), median_time(time[repeated], arrived[repeated])
    assert weighted == plainly or (np.isnan(weighted) and np.isnan(plainly))
