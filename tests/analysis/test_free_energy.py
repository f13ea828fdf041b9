"""Free energies along paths, crossover temperatures, predicted drifts."""

import numpy as np
import pytest

from mcdist.analysis import (
    above_crossover,
    crossover,
    crossover_summary,
    drift_points,
    entropy_profiles,
    free_energies,
    predicted_drift,
    predicted_summary,
)
from mcdist.analysis.free_energy import shaped_temperature
from mcdist.analysis.predicted import transient

from .moved import GRID, drift_rows, frames, loss_rows, mode_rows, pairs, stiffness_rows

PATHS = pairs(6)
SIN2 = np.sin(np.pi * GRID) ** 2
DECAY = 0.5 * 0.002 * 2.0**2


def tables(paths=PATHS, rise=1.0, dip=0.01, **options):
    curvature = [row for path in paths for row in stiffness_rows(path, rise, **options)]
    losses = [row for path in paths for row in loss_rows(path, dip)]
    return frames("curvature", curvature), frames("path_points", losses), frames("paths", paths)


def one(measure, *args, **options):
    rows = entropy_profiles(*tables(PATHS[:1], *args, **options))
    return rows[rows["measure"] == measure]


def test_the_energy_is_the_loss_of_the_dynamics_with_its_weight_decay():
    np.testing.assert_allclose(one("log_det")["energy"], 0.1 - 0.01 * SIN2 + DECAY, atol=1e-12)
    np.testing.assert_allclose(one("log_det", weight_decay=0.0)["energy"], 0.1 - 0.01 * SIN2, atol=1e-12)


def test_free_energies_of_both_kinds():
    log = free_energies(one("log_det"), [0.0, 0.02])
    assert log["T"].tolist() == [0.0] * 9 + [0.02] * 9
    expected = -0.01 * SIN2 + 0.01 * 2 * np.log(1 + SIN2)
    np.testing.assert_allclose(log["F_over_ends"][9:], expected, atol=1e-12)
    np.testing.assert_allclose(log["F_over_ends"][:9], -0.01 * SIN2, atol=1e-12)
    trace = free_energies(one("hessian_trace"), [0.02])
    np.testing.assert_allclose(trace["entropic"], 0.01 * 3 * (1 + SIN2), atol=1e-12)


def test_an_eigenvalue_that_crosses_the_floor_makes_a_point_stiffer_and_not_softer():
    """A third mode of 0.008 to 0.016 is above the floor 0.01 in the middle alone, and lowers the plain sum there."""
    curvature, losses, paths = tables(PATHS[:1], rise=1.0, modes=(2.0, 1.0, 0.008))
    rows = curvature[curvature["measure"] == "log_det"].sort_values("s")
    assert rows["rank"].tolist() == [2, 2, 3, 3, 3, 3, 3, 2, 2]
    plain = rows["value"].to_numpy(float)
    assert plain[2] < plain[1]  # stiffer, and yet the sum falls
    profile = entropy_profiles(curvature, losses, paths, ["log_det"])["stiffness"].to_numpy(float)
    expected = sum(np.log(np.maximum(m * (1 + SIN2), 0.01) / 0.01) for m in (2.0, 1.0, 0.008))
    np.testing.assert_allclose(profile, expected, rtol=1e-12)
    assert (np.diff(profile[:5]) > 0).all()


def test_which_measures_there_are_is_the_data_s():
    curvature, losses, paths = tables(PATHS[:1])
    more = curvature.assign(measure=curvature["measure"].replace({"log_det": "fisher_log_det"}))
    found = entropy_profiles(more, losses, paths)
    assert sorted(set(found["measure"])) == ["fisher_log_det", "hessian_trace"]
    assert entropy_profiles(curvature.assign(measure="lambda_max"), losses, paths).empty
    assert entropy_profiles(curvature.assign(role="control"), losses, paths).empty


def test_without_a_profile_of_the_loss_there_is_no_energy_and_no_crossover():
    curvature, losses, paths = tables(PATHS[:1])
    found = crossover(entropy_profiles(curvature, losses.iloc[:0], paths))
    assert found["reason"].tolist() == ["no profile of the loss"] * 2
    assert found["delta_stiffness"].notna().all()


