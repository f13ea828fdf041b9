"""Revenue along paths between auctions, and barriers and reducibility against the size of the menu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import NDArray

from mcdist.analysis.auction_paths import auction_barriers
from mcdist.analysis.menu_trends import with_menus
from mcdist.analysis.menus import labelled_menus, menu_summary
from mcdist.analysis.pairs import groups, without_tours
from mcdist.analysis.plots.strip import spread
from mcdist.analysis.plots.style import INK, MUTED, group_styles, quiet
from mcdist.analysis.profiles import mean_profile

__all__ = ["plot_barrier_sizes", "plot_reducibility_sizes", "plot_revenue"]

Families = Mapping[str, str]

_SMALLEST = 1e-2  # percent: below it the axis is linear, so that barriers of 0 have a place
_LEAST = 0.01  # the greatest eps that an axis shows, at least
_DODGE = 0.5  # of the distance of two sizes: all kinds lie within


def plot_revenue(
    path_points: pd.DataFrame,
    paths: pd.DataFrame,
    ax: Axes,
    *,
    by: Sequence[str] = ("menu_size",),
    level: float = 0.95,
    families: Families | None = None,
) -> Axes:
    """Mean revenue along the paths of one kind against t, one line per group of `paths`, with the band of
    `mean_profile`; both ends marked, and dotted where one piece of a made path ends and the next begins.

    Revenue without sampling where all of these paths have it, else held out. Lighter lines come first in `by`.
    """
    rows, _ = without_tours(paths)
    points = path_points[path_points["path_id"].isin(rows["path_id"])]
    exact = points["revenue_exact"].notna().all() and len(points) > 0
    metric = "revenue_exact" if exact else "revenue"
    table = mean_profile(points, rows, metric, by, level=level, families=families)
    found = list(groups(table, by))
    shades = matplotlib.colormaps["cividis_r"](np.linspace(0.25, 1.0, max(len(found), 2)))[-len(found) :]
    for shade, (key, mine) in zip(shades, found, strict=True):
        t, mean, low, high = (mine[c].to_numpy(dtype=float) for c in ("t", "estimate", "low", "high"))
        label = ", ".join(f"{name.replace('_', ' ')} {_plain(part)}" for name, part in zip(by, key, strict=True))
        ax.plot(t, mean, color=shade, linewidth=1.6, label=label)
        ax.fill_between(t, np.maximum(low, 0.0), high, color=shade, alpha=0.12, linewidth=0)
        ax.plot(t[[0, -1]], mean[[0, -1]], color=shade, marker="o", markersize=4.5, linestyle="", clip_on=False)
    for border in _borders(points):
        ax.axvline(border, color=MUTED, linewidth=0.9, linestyle=":", zorder=0)
    ax.set(xlabel="t", ylabel="revenue (exact)" if exact else "revenue (held out)", xlim=(0, 1))
    quiet(ax)
    return ax


def _plain(part: object) -> str:
    return f"{part:g}" if isinstance(part, float) else str(part)


def _borders(points: pd.DataFrame) -> list[float]:
    """Between which positions the piece changes; the same for all paths of a kind."""
    rows = points[points["piece"].notna()].sort_values(["path_id", "t"])
    if rows.empty:
        return []
    first = rows[rows["path_id"] == rows["path_id"].iloc[0]].drop_duplicates("t")
    count = int(first["piece"].max())
    return [k / count for k in range(1, count)]


def plot_barrier_sizes(
    barriers: pd.DataFrame,
    menus: pd.DataFrame,
    ax: Axes,
    *,
    path: str = "path",
    level: float = 0.95,
    families: Families | None = None,
) -> Axes:
    """The mean barrier of revenue, in percent of the lesser end's, against the size of the menu: one line per kind of
    path (column `path`, with `kind`), with the interval of `auction_barriers`.

    Marks of one size stand beside each other. Below 0.01 % the axis is linear.
    """
    rows = with_menus(without_tours(barriers)[0], menus)
    table = auction_barriers(rows, (path, "menu_size"), "mean", level=level, families=families)
    styles = group_styles(rows, [path])
    sizes = np.unique(table["menu_size"].to_numpy(dtype=float))
    for turn, (key, style) in enumerate(styles.items()):
        mine = table[table[path].astype(str) == str(key[0])].sort_values("menu_size")
        x, mean, low, high = (mine[c].to_numpy(dtype=float) for c in ("menu_size", "estimate", "low", "high"))
        bars = np.where(np.isfinite([mean - low, high - mean]), [mean - low, high - mean], 0.0)
        ax.errorbar(
            np.log2(x) + _DODGE * ((turn + 0.5) / len(styles) - 0.5),
            mean,
            np.maximum(bars, 0.0),
            color=style.colour,
            linestyle=style.dash,
            marker=style.marker,
            markersize=4.5,
            linewidth=1.2,
            elinewidth=1.1,
            label=style.label,
        )
    ax.set_yscale("symlog", linthresh=_SMALLEST, linscale=0.6)
    ax.yaxis.set_major_locator(FixedLocator([0, 0.01, 0.1, 1, 10, 100]))
    ax.yaxis.set_major_formatter(FixedFormatter(["0", "0.01", "0.1", "1", "10", "100"]))
    ax.yaxis.set_minor_locator(NullLocator())
    top = np.nanmax(table[["estimate", "high"]].to_numpy(dtype=float), initial=_SMALLEST)
    ax.set_ylim(-0.15 * _SMALLEST, 1.4 * top)
    ax.set(xlabel="menu size", ylabel="mean barrier (% of revenue)")
    _sizes(ax, sizes)
    return ax


def plot_reducibility_sizes(menus: pd.DataFrame, ax: Axes, *, level: float = 0.95) -> Axes:
    """Reducibility of every menu on the held-out valuations against the size of the menu, and the mean over seeds with
    its interval; one colour per way of training. The scatter of the dots to the side has no meaning.
    """
    rows, table = labelled_menus(menus), menu_summary(menus, level=level)
    labels = list(dict.fromkeys(table["label"]))
    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
    for turn, label in enumerate(labels):
        colour = colours[turn % len(colours)]
        shift = _DODGE * ((turn + 0.5) / len(labels) - 0.5)
        mine, means = rows[rows["label"] == label], table[table["label"] == label]
        for _, part in mine.groupby("menu_size"):
            x = np.log2(part["menu_size"].to_numpy(dtype=float)) + shift + 0.06 * spread(len(part)) - 0.1
            ax.scatter(x, part["reducibility"], s=15, color=colour, alpha=0.55, linewidth=0)
        x, mean, low, high = (
            means[c].to_numpy(dtype=float)
            for c in ("menu_size", "reducibility", "reducibility_low", "reducibility_high")
        )
        bars = np.where(np.isfinite([mean - low, high - mean]), [mean - low, high - mean], 0.0)
        ax.errorbar(
            np.log2(x) + shift + 0.1,
            mean,
            bars,
            color=INK if len(labels) == 1 else colour,
            marker="D",
            markersize=4.5,
            linewidth=0.8,
            elinewidth=1.3,
            label=label or None,
        )
    ax.set(xlabel="menu size", ylabel="eps for which it is reducible")
    shown = [rows["reducibility"].to_numpy(dtype=float), table["reducibility_high"].to_numpy(dtype=float)]
    top = np.nanmax(np.concatenate(shown), initial=_LEAST)
    ax.set_ylim(-0.05 * top, 1.08 * top)
    _sizes(ax, np.unique(table["menu_size"].to_numpy(dtype=float)))
    return ax


def _sizes(ax: Axes, sizes: NDArray[np.float64]) -> None:
    """Menu sizes as ticks of an axis that is in log2."""
    ax.xaxis.set_major_locator(FixedLocator(np.log2(sizes).tolist()))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{size:g}" for size in sizes]))
    if len(sizes):
        ax.set_xlim(np.log2(sizes.min()) - 0.5, np.log2(sizes.max()) + 0.5)
    quiet(ax)
