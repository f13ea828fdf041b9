"""Barriers of revenue, kinds of paths pair by pair, promises, and trends with the size of the menu."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mcdist.analysis import (
    auction_barriers,
    barrier_comparison,
    barrier_trend,
    promise_summary,
    reducibility_trend,
    revenue_barriers,
)
from mcdist.analysis.menu_trends import with_menus
from mcdist.analysis.shares import share_interval
from mcdist.errors import RequestError

from .auctioned import SIZES, auction_path, auction_sweep, menu
from .frames import frame


@pytest.fixture(scope="module")
def sweep():
    return {name: frame(name, rows) for name, rows in auction_sweep().items()}


def one(loss, **options):
    _, _, rows = auction_path("linear", menu(8, 0), menu(8, 1), loss, **options)
    return revenue_barriers(frame("barriers", rows)).iloc[0]


class TestOneBarrier:
    def test_it_is_in_percent_of_the_lesser_end(self):
        row = one(0.1)
        lesser = menu(8, 1)["revenue_exact"]
        assert (row["exact"], row["metric"], row["error"]) == (True, "revenue_exact", 0.0)
        assert row["barrier"] == pytest.approx(0.1)
        assert row["relative"] == pytest.approx(100 * 0.1 / lesser)

    @pytest.mark.parametrize(("loss", "shown"), [(0.0, False), (1e-12, False), (1e-6, True)])
    def test_an_exact_one_is_shown_if_it_is_more_than_rounding(self, loss, shown):
        assert one(loss)["shown"] is shown

    @pytest.mark.parametrize(("loss", "shown"), [(1.9e-3, False), (2.1e-3, True)])
    def test_a_sampled_one_if_it_is_more_than_two_standard_errors(self, loss, shown):
        row = one(loss, exact=False, error=1e-3)
        assert (row["metric"], row["exact"], row["shown"]) == ("revenue", False, shown)

    def test_without_a_standard_error_nothing_is_said(self):
        row = one(0.1, exact=False, error=np.nan)
        assert row["shown"] is None
        assert row["relative"] > 0

    def test_a_path_that_was_measured_twice_has_two_rows(self, sweep):
        rows = sweep["barriers"]
        again = pd.concat([rows, rows.assign(task_id=rows["task_id"] + "-again")])
        assert len(revenue_barriers(again)) == 2 * len(revenue_barriers(rows)) == 2 * 90


def test_barriers_by_problem_and_kind(sweep):
    table = auction_barriers(sweep["barriers"])
    line = table[(table["kind"] == "linear") & ~table["aligned"].astype(bool)].iloc[0]
    mine = revenue_barriers(sweep["barriers"]).query("kind == 'linear' and not aligned")
    mine = mine[mine["problem"] == line["problem"]]
    assert (line["pairs"], line["endpoints"], line["judged"], line["shown_pairs"]) == (10, 5, 10, 10)
    assert line["estimate"] == pytest.approx(mine["relative"].median())
    assert line["value"] == pytest.approx(mine["barrier"].median())
    assert line["most"] == pytest.approx(mine["relative"].max())
    assert line["low"] < line["estimate"] < line["high"]
    assert [line["shown_low"], line["shown_high"]] == pytest.approx(share_interval(1.0, 5))
    made = table[table["kind"] == "three_pieces"].iloc[0]
    assert (made["shown_pairs"], made["shown"], made["exact"]) == (0, 0.0, True)
    assert made["estimate"] == pytest.approx(0.0, abs=1e-9)


class TestComparison:
    def table(self, sweep, **options):
        rows = sweep["barriers"]
        named = rows["kind"].where(~rows["aligned"].astype(bool), rows["kind"] + ", aligned")
        return barrier_comparison(rows.assign(path=named), **options)

    def test_differences_are_of_the_same_pairs(self, sweep):
        table = self.table(sweep, first="linear")
        assert len(table) == 2 * len(SIZES)
        row = table[(table["path"] == "linear, aligned") & table["problem"].str.endswith(" 8")].iloc[0]
        mine = revenue_barriers(sweep["barriers"])
        mine = mine[(mine["problem"] == row["problem"]) & (mine["kind"] == "linear")]
        means = mine.groupby(mine["aligned"].astype(bool))["relative"].mean()
        assert row["lower"] == pytest.approx(means[False] - means[True])
        assert (row["pairs"], row["lower_pairs"], row["reason"]) == (10, 10, "")
        assert 0 < row["lower_low"] < row["lower"] < row["lower_high"]

    def test_pairs_that_one_kind_lacks_do_not_count(self, sweep):
        rows = sweep["barriers"]
        gone = (rows["kind"] == "three_pieces") & (rows["endpoint_a"].str.endswith("-0"))
        table = self.table({"barriers": rows[~gone]}, first="linear")
        assert set(table.loc[table["path"] == "three_pieces", "pairs"]) == {6}

    def test_without_the_kind_to_compare_with_there_are_no_rows(self, sweep):
        assert self.table(sweep, first="chain").empty

    def test_too_few_end_points_have_no_interval(self):
        rows = {"barriers": frame("barriers", auction_sweep(sizes=(8,), seeds=range(3))["barriers"])}
        row = self.table(rows).iloc[0]
        assert np.isnan(row["lower_low"])
        assert row["reason"].startswith("too few end points")


class TestPromises:
    def test_how_many_were_kept_and_what_was_lost(self, sweep):
        paths = sweep["paths"].copy()
        made = paths.index[paths["kind"] == "three_pieces"]
        paths.loc[made[0], ["shortfall", "promise_kept"]] = [0.08, False]
        paths.loc[made[1], "promise_kept"] = None
        (row,) = promise_summary(paths).to_dict("records")
        assert (row["kind"], row["paths"], row["judged"], row["kept"]) == ("three_pieces", 30, 29, 28)
        assert row["share"] == pytest.approx(28 / 29)
        assert [row["share_low"], row["share_high"]] == pytest.approx(share_interval(28 / 29, 15))
        assert (row["eps_most"], row["eps_sharp_most"], row["shortfall_most"]) == (0.05, 0.03, 0.08)
        assert row["beyond_most"] == pytest.approx((0.08 - 0.05) / 0.002)
        assert (row["kept_least"], row["kept_most"], row["exactly"]) == (2, 3, 0)

    def test_paths_without_a_promise_are_not_there(self, sweep):
        assert promise_summary(sweep["paths"][sweep["paths"]["kind"] == "linear"]).empty


def test_pairs_have_what_both_menus_have_in_common(sweep):
    rows = with_menus(sweep["paths"], sweep["menus"])
    assert len(rows) == len(sweep["paths"])
    assert set(rows["menu_size"]) == set(SIZES)
    across = sweep["paths"].head(1).assign(endpoint_b=sweep["menus"]["endpoint_id"].iloc[-1])
    assert with_menus(across, sweep["menus"]).empty
    assert with_menus(sweep["paths"], sweep["menus"].iloc[:0]).empty


class TestTrends:
    def test_the_exponent_of_a_power_law(self, sweep):
        row = barrier_trend(sweep["barriers"], sweep["menus"], ("kind", "aligned")).iloc[0]
        # 0.2 * 8 / size over ends that grow by less than a hundredth
        assert row["slope"] == pytest.approx(-1, abs=0.01)
        assert (row["sizes"], row["least"], row["most"], row["rows"], row["shown"]) == (3, 8, 32, 30, 30)
        assert row["units"] == 5  # seeds, not menus
        assert row["slope_low"] <= row["slope"] <= row["slope_high"] < 0

    def test_the_fit_is_poisson_s(self, sweep):
        """Against the score equations: observed and fitted means agree, and so do their products with log size."""
        rng = np.random.default_rng(1)
        barriers = sweep["barriers"].copy()
        barriers["barrier_max"] = barriers["barrier_max"] * rng.exponential(size=len(barriers))
        row = barrier_trend(barriers, sweep["menus"], ("kind", "aligned")).iloc[0]
        mine = with_menus(revenue_barriers(barriers), sweep["menus"]).query("kind == 'linear' and not aligned")
        x = np.log(mine["menu_size"].to_numpy(dtype=float))
        fitted = row["level"] * np.exp(row["slope"] * (x - x.mean()))
        np.testing.assert_allclose(fitted.sum(), mine["relative"].sum(), rtol=1e-9)
        np.testing.assert_allclose((fitted * x).sum(), (mine["relative"] * x).sum(), rtol=1e-9)

    def test_kinds_without_a_barrier_have_no_trend(self, sweep):
        table = barrier_trend(sweep["barriers"], sweep["menus"], ("kind",))
        made = table[table["kind"] == "three_pieces"].iloc[0]
        assert (made["reason"], made["shown"]) == ("no barrier is shown", 0)
        assert np.isnan(made["slope"])

    @pytest.mark.parametrize("sizes", [(8,), (8, 16)])
    def test_fewer_than_three_sizes_have_none(self, sizes):
        tables = {name: frame(name, rows) for name, rows in auction_sweep(sizes=sizes).items()}
        for table in (barrier_trend(tables["barriers"], tables["menus"]), reducibility_trend(tables["menus"])):
            assert table["slope"].isna().all()
            assert table["reason"].str.endswith("a trend needs 3").all()

    def test_barriers_at_the_least_size_alone_have_no_exponent(self, sweep):
        rows = sweep["barriers"].copy()
        big = ~rows["problem"].str.endswith(" 8")
        rows.loc[big, "barrier_max"] = 0.0
        row = barrier_trend(rows, sweep["menus"], ("kind",)).iloc[0]
        assert (np.isnan(row["slope"]), row["reason"]) == (True, "no estimate")

    def test_reducibility_per_doubling(self, sweep):
        rows = sweep["menus"].assign(reducibility=0.6 - 0.1 * np.log2(sweep["menus"]["menu_size"].astype(float)))
        noise = np.random.default_rng(0).normal(size=len(rows)) * 1e-3
        (row,) = reducibility_trend(rows.assign(reducibility=rows["reducibility"] + noise)).to_dict("records")
        fit = stats.linregress(np.log2(rows["menu_size"].astype(float)), rows["reducibility"] + noise)
        assert row["slope"] == pytest.approx(fit.slope)
        assert row["slope_low"] < row["slope"] < row["slope_high"] < -0.09
        assert (row["rows"], row["shown"], row["units"]) == (15, 15, 5)

    def test_menus_that_are_all_exactly_reducible(self, sweep):
        row = reducibility_trend(sweep["menus"].assign(reducibility=0.0)).iloc[0]
        assert row["reason"] == "eps is 0 for all of them"


@pytest.mark.slow
def test_coverage_of_the_interval_of_an_exponent():
    """Where bigger menus make no difference, the interval holds 0 in about 95 of 100 sweeps."""
    rng, held = np.random.default_rng(3), 0
    tables = {name: frame(name, rows) for name, rows in auction_sweep(seeds=range(6)).items()}
    rows = tables["barriers"].query("metric == 'revenue_exact' and kind == 'linear' and not aligned").copy()
    ends = {name: name.rsplit("-", 1)[1] for name in tables["menus"]["endpoint_id"]}
    for _ in range(40):
        effect = {seed: np.exp(0.3 * rng.normal()) for seed in set(ends.values())}
        own = {name: effect[seed] * np.exp(0.2 * rng.normal()) for name, seed in ends.items()}
        rows["barrier_max"] = 0.1 * rows["endpoint_a"].map(own) * rows["endpoint_b"].map(own)
        row = barrier_trend(rows, tables["menus"], ("kind",)).iloc[0]
        held += row["slope_low"] <= 0 <= row["slope_high"]
    assert held >= 34  # of 40, less than 1 in 100 if each holds with probability 0.95


def test_missing_columns_are_named():
    with pytest.raises(RequestError, match="barriers: unknown column 'stderr'"):
        revenue_barriers(frame("barriers", []).drop(columns="stderr"))
    with pytest.raises(RequestError, match="paths: unknown column 'eps_promised'"):
        promise_summary(frame("paths", []).drop(columns="eps_promised"))
