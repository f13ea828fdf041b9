"""The mean curvature along the paths of each kind, with the controls at its ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter
from numpy.typing import NDArray

from mcdist.analysis.curvature_summaries import control_summary, curvature_profile
from mcdist.analysis.pairs import groups
from mcdist.analysis.plots.style import INK, MUTED, group_styles, measure_name, quiet

__all__ = ["plot_curvature"]

_AXES = {"s": "s (part of the arclength)", "t": "t"}
_MUCH = 8
_BESIDE = 0.018  # controls are drawn beside the frame's ends, so that lines do not hide them


def plot_curvature(
    curvature: pd.DataFrame,
    paths: pd.DataFrame,
    measure: str,
    ax: Axes,
    *,
    by: Sequence[str] = ("kind", "aligned"),
    axis: str = "s",
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> Axes:
    """The mean of a measure over paths against `s` (or `t`), one line per group of `paths`, with the band of
    `curvature_profile`; marks at both ends are the means of the controls with their intervals.

    Where means are positive and span more than a factor of 8 the scale is logarithmic. A group with too few end
    points for an interval has its line without a band, and marks without bars. Raises RequestError as
    `curvature_profile` does.
    """
    table = curvature_profile(curvature, paths, measure, by, axis=axis, level=level, families=families)
    controls = control_summary(curvature, paths, measure, by, level=level, families=families)
    found, ends = dict(groups(table, by)), dict(groups(controls, by))
    turn, means = 0, [np.empty(0)]
    for key, style in group_styles(paths, by).items():
        rows = found.get(key, table.iloc[:0])
        mean = rows["estimate"].to_numpy(dtype=float)
        if not np.isfinite(mean).any():
            continue
        means.append(mean[np.isfinite(mean)])
        x, low, high = (rows[column].to_numpy(dtype=float) for column in (axis, "low", "high"))
        ax.plot(x, mean, color=style.colour, linestyle=style.dash, linewidth=1.8, label=style.label)
        ax.fill_between(x, low, high, color=style.colour, alpha=0.16, linewidth=0)
        for _, mark in ends.get(key, controls.iloc[:0]).iterrows():
            at = (-1 if mark["t"] == 0 else 1) * _BESIDE * (1 + turn) + float(mark["t"])
            bars = [[mark["estimate"] - mark["low"]], [mark["high"] - mark["estimate"]]]
            ax.errorbar(
                [at], [mark["estimate"]], bars, fmt=style.marker, color=style.colour, markersize=4.5, elinewidth=1.1
            )
        turn += 1
    room = _BESIDE * (turn + 1)
    for end in (0, 1):
        ax.axvline(end, color=MUTED, linewidth=0.7, linestyle=":")
    ax.set(xlabel=_AXES[axis], ylabel=measure_name(measure), xlim=(-room, 1 + room))
    _scale(ax, np.concatenate([*means, controls["estimate"].dropna().to_numpy(dtype=float)]))
    if len(controls):
        handle = Line2D(
            [], [], color=INK, marker="o", markersize=4.5, linewidth=1.1, label="ends trained on (controls)"
        )
        ax.legend(handles=[handle], loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=8.5)
    quiet(ax)
    return ax


def _scale(ax: Axes, means: NDArray[np.float64]) -> None:
    """A logarithmic scale for what spans much; bands that reach below zero end at the frame."""
    if len(means) and means.min() > 0 and means.max() > _MUCH * means.min():
        ax.set_yscale("log")
        ax.set_ylim(bottom=means.min() / 1.5)
        ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
