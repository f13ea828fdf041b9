"""What an interval promises: coverage, and honesty where there is none."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from mcdist.analysis.intervals import MIN_UNITS, estimate
from mcdist.analysis.resampling import stream
from mcdist.errors import RequestError


def all_pairs(n):
    a, b = np.triu_indices(n, 1)
    names = np.array([f"e{i:02d}" for i in range(n)])
    return pd.DataFrame({"endpoint_a": names[a], "endpoint_b": names[b]}), a, b


def run(pairs, values, statistic="mean", method="auto", families=None, n_boot=300, level=0.95):
    values = np.asarray(values, dtype=float).reshape(len(pairs), -1)
    rng = stream(0, "test")
    return estimate(pairs, values, statistic, level=level, method=method, n_boot=n_boot, rng=rng, families=families)


@pytest.mark.parametrize("n", [8, 20])
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_intervals_cover_in_a_model_with_end_point_effects(n, statistic):
    """300 sweeps of m = 1 + u_a + u_b + e_ab: 95 % intervals cover between 92 and 99 %; pair-wise ones would not."""
    pairs, a, b = all_pairs(n)
    rng = np.random.default_rng(5)
    covered, naive = 0, 0
    for _ in range(300):
        u = 0.5 * rng.normal(size=n)
        m = 1 + u[a] + u[b] + 0.5 * rng.normal(size=len(a))
        (low,), (high,) = run(pairs, m, statistic, n_boot=200).interval()
        covered += low <= 1 <= high
        naive += abs(m.mean() - 1) <= student.ppf(0.975, len(m) - 1) * m.std(ddof=1) / np.sqrt(len(m))
    assert 0.92 <= covered / 300 <= 0.99
    assert naive / 300 < 0.8


def test_the_jackknife_of_a_mean_is_its_closed_form():
    """Leaving out end point i of a complete graph moves the mean by 2 (mean - mean_i) / (n - 2)."""
    n = 7
    pairs, a, b = all_pairs(n)
    m = np.random.default_rng(0).normal(size=len(a))
    mean_i = np.array([m[(a == i) | (b == i)].mean() for i in range(n)])
    variance = (n - 1) / n * 4 / (n - 2) ** 2 * ((mean_i - m.mean()) ** 2).sum()
    half = student.ppf(0.975, n - 1) * np.sqrt(variance)
    low, high = run(pairs, m).interval()
    np.testing.assert_allclose([low[0], high[0]], [m.mean() - half, m.mean() + half], rtol=1e-12)


def test_bootstrap_and_jackknife_agree_on_a_mean_over_many_end_points():
    pairs, a, b = all_pairs(40)
    rng = np.random.default_rng(1)
    u = rng.normal(size=40)
    m = u[a] + u[b]
    errors = [
        np.sqrt(run(pairs, m, method=method, n_boot=2000).covariance[0, 0]) for method in ("jackknife", "bootstrap")
    ]
    assert errors[0] == pytest.approx(errors[1], rel=0.1)


def test_a_higher_level_is_a_wider_interval():
    pairs, _, _ = all_pairs(6)
    m = np.random.default_rng(2).normal(size=len(pairs))
    widths = [np.ptp(run(pairs, m, level=level).interval()) for level in (0.5, 0.9, 0.99)]
    assert widths == sorted(widths)


def test_the_covariance_joins_quantities_over_the_same_pairs():
    pairs, _, _ = all_pairs(6)
    m = np.random.default_rng(3).normal(size=len(pairs))
    found = run(pairs, np.stack([m, m + 2], axis=1))
    low, high = found.interval(np.array([[-1.0, 1.0]]))
    np.testing.assert_allclose([low[0], high[0]], [2, 2], atol=1e-7)


def test_too_few_end_points_give_a_reason_and_no_interval():
    pairs, _, _ = all_pairs(MIN_UNITS - 1)
    found = run(pairs, np.arange(len(pairs)))
    assert found.reason == "too few end points: 3 independent, 4 needed"
    assert found.value[0] == 1
    assert np.isnan(found.interval()).all()


def test_families_count_as_one_end_point():
    pairs, _, _ = all_pairs(6)
    related = {f"e{i:02d}": f"family-{i // 2}" for i in range(6)}
    found = run(pairs, np.arange(len(pairs)), families=related)
    assert (found.units, found.reason[:19]) == (3, "too few end points:")


def test_branches_inside_families_alone_are_as_good_as_independent_values():
    """One pair per family: the interval is Student's for the mean of independent values."""
    pairs = pd.DataFrame({"endpoint_a": [f"a{i}" for i in range(6)], "endpoint_b": [f"b{i}" for i in range(6)]})
    related = {f"{side}{i}": f"root{i}" for side in "ab" for i in range(6)}
    m = np.random.default_rng(4).normal(size=6)
    half = student.ppf(0.975, 5) * m.std(ddof=1) / np.sqrt(6)
    low, high = run(pairs, m, families=related).interval()
    np.testing.assert_allclose([low[0], high[0]], [m.mean() - half, m.mean() + half], rtol=1e-12)


@pytest.mark.parametrize("method", ["jackknife", "bootstrap"])
def test_a_star_of_pairs_says_nothing_about_its_centre(method):
    pairs = pd.DataFrame({"endpoint_a": ["hub"] * 6, "endpoint_b": list("abcdef")})
    found = run(pairs, np.arange(6), method=method)
    assert found.reason == "one end point is in every pair"
    assert np.isnan(found.interval()).all()


def test_no_pairs_give_no_numbers():
    pairs, _, _ = all_pairs(1)
    found = estimate(
        pairs, np.empty((0, 1)), "mean", level=0.95, method="auto", n_boot=10, rng=stream(0), families=None
    )
    assert found.reason == "no values"
    assert np.isnan([*found.value, *found.interval()[0]]).all()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"level": 1.0}, "level: got 1.0"),
        ({"method": "magic"}, "method: got 'magic'"),
        ({"n_boot": 1}, "n_boot: got 1"),
    ],
)
def test_wrong_options_are_refused(option, message):
    pairs, _, _ = all_pairs(5)
    with pytest.raises(RequestError, match=message):
        run(pairs, np.ones(10), **option)
