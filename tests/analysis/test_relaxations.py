"""Relaxations: what counts as arrived, medians, exponents, and the comparison with controls."""

import numpy as np
import pytest
from scipy.stats import weibull_min

from mcdist.analysis import (
    relaxation_controls,
    relaxation_fit,
    relaxation_pairs,
    relaxation_runs,
    relaxation_summary,
)
from mcdist.errors import RequestError

from .moved import frames, pairs, relaxation_rows, trace_rows

PATHS = pairs(6)


def rows_of(paths=PATHS, seed=0, **options):
    rng = np.random.default_rng(seed)
    return [row for path in paths for row in relaxation_rows(path, rng, **options)]


def runs(paths=PATHS, seed=0, change=None, **options):
    table = frames("relaxations", rows_of(paths, seed, **options))
    return relaxation_runs(table if change is None else change(table), frames("paths", paths))


def test_a_run_has_a_time_and_whether_it_arrived():
    table = runs()
    assert table["arrived"].sum() == table["end"].notna().sum()
    assert (table["time"][~table["arrived"].astype(bool)] == 200).all()
    assert set(table["lr"]) == {0.1, 0.4}
    np.testing.assert_allclose(table["distance"], np.minimum(table["s0"], 1 - table["s0"]))
    assert table["to_nearer"].isna().sum() == ((table["s0"] == 0.5) | ~table["arrived"].astype(bool)).sum()


def test_a_run_that_diverged_is_neither_arrived_nor_censored():
    def diverge(table):
        table["diverged"] = table["replica"] == 0
        return table

    table = runs(change=diverge)
    gone = table["replica"] == 0
    assert table["time"][gone].isna().all()
    assert table["arrived"][gone].isna().all()
    assert table["to_nearer"][gone].isna().all()
    row = relaxation_summary(table).iloc[0]
    assert (row["diverged"], row["runs"]) == (45, 135)
    assert row["runs"] == row["arrived"] + row["censored"]


def test_the_median_time_is_that_of_the_law():
    table = runs(replicas=200, starts=(0.3,), settings=((0.1, 8), (0.1, 64)), limit=150.0)
    found = relaxation_summary(table).set_index("batch_size")
    expected = weibull_min.median(1.3, scale=0.3 / 0.1 * 8)
    assert found.loc[8, "median"] == pytest.approx(expected, rel=0.05)
    assert found.loc[8, "median_low"] < expected < found.loc[8, "median_high"]
    later = found.loc[64]
    assert later["median"] == np.inf or later["median"] == pytest.approx(8 * expected, rel=0.1)


def test_a_median_that_is_not_reached_is_beyond_all_times():
    row = relaxation_summary(runs(settings=((0.1, 32),), limit=20.0)).iloc[0]
    assert row["median"] == np.inf
    assert row["reason"] == "fewer than half arrived in time"
    assert 0 < row["share_arrived"] < 0.5
    assert (row["arrived"] + row["censored"], row["time_limit"]) == (row["runs"], 20.0)


def test_an_interval_whose_samples_do_not_reach_the_median_has_no_upper_end():
    own = weibull_min.median(1.3, scale=0.3 / 0.1 * 32)
    row = relaxation_summary(runs(settings=((0.1, 32),), starts=(0.3,), limit=own * 1.1, replicas=20)).iloc[0]
    assert np.isfinite(row["median"])
    assert (row["median_high"], row["reason"]) == (np.inf, "")


def test_the_share_to_the_nearer_end():
    found = relaxation_summary(runs(replicas=50))
    np.testing.assert_allclose(found["to_nearer"], 0.8, atol=0.05)


def test_few_end_points_have_no_interval():
    row = relaxation_summary(runs(pairs(3))).iloc[0]
    assert row["reason"] == "too few end points: 3 independent, 4 needed"
    assert np.isfinite(row["median"])
    assert np.isnan(row["median_low"])


@pytest.mark.parametrize("law", ["weibull", "lognormal"])
def test_the_exponents_are_those_of_the_law(law):
    row = relaxation_fit(runs(replicas=10), law=law, n_boot=50).iloc[0]
    assert row["exponent"] == pytest.approx(1.0, abs=0.1)
    assert row["exponent_low"] < 1 < row["exponent_high"]
    assert row["distance"] == pytest.approx(1.0, abs=0.15 if law == "weibull" else 0.3)
    assert row["difference_low"] < 0 < row["difference_high"]
    assert row["p_value"] > 0.01
    assert 0 < row["arrived"] < row["runs"] == 15 * 3 * 4 * 10
    if law == "weibull":
        assert row["scale"] == pytest.approx(1 / 1.3, abs=0.05)
        typical = weibull_min.median(1.3, scale=np.exp(np.log([0.3, 0.5, 0.3]).mean()) / row["reference_t"])
        assert row["reference_time"] == pytest.approx(typical, rel=0.1)


def test_censoring_does_not_bend_the_exponent():
    short = relaxation_fit(runs(replicas=10, limit=40.0), n_boot=2).iloc[0]
    assert short["arrived"] / short["runs"] < 0.75
    assert short["exponent"] == pytest.approx(1.0, abs=0.12)


def test_lr_and_batch_apart():
    row = relaxation_fit(runs(replicas=10, exponents=(1.5, 0.5)), n_boot=50).iloc[0]
    assert row["exponent_lr"] == pytest.approx(1.5, abs=0.15)
    assert row["exponent_batch"] == pytest.approx(0.5, abs=0.15)
    assert row["difference_low"] > 0
    assert row["difference"] == pytest.approx(row["exponent_lr"] - row["exponent_batch"])
    assert row["p_value"] < 1e-6


