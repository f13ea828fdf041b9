"""What the figures of ensembles, trajectories and trials show, read back from the artists."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mcdist.analysis import (
    ensemble_summary,
    plot_ensembles,
    plot_parallel,
    plot_running,
    plot_trajectories,
    plot_trial_curves,
    trajectory_summary,
)
from mcdist.errors import RequestError

from ..ensembled import ensembles, frames, trajectory, trial_rows

METHODS = ("independent", "snapshot", "fge", "swa")


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def made(*args: object, **options: object):
    rows, members = ensembles(*args, **options)  # type: ignore[arg-type]
    return frames("ensembles", rows), frames("ensemble_members", members)


def lines(ax: Axes) -> dict[str, object]:
    return {bars.get_label(): bars for bars in ax.containers}


class TestBudgets:
    def test_each_method_is_a_line_of_its_means_with_its_intervals(self, ax: Axes) -> None:
        rows, _ = made()
        plot_ensembles(rows, ax, "test_nll")
        drawn = lines(ax)
        assert list(drawn) == list(METHODS)
        table = ensemble_summary(rows)
        mine = table[table["method"] == "fge"]
        line, _, (bars,) = drawn["fge"]  # type: ignore[misc]
        np.testing.assert_allclose(line.get_ydata(), mine["test_nll"])
        ends = np.array(bars.get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, mine[["test_nll_low", "test_nll_high"]])
        assert "nats per example" in ax.get_ylabel()

    def test_no_mark_hides_another(self, ax: Axes) -> None:
        plot_ensembles(made()[0], ax)
        x = np.array([bars[0].get_xdata() for bars in ax.containers])
        np.testing.assert_array_equal(np.round(x), [[1, 2, 3]] * 4)
        assert np.diff(np.sort(x[:, 0])).min() > 0.1
        assert ax.get_xticks().tolist() == [1, 2, 3]

    def test_colours_are_of_methods_and_dashes_of_settings(self, ax: Axes) -> None:
        rows = ensembles(("fge", "swa"))[0] + ensembles(("fge",), lr1=0.1)[0]
        plot_ensembles(frames("ensembles", rows), ax)
        found = {name: bars[0] for name, bars in lines(ax).items()}  # type: ignore[index]
        assert list(found) == ["fge, lr1 0.05", "fge, lr1 0.1", "swa"]
        colours = [to_hex(line.get_color()) for line in found.values()]
        assert colours[0] == colours[1] != colours[2]
        assert found["fge, lr1 0.05"].get_linestyle() != found["fge, lr1 0.1"].get_linestyle()

    def test_few_seeds_have_no_bars(self, ax: Axes) -> None:
        plot_ensembles(made(seeds=range(2))[0], ax)
        for bars in ax.containers:
            assert all(np.ptp(segment[:, 1]) == 0 for segment in bars[2][0].get_segments())

    def test_several_problems_and_unknown_scores_are_refused(self, ax: Axes) -> None:
        rows = ensembles()[0]
        both = frames("ensembles", rows + [row | {"problem": "moons"} for row in rows])
        with pytest.raises(RequestError, match="several problems"):
            plot_ensembles(both, ax)
        with pytest.raises(RequestError, match="unknown column 'test_eror'; did you mean 'test_error'"):
            plot_ensembles(frames("ensembles", rows), ax, "test_eror")


class TestRunning:
    def test_the_mean_falls_to_the_score_of_the_whole(self, ax: Axes) -> None:
        rows, members = made()
        plot_running(rows, members, ax)
        found = {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}
        assert list(found) == list(METHODS)
        np.testing.assert_array_equal(np.round(found["fge"].get_xdata()), np.arange(1, 7))
        starts = sorted(line.get_xdata()[0] for line in found.values())
        assert np.diff(starts).min() > 0.1, "no mark hides another"
        table = ensemble_summary(rows).set_index(["method", "budget"])
        for method in METHODS:
            assert found[method].get_ydata()[-1] == pytest.approx(table.loc[(method, 3), "test_error"])

    def test_another_budget(self, ax: Axes) -> None:
        plot_running(*made(), ax, budget=1)
        assert max(len(line.get_xdata()) for line in ax.get_lines()) == 2
        with pytest.raises(RequestError, match="unknown budget"):
            plot_running(*made(), ax, budget=7)

    def test_one_wide_method_makes_the_scale_logarithmic(self, ax: Axes) -> None:
        rows, members = made()
        assert plot_running(rows, members, ax).get_yscale() == "linear"
        members.loc[members["member"] == 0, "running_test_error"] = 0.9
        assert plot_running(rows, members, Figure().subplots()).get_yscale() == "log"


class TestTrajectories:
    def rows(self, **options: float):
        rng = np.random.default_rng(0)
        return frames("trajectories", [look for seed in range(5) for look in trajectory(seed, rng, **options)])  # type: ignore[arg-type]

    def test_the_rate_is_that_of_every_step(self) -> None:
        axes = Figure().subplots(3)
        plot_trajectories(self.rows(epochs=24), axes)
        epoch, lr = axes[0].get_lines()[0].get_data()
        assert len(epoch) == 70
        np.testing.assert_allclose(np.diff(epoch), 0.1)
        assert (lr.min(), lr.max()) == (pytest.approx(0.01), pytest.approx(0.05))
        np.testing.assert_allclose(epoch[np.isclose(lr, 0.01)], [17, 19, 21, 23])

    def test_cosine_cycles(self) -> None:
        steps = np.arange(1, 51)
        lr = 0.05 * (np.cos(np.pi * ((steps - 1) % 10) / 10) + 1)
        about = {
            "trajectory_id": "a",
            "problem": "digits",
            "seed": 0,
            "rate": "cosine",
            "start": 0,
            "lr1": 0.1,
            "cycles": 5,
        }
        looks = [0, *range(5, 51, 5)]
        rows = [
            about
            | {
                "iteration": i,
                "epoch": i / 10,
                "lr": lr[max(i, 1) - 1],
                "test_error": 0.1,
                "test_nll": 0.3,
                "distance": i,
            }
            | {"member": i // 10 - 1 if i and i % 10 == 0 else None}
            for i in looks
        ]
        axes = Figure().subplots(3)
        plot_trajectories(frames("trajectories", rows), axes)
        np.testing.assert_allclose(axes[0].get_lines()[0].get_ydata(), lr)

    def test_a_rate_of_another_law_is_drawn_as_it_was_looked_at(self) -> None:
        rows = self.rows()
        rows["lr"] = rows["lr"].astype(float) * (1 + rows["iteration"] / 100)
        axes = Figure().subplots(3)
        plot_trajectories(rows, axes)
        np.testing.assert_array_equal(axes[0].get_lines()[0].get_xdata(), trajectory_summary(rows)["epoch"])

    def test_seeds_are_thin_their_mean_is_thick_and_members_are_circles(self) -> None:
        rows, axes = self.rows(epochs=24), Figure().subplots(3)
        plot_trajectories(rows, axes)
        mean = trajectory_summary(rows)
        for ax, column in zip(axes[1:], ("test_error", "distance"), strict=True):
            drawn = [line for line in ax.get_lines() if len(line.get_xdata()) == len(mean)]
            widths = [line.get_linewidth() for line in drawn]
            assert len(drawn) == 6
            assert max(widths[:5]) < widths[5]
            np.testing.assert_allclose(drawn[5].get_ydata(), mean[column])
            taken = ax.collections[0].get_offsets()
            np.testing.assert_allclose(taken[:, 0], [17, 19, 21, 23])
            np.testing.assert_allclose(taken[:, 1], mean.loc[mean["member"].notna(), column])

    def test_several_settings_and_too_few_axes_are_refused(self) -> None:
        rows = self.rows().to_dict("records") + self.rows(lr1=0.1).to_dict("records")
        with pytest.raises(RequestError, match="several problems or settings"):
            plot_trajectories(frames("trajectories", rows), Figure().subplots(3))
        with pytest.raises(RequestError, match="axes: got 2; allowed: 3"):
            plot_trajectories(self.rows(), Figure().subplots(2))


class TestTrials:
    RATES = (0.01, 0.03, 0.1, 0.3)

    def rows(self, stopped=None, **columns: object):
        settings = [{"lr1": lr, "cycle": c} for lr, c in itertools.product(self.RATES, (1.0, 2.0))]
        nll = [0.5, 0.45, 0.3, 0.35, 0.6, 0.7, 0.8, 0.9]
        trials, cycles = trial_rows(settings, nll, {7: 1, 3: 2} if stopped is None else stopped, **columns)  # type: ignore[arg-type]
        return frames("trials", trials), frames("trial_cycles", cycles)

    def across(self, ax: Axes, count: int) -> list[np.ndarray]:
        """The lines over so many columns."""
        return [line.get_ydata() for line in ax.get_lines() if len(line.get_xdata()) == count and count > 2]

    def test_a_trial_is_a_line_over_what_was_searched_to_its_nll(self, ax: Axes) -> None:
        plot_parallel(self.rows()[0], ax)
        labels = [tick.get_text() for tick in ax.get_xticklabels()]
        assert labels == ["lr1", "cycle (epochs)", "validation nll\n(nats per example)"]
        drawn = self.across(ax, 3)
        assert len(drawn) == 6
        best = drawn[-1]
        np.testing.assert_allclose(best, [np.log(3) / np.log(30), 0.0, 0.0], atol=1e-12)

    def test_the_scale_is_as_it_was_searched(self, ax: Axes) -> None:
        plot_parallel(self.rows()[0], ax, log=[])
        np.testing.assert_allclose(self.across(ax, 3)[-1], [0.02 / 0.29, 0.0, 0.0], atol=1e-12)

    def test_stopped_ones_are_grey_and_have_no_nll(self, ax: Axes) -> None:
        plot_parallel(self.rows()[0], ax)
        grey = [line for line in ax.get_lines() if to_hex(line.get_color()) == "#b8bfc8"]
        ends = [line for line in grey if line.get_marker() == "x"]
        assert len(ends) == 2
        assert max(x for line in grey for x in line.get_xdata()) == 1, "they end at the last setting"

    def test_the_winner_alone_has_a_star(self, ax: Axes) -> None:
        trials, cycles = self.rows()
        plot_parallel(trials, ax)
        plot_trial_curves(trials, cycles, other := Figure().subplots())
        stars = [[line for line in a.get_lines() if line.get_marker() == "*"] for a in (ax, other)]
        assert [len(found) for found in stars] == [1, 1]
        assert stars[1][0].get_ydata()[0] == pytest.approx(0.3)

    def test_darker_is_less(self, ax: Axes) -> None:
        plot_parallel(self.rows()[0], ax)
        drawn = [line for line in ax.get_lines() if len(line.get_xdata()) == 3][:-1]
        nll, light = zip(*[(line.get_ydata()[-1], sum(line.get_color()[:3])) for line in drawn], strict=True)
        assert np.argsort(nll).tolist() == np.argsort(light).tolist()

    def test_curves_go_cycle_by_cycle_and_stopped_ones_end_with_a_cross(self, ax: Axes) -> None:
        trials, cycles = self.rows()
        plot_trial_curves(trials, cycles, ax)
        crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
        last = cycles.groupby("trial_id")["epochs_used"].max()
        assert sorted(line.get_xdata()[0] for line in crosses) == sorted([last["trial-03"], last["trial-07"]])
        assert sum(len(line.get_xdata()) == 4 for line in ax.get_lines()) == 6

    @pytest.mark.parametrize("stopped", [{}, dict.fromkeys(range(8), 1)])
    def test_all_complete_and_all_stopped(self, ax: Axes, stopped: dict[int, int]) -> None:
        trials, cycles = self.rows(stopped)
        plot_parallel(trials, ax)
        plot_trial_curves(trials, cycles, Figure().subplots())
        ax.figure.canvas.draw()
        assert len(self.across(ax, 3)) == 8 - len(stopped)

    def test_a_single_setting_stands_alone(self, ax: Axes) -> None:
        trials, _ = trial_rows([{}], [0.4])
        plot_parallel(frames("trials", trials), ax)
        assert len(ax.get_xticklabels()) == 2

    def test_several_methods_are_refused(self, ax: Axes) -> None:
        both = frames("trials", self.rows()[0].to_dict("records") + self.rows(method="snapshot")[0].to_dict("records"))
        with pytest.raises(RequestError, match="several problems or methods"):
            plot_parallel(both, ax)
