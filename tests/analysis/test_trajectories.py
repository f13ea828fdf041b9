"""Trajectories over seeds, and whether low points of the rate are better than high ones."""

import numpy as np
import pytest
from scipy import stats

from mcdist.analysis import low_points, trajectory_summary
from mcdist.errors import RequestError

from .ensembled import frames, trajectory


def table(seeds=range(5), **options):
    rng = np.random.default_rng(0)
    return frames("trajectories", [look for seed in seeds for look in trajectory(seed, rng, **options)])


def test_each_look_is_a_mean_over_seeds_with_students_interval():
    rows = table(epochs=24)
    found = trajectory_summary(rows).set_index("iteration")
    assert found.index.tolist() == [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70]
    values = rows.loc[rows["iteration"] == 25, "test_error"].to_numpy(dtype=float)
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    row = found.loc[25]
    np.testing.assert_allclose(
        row[["test_error", "test_error_low", "test_error_high"]].astype(float), [values.mean(), low, high]
    )
    assert (row["epoch"], row["seeds"], row["until"]) == (18.5, 5, 23.0)
    assert found.loc[found["member"].notna(), "lr"].tolist() == [pytest.approx(0.01)] * 4
    assert found["member"].dropna().tolist() == [0, 1, 2, 3]


def test_settings_are_told_apart_by_what_differs():
    rows = frames("trajectories", table().to_dict("records") + table(lr1=0.1).to_dict("records"))
    found = trajectory_summary(rows)
    assert set(found["label"]) == {"triangle, lr1 0.05", "triangle, lr1 0.1"}
    assert set(found["seeds"]) == {5}


def test_runs_of_other_lengths_are_other_settings():
    """Cosine cycles that are stretched have another rate at the same step."""
    rows = frames("trajectories", table().to_dict("records") + table(epochs=24).to_dict("records"))
    assert set(trajectory_summary(rows)["label"]) == {"triangle, until epoch 19", "triangle, until epoch 23"}


def test_errors_rise_to_the_high_points_by_as_much_as_they_do():
    row = low_points(table(epochs=24, rise=0.05)).iloc[0]
    assert row["error_rise"] == pytest.approx(0.05, abs=2e-4)
    assert row["nll_rise"] == pytest.approx(0.15, abs=6e-4)
    assert row["error_rise_low"] < row["error_rise"] < row["error_rise_high"]
    assert (row["shows"], row["seeds"], row["compared"]) == ("shown", 5, 15)
    assert (row["low_lr"], row["high_lr"]) == (pytest.approx(0.01), pytest.approx(0.05))
    assert row["high_error"] - row["low_error"] == pytest.approx(row["error_rise"])


def test_the_opposite_is_said_and_too_few_seeds_show_nothing():
    assert low_points(table(rise=-0.05)).iloc[0]["shows"] == "the opposite"
    few = low_points(table(seeds=range(3))).iloc[0]
    assert few["shows"] == "not shown"
    assert few["reason"] == "too few seeds: 3 independent, 4 needed"


def test_the_difference_is_taken_within_each_seed():
    """Seeds far apart from each other do not hide what each of them shows."""
    rows = table()
    rows["test_error"] += rows["seed"] * 1.0
    assert low_points(rows).iloc[0]["shows"] == "shown"


def test_the_progress_of_training_is_no_rise():
    """An error that falls all the way, whatever the rate, makes neither side better."""
    rows = table(epochs=24, rise=0.0)
    rows["test_error"] = rows["test_error"].astype(float) - 0.001 * rows["iteration"]
    row = low_points(rows).iloc[0]
    assert row["error_rise"] == pytest.approx(0, abs=2e-4)
    assert row["shows"] == "not shown"


def test_the_distance_of_the_first_and_last_member():
    rows = table(epochs=24)
    rows["distance"] = rows["distance"].astype(float) * (1 + 0.1 * rows["seed"])
    row = low_points(rows).iloc[0]
    assert row["distance_first"] == pytest.approx(10**0.5 * 1.2)
    assert row["distance_last"] == pytest.approx(70**0.5 * 1.2)
    assert row["distance_first_low"] < row["distance_first"] < row["distance_first_high"]


def test_members_without_a_look_between_them_are_not_compared():
    rows = table()
    row = low_points(rows[rows["member"].notna() | (rows["iteration"] == 0)]).iloc[0]
    assert (row["seeds"], row["compared"], row["shows"]) == (0, 0, "not shown")
    assert row["reason"] == "no look between two members"


def test_no_trajectories_are_no_rows_and_missing_columns_are_refused():
    empty = frames("trajectories", [])
    assert trajectory_summary(empty).empty
    assert low_points(empty).empty
    with pytest.raises(RequestError, match="trajectories: unknown column 'lr'"):
        low_points(table().drop(columns="lr"))