def test_without_both_varying_they_are_not_told_apart():
    row = relaxation_fit(runs(settings=((0.1, 8), (0.1, 32))), n_boot=20).iloc[0]
    assert np.isfinite(row["exponent"])
    assert row["apart_reason"] == "too few different settings"
    assert np.isnan(row["difference"])


def test_runs_without_noise_are_not_fitted():
    found = relaxation_fit(runs(controls=("none",)), n_boot=2)
    assert found["noise"].tolist() == ["minibatch"]
    only = relaxation_fit(runs(controls=("none",)).query("noise == 'none'"), n_boot=2)
    assert only.empty


def test_wrong_options_are_refused():
    with pytest.raises(RequestError, match="law: got 'normal'; allowed: weibull, lognormal"):
        relaxation_fit(runs(), law="normal")
    with pytest.raises(RequestError, match="on: got 'lr'; allowed: t_nominal, t_measured"):
        relaxation_fit(runs(), on="lr")
    with pytest.raises(RequestError, match="relaxations: unknown column 's0'"):
        relaxation_runs(frames("relaxations", []).drop(columns="s0"), frames("paths", PATHS))


def controlled(**options):
    rows = rows_of(controls=("none", "isotropic"), **options)
    table = relaxation_runs(frames("relaxations", rows), frames("paths", PATHS))
    return table, frames("relaxation_traces", trace_rows(rows))


def test_controls_are_of_the_same_start_and_setting():
    table, traces = controlled()
    found = relaxation_pairs(table, traces)
    assert len(found) == 15 * 3 * 4 * 2
    assert found["same_lr"].all()
    assert set(found["runs"]) == {4}
    assert found.groupby("control")["control_runs"].unique().map(list).to_dict() == {"isotropic": [4], "none": [1]}
    full = found[found["control"] == "none"]
    assert (full["control_drift"] == 0).all()
    assert (full["control_arrived"] == 0).all()
    assert (full["drift_difference"] == full["drift"]).all()


def test_a_control_of_another_rate_is_said_to_be_one():
    table, traces = controlled()
    other = table[(table["noise"] != "none") | (table["lr"] == 0.1)]
    found = relaxation_pairs(other, traces)
    full = found[found["control"] == "none"]
    assert full["same_lr"].tolist() == (full["lr"] == 0.1).tolist()
    buffers = table.assign(buffers=table["buffers"].where(table["noise"] != "none", "keep"))
    assert set(relaxation_pairs(buffers, traces)["control"]) == {"isotropic"}


def test_isotropic_noise_of_a_given_temperature_has_full_batches_for_a_control():
    table, traces = controlled(settings=((0.1, 8),))
    table = table[table["noise"] != "minibatch"]
    assert relaxation_pairs(table, traces).empty
    given = table.assign(temperature=table["t_nominal"].where(table["noise"] == "isotropic"))
    found = relaxation_pairs(given, traces)
    assert set(zip(found["noise"], found["control"], strict=True)) == {("isotropic", "none")}
    assert len(found) == 15 * 3


def test_runs_are_compared_at_a_time_that_all_of_them_had():
    table, traces = controlled(limit=200.0, replicas=20)  # broken off runs have a look at 40 exactly
    short = table["noise"] == "none"
    table.loc[short, "time_limit"] = 40.0
    found = relaxation_pairs(table, traces)
    assert found.groupby("control")["time"].first().to_dict() == {"isotropic": 200.0, "none": 40.0}
    row = found[(found["control"] == "none") & (found["lr"] == 0.1) & (found["batch_size"] == 32)].iloc[0]
    mine = table[(table["path_id"] == row["path_id"]) & (table["s0"] == row["s0"]) & (table["noise"] == "minibatch")]
    mine = mine[(mine["lr"] == row["lr"]) & (mine["batch_size"] == row["batch_size"])]
    assert row["arrived"] == (mine["t_first_passage"].astype(float) <= 40).mean() < mine["arrived"].mean()
    looks = traces.merge(mine[["task_id", "path_id", "s0", "replica"]]).query("t_eff <= 40")
    last = looks.sort_values("t_eff").groupby("replica")["s"].last()
    sign = 1 if row["s0"] >= 0.5 else -1
    assert row["drift"] == pytest.approx(sign * (last - row["s0"]).mean())


def test_without_traces_runs_are_where_they_were_last():
    table, traces = controlled()
    with_traces, without = relaxation_pairs(table, traces), relaxation_pairs(table)
    np.testing.assert_allclose(with_traces["drift"].astype(float), without["drift"].astype(float), atol=1e-15)


def test_the_summary_of_the_controls():
    table, traces = controlled(settings=((0.1, 32),), replicas=20)
    found = relaxation_controls(relaxation_pairs(table, traces)).set_index("control")
    full, isotropic = found.loc["none"], found.loc["isotropic"]
    assert full["control_arrived"] == 0
    assert full["arrived_difference_low"] > 0
    assert (full["sooner"], full["sooner_high"]) == (1.0, 1.0)
    assert full["sooner_low"] > 0.5
    assert isotropic["arrived_difference_low"] > 0  # half as fast
    assert 0 < isotropic["control_arrived"] < isotropic["arrived"]
    assert found["same_lr"].all()


def test_no_runs_are_no_rows():
    empty = runs(PATHS[:0])
    assert relaxation_summary(empty).empty
    assert relaxation_fit(empty).empty
    assert relaxation_controls(relaxation_pairs(empty)).empty
