"""Mean drifts: what is counted, what is averaged, how exponents and free energies come of them."""

import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import drift_fit, drift_points, drift_summary, free_energy_from_drift
from mcdist.analysis.shares import share_interval
from mcdist.errors import RequestError

from .moved import STARTS, drift_rows, frames, pairs

PATHS = pairs(6)


def points(paths=PATHS, seed=0, **options):
    rng = np.random.default_rng(seed)
    rows = [row for path in paths for row in drift_rows(path, rng, **options)]
    return drift_points(frames("drifts", rows), frames("paths", paths))


def change(table, where, **values):
    table = table.copy()
    for name, value in values.items():
        table.loc[where, name] = value
    return table


def again(table):
    """The points of a table that was changed by hand."""
    return drift_points(table[frames("drifts", []).columns], frames("paths", PATHS))


def test_a_point_has_its_pair_its_z_and_the_settings_of_the_noise():
    table = points()
    assert len(table) == 15 * 5 * 3
    np.testing.assert_allclose(table["z"], table["drift_noise"] / table["stderr"])
    np.testing.assert_allclose(table["velocity_noise"] * table["t_eff"], table["drift_noise"])
    assert set(table["lr"]) == {0.1}
    assert set(table["batch_size"]) == {4, 16, 64}
    assert table["endpoint_a"].notna().all()


def test_local_is_below_the_bound_and_unknown_excursions_are_not():
    table = change(points(), 0, excursion=0.2)
    table = again(change(table, 1, excursion=np.nan))
    assert table["local"].tolist()[:3] == [False, False, True]
    assert drift_points(table[frames("drifts", []).columns], frames("paths", PATHS), local=0.3)["local"][0]


def test_no_error_no_z():
    assert np.isnan(again(change(points(), 0, stderr=0.0))["z"][0])


def test_without_noise_there_is_no_z_but_rounding():
    table = again(change(points(), 0, t_nominal=0.0, drift_noise=1e-17, stderr=1e-18))
    assert np.isnan(table["z"][0])
    assert np.isfinite(table["z"][1:]).all()


@pytest.fixture(scope="module")
def summary():
    return drift_summary(points(error=0.3)).set_index("batch_size")


def test_the_middle_is_no_part_of_what_is_outward(summary):
    assert summary["points"].tolist() == [75] * 3
    assert summary["middle"].tolist() == [15] * 3
    assert summary["local"].tolist() == [60] * 3


def test_the_share_is_over_points_and_its_interval_over_end_points(summary):
    table = points(error=0.3)
    for batch, row in summary.iterrows():
        mine = table[(table["batch_size"] == batch) & (table["s"] != 0.5)]
        share = (mine["z"] > 3).mean()
        assert 0 < share < 1
        assert row["outward"] == pytest.approx(share)
        assert [row["outward_low"], row["outward_high"]] == pytest.approx(share_interval(share, 6))
        assert row["clear_points"] == (mine["z"] > 3).sum()
        assert row["drift_noise"] == pytest.approx(mine["drift_noise"].mean())
        assert row["drift_noise_low"] < row["drift_noise"] < row["drift_noise_high"]


def test_what_is_not_local_is_left_out_of_everything(summary):
    table = points(error=0.3)
    far = again(change(table, table["s"] == 0.15, excursion=0.5, drift_noise=99.0))
    found = drift_summary(far).set_index("batch_size")
    assert found["local"].tolist() == [45] * 3
    assert (found["drift_noise"] < 1).all()
    assert found["excursion"].tolist() == pytest.approx([0.05] * 3)


def test_missing_drifts_are_counted(summary):
    table = points(error=0.3)
    gone = (table["batch_size"] == 4) & (table["s"] == 0.3)
    found = drift_summary(again(change(table, gone, drift_noise=np.nan, diverged=32))).set_index("batch_size")
    assert (found.loc[4, "missing"], found.loc[4, "local"], found.loc[4, "diverged"]) == (15, 45, 15 * 32)
    assert (found.loc[16, "missing"], found.loc[16, "diverged"]) == (0, 0)


def test_full_batches_against_noise():
    table = points(error=0.01, full=-0.01)
    row = drift_summary(table).set_index("batch_size").loc[4]
    mine = table[(table["batch_size"] == 4) & (table["s"] != 0.5)]
    assert row["ratio"] == pytest.approx(mine["drift_full_batch"].mean() / mine["drift_noise"].mean())
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"] < 0
    assert row["opposite"] == 60
    assert drift_summary(points(error=0.01, full=0.01))["opposite"].tolist() == [0, 0, 0]


def test_a_ratio_to_what_may_be_zero_has_no_interval():
    row = drift_summary(points(factor=0.0, error=0.3)).iloc[0]
    assert np.isnan(row["ratio_low"])
    assert row["ratio_reason"] == "what is divided by is not told from zero"


def test_too_few_end_points_have_no_intervals():
    row = drift_summary(points(pairs(3))).iloc[0]
    assert row["reason"] == row["ratio_reason"] == "too few end points: 3 independent, 4 needed"
    assert np.isfinite(row["outward"])
    assert np.isnan([row["outward_low"], row["drift_noise_low"], row["ratio_low"]]).all()


