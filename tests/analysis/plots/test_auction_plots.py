"""What the figures of auctions show, read back from the artists."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from mcdist.analysis import (
    auction_barriers,
    mean_profile,
    plot_barrier_sizes,
    plot_menu,
    plot_reducibility_sizes,
    plot_revenue,
)
from mcdist.analysis.menu_trends import with_menus
from mcdist.errors import RequestError

from ..auctioned import SIZES, T, auction_sweep, options_of
from ..frames import frame


@pytest.fixture
def ax() -> Axes:
    return Figure(figsize=(4, 4)).subplots()


@pytest.fixture(scope="module")
def sweep():
    tables = {name: frame(name, rows) for name, rows in auction_sweep().items()}
    for name in ("paths", "barriers"):
        rows = with_menus(tables[name], tables["menus"])
        matched = rows["aligned"].astype(bool)
        tables[name] = rows.assign(path=rows["kind"].where(~matched, rows["kind"] + ", aligned"))
    return tables


class TestMenu:
    def test_areas_are_those_of_the_store_each_named_inside(self, ax: Axes) -> None:
        options = frame("menu_options", options_of("a") + options_of("b"))
        plot_menu(options, "a", ax)
        areas = [p for p in ax.patches if isinstance(p, Polygon)]
        assert len(areas) == 4
        for patch, corners in zip(areas, options["corners"], strict=False):
            np.testing.assert_array_equal(patch.get_xy()[:-1], np.array(corners))
        assert [t.get_text() for t in ax.texts] == ["nothing", "(1, 0)\n0.500", "(0, 1)\n0.500", "(1, 1)\n1.000"]
        places = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
        np.testing.assert_allclose([t.get_position() for t in ax.texts], places)
        assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1), (0, 1))

    def test_colour_is_by_allocation(self, ax: Axes) -> None:
        plot_menu(frame("menu_options", options_of("a")), "a", ax)
        assert [to_hex(p.get_facecolor()) for p in ax.patches] == ["#eef0f3", "#e69f00", "#56b4e9", "#009e73"]

    @pytest.mark.parametrize(
        "narrow", [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.02], [0.0, 0.02]], [[0.0, 0.0], [0.2, 0.0], [0.0, 0.2]]]
    )
    def test_names_do_not_reach_out_of_their_areas(self, ax: Axes, narrow: list[list[float]]) -> None:
        options = frame("menu_options", options_of("a"))
        options["corners"] = [narrow, *options["corners"][1:]]
        plot_menu(options, "a", ax)
        assert "nothing" not in [t.get_text() for t in ax.texts]
        ax.figure.draw_without_rendering()
        for text in ax.texts:
            box = text.get_window_extent().transformed(ax.transData.inverted())
            at = np.array(text.get_position())
            own = next(p for p in ax.patches if p.get_path().contains_point(at))
            assert own.get_path().contains_points(box.corners()).all()

    def test_one_item_is_a_bar(self, ax: Axes) -> None:
        rows = [
            {"endpoint_id": "a", "option": 0, "allocation": [0.0], "price": 0.0, "corners": [[0.0], [0.5]]},
            {"endpoint_id": "a", "option": 3, "allocation": [1.0], "price": 0.5, "corners": [[0.5], [1.0]]},
        ]
        plot_menu(frame("menu_options", rows), "a", ax)
        assert [(p.get_x(), p.get_width()) for p in ax.patches] == [(0.0, 0.5), (0.5, 0.5)]
        assert [t.get_text() for t in ax.texts] == ["nothing", "1\nfor 0.500"]

    def test_without_corners_there_is_nothing_to_draw(self, ax: Axes) -> None:
        options = frame("menu_options", options_of("a"))
        with pytest.raises(RequestError, match="no areas to draw"):
            plot_menu(options.assign(corners=None), "a", ax)
        with pytest.raises(RequestError, match="endpoint_id"):
            plot_menu(options, "c", ax)


class TestRevenue:
    def test_a_line_for_each_size_with_its_ends_and_band(self, sweep, ax: Axes) -> None:
        paths = sweep["paths"][sweep["paths"]["path"] == "linear"]
        plot_revenue(sweep["path_points"], paths, ax)
        lines = [line for line in ax.lines if not line.get_label().startswith("_")]
        assert [line.get_label() for line in lines] == [f"menu size {size}" for size in SIZES]
        table = mean_profile(sweep["path_points"], paths, "revenue_exact", ("menu_size",))
        np.testing.assert_allclose(lines[0].get_ydata(), table.loc[table["menu_size"] == 8, "estimate"])
        assert len(ax.collections) == len(SIZES)
        ends = [line for line in ax.lines if line.get_marker() == "o"]
        assert [line.get_xdata().tolist() for line in ends] == [[0, 1]] * len(SIZES)
        assert ax.get_ylabel() == "revenue (exact)"

    def test_pieces_are_parted_by_dotted_lines(self, sweep, ax: Axes) -> None:
        plot_revenue(sweep["path_points"], sweep["paths"][sweep["paths"]["kind"] == "three_pieces"], ax)
        dotted = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
        assert dotted == pytest.approx([1 / 3, 2 / 3])

    def test_without_exact_revenue_for_all_it_is_that_of_the_sample(self, sweep, ax: Axes) -> None:
        points = sweep["path_points"].copy()
        points.loc[points["t"] == T[0], "revenue_exact"] = None
        plot_revenue(points, sweep["paths"][sweep["paths"]["path"] == "linear"], ax)
        assert ax.get_ylabel() == "revenue (held out)"


class TestSizes:
    def test_barriers_of_each_kind_against_size(self, sweep, ax: Axes) -> None:
        plot_barrier_sizes(sweep["barriers"], sweep["menus"], ax)
        drawn = {bars.get_label(): bars[0] for bars in ax.containers}
        assert list(drawn) == ["linear", "linear, aligned", "three_pieces"]
        table = auction_barriers(sweep["barriers"], ("path", "menu_size"), "mean")
        np.testing.assert_allclose(drawn["linear"].get_ydata(), table.loc[table["path"] == "linear", "estimate"])
        assert np.round(drawn["linear"].get_xdata()).tolist() == [3, 4, 5]
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["8", "16", "32"]
        x = np.sort([line.get_xdata()[0] for line in drawn.values()])
        assert np.diff(x).min() > 0.1  # no mark hides another
        assert drawn["three_pieces"].get_ydata() == pytest.approx([0, 0, 0])
        assert ax.get_ylim()[0] < 0  # a place for barriers of 0

    def test_reducibility_of_every_menu_and_the_mean(self, sweep, ax: Axes) -> None:
        plot_reducibility_sizes(sweep["menus"], ax)
        dots = np.concatenate([np.asarray(c.get_offsets()) for c in ax.collections if len(c.get_offsets()) > 1])
        assert sorted(dots[:, 1]) == pytest.approx(sorted(sweep["menus"]["reducibility"]))
        (bars,) = ax.containers
        means = sweep["menus"].groupby("menu_size")["reducibility"].mean()
        np.testing.assert_allclose(bars[0].get_ydata(), means)

    def test_an_axis_of_menus_that_are_all_reducible_has_room(self, sweep, ax: Axes) -> None:
        plot_reducibility_sizes(sweep["menus"].assign(reducibility=0.0), ax)
        assert ax.get_ylim() == pytest.approx((-0.0005, 0.0108))
