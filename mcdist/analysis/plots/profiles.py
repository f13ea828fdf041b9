"""The mean profile along the paths of each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mcdist.analysis.pairs import groups
from mcdist.analysis.plots.style import axis_label, group_styles, quiet
from mcdist.analysis.profiles import mean_profile

__all__ = ["plot_profiles"]


def plot_profiles(
    path_points: pd.DataFrame,
    paths: pd.DataFrame,
    metric: str,
    ax: Axes,
    *,
    by: Sequence[str] = ("kind", "aligned"),
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> Axes:
    """The mean of the metric over paths against t, one line per group of `paths`, with the band of
    `mean_profile` at that level.

    A group with too few end points for an interval has its line without a band. Raises RequestError as
    `mean_profile` does.
    """
    table = mean_profile(path_points, paths, metric, by, level=level, families=families)
    found = dict(groups(table, by))
    for key, style in group_styles(paths, by).items():
        rows = found[key]
        t, mean = rows["t"].to_numpy(dtype=float), rows["estimate"].to_numpy(dtype=float)
        if not np.isfinite(mean).any():
            continue
        ax.plot(t, mean, color=style.colour, linestyle=style.dash, linewidth=1.8, label=style.label)
        low = rows["low"].to_numpy(dtype=float)
        if metric.endswith("_error"):
            low = np.maximum(low, 0)  # a fraction is never negative
        ax.fill_between(t, low, rows["high"].to_numpy(dtype=float), color=style.colour, alpha=0.16, linewidth=0)
    ax.set(xlabel="t", ylabel=axis_label(metric), xlim=(0, 1))
    quiet(ax)
    return ax