def test_settings_and_kinds_are_groups():
    other = points([path | {"path_id": f"x{path['path_id']}", "kind": "autoneb"} for path in PATHS])
    both = pd.concat([points(), other], ignore_index=True)
    assert len(drift_summary(both)) == 6
    assert drift_summary(both, ("kind",))["points"].tolist() == [225, 225]


def test_columns_that_are_not_there_are_refused():
    with pytest.raises(RequestError, match="drifts: unknown column 'excursion'"):
        drift_points(frames("drifts", []).drop(columns="excursion"), frames("paths", PATHS))
    with pytest.raises(RequestError, match="drifts: unknown column 'kid'; did you mean 'kind'"):
        drift_summary(points(), ("kid",))


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_law(exponent):
    row = drift_fit(points(exponent=exponent, error=1e-6)).iloc[0]
    assert row["exponent"] == pytest.approx(exponent, abs=1e-3)
    assert row["exponent_all"] == pytest.approx(exponent, abs=1e-3)
    assert (row["points"], row["rows"], row["temperatures"], row["left_out"]) == (60, 180, 3, 0)


def test_drifts_that_are_not_outward_are_counted_and_kept_on_the_linear_scale():
    found = [drift_fit(points(seed=seed, error=0.8)).iloc[0] for seed in range(8)]
    assert all(row["left_out"] > 0 for row in found)
    flattened = np.mean([row["exponent"] for row in found])
    whole = [row["exponent_all"] for row in found]
    assert flattened < 0.93
    assert np.mean(whole) == pytest.approx(1.0, abs=3 * np.std(whole) / 8**0.5)


def test_a_negative_law_is_not_hidden_by_logarithms():
    row = drift_fit(points(factor=-1.0, error=0.01)).iloc[0]
    assert row["left_out"] == row["rows"]
    assert np.isnan(row["exponent"])
    assert row["exponent_all"] == pytest.approx(1.0, abs=0.02)
    assert row["slope_high"] < 0


def test_the_slope_of_proportional_drifts():
    flat = points(error=1e-6)
    flat["velocity_noise"] = 2.5 * flat["t_nominal"]
    row = drift_fit(flat).iloc[0]
    assert row["slope"] == pytest.approx(2.5)
    measured = drift_fit(flat, on="t_measured").iloc[0]
    assert (measured["slope"], measured["exponent"]) == (pytest.approx(2.5 / 3), pytest.approx(1.0))


def test_unequal_times_are_not_compared_unless_asked():
    table = points(error=1e-6)
    late = table["batch_size"] == 4
    table = change(table, late, t_eff=20.0)
    assert drift_fit(table).iloc[0]["temperatures"] == 2
    assert drift_fit(table, equal_time=False).iloc[0]["temperatures"] == 3


def test_one_temperature_has_no_exponent():
    row = drift_fit(points(settings=[(0.1, 8)])).iloc[0]
    assert (row["points"], row["exponent_reason"]) == (0, "no values")
    assert np.isnan(row["exponent_all"])


def test_the_column_of_temperatures_is_checked():
    with pytest.raises(RequestError, match="on: got 't'; allowed: t_nominal, t_measured"):
        drift_fit(points(), on="t")


def test_the_free_energy_is_the_integral_of_the_force_in_arclength():
    """F = k cos(2 pi l / length) / 2 pi x length has dl/dt = k sin(2 pi s): outward on either side for k < 0."""
    starts = np.linspace(0.05, 0.95, 91)
    k, length, time = -0.3, 5.0, 10.0
    velocity = k * np.sin(2 * np.pi * starts)  # along increasing s, in weights per time
    side = np.where(starts < 0.5 - 1e-9, -1.0, 1.0)
    (path,) = pairs(2)
    rows = drift_rows(path, np.random.default_rng(0), starts=starts, settings=[(0.1, 8)])
    for row, v, sign in zip(rows, velocity, side, strict=True):
        row.update(drift_noise=sign * v * time / length, stderr=0.01, drift_full_batch=-sign * v * time / length)
    found = free_energy_from_drift(drift_points(frames("drifts", rows), frames("paths", [path])))
    expected = k * length / (2 * np.pi) * (np.cos(2 * np.pi * starts) - np.cos(2 * np.pi * starts[0]))
    np.testing.assert_allclose(found["f_noise"], expected, atol=2e-4)  # the trapezoid rule: h^2 / 12 of F''
    np.testing.assert_allclose(found["f_full_batch"], -expected, atol=2e-4)
    weight = np.full(91, 0.01) * length**2 / time * 0.01
    assert found["f_noise_stderr"].iloc[-1] == pytest.approx(np.sqrt((weight[1:-1] ** 2).sum() + weight[0] ** 2 / 2))
    assert found["f_noise"].iloc[0] == found["f_noise_stderr"].iloc[0] == 0


def test_free_energies_are_by_path_and_setting():
    found = free_energy_from_drift(points())
    assert len(found) == 15 * 3 * len(STARTS)
    assert found.groupby(["path_id", "batch_size"])["f_noise"].first().eq(0).all()
    assert free_energy_from_drift(points().iloc[:0]).empty
