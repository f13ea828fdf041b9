import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import barrier_summary
from mcdist.analysis.barriers import QUANTILES
from mcdist.errors import RequestError

from .frames import barrier_frame, dyadic


@pytest.fixture
def barriers():
    return barrier_frame(dyadic(6, np.random.default_rng(0)))


def test_a_summary_counts_estimates_and_describes(barriers):
    (row,) = barrier_summary(barriers, statistic="mean").to_dict("records")
    values = barriers["barrier_linear"]
    assert (row["kind"], row["aligned"], row["metric"]) == ("linear", False, "train_loss")
    assert (row["pairs"], row["rows"], row["endpoints"], row["units"], row["missing"]) == (15, 15, 6, 6, 0)
    assert row["estimate"] == pytest.approx(values.mean())
    assert row["low"] < row["estimate"] < row["high"]
    assert [row[f"q{int(100 * q):02d}"] for q in QUANTILES] == pytest.approx(list(values.quantile(list(QUANTILES))))
    assert row["reason"] == ""


def test_the_median_is_the_default_and_any_quantile_goes(barriers):
    summaries = [barrier_summary(barriers)] + [barrier_summary(barriers, statistic=s) for s in ("median", 0.25)]
    values = barriers["barrier_linear"]
    assert [s["estimate"][0] for s in summaries] == pytest.approx(
        [values.median(), values.median(), values.quantile(0.25)]
    )


def test_a_group_does_not_depend_on_the_others(barriers):
    both = pd.concat([barriers.assign(kind="bezier", barrier_linear=barriers["barrier_linear"] / 2), barriers])
    together = barrier_summary(both).set_index("kind")
    pd.testing.assert_series_equal(
        together.loc["linear"], barrier_summary(barriers).set_index("kind").loc["linear"], check_names=False
    )


def test_the_order_and_direction_of_rows_do_not_matter(barriers):
    turned = barriers.rename(columns={"endpoint_a": "endpoint_b", "endpoint_b": "endpoint_a"})
    pd.testing.assert_frame_equal(barrier_summary(barriers), barrier_summary(turned.sample(frac=1, random_state=0)))


def test_the_seed_alone_decides_the_random_part(barriers):
    first, again, other = (barrier_summary(barriers, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert first["low"][0] != other["low"][0]
    assert first["estimate"][0] == other["estimate"][0]


def test_several_paths_of_a_pair_count_as_one_value(barriers):
    doubled = pd.concat([barriers, barriers.assign(barrier_linear=barriers["barrier_linear"] + 2)])
    once, twice = barrier_summary(barriers).iloc[0], barrier_summary(doubled).iloc[0]
    assert (twice["pairs"], twice["rows"]) == (15, 30)
    assert twice["estimate"] == pytest.approx(once["estimate"] + 1)
    assert twice["high"] - twice["low"] == pytest.approx(once["high"] - once["low"])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_counted_as_missing(barriers, bad):
    broken = barriers.copy()
    broken.loc[0, "barrier_linear"] = bad
    row = barrier_summary(broken).iloc[0]
    assert (row["pairs"], row["missing"]) == (14, 1)
    assert row["estimate"] == pytest.approx(barriers["barrier_linear"][1:].median())


def test_a_group_without_values_stays_as_a_row_with_a_reason(barriers):
    row = barrier_summary(barriers.assign(barrier_linear=np.nan)).iloc[0]
    assert (row["pairs"], row["missing"], row["reason"]) == (0, 15, "no values")
    assert np.isnan([row["estimate"], row["low"], row["high"], row["q50"]]).all()


def test_equal_values_are_no_evidence_of_certainty(barriers):
    row = barrier_summary(barriers.assign(barrier_linear=0.0)).iloc[0]
    assert (row["estimate"], row["reason"]) == (0, "all pairs have the same value")
    assert np.isnan([row["low"], row["high"]]).all()


def test_the_interval_of_what_is_never_negative_is_not_either():
    values = {pair: value**4 for pair, value in dyadic(5, np.random.default_rng(3), own=1).items()}
    barriers = barrier_frame(values).assign(barrier_mean=list(values.values()))
    plain = barrier_summary(barriers, value="barrier_mean", statistic="mean")["low"][0]
    assert plain < 0
    assert barrier_summary(barriers, statistic="mean")["low"][0] == 0


def test_an_empty_table_has_no_groups():
    empty = barrier_summary(barrier_frame({}))
    assert len(empty) == 0
    assert {"kind", "estimate", "low", "high", "missing", "reason"} <= set(empty.columns)


def test_a_column_that_is_not_there_is_named_with_its_neighbour(barriers):
    with pytest.raises(RequestError, match=r"barriers: unknown column 'barrier_liner'; did you mean 'barrier_linear'"):
        barrier_summary(barriers, value="barrier_liner")
