import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import barrier_summary, mean_profile
from mcdist.errors import RequestError

from .frames import T, frame, sweep_rows


@pytest.fixture
def tables():
    return {name: frame(name, rows) for name, rows in sweep_rows().items()}


def test_the_mean_over_paths_on_their_own_grid(tables):
    table = mean_profile(tables["path_points"], tables["paths"], "test_loss")
    points = tables["path_points"].merge(tables["paths"][["path_id", "kind"]], on="path_id")
    expected = points.groupby(["kind", "t"])["test_loss"].mean()
    assert list(table["kind"].unique()) == ["bezier", "chain", "linear"]
    np.testing.assert_allclose(table["estimate"].to_numpy(float), expected.to_numpy())
    assert (table["low"] < table["estimate"]).all()
    assert (table["paths"] == 15).all()
    assert (table["missing"] == 0).all()


def test_the_band_at_one_t_is_the_interval_of_that_value(tables):
    table = mean_profile(tables["path_points"], tables["paths"], "train_loss")
    middle = table[(table["kind"] == "linear") & (table["t"] == 0.5)].iloc[0]
    points = tables["path_points"].merge(tables["paths"].drop(columns="task_id"), on="path_id")
    rows = points[(points["t"] == 0.5) & (points["kind"] == "linear")].assign(metric="train_loss")
    expected = barrier_summary(rows, value="train_loss", statistic="mean").iloc[0]
    np.testing.assert_allclose(middle[["low", "high"]].to_numpy(float), expected[["low", "high"]].to_numpy(float))


def test_different_grids_are_interpolated(tables):
    points = tables["path_points"]
    first = points["path_id"].iloc[0]
    thinned = points[(points["path_id"] != first) | points["t"].isin(T[::2])]
    same_kind = tables["paths"][lambda paths: paths["kind"] == "linear"]
    table = mean_profile(thinned, same_kind, "train_loss")
    whole = mean_profile(points, same_kind, "train_loss", t=np.linspace(0, 1, 61))
    assert (table["missing"] == 0).all()
    assert len(table) == 61
    np.testing.assert_allclose(table["estimate"].to_numpy(float), whole["estimate"].to_numpy(float), rtol=0.01)


def test_a_profile_with_a_hole_or_cut_short_is_missing_as_a_whole(tables):
    points, paths = tables["path_points"].copy(), tables["paths"]
    linear = paths.loc[paths["kind"] == "linear", "path_id"].tolist()
    points.loc[(points["path_id"] == linear[0]) & (points["t"] == T[3]), "train_loss"] = np.nan
    points = points[~((points["path_id"] == linear[1]) & (points["t"] > 0.9))]
    rows = mean_profile(points, paths, "train_loss").query("kind == 'linear'")
    assert set(rows["paths"]) == {13}
    assert set(rows["missing"]) == {2}


def test_two_end_points_have_a_line_without_a_band():
    tables = {name: frame(name, rows) for name, rows in sweep_rows(seeds=range(2)).items()}
    table = mean_profile(tables["path_points"], tables["paths"])
    assert table["estimate"].notna().all()
    assert table[["low", "high"]].isna().all(axis=None)
    assert set(table["reason"]) == {"too few end points: 2 independent, 4 needed"}


def test_no_paths_no_rows():
    table = mean_profile(frame("path_points", []), frame("paths", []))
    assert len(table) == 0


def test_an_unknown_metric_is_refused(tables):
    with pytest.raises(RequestError, match="path_points: unknown column 'train_los'; did you mean 'train_loss'"):
        mean_profile(tables["path_points"], tables["paths"], "train_los")


def test_a_path_measured_twice_gives_two_profiles(tables):
    again = tables["path_points"].assign(task_id=lambda rows: rows["task_id"] + "-again")
    table = mean_profile(pd.concat([tables["path_points"], again]), tables["paths"])
    assert (table["paths"] == 30).all()
