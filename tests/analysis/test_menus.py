"""What menus earn over seeds, against plain numpy and scipy; published revenues beside them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mcdist.analysis import menu_summary
from mcdist.analysis.auctions_published import published_auctions
from mcdist.analysis.menus import labelled_menus
from mcdist.analysis.shares import share_interval
from mcdist.errors import RequestError

from .auctioned import OPTIMUM, menu
from .frames import frame


def menus(sizes=(8,), seeds=range(5), **columns):
    return frame("menus", [menu(size, seed, **columns) for size in sizes for seed in seeds])


def test_means_and_intervals_over_seeds_are_student_s():
    rows = menus()
    (row,) = menu_summary(rows).to_dict("records")
    ends = stats.t.interval(0.95, 4, rows["revenue_exact"].mean(), stats.sem(rows["revenue_exact"]))
    assert (row["seeds"], row["exact"], row["stderr"]) == (5, True, 0)
    assert row["revenue"] == pytest.approx(rows["revenue_exact"].mean())
    assert [row["revenue_low"], row["revenue_high"]] == pytest.approx(ends)
    assert row["gap"] == pytest.approx(100 * (1 - rows["revenue_exact"].mean() / OPTIMUM))
    assert [row["gap_high"], row["gap_low"]] == pytest.approx([100 * (1 - end / OPTIMUM) for end in ends])
    assert [row["above_low"], row["above_high"]] == pytest.approx([100 * (end / 0.5 - 1) for end in ends])
    assert (row["best"], row["least"]) == (rows["revenue_exact"].max(), rows["revenue_exact"].min())
    assert row["best_gap"] == pytest.approx(1.0)
    assert (row["n_active"], row["n_active_least"], row["n_active_most"]) == (pytest.approx(4.4), 4, 5)
    held = stats.t.interval(0.95, 4, rows["reducibility"].mean(), stats.sem(rows["reducibility"]))
    assert [row["reducibility_low"], row["reducibility_high"]] == pytest.approx(held)


def test_where_revenue_is_sampled_the_sample_s_error_is_in_the_interval_whatever_the_number_of_seeds():
    rows = menus(revenue_exact=None)
    (row,) = menu_summary(rows).to_dict("records")
    assert not row["exact"]
    half = stats.t.ppf(0.975, 4) * stats.sem(rows["revenue"])
    both = np.hypot(half, stats.norm.ppf(0.975) * 0.002)
    assert row["revenue_high"] - row["revenue"] == pytest.approx(both)
    assert row["gap"] - row["gap_low"] == pytest.approx(100 * both / OPTIMUM)
    many = menu_summary(menus(seeds=range(60), revenue_exact=None)).iloc[0]
    assert many["revenue_high"] - many["revenue"] > 1.9 * 0.002


def test_seeds_that_all_earn_the_same_have_no_interval_but_that_of_the_sample():
    assert menu_summary(menus(revenue_exact=0.5)).iloc[0]["reason"] == "all seeds have the same value"
    row = menu_summary(menus(revenue_exact=None, revenue=0.5)).iloc[0]
    assert [row["revenue_low"], row["revenue_high"]] == pytest.approx([0.5 - 0.00392, 0.5 + 0.00392], abs=1e-5)


def test_fewer_than_four_seeds_have_no_interval():
    row = menu_summary(menus(seeds=range(3))).iloc[0]
    assert np.isnan([row["revenue_low"], row["close_low"], row["reducible_low"]]).all()
    assert row["reason"] == "too few seeds: 3 independent, 4 needed"


@pytest.mark.parametrize(("revenue", "share"), [(0.9951, 1.0), (0.9949, 0.0)])
def test_close_is_within_half_a_percent_of_the_optimum(revenue, share):
    row = menu_summary(menus(revenue_exact=revenue * OPTIMUM)).iloc[0]
    assert row["close"] == share
    assert [row["close_low"], row["close_high"]] == pytest.approx(share_interval(share, 5))


def test_exactly_reducible_means_on_both_samples():
    rows = menus()
    rows["reducibility"] = [0.0, 0.0, 0.1, 0.0, 0.0]
    rows["reducibility_fit"] = [0.0, 0.1, 0.0, 0.0, 0.0]
    assert menu_summary(rows).iloc[0]["reducible"] == pytest.approx(3 / 5)


def test_without_an_optimum_there_is_no_gap():
    row = menu_summary(menus(revenue_optimal=None, optimal_source=None)).iloc[0]
    assert np.isnan([row["gap"], row["best_gap"], row["close"], row["optimal"]]).all()
    assert row["above"] > 0


def test_ways_of_training_are_apart_and_named_by_what_differs():
    rows = pd.concat([menus(), menus(kappa=300.0, problem="other"), menus((16,))])
    table = menu_summary(rows)
    assert table[["menu_size", "label", "seeds"]].to_numpy().tolist() == [
        [8, "kappa 100", 5],
        [8, "kappa 300", 5],
        [16, "", 5],
    ]


def test_what_a_label_alone_says_is_told_by_the_label():
    rows = pd.concat([menus(problem="one"), menus(problem="two")])
    assert set(labelled_menus(rows)["label"]) == {"one", "two"}


def test_no_menus_and_missing_columns():
    empty = menu_summary(frame("menus", []))
    assert empty.empty
    assert {"gap", "reducible", "label"} <= set(empty.columns)
    with pytest.raises(RequestError, match="menus: unknown column 'kappa'"):
        menu_summary(menus().drop(columns="kappa"))


class TestPublished:
    def test_the_greatest_menus_stand_beside_what_is_known(self):
        table = published_auctions(menus((8, 64)))
        assert table["what"].tolist() == ["optimum", "best simple auction: items apart"]
        first = table.iloc[0]
        assert (first["source"], first["published"], first["menu_size"]) == ("Somebody", OPTIMUM, 64)
        assert table["shows"].tolist() == [-1.0, 1.0]
        summary = menu_summary(menus((64,))).iloc[0]
        assert first["difference"] == pytest.approx(summary["revenue"] - OPTIMUM)

    def test_learned_mechanisms_of_the_same_setting_alone(self):
        about = {"setting": "bidders_2_items_5", "mechanism": "affine_maximizer", "revenue_exact": None}
        known = {"revenue_optimal": None, "revenue_baseline": None, "baseline": None}
        rows = menus((8,), seeds=range(3), revenue=2.25, **about, **known)
        table = published_auctions(rows)
        assert dict(zip(table["what"], table["published"], strict=True)) == {
            "lottery affine maximizer": 2.235,
            "AMenuNet": 2.277,
        }
        assert table["shows"].isna().all()