def test_the_crossover_is_where_both_barriers_are_equal():
    found = crossover(entropy_profiles(*tables(PATHS[:1]))).set_index("measure")
    assert found["sense"].tolist() == ["opposed"] * 2
    assert found["s_star"].tolist() == [0.5, 0.5]
    assert found.loc["log_det", "t_star"] == pytest.approx(2 * 0.01 / (2 * np.log(2)))
    assert found.loc["hessian_trace", "t_star"] == pytest.approx(2 * 0.01 / 3)
    T = found.loc["log_det", "t_star"]
    at = free_energies(one("log_det"), [T])
    assert at[at["s"] == 0.5]["F_over_ends"].iloc[0] == pytest.approx(0, abs=1e-12)


def test_a_loss_that_is_higher_in_the_middle_pushes_the_same_way():
    found = crossover(entropy_profiles(*tables(PATHS[:1], dip=-0.02))).set_index("measure")
    assert found.loc["log_det", "sense"] == "same"
    assert found.loc["log_det", "t_star"] == pytest.approx(2 * 0.02 / (2 * np.log(2)))


def test_a_path_that_is_softest_inside_has_no_entropic_barrier():
    found = crossover(entropy_profiles(*tables(PATHS[:1], rise=-0.5)))
    assert found["reason"].tolist() == ["no entropic barrier"] * 2
    assert found["t_star"].isna().all()
    assert (found["delta_stiffness"] < 0).all()


def test_without_ends_there_is_nothing_to_compare_with():
    curvature, losses, paths = tables(PATHS[:1])
    found = crossover(entropy_profiles(curvature[curvature["t"] > 0], losses, paths))
    assert found["reason"].tolist() == ["ends or positions between them were not measured"] * 2


def mixed():
    """Six end points; the paths of the first have no entropic barrier, the energies differ."""
    curvature, losses = [], []
    for k, path in enumerate(PATHS):
        curvature += stiffness_rows(path, -0.5 if path["endpoint_a"] == "e00" else 1.0)
        losses += loss_rows(path, 0.01 + 0.001 * k)
    return frames("curvature", curvature), frames("path_points", losses), frames("paths", PATHS)


def test_the_summary_counts_the_pairs_without_a_barrier():
    crossings = crossover(entropy_profiles(*mixed()))
    row = crossover_summary(crossings).set_index("measure").loc["log_det"]
    assert (row["pairs"], row["missing"]) == (10, 5)
    assert row["barrier"] == pytest.approx(10 / 15)
    assert (row["opposed"], row["truncated"]) == (1.0, 0)
    stars = 2 * (0.01 + 0.001 * np.arange(5, 15)) / (2 * np.log(2))
    assert row["t_star"] == pytest.approx(np.median(stars))
    assert row["t_star_low"] < row["t_star"] < row["t_star_high"]
    assert row["delta_energy"] == pytest.approx(-0.017)


def test_settings_that_were_hotter_than_the_crossover():
    rng = np.random.default_rng(0)
    drifts = frames("drifts", [row for path in PATHS for row in drift_rows(path, rng)])
    crossings = crossover(entropy_profiles(*tables()))
    found = above_crossover(crossings, drift_points(drifts, frames("paths", PATHS)))
    log = found[found["measure"] == "log_det"].set_index("batch_size")
    star = 0.01 / np.log(2)
    assert log["share"].to_dict() == {batch: float(3 * 0.1 / batch > star) for batch in (4, 16, 64)}
    np.testing.assert_allclose(log["t_star"], star)
    trace = found[found["measure"] == "hessian_trace"].set_index("batch_size")
    np.testing.assert_allclose(
        trace["temperature"], [3 * 0.1 / batch * 100 / (6 - 0.002 * 100) for batch in trace.index]
    )


def test_noise_has_not_the_shape_of_weight_decay():
    """T P spread over what of the trace single examples differ by; nothing where that is nothing."""
    one = np.ones(1)
    found = {
        m: shaped_temperature(m, 0.1 * one, 50 * one, 8 * one, 0.1 * one) for m in ("hessian_trace", "fisher_trace")
    }
    assert found["hessian_trace"] == pytest.approx(0.1 * 50 / (8 - 5))
    assert found["fisher_trace"] == pytest.approx(0.1 * 50 / 8)
    assert np.isnan(shaped_temperature("ggn_trace", one, 50 * one, 4 * one, 0.1 * one)).all()


