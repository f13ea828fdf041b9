"""The trials of a study: relaxation time against temperature."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mcdist.analysis.plots.style import INK, MUTED, TEMPERATURE, quiet
from mcdist.analysis.trials import steepness, trial_times

__all__ = ["plot_trials"]


def plot_trials(trials: pd.DataFrame, ax: Axes) -> Axes:
    """Relaxation time of each trial against its nominal temperature, both logarithmic; the darker, the steeper the time
    is there (`steepness`). A triangle: nothing arrived, and the time is longer than that.
    """
    rows = trial_times(trials)
    rows = rows[rows["t_nominal"].astype(float) > 0]
    steep = steepness(rows).to_numpy(dtype=float)
    T, time = (rows[c].to_numpy(dtype=float) for c in ("t_nominal", "time"))
    bound = rows["bound"].to_numpy(dtype=bool)
    top = float(np.nanmax(steep)) if len(steep) else 1.0
    for mark, mine in (("o", ~bound), ("^", bound)):
        ax.scatter(
            T[mine],
            time[mine],
            s=30,
            marker=mark,
            c=steep[mine],
            cmap="viridis_r",
            vmin=0,
            vmax=max(top, 1e-9),
            edgecolor=INK,
            linewidth=0.4,
        )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel=TEMPERATURE,
        ylabel="relaxation time (effective)",
    )
    if bound.any():
        handle = Line2D([], [], linestyle="", marker="^", color=MUTED, label="nothing arrived: longer than this")
        ax.legend(handles=[handle], loc="best", frameon=False, fontsize=8.5)
    quiet(ax)
    return ax
