"""Curvature over many pairs: ratios, shares, profiles."""

import numpy as np
import pytest

from mcdist.analysis import (
    barrier_summary,
    control_summary,
    curvature_profile,
    curvature_ratio_summary,
    curvature_ratios,
    families,
)
from mcdist.errors import RequestError

from .frames import frame, sweep_rows
from .measured import S, curvature_rows, with_measures


@pytest.fixture(scope="module")
def tables():
    rows = with_measures(sweep_rows(), {"bezier": 1.0, "chain": 0.5})
    return {name: frame(name, part) for name, part in rows.items()}


@pytest.fixture(scope="module")
def ratios(tables):
    return curvature_ratios(tables["curvature"], tables["paths"])


def summary(ratios, kind="bezier", measure="fisher_trace", **options):
    table = curvature_ratio_summary(ratios, **options)
    return table[(table["kind"] == kind) & (table["measure"] == measure)].iloc[0]


def test_the_median_ratio_and_its_interval(ratios):
    row = summary(ratios)
    mine = ratios[(ratios["kind"] == "bezier") & (ratios["measure"] == "fisher_trace")]
    assert row["estimate"] == pytest.approx(mine["mid_over_ends"].median())
    assert row["geometric"] == pytest.approx(np.exp(np.log(mine["mid_over_ends"]).mean()))
    assert row["difference"] == pytest.approx(mine["mid_minus_ends"].median())
    assert row["stderr"] == pytest.approx(mine["mid_over_ends_stderr"].median())
    assert (row["pairs"], row["endpoints"], row["missing"], row["why"]) == (15, 6, 0, "")
    for name in ("", "geometric_", "difference_"):
        assert row[f"{name}low"] < row[f"{name.rstrip('_') or 'estimate'}"] < row[f"{name}high"]


def test_exact_measures_have_no_standard_error(ratios):
    assert np.isnan(summary(ratios, measure="lambda_max")["stderr"])


def test_the_interval_is_that_of_a_column_over_pairs(ratios):
    mine = ratios[(ratios["kind"] == "bezier") & (ratios["measure"] == "fisher_trace")]
    logs = mine.assign(metric="m", log=np.log(mine["max_over_ends"].astype(float)))
    expected = barrier_summary(logs, value="log", statistic="mean").iloc[0]
    row = summary(ratios, value="max_over_ends")
    assert [row["geometric_low"], row["geometric_high"]] == pytest.approx(np.exp([expected["low"], expected["high"]]))


def test_the_share_above_both_and_its_interval(ratios):
    row = summary(ratios)
    assert (row["share"], row["share_high"], row["share_pairs"]) == (1, 1, 15)
    assert row["share_low"] == pytest.approx(0.025 ** (1 / 6))
    some = ratios.copy()
    mine = some.index[(some["kind"] == "bezier") & (some["measure"] == "fisher_trace")]
    some.loc[mine[:5], "above_both_ends"] = False
    row = summary(some)
    assert row["share"] == pytest.approx(2 / 3)
    assert 0 < row["share_low"] < 2 / 3 < row["share_high"] < 1


def test_missing_ratios_are_counted_with_their_reasons(tables):
    curvature = tables["curvature"].copy()
    mine = tables["paths"].loc[tables["paths"]["kind"] == "bezier", "path_id"].tolist()
    at_end = (curvature["t"] == 0) & (curvature["role"] == "path")
    curvature.loc[(curvature["path_id"] == mine[0]) & at_end, "value"] = -1.0
    curvature.loc[(curvature["path_id"] == mine[1]) & at_end, "value"] = np.nan
    curvature = curvature[curvature["path_id"] != mine[2]]
    ratios = curvature_ratios(curvature, tables["paths"])
    row = summary(ratios)
    assert (row["pairs"], row["missing"]) == (12, 3)
    assert row["why"] == "1 no value at an end; 1 not measured; 1 not positive at an end: read the difference"
    assert (row["share_pairs"], row["share_missing"]) == (13, 2)
    whole = ratios[(ratios["kind"] == "bezier") & (ratios["measure"] == "fisher_trace")]
    assert row["difference"] == pytest.approx(whole["mid_minus_ends"].median())


