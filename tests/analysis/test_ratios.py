import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import barrier_ratio
from mcdist.errors import RequestError

from .frames import barrier_frame, dyadic

LINEAR, BEZIER = {"kind": "linear"}, {"kind": "bezier"}


def table(upper, lower):
    return pd.concat([barrier_frame(upper), barrier_frame(lower, kind="bezier")], ignore_index=True)


def ratio(barriers, **options):
    return barrier_ratio(barriers, LINEAR, BEZIER, metric="train_loss", **options).iloc[0]


@pytest.fixture
def values():
    return {pair: float(np.exp(v)) for pair, v in dyadic(7, np.random.default_rng(0)).items()}


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_the_ratio_of_the_statistics_over_the_same_pairs(values, statistic):
    lower = {pair: v**0.5 for pair, v in values.items()}
    row = ratio(table(values, lower), statistic=statistic)
    top, bottom = (getattr(np, statistic)(list(v.values())) for v in (values, lower))
    assert row["ratio"] == pytest.approx(top / bottom)
    assert row["difference"] == pytest.approx(top - bottom)
    assert row["ratio_low"] * row["ratio_high"] == pytest.approx(row["ratio"] ** 2)
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert (row["pairs"], row["endpoints"], row["unmatched"], row["missing"], row["reason"]) == (21, 7, 0, 0, "")


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_what_varies_together_cancels(values, statistic):
    row = ratio(table(values, {pair: v / 10 for pair, v in values.items()}), statistic=statistic)
    assert [row["ratio_low"], row["ratio"], row["ratio_high"]] == pytest.approx([10, 10, 10])
    assert row["difference_high"] - row["difference_low"] > 0.1


def test_the_interval_covers_in_a_model_with_shared_end_point_effects():
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(80):
        shared = dyadic(8, rng, own=0.3, pair=0)
        upper = {pair: float(np.exp(v + 0.2 * rng.normal())) for pair, v in shared.items()}
        lower = {pair: float(np.exp(v / 2 + 0.2 * rng.normal())) for pair, v in shared.items()}
        row = ratio(table(upper, lower), statistic="mean")
        truth = np.exp(1 + 0.18 / 2) / np.exp(0.5 + 0.045 / 2)
        covered += row["ratio_low"] <= truth <= row["ratio_high"]
    assert 0.9 <= covered / 80 <= 1


def test_pairs_in_one_group_alone_are_counted_and_left_out(values):
    lower = dict(values)
    lower.pop(next(iter(values)))
    broken = table(values, lower)
    broken.loc[len(broken) - 1, "barrier_linear"] = np.nan
    row = ratio(broken)
    assert (row["pairs"], row["unmatched"], row["missing"], row["ratio"]) == (19, 2, 1, 1)


def test_a_denominator_of_zero_leaves_the_difference(values):
    row = ratio(table(values, dict.fromkeys(values, 0.0)))
    assert row["ratio"] == np.inf
    assert np.isnan([row["ratio_low"], row["ratio_high"]]).all()
    assert row["reason"] == "the denominator is not positive: read the difference"
    assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_a_negative_denominator_has_no_ratio_and_a_negative_numerator_no_interval(values):
    negative = {pair: -v for pair, v in values.items()}
    assert np.isnan(ratio(table(values, negative))["ratio"])
    row = ratio(table(negative, values))
    assert row["ratio"] == pytest.approx(-1)
    assert (np.isnan(row["ratio_low"]), row["reason"]) == (True, "the numerator is not positive: read the difference")


def test_too_few_end_points_leave_the_ratio_alone():
    row = ratio(table({("a", "b"): 4.0}, {("a", "b"): 2.0}))
    assert (row["ratio"], row["reason"]) == (2, "too few end points: 2 independent, 4 needed")
    assert np.isnan([row["ratio_low"], row["difference_high"]]).all()


def test_groups_without_a_common_pair_have_no_numbers():
    row = ratio(table({("a", "b"): 4.0}, {("a", "c"): 2.0}))
    assert (row["pairs"], row["unmatched"], row["reason"]) == (0, 2, "no values")
    assert np.isnan(row["ratio"])


def test_a_kind_that_no_row_has_is_refused(values):
    with pytest.raises(RequestError, match="denominator: unknown kind 'bezir'; did you mean 'bezier'"):
        barrier_ratio(table(values, values), LINEAR, {"kind": "bezir"}, metric="train_loss")
