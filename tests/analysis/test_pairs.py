"""Tours are no pairs: kept out of statistics, or grouped apart, with all their end points as units."""

import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import barrier_ratio, barrier_summary, mean_profile, minimax_saddles
from mcdist.analysis.pairs import groups, one_per_pair, tour_stops, unordered, without_tours
from mcdist.analysis.resampling import codes, replicate, resample

from .frames import barrier_frame, dyadic, frame, sweep_rows


def with_tours(barriers, tours):
    """The rows, and one for each tour (a, stops, b): value."""
    rows = [
        {**barriers.iloc[0], "path_id": f"tour-{a}-{b}", "endpoint_a": a, "endpoint_b": b, "via": stops}
        | {"barrier_linear": value, "max": value}
        for (a, stops, b), value in tours.items()
    ]
    return pd.concat([barriers, frame("barriers", rows)], ignore_index=True)


@pytest.fixture
def barriers():
    return barrier_frame(dyadic(6, np.random.default_rng(0)))


@pytest.fixture
def mixed(barriers):
    tours = {
        ("e00", ("e01",), "e02"): 9.0,
        ("e02", ("e03",), "e04"): 8.0,
        ("e03", ("e00",), "e05"): 6.0,
        ("e04", ("e05",), "e01"): 5.0,
        ("e05", ("e01", "e02"), "e03"): 7.0,
    }
    return with_tours(barriers, tours)


def test_tours_are_no_pairs(barriers, mixed):
    alone, row = barrier_summary(barriers).iloc[0], barrier_summary(mixed).iloc[0]
    assert (row["tours"], row["pairs"], alone["tours"]) == (5, 15, 0)
    assert row.drop("tours").to_dict() == alone.drop("tours").to_dict()
    pd.testing.assert_frame_equal(minimax_saddles(mixed), minimax_saddles(barriers))
    other = mixed.assign(kind="bezier", barrier_linear=mixed["barrier_linear"] / 2)
    ratio = barrier_ratio(pd.concat([mixed, other]), {"kind": "linear"}, {"kind": "bezier"}, metric="train_loss")
    assert (ratio["pairs"][0], ratio["ratio"][0]) == (15, pytest.approx(2))


def test_tours_are_grouped_by_their_number_of_stops(mixed):
    table = barrier_summary(mixed, by=("kind", "via"), statistic="mean")
    assert table["via"].fillna(0).tolist() == [0, 1, 2]
    assert table["estimate"][1] == pytest.approx(7)
    assert (table["pairs"].tolist(), table["endpoints"].tolist()) == ([15, 4, 1], [6, 6, 4])
    assert table["tours"].tolist() == [0, 0, 0]
    assert table["low"][1] < 7 < table["high"][1]


def test_the_ratio_of_tours_over_the_same_tours(mixed):
    other = mixed.assign(kind="bezier", barrier_linear=mixed["barrier_linear"] / 4)
    table = barrier_ratio(
        pd.concat([mixed, other]), {"kind": "linear", "via": 1}, {"kind": "bezier", "via": 1}, metric="train_loss"
    )
    assert (table["pairs"][0], table["ratio"][0]) == (4, pytest.approx(4))
    nothing = barrier_ratio(mixed, {"kind": "linear", "via": 5}, {"kind": "linear"}, metric="train_loss")
    assert (nothing["pairs"][0], nothing["reason"][0]) == (0, "no values")


def test_all_end_points_of_a_tour_are_its_units(mixed):
    tours = mixed[mixed["via"].notna()]
    units, n = codes(tours, None)
    names = [{a, b, *via} for a, b, via in zip(tours["endpoint_a"], tours["endpoint_b"], tours["via"], strict=True)]
    values = tours[["barrier_linear"]].to_numpy()
    samples = resample(units, n, "jackknife", 0, np.random.default_rng(0))
    rests = [[v for v, own in zip(values[:, 0], names, strict=True) if f"e{i:02d}" not in own] for i in range(n)]
    expected = [np.mean(rest) for rest in rests if rest]
    np.testing.assert_allclose(replicate(values, samples.weights, "mean")[:, 0], expected)


def test_a_tour_walked_backwards_is_the_same_one():
    rows = barrier_frame({("a", "c"): 1.0, ("c", "a"): 3.0, ("d", "d"): 4.0}).assign(
        via=pd.Series([["b", "e"], np.array(["e", "b"]), ["y", "x"]], dtype=object)
    )
    table, missing = one_per_pair(rows, "max")
    assert table.to_dict("list") == {
        "endpoint_a": ["a", "d"],
        "endpoint_b": ["c", "d"],
        "via": [("b", "e"), ("x", "y")],
        "value": [2.0, 4.0],
    }
    assert missing == 0
    assert tour_stops(unordered(rows)) == [("b", "e"), ("b", "e"), ("x", "y")]


def test_tables_without_the_column_have_no_tours(barriers):
    old = barriers.drop(columns=["via", "alignment", "repair"])
    assert without_tours(old)[1] == 0
    assert [key for key, _ in groups(old, ["kind", "via"])] == [("linear", None)]
    assert barrier_summary(old)["estimate"][0] == barrier_summary(barriers)["estimate"][0]


def test_profiles_of_tours_are_left_out():
    tables = {name: frame(name, rows) for name, rows in sweep_rows(seeds=range(4)).items()}
    paths = tables["paths"].astype({"via": object})
    paths.at[0, "via"] = ["digits-3"]
    table = mean_profile(tables["path_points"], paths, "train_loss").query("kind == 'linear'")
    assert (set(table["paths"]), set(table["tours"])) == ({5}, {1})
    apart = mean_profile(tables["path_points"], paths, "train_loss", by=("kind", "via"))
    assert set(apart.loc[apart["via"] == 1, "endpoints"]) == {3}
