"""Every pair's barrier, kind by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mcdist.analysis.barriers import barrier_summary
from mcdist.analysis.pairs import one_per_pair, pair_groups, select
from mcdist.analysis.plots.style import INK, axis_label, group_styles, quiet

__all__ = ["plot_barrier_strip", "spread"]


def plot_barrier_strip(
    barriers: pd.DataFrame,
    metric: str,
    value: str,
    ax: Axes,
    *,
    by: Sequence[str] = ("kind", "aligned"),
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> Axes:
    """One dot per pair and group, and the group's mean with its interval (`barrier_summary`) above the dots.

    The vertical scatter of the dots has no meaning. Raises RequestError as `barrier_summary` does.
    """
    rows = select(barriers, "barriers", metric=metric)
    styles = group_styles(barriers, by)
    summary = barrier_summary(rows, by, value, "mean", level=level, families=families)
    labels = []
    for place, ((key, mine, _), (_, found)) in enumerate(zip(pair_groups(rows, by), summary.iterrows(), strict=True)):
        style = styles[key]
        values = one_per_pair(mine, value)[0]["value"].to_numpy(dtype=float)
        heights = place + 0.16 + 0.26 * spread(len(values))
        ax.scatter(values, heights, s=14, color=style.colour, alpha=0.55, marker=style.marker, linewidth=0)
        mean, low, high = (float(found[name]) for name in ("estimate", "low", "high"))
        ax.plot([low, high], [place - 0.22] * 2, color=INK, linewidth=1.6, solid_capstyle="butt")
        ax.plot([mean], [place - 0.22], marker="D", markersize=5, color=INK)
        labels.append(style.label)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.5)
    ax.set_xlabel(axis_label(metric, value))
    quiet(ax, grid="x")
    return ax


def spread(count: int) -> NDArray[np.float64]:
    """Offsets in [-1, 1) that keep neighbours apart: multiples of the golden ratio, modulo one. No random
    numbers.
    """
    offsets: NDArray[np.float64] = np.arange(count, dtype=np.float64) * 0.6180339887498949 % 1
    return 2 * offsets - 1
