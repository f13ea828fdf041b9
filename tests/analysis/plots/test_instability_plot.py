"""What the figure of instabilities shows, read back from the artists."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mcdist.analysis import instabilities, instability_profile, plot_instability
from mcdist.errors import RequestError

from ..split import EPOCHS, frames, rise, split_tables


def law(measure: str, parent: int, epoch: int) -> float:
    return rise(measure, parent, epoch) * (1 + 0.1 * (parent - 2.5))


def table(**how: object) -> pd.DataFrame:
    return instabilities(*frames(split_tables(law, **how)))  # type: ignore[arg-type]


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def lines(ax: Axes) -> dict[str, np.ndarray]:
    return {bars.get_label(): bars[0] for bars in ax.containers}


def marks(ax: Axes) -> list[tuple[object, float]]:
    """Marker and epoch of each onset above the frame."""
    drawn = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    return [(line.get_marker(), float(line.get_xdata()[0])) for line in drawn]


def test_each_measure_is_a_line_in_units_of_its_threshold(ax: Axes) -> None:
    rows = table()
    plot_instability(rows, ax)
    drawn = lines(ax)
    assert list(drawn) == ["train error", "test error", "largest Hessian eigenvalue", "Fisher trace"]
    assert [line.get_linestyle() for line in drawn.values()] == ["--", "--", "-", "-"]
    assert len({to_hex(line.get_color()) for line in drawn.values()}) == 4
    profile = instability_profile(rows).set_index("measure")
    np.testing.assert_array_equal(drawn["test error"].get_xdata(), EPOCHS)
    np.testing.assert_allclose(drawn["test error"].get_ydata(), profile.loc["test_error", "instability"] / 0.02)
    risen = (profile.loc["lambda_max", "ratio"] - 1) / 0.1
    np.testing.assert_allclose(drawn["largest Hessian eigenvalue"].get_ydata(), risen)


def test_both_axes_have_a_place_for_0_and_the_epochs_are_marked(ax: Axes) -> None:
    plot_instability(table(), ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("symlog", "symlog")
    assert ax.get_xticks().tolist() == list(EPOCHS)
    assert ax.get_xlim()[0] < 0
    assert ax.get_ylim()[0] == 0
    ax.figure.canvas.draw()


def test_diamonds_are_the_onsets_and_arrow_heads_those_that_are_not_there(ax: Axes) -> None:
    plot_instability(table(), ax, ["test_error", "lambda_max"])
    assert marks(ax) == [("D", pytest.approx(1.5, abs=0.3)), ("D", pytest.approx(6.0, abs=0.3))]
    other = Figure().subplots()
    plot_instability(table(epochs=[3, 4]), other, ["test_error", "lambda_max"])
    assert [at for _, at in marks(other)] == [3.0, 4.0]
    assert len({marker for marker, _ in marks(other)} - {"D"}) == 2


def test_few_parents_have_lines_without_bars(ax: Axes) -> None:
    plot_instability(table(parents=[0, 1]), ax)
    for bars in ax.containers:
        segments = bars[2][0].get_segments()
        assert all(np.ptp(segment[:, 1]) == 0 for segment in segments)


def test_what_has_no_threshold_is_left_out_until_it_has_one(ax: Axes) -> None:
    plot_instability(table(), ax, ["log_det", "lambda_max"])
    assert list(lines(ax)) == ["largest Hessian eigenvalue"]
    other = Figure().subplots()
    plot_instability(table(), other, ["log_det"], thresholds={"log_det": 0.5})
    assert list(lines(other)) == ["log-determinant of the Hessian"]


def test_several_settings_and_unknown_measures_are_refused(ax: Axes) -> None:
    rows, other = split_tables(law), split_tables(law, lr=0.3)
    both = instabilities(*frames({name: rows[name] + other[name] for name in rows}))
    with pytest.raises(RequestError, match="several problems or learning rates"):
        plot_instability(both, ax)
    with pytest.raises(RequestError, match="unknown measure 'lambda_min'; did you mean 'lambda_max'"):
        plot_instability(table(), ax, ["lambda_min"])
