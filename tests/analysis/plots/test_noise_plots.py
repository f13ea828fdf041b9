"""What the figures of noisy dynamics show, read back from the artists."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from mcdist.analysis import (
    crossover,
    crossover_summary,
    drift_points,
    entropy_profiles,
    free_energies,
    plot_crossover,
    plot_drift,
    plot_drift_temperature,
    plot_free_energy,
    plot_relaxation_times,
    plot_traces,
    plot_trials,
    relaxation_runs,
    relaxation_summary,
)
from mcdist.analysis.plots.drifts import setting_label
from mcdist.analysis.plots.style import KIND_COLOURS
from mcdist.errors import RequestError

from ..moved import drift_rows, frames, loss_rows, pairs, relaxation_rows, stiffness_rows, trace_rows, trial_rows

PATHS = pairs(5)


@pytest.fixture
def ax():
    return Figure().subplots()


def points(**options):
    rng = np.random.default_rng(0)
    rows = [row for path in PATHS for row in drift_rows(path, rng, **options)]
    return drift_points(frames("drifts", rows), frames("paths", PATHS))


def runs(**options):
    rng = np.random.default_rng(0)
    rows = [row for path in PATHS for row in relaxation_rows(path, rng, **options)]
    return relaxation_runs(frames("relaxations", rows), frames("paths", PATHS)), frames(
        "relaxation_traces", trace_rows(rows)
    )


def profiles():
    curvature = [row for path in PATHS for row in stiffness_rows(path)]
    losses = [row for k, path in enumerate(PATHS) for row in loss_rows(path, 0.01 + 0.001 * k)]
    return entropy_profiles(frames("curvature", curvature), frames("path_points", losses), frames("paths", PATHS))


def labelled(ax):
    return {bars.get_label(): bars for bars in ax.containers}


@pytest.mark.parametrize("part", ["noise", "full_batch"])
def test_drift_has_a_line_per_setting_from_cold_to_hot(ax, part):
    table = points()
    plot_drift(table, part, ax)
    drawn = labelled(ax)
    assert list(drawn) == ["lr 0.1, B 64", "lr 0.1, B 16", "lr 0.1, B 4"]
    mine = table[table["batch_size"] == 16].groupby("s")[f"velocity_{part}"].mean()
    line = drawn["lr 0.1, B 16"].lines[0]
    np.testing.assert_allclose(line.get_xdata(), mine.index)
    np.testing.assert_allclose(line.get_ydata(), mine)


def test_points_that_are_not_local_are_hollow(ax):
    table = points(settings=[(0.1, 8)])
    plot_drift(table.assign(local=table["s"] > 0.2), "noise", ax)
    filled, hollow = ax.collections[-2:]
    assert hollow.get_offsets()[:, 0].tolist() == [0.15]
    assert hollow.get_facecolor()[0].tolist() == [1, 1, 1, 1]
    assert len(filled.get_offsets()) == 4


def test_an_unknown_part_is_refused(ax):
    with pytest.raises(RequestError, match="part: got 'gradient'; allowed: noise, full_batch"):
        plot_drift(points(), "gradient", ax)


def test_settings_in_words():
    row = {"lr": 0.1, "batch_size": 8, "momentum": 0.9, "noise": "isotropic"}
    assert setting_label(row) == "lr 0.1, B 8, momentum 0.9, isotropic"
    assert setting_label(row | {"batch_size": None, "momentum": 0.0, "noise": "none"}) == "lr 0.1, full batches"
    assert setting_label(row | {"batch_size": None, "momentum": 0.0, "t_nominal": 0.01}) == "lr 0.1, isotropic, T 0.01"


def test_drift_against_temperature_with_its_law(ax):
    table = points()
    plot_drift_temperature(table, ax)
    (bars,) = ax.containers
    off = table[table["s"] != 0.5]
    means = off.groupby("t_nominal")["velocity_noise"].mean()
    np.testing.assert_allclose(sorted(bars.lines[0].get_ydata()), sorted(means))
    law = next(line for line in ax.get_lines() if line.get_linestyle() == "--")
    slope = np.diff(np.log(law.get_ydata())) / np.diff(np.log(law.get_xdata()))
    np.testing.assert_allclose(slope, 1.0, atol=0.05)
    assert law.get_color() == KIND_COLOURS["bezier"]
    assert [text.get_text()[:3] for text in ax.texts] == ["T^1"] or ax.texts[0].get_text().startswith("T^0.9")


def test_a_mean_that_is_not_outward_has_an_arrow(ax):
    plot_drift_temperature(points(factor=-1.0), ax)
    assert len([text for text in ax.texts if text.get_text() == ""]) == 3


def test_traces_begin_at_their_starts_and_end_where_they_are_last(ax):
    table, traces = runs(settings=((0.1, 8),), controls=("none",), replicas=2)
    plot_traces(table, traces, ax)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) > 1]
    assert len(lines) == len(table)
    assert {float(line.get_xdata()[0]) for line in lines} == {0.0}
    assert {float(line.get_ydata()[0]) for line in lines} == {0.3, 0.5, 0.7}
    dots = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    assert len(dots) == table["arrived"].sum()
    assert ax.get_legend_handles_labels()[1] == ["minibatches", "full batches"]


def test_many_traces_are_thinned(ax):
    table, traces = runs(replicas=12, settings=((0.1, 8),))
    plot_traces(table, traces, ax)
    assert len([line for line in ax.get_lines() if len(line.get_xdata()) > 1]) == 80 < len(table)


def test_relaxation_times_censored_ones_apart_with_medians_and_law(ax):
    table, _ = runs(limit=60.0, controls=("none",))
    plot_relaxation_times(table, ax)
    noisy = table[table["noise"] == "minibatch"]
    arrived, broken_off = ax.collections[:2]
    assert len(arrived.get_offsets()) == noisy["arrived"].sum()
    assert len(broken_off.get_offsets()) == (~noisy["arrived"].astype(bool)).sum()
    assert set(broken_off.get_offsets()[:, 1]) == {60.0}
    (bars,) = ax.containers
    medians = relaxation_summary(noisy, ("t_nominal",))["median"].astype(float)
    np.testing.assert_allclose(bars.lines[0].get_ydata(), medians[np.isfinite(medians)])
    law = next(line for line in ax.get_lines() if line.get_linestyle() == "--")
    slope = np.diff(np.log(law.get_ydata())) / np.diff(np.log(law.get_xdata()))
    np.testing.assert_allclose(slope, -1.0, atol=0.2)
    assert ax.get_legend().get_texts()[0].get_text() == "broken off before it arrived"


def test_free_energies_are_the_means_over_paths(ax):
    table = profiles()
    plot_free_energy(table, "log_det", [0.0, 0.02], ax)
    cold, hot = (line for line in ax.get_lines() if line.get_label().startswith("T"))
    assert (cold.get_label(), hot.get_label()) == ("T = 0", "T = 0.02")
    rows = free_energies(table[table["measure"] == "log_det"], [0.02])
    np.testing.assert_allclose(hot.get_ydata(), rows.groupby("s")["F_over_ends"].mean())
    assert cold.get_ydata()[4] < 0
    with pytest.raises(RequestError, match="unknown measure 'log_dt'; did you mean 'log_det'"):
        plot_free_energy(table, "log_dt", [0.0], ax)


def test_crossover_temperatures_of_all_pairs(ax):
    found = crossover(profiles())
    mine = found[found["measure"] == "log_det"]
    plot_crossover(mine, ax, temperatures={"lr 0.1, B 8": 0.01})
    opposed, same = ax.collections
    np.testing.assert_allclose(sorted(opposed.get_offsets()[:, 0]), sorted(mine["t_star"]))
    assert len(same.get_offsets()) == 0
    diamond = next(line for line in ax.get_lines() if line.get_marker() == "D")
    assert diamond.get_xdata()[0] == pytest.approx(crossover_summary(mine)["t_star"].iloc[0])
    assert [text.get_text() for text in ax.texts] == ["lr 0.1, B 8"]
    assert ax.get_xscale() == "log"


def test_pairs_without_a_crossover_leave_an_empty_row(ax):
    found = crossover(profiles()).assign(t_star=np.nan, sense=None)
    plot_crossover(found[found["measure"] == "log_det"], ax)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["bezier"]
    ax.figure.canvas.draw()


def test_trials_with_bounds_apart(ax):
    plot_trials(frames("trials", trial_rows([0.0, 0.001, 0.01, 0.1], [9.0, None, 50.0, 5.0])), ax)
    sure, bound = ax.collections
    np.testing.assert_allclose(sure.get_offsets(), [[0.01, 50], [0.1, 5]])
    np.testing.assert_allclose(bound.get_offsets(), [[0.001, 1000]])
    assert ax.get_legend().get_texts()[0].get_text() == "nothing arrived: longer than this"


def test_nothing_is_drawn_of_nothing():
    table, traces = runs()
    for draw in (
        lambda ax: plot_drift(points().iloc[:0], "noise", ax),
        lambda ax: plot_traces(table.iloc[:0], traces, ax),
        lambda ax: plot_relaxation_times(table.iloc[:0], ax),
        lambda ax: plot_trials(frames("trials", []), ax),
    ):
        ax = Figure().subplots()
        draw(ax)
        assert not [line for line in ax.get_lines() if len(line.get_xdata()) > 2]
        assert not [part for part in ax.collections if len(part.get_offsets())]
