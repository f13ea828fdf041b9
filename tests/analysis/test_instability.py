"""Instabilities of networks that were split: what they are, and over parents."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import instabilities, instability_profile, pair_summary
from mcdist.errors import RequestError

from .frames import frame
from .split import CURVED, ENDS, EPOCHS, ERRORS, frames, rise, split_tables


def of(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    return table[table["measure"] == measure]


def test_the_rise_above_the_mean_of_the_ends_and_its_ratio() -> None:
    table = instabilities(*frames(split_tables()))
    assert len(table) == 6 * len(EPOCHS) * len(ENDS)
    for row in table.itertuples():
        height, ends = rise(row.measure, row.seed, int(row.spawn_epoch)), ENDS[row.measure]
        assert row.what == ("energetic" if row.measure in ERRORS else "curvature")
        assert (row.ends, row.sup) == (pytest.approx(ends), pytest.approx(ends + height))
        assert row.instability == pytest.approx(height, abs=1e-12)
        if row.measure == "log_det":
            assert np.isnan(row.ratio), "a ratio of logarithms means nothing"
        else:
            assert row.ratio == pytest.approx(1 + height / ends)
        assert (row.lr, row.epochs, row.parent_id) == (0.1, 20, f"digits-trunk{row.seed}-0.1")


def test_the_greatest_value_may_be_at_an_end() -> None:
    """Without a barrier what is left is half the difference of the ends."""
    rows = split_tables(parents=[0], epochs=[0])
    for row in rows["curvature"]:
        row["value"] = 3.0 - 2.0 * row["t"]
    table = of(instabilities(*frames(rows)), "lambda_max")
    assert table[["ends", "sup", "instability", "ratio"]].to_numpy().tolist() == [[2.0, 3.0, 1.0, 1.5]]


def test_only_branches_of_one_parent_and_epoch_on_straight_lines_count() -> None:
    rows = split_tables(parents=[0, 1], epochs=[0, 4])
    (first, *_) = rows["paths"]
    others = [
        {"path_id": "bezier", "kind": "bezier"},
        {"path_id": "aligned", "aligned": True},
        {"path_id": "repaired", "repair": True},
        {"path_id": "epochs", "endpoint_b": "digits-trunk0-0.1-4-1"},
        {"path_id": "parents", "endpoint_b": "digits-trunk1-0.1-0-1"},
        {"path_id": "end points", "endpoint_a": "plain0", "endpoint_b": "plain1"},
    ]
    plain = [
        rows["endpoints"][0] | {"endpoint_id": f"plain{i}", "parent_id": None, "spawn_epoch": None} for i in (0, 1)
    ]
    own = {row["path_id"] for row in rows["paths"]}
    rows["paths"] += [first | other for other in others]
    rows["endpoints"] += plain
    for name in ("barriers", "curvature"):
        mine = [row for row in rows[name] if row["path_id"] == first["path_id"]]
        rows[name] += [row | {"path_id": other["path_id"]} for other in others for row in mine]
    assert set(instabilities(*frames(rows))["path_id"]) == own


def test_of_profiles_the_finest_and_of_curvature_each_subset() -> None:
    rows = split_tables(parents=[0], epochs=[0])
    rows["barriers"] += [row | {"n_points": 11, "max": 9.0} for row in rows["barriers"]]
    rows["curvature"] += [row | {"subset_seed": 1, "value": 2 * row["value"]} for row in rows["curvature"]]
    table = instabilities(*frames(rows))
    assert table["measure"].value_counts().to_dict() == dict.fromkeys(ERRORS, 1) | dict.fromkeys(CURVED, 2)
    assert of(table, "train_loss")["sup"].item() < 1
    assert sorted(of(table, "lambda_max")["ends"]) == pytest.approx([2.0, 4.0])


def test_a_value_that_is_missing_may_be_the_greatest() -> None:
    rows = split_tables(parents=[0], epochs=[0])
    for row in rows["curvature"]:
        if row["measure"] == "lambda_max" and row["t"] == 0.25:
            row["value"] = None
    rows["curvature"] = [row for row in rows["curvature"] if row["measure"] != "fisher_trace" or row["t"] < 1]
    table = instabilities(*frames(rows))
    for measure in ("lambda_max", "fisher_trace"):
        assert of(table, measure)[["sup", "instability", "ratio"]].isna().all(axis=None)


def test_a_line_that_was_not_measured_is_missing() -> None:
    rows = split_tables()
    lost = rows["paths"][0]["path_id"]
    rows["curvature"] = [row for row in rows["curvature"] if row["path_id"] != lost]
    table = instabilities(*frames(rows))
    assert of(table, "lambda_max").set_index("path_id").loc[lost, ["ends", "sup", "instability", "ratio"]].isna().all()
    profile = of(instability_profile(table), "lambda_max").set_index("spawn_epoch")
    assert profile["missing"].tolist() == [1, 0, 0, 0, 0]


def test_errors_of_0_have_an_instability_and_no_ratio() -> None:
    rows = split_tables(parents=[0], epochs=[0])
    for row in rows["barriers"]:
        row |= {"value_a": 0.0, "value_b": 0.0}
    table = of(instabilities(*frames(rows)), "train_error")
    assert table["instability"].notna().all()
    assert table["ratio"].isna().all()


def test_several_settings_of_a_measure_are_refused() -> None:
    rows = split_tables(parents=[0], epochs=[0])
    rows["curvature"] += [row | {"n_samples": 50} for row in rows["curvature"]]
    with pytest.raises(RequestError, match="fisher_trace is there with several values of n_samples: 100, 50; pass one"):
        instabilities(*frames(rows))


def test_problems_may_differ_in_their_settings() -> None:
    rows, other = split_tables(), split_tables(problem="fashion")
    for row in other["curvature"]:
        row["n_samples"] = 500
    both = {name: rows[name] + other[name] for name in rows}
    table = instabilities(*frames(both))
    assert table["problem"].value_counts().nunique() == 1


def test_tables_may_be_without_what_was_not_measured_or_split() -> None:
    endpoints, paths, barriers, curvature = frames(split_tables())
    assert set(instabilities(endpoints, paths, barriers)["what"]) == {"energetic"}
    assert set(instabilities(endpoints, paths, None, curvature)["what"]) == {"curvature"}
    assert set(instabilities(endpoints, paths, barriers, frame("curvature", []))["what"]) == {"energetic"}
    unsplit = endpoints.assign(spawn_epoch=None)
    for tables in ((unsplit, paths, barriers, curvature), [frame(n, []) for n in ("endpoints", "paths", "barriers")]):
        table = instabilities(*tables)
        assert table.empty
        assert list(table.columns) == list(instabilities(endpoints, paths, barriers, curvature).columns)
        assert instability_profile(table).empty


def noisy(measure: str, parent: int, epoch: int) -> float:
    own = np.random.default_rng([parent, epoch, len(measure)])
    return float(rise(measure, parent, epoch) * (1 + 0.3 * own.normal()))


def test_the_profile_is_the_median_with_an_interval_over_parents() -> None:
    table = instabilities(*frames(split_tables(noisy)))
    profile = instability_profile(table)
    assert len(profile) == len(EPOCHS) * len(ENDS)
    for key, rows in table.groupby(["measure", "spawn_epoch"]):
        row = profile[(profile["measure"] == key[0]) & (profile["spawn_epoch"] == key[1])].iloc[0]
        assert row["instability"] == pytest.approx(rows["instability"].median())
        assert row["ratio"] == pytest.approx(rows["ratio"].median(), nan_ok=True)
        assert row["instability_low"] < row["instability"] < row["instability_high"]
        assert (row["part"], row["pairs"], row["units"]) == (key[1] / 20, 6, 6)
    assert (profile["instability_low"] >= 0).all()
    assert (profile["ratio_low"].dropna() >= 1).all()


def test_several_branches_of_a_parent_are_one_unit() -> None:
    """Three branches have three pairs, of which all are of one network: an interval as wide as that of its means."""

    def law(measure: str, parent: int, epoch: int) -> float:
        return noisy(measure, parent, 0)

    table = of(instabilities(*frames(split_tables(law, branches=3, epochs=[0]))), "test_error")
    row = instability_profile(table, statistic="mean").iloc[0]
    assert (row["pairs"], row["units"]) == (18, 6)
    one = of(instabilities(*frames(split_tables(law, branches=2, epochs=[0]))), "test_error")
    expected = pair_summary(
        one, "one", [], "instability", "mean", families=dict(one[["endpoint_b", "endpoint_a"]].to_numpy())
    )
    assert expected["units"].item() == 6
    for end in ("low", "high"):
        assert row[f"instability_{end}"] == pytest.approx(expected[end].item())


def test_few_parents_have_numbers_without_intervals() -> None:
    profile = instability_profile(instabilities(*frames(split_tables(noisy, parents=range(3)))))
    assert set(profile["reason"]) == {"too few end points: 3 independent, 4 needed"}
    assert profile["instability"].notna().all()
    assert profile["instability_low"].isna().all()
