"""The loss on a plane through three points of weight space."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import NDArray

from mcdist.analysis.pairs import check_columns, select
from mcdist.analysis.plots.style import axis_label, quiet

__all__ = ["plot_plane"]

_LEVELS = 12
_SPAN = 1e-3  # of the greatest value: what lies below is one colour on a log scale
_COLOURS = "viridis_r"


def plot_plane(planes: pd.DataFrame, plane_marks: pd.DataFrame, plane_id: str, metric: str, ax: Axes) -> Axes:
    """Filled contours of a metric on a plane, with its three points a, b and c and the path in it.

    Levels are spaced by logarithm, as far down as a thousandth of the greatest value. Both axes are Euclidean
    distances, on one scale. White is where the metric is not finite. A path that does not lie in the plane is drawn
    where it projects to, dashed. Raises RequestError for a plane or metric that the tables do not hold.
    """
    check_columns(planes, ["x", "y", metric], "planes")
    rows = select(planes, "planes", plane_id=plane_id)
    grid = rows.pivot_table(index="y", columns="x", values=metric, aggfunc="mean", dropna=False)
    values = grid.to_numpy(dtype=float)
    values = np.where(np.isfinite(values), values, np.nan)
    levels = _levels(values)
    if len(levels):
        x, y = grid.columns.to_numpy(dtype=float), grid.index.to_numpy(dtype=float)
        shades = BoundaryNorm(levels, 256)
        filled = ax.contourf(x, y, np.clip(values, levels[0], levels[-1]), levels, cmap=_COLOURS, norm=shades)
        # Inside the axes' own frame, so that the bar is as high as the plane.
        bar = ax.figure.colorbar(filled, cax=ax.inset_axes((1.03, 0.0, 0.04, 1.0)), format="%.2g")
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8, length=2)
        bar.set_label(axis_label(metric), size=8.5)
    _marks(plane_marks[plane_marks["plane_id"] == plane_id], ax)
    ax.set(aspect="equal", xlabel="distance along b − a", ylabel="distance at right angles to it")  # noqa: RUF001
    quiet(ax, grid=None)
    ax.spines[:].set_visible(False)
    return ax


def _levels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bounds of the colours, none for a plane without a value."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.empty(0)
    low, high = float(known.min()), float(known.max())
    if high <= low:
        return np.array([low, low + max(abs(low), 1.0) * 1e-6])
    if high <= 0:
        return np.linspace(low, high, _LEVELS)
    return np.geomspace(max(low, high * _SPAN), high, _LEVELS)


def _marks(marks: pd.DataFrame, ax: Axes) -> None:
    """The path, and the three points with their letters."""
    halo: list[AbstractPathEffect] = [withStroke(linewidth=2.6, foreground="white")]
    path = marks[marks["role"] == "path"].sort_values("t")
    if len(path):
        apart = path["distance"].astype(float).max() > 1e-3 * np.ptp(path["x"].to_numpy(dtype=float))
        dash = "--" if apart else "-"
        ax.plot(path["x"], path["y"], color="black", linestyle=dash, linewidth=1.4, path_effects=halo, label="path")
    points = marks[marks["role"].isin(("a", "b", "c"))].sort_values("role")
    ax.scatter(points["x"], points["y"], s=34, color="black", edgecolor="white", linewidth=1, zorder=4)
    for role, x, y in points[["role", "x", "y"]].itertuples(index=False):
        text = ax.annotate(role, (x, y), (5, 5), textcoords="offset points", size=10, weight="bold", zorder=5)
        text.set_path_effects(halo)