@pytest.mark.parametrize("x", [1e-6, 1e-4, 1e-2, 1.0, 50.0])
def test_the_transient_is_the_mean_of_what_a_mode_has_filled(x):
    t = np.linspace(0, x, 100_001)
    assert float(transient(np.array(x))) == pytest.approx(np.trapezoid(1 - np.exp(-2 * t), t) / x, rel=1e-3)


def expected(s, T, time, modes=(2.0, 1.0), length=5.0, late=False):
    """The drift of these modes by the law, outward, as a part of the length."""
    grow, slope = 1 + np.sin(np.pi * s) ** 2, np.pi * np.sin(2 * np.pi * s)
    factor = sum(1.0 if late else float(transient(np.array(m * grow * time))) for m in modes)
    return -np.sign(s - 0.5 + 1e-12) * time / length**2 * T / 2 * slope / grow * factor


def predictions(spectra=None, starts=(0.2, 0.35, 0.8), time=0.5, **options):
    rng = np.random.default_rng(0)
    rows = [row for path in PATHS for row in drift_rows(path, rng, starts=starts, time=time, **options)]
    points = drift_points(frames("drifts", rows), frames("paths", PATHS))
    return predicted_drift(points, *tables(), spectra)


def test_the_prediction_is_minus_the_slope_of_the_free_energy():
    found = predictions()
    log, trace = (found[found["measure"] == name] for name in ("log_det", "hessian_trace"))
    law = [expected(s, T, 0.5, late=True) for s, T in zip(log["s"], log["t_measured"], strict=True)]
    np.testing.assert_allclose(log["predicted_noise"], law, rtol=0.02)  # splines through nine places
    assert (log["modes"] == 0).all()
    # T0 = T P / (Tr H - decay P): of modes that grow alike, Tr H / (Tr H - decay P) P / 2 times the slope of two modes
    own = 3 * (1 + np.sin(np.pi * trace["s"].to_numpy(dtype=float)) ** 2)
    shape = 100 / 2 * own / (own - 0.002 * 100)
    np.testing.assert_allclose(trace["predicted_noise"].to_numpy() / shape, law, rtol=0.02)
    loss = -np.where(log["s"] > 0.5, 1, -1) * 0.5 / 25 * -0.01 * np.pi * np.sin(2 * np.pi * log["s"].astype(float))
    np.testing.assert_allclose(log["predicted_full_batch"], loss, rtol=0.02)
    assert (log["predicted_noise"] > 0).all()
    assert (log["predicted_full_batch"] < 0).all()


def test_modes_that_are_cold_at_first_are_predicted_one_by_one():
    spectra = frames("spectra", [row for path in PATHS for row in mode_rows(path)])
    found = predictions(spectra)
    log = found[found["measure"] == "log_det"]
    law = [expected(s, T, 0.5) for s, T in zip(log["s"], log["t_measured"], strict=True)]
    np.testing.assert_allclose(log["predicted_noise"], law, rtol=0.02)
    assert (log["modes"] == 2).all()
    assert (log["predicted_noise"] < 0.8 * log["predicted_plain"]).all()
    assert (found[found["measure"] == "hessian_trace"]["modes"] == 0).all()


def test_the_summary_of_drifts_that_are_half_as_predicted():
    found = predictions()
    rng = np.random.default_rng(1)
    error = 0.01 * found["predicted_noise"].abs()
    measured = 0.5 * found["predicted_noise"] + error * rng.normal(size=len(found))
    found = found.assign(drift_noise=measured, stderr=error, excess_z=(measured - found["predicted_noise"]) / error)
    row = predicted_summary(found).set_index("measure").loc["log_det"]
    assert row["slope"] == pytest.approx(0.5, abs=0.01)
    assert row["slope_low"] < 0.5 < row["slope_high"]
    assert row["correlation"] > 0.95
    assert (row["points"], row["with_modes"], row["within_3"]) == (135, 0, 0.0)
    exact = predicted_summary(found.assign(drift_noise=found["predicted_noise"], excess_z=0.0)).iloc[0]
    assert (exact["within_3"], exact["slope"]) == (1.0, pytest.approx(1.0))


def test_paths_without_curvature_have_no_prediction():
    points = drift_points(frames("drifts", drift_rows(PATHS[0], np.random.default_rng(0))), frames("paths", PATHS))
    curvature, losses, paths = tables(PATHS[1:])
    found = predicted_drift(points, curvature, losses, paths)
    assert found.empty
    assert predicted_summary(found).empty
