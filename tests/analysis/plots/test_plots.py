"""What the figures show, read back from the artists."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mcdist.analysis import (
    barrier_summary,
    plot_barrier_matrix,
    plot_barrier_strip,
    plot_dendrogram,
    plot_profiles,
    saddle_tree,
)
from mcdist.analysis.plots.style import KIND_COLOURS, axis_label, group_label, group_styles
from mcdist.errors import RequestError

from ..frames import barrier_frame, frame, sweep_rows


@pytest.fixture(scope="module")
def tables():
    return {name: frame(name, rows) for name, rows in sweep_rows().items()}


@pytest.fixture
def ax():
    return Figure().subplots()


def test_profiles_have_a_line_and_a_band_per_kind_in_its_colour(tables, ax):
    plot_profiles(tables["path_points"], tables["paths"], "test_error", ax)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert {name: line.get_color() for name, line in lines.items()} == {
        k: KIND_COLOURS[k] for k in ("linear", "bezier", "chain")
    }
    assert len(ax.collections) == 3
    assert ax.get_ylabel() == "test error (fraction)"
    np.testing.assert_allclose(lines["linear"].get_xdata()[[0, -1]], [0, 1])


def test_the_strip_has_a_dot_per_pair_and_the_mean_with_its_interval(tables, ax):
    barriers = tables["barriers"]
    plot_barrier_strip(barriers, "train_loss", "barrier_linear", ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["bezier", "chain", "linear"]
    assert [len(dots.get_offsets()) for dots in ax.collections] == [15, 15, 15]
    found = barrier_summary(barriers[barriers["metric"] == "train_loss"], statistic="mean").iloc[2]
    bar, diamond = ax.get_lines()[4:]
    np.testing.assert_allclose(bar.get_xdata(), [found["low"], found["high"]])
    np.testing.assert_allclose(diamond.get_xdata(), [found["estimate"]])


def test_the_matrix_is_symmetric_and_in_the_order_of_seeds(tables, ax):
    plot_barrier_matrix(tables["barriers"], "linear", "train_loss", "barrier_linear", ax, endpoints=tables["endpoints"])
    (image,) = ax.get_images()
    grid = np.ma.filled(image.get_array(), np.nan)
    np.testing.assert_array_equal(grid, grid.T)
    assert np.isnan(np.diag(grid)).all()
    assert [text.get_text() for text in ax.get_xticklabels()] == list("012345")
    rows = tables["barriers"].query("kind == 'linear' and metric == 'train_loss' and endpoint_a == 'digits-1'")
    np.testing.assert_allclose(grid[1, 2:], rows["barrier_linear"])


def test_a_matrix_marks_end_points_of_one_seed_and_unknown_ones(ax):
    ends = frame("endpoints", [{"endpoint_id": name, "seed": seed} for name, seed in [("x", 3), ("y", 3), ("z", 1)]])
    barriers = barrier_frame({("x", "y"): 1.0, ("z", "0123456789"): 2.0})
    plot_barrier_matrix(barriers, "linear", "train_loss", "barrier_linear", ax, endpoints=ends)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "3.1", "3.2", "012345"]


def test_a_dendrogram_meets_at_the_saddles_of_the_tree(tables, ax):
    barriers = tables["barriers"]
    plot_dendrogram(barriers, "train_loss", ax, endpoints=tables["endpoints"])
    bars = [line for line in ax.get_lines() if line.get_xdata()[0] != line.get_xdata()[1]]
    tree = saddle_tree(barriers)
    np.testing.assert_allclose(sorted(bar.get_ydata()[0] for bar in bars), tree["saddle"])
    assert {bar.get_color() for bar in bars} == {KIND_COLOURS[kind] for kind in tree["kind"]}
    leaves = ax.collections[0].get_offsets()[:, 1]
    rows = barriers[barriers["metric"] == "train_loss"]
    own = {
        *zip(rows["endpoint_a"], rows["value_a"], strict=True),
        *zip(rows["endpoint_b"], rows["value_b"], strict=True),
    }
    np.testing.assert_allclose(np.sort(leaves), sorted(value for _, value in own))


def test_a_dendrogram_leaves_apart_what_no_path_joins(ax):
    plot_dendrogram(barrier_frame({("a", "b"): 1.0, ("c", "d"): np.nan}), "train_loss", ax)
    assert len([line for line in ax.get_lines() if line.get_ydata()[0] == line.get_ydata()[1] == 1]) == 1
    assert len(ax.collections[0].get_offsets()) == 4


def test_one_end_point_alone_is_a_leaf(ax):
    plot_dendrogram(barrier_frame({("a", "a"): 1.0}), "train_loss", ax)
    assert len(ax.collections[0].get_offsets()) == 1


def test_settings_of_one_kind_share_its_colour_and_differ_in_dash_and_marker():
    rows = barrier_frame({("a", "b"): 1.0})
    styles = group_styles(pd.concat([rows.assign(lr=0.1), rows.assign(lr=0.2)]), ("kind", "lr"))
    first, second = styles.values()
    assert first.colour == second.colour
    assert (first.dash, first.marker) != (second.dash, second.marker)
    assert [first.label, second.label] == ["linear, lr 0.1", "linear, lr 0.2"]


def test_colours_do_not_depend_on_which_kinds_are_there():
    alone = group_styles(barrier_frame({("a", "b"): 1.0}, kind="chain"), ("kind",))
    assert [style.colour for style in alone.values()] == [KIND_COLOURS["chain"]]
    assert len({to_hex(colour) for colour in KIND_COLOURS.values()}) == len(KIND_COLOURS)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        (("bezier", True, 0.01), "bezier, aligned, lr 0.01"),
        (("linear", np.False_, None), "linear"),
        (("chain", np.True_, float("nan")), "chain, aligned"),
    ],
)
def test_a_group_in_words(key, label):
    assert group_label(("kind", "aligned", "lr"), key) == label


def test_axis_labels_carry_the_unit_of_the_tables():
    assert axis_label("train_loss") == "train loss (nats per example)"
    assert axis_label("test_error", "max") == "test error: saddle (fraction)"
    assert axis_label("welfare") == "welfare"


def test_nothing_global_is_changed(tables, ax):
    before = dict(matplotlib.rcParams)
    plot_profiles(tables["path_points"], tables["paths"], "test_error", ax)
    plot_barrier_strip(tables["barriers"], "train_loss", "barrier_linear", ax)
    assert dict(matplotlib.rcParams) == before


def test_a_kind_that_is_not_there_is_refused(tables, ax):
    with pytest.raises(RequestError, match="unknown kind 'bezir'; did you mean 'bezier'"):
        plot_barrier_matrix(tables["barriers"], "bezir", "train_loss", "barrier_linear", ax)