def test_one_pair_has_numbers_without_intervals():
    tables = {name: frame(name, part) for name, part in with_measures(sweep_rows(seeds=range(2)), {"chain": 1}).items()}
    row = summary(curvature_ratios(tables["curvature"], tables["paths"]), kind="chain")
    assert (row["pairs"], row["share"], row["reason"]) == (1, 1, "too few end points: 2 independent, 4 needed")
    assert np.isnan(row[["low", "high", "geometric_low", "share_low", "share_high"]].astype(float)).all()


def test_end_points_that_were_trained_on_are_no_units_of_their_own(tables, ratios):
    ends = tables["endpoints"].assign(seed=range(6)).astype({"parent_id": object})
    ends.loc[1, "parent_id"] = ends.loc[0, "endpoint_id"]
    row = summary(ratios, families=families(ends))
    assert (row["endpoints"], row["units"]) == (6, 5)
    assert row["share_low"] == pytest.approx(0.025 ** (1 / 5))


def test_several_seeds_of_the_subset_are_one_pair(tables):
    again = tables["curvature"].assign(subset_seed=1, task_id="again")
    again["value"] *= 2
    both = frame("curvature", [*tables["curvature"].to_dict("records"), *again.to_dict("records")])
    row = summary(curvature_ratios(both, tables["paths"]))
    assert (row["pairs"], row["rows"]) == (15, 30)
    profile = curvature_profile(both, tables["paths"], "fisher_trace").query("kind == 'chain'")
    assert set(profile["paths"]) == {30}


def test_an_unknown_comparison_is_refused(ratios):
    with pytest.raises(RequestError, match="value: got 'mid_over_end'; allowed: mid_over_ends"):
        curvature_ratio_summary(ratios, value="mid_over_end")


@pytest.mark.parametrize(("axis", "places"), [("s", S), ("t", S**2)])
def test_the_mean_curvature_along_the_paths(tables, axis, places):
    table = curvature_profile(tables["curvature"], tables["paths"], "lambda_max", axis=axis)
    assert table["kind"].unique().tolist() == ["bezier", "chain"]
    curvature = tables["curvature"].query("measure == 'lambda_max' and role == 'path'")
    joined = curvature.merge(tables["paths"][["path_id", "kind"]], on="path_id")
    expected = joined.groupby(["kind", "s"])["value"].mean()
    np.testing.assert_allclose(table["estimate"].to_numpy(float), expected.to_numpy())
    np.testing.assert_allclose(table[axis].to_numpy(float)[:9], places)
    assert (table["low"].to_numpy(float)[3:6] < table["estimate"].to_numpy(float)[3:6]).all()


def test_several_settings_are_not_mixed(tables):
    mixed = frame("curvature", [*tables["curvature"].to_dict("records"), *curvature_rows(tables["paths"].iloc[1])])
    mixed.loc[mixed.index[-1], "n_samples"] = 50
    mixed.loc[mixed.index[-1], "role"] = "path"
    with pytest.raises(RequestError, match="fisher_trace is there with several values of n_samples: 100, 50"):
        curvature_profile(mixed, tables["paths"], "fisher_trace")


def test_a_measure_that_is_not_there_is_refused(tables):
    with pytest.raises(RequestError, match="unknown measure 'lambda_min'; did you mean 'lambda_max'"):
        curvature_profile(tables["curvature"], tables["paths"], "lambda_min")


def test_the_controls_at_each_end(tables):
    table = control_summary(tables["curvature"], tables["paths"], "fisher_trace")
    assert table[["kind", "t", "estimate"]].to_numpy().tolist() == [
        ["bezier", 0, pytest.approx(1.1)],
        ["bezier", 1, pytest.approx(1.2)],
        ["chain", 0, pytest.approx(1.1)],
        ["chain", 1, pytest.approx(1.2)],
    ]
