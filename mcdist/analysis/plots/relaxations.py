"""Runs on their way along the path, and how long they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mcdist.analysis.pairs import check_columns, groups
from mcdist.analysis.plots.style import INK, MUTED, TEMPERATURE, group_styles, quiet
from mcdist.analysis.relaxation_fits import relaxation_fit
from mcdist.analysis.relaxations import relaxation_summary

__all__ = ["plot_relaxation_times", "plot_traces"]

Families = Mapping[str, str]

_NOISE = {
    "minibatch": ("#0072B2", "minibatches"),
    "isotropic": ("#E69F00", "isotropic noise"),
    "none": (INK, "full batches"),
}
_MOST = 80
_SPREAD = 0.05


def plot_traces(runs: pd.DataFrame, traces: pd.DataFrame, ax: Axes) -> Axes:
    """Position s against effective time of the given runs (`relaxation_runs`), one thin line each, by kind of noise;
    full batches, the control, on top. A dot: arrived. At most 80 runs of a kind of noise, evenly taken from all.

    Pass the runs of one setting and their controls.
    """
    check_columns(traces, ["task_id", "path_id", "s0", "replica", "t_eff", "s"], "relaxation_traces")
    keys = ["task_id", "path_id", "s0", "replica"]
    held = dict(list(traces.sort_values("t_eff", kind="stable").groupby(keys)))
    for noise in ("isotropic", "minibatch", "none"):
        mine = runs[(runs["noise"] == noise) & ~runs["diverged"]]
        if len(mine) > _MOST:
            mine = mine.iloc[np.linspace(0, len(mine) - 1, _MOST).round().astype(int)]
        colour, label = _NOISE[noise]
        drawn = 0
        for row in mine[[*keys, "arrived"]].itertuples(index=False):
            look = held.get(tuple(row[:4]))
            if look is None:
                continue
            t, s = (look[c].to_numpy(dtype=float) for c in ("t_eff", "s"))
            t, s = np.concatenate([[0.0], t]), np.concatenate([[float(row[2])], s])
            ax.plot(
                t, s, color=colour, linewidth=1.1 if noise == "none" else 0.6, alpha=0.9 if noise == "none" else 0.5
            )
            if row[4]:
                ax.plot(t[-1:], s[-1:], "o", color=colour, markersize=2.5)
            drawn += 1
        if drawn:
            ax.plot([], [], color=colour, linewidth=1.4, label=label)
    ax.set(xlabel="effective time", ylabel="s (part of the arclength)", ylim=(-0.02, 1.02))
    quiet(ax)
    return ax


def plot_relaxation_times(
    runs: pd.DataFrame,
    ax: Axes,
    *,
    by: Sequence[str] = ("kind",),
    level: float = 0.95,
    families: Families | None = None,
) -> Axes:
    """Times of first passage against the nominal temperature, both logarithmic: a faint dot per run that arrived, a
    faint triangle at its last time per censored one; Kaplan and Meier's median of each temperature with its interval;
    and the law T^-a of `relaxation_fit` (dashed, its median). Runs without noise have no place here.
    """
    noisy = runs[(runs["t_nominal"].astype(float) > 0) & ~runs["diverged"] & (runs["time"].astype(float) > 0)]
    parts = dict(groups(noisy, by))
    for turn, (key, style) in enumerate(group_styles(noisy, by).items()):
        rows = parts[key]
        T, time = (rows[c].to_numpy(dtype=float) for c in ("t_nominal", "time"))
        arrived = rows["arrived"].to_numpy(dtype=bool)
        beside = T * np.exp(_SPREAD * (2 * (np.arange(len(T)) * 0.6180339887498949 % 1) - 1 + 2.4 * turn))
        ax.scatter(beside[arrived], time[arrived], s=6, color=style.colour, alpha=0.25, linewidth=0)
        ax.scatter(beside[~arrived], time[~arrived], s=14, marker="^", color=style.colour, alpha=0.3, linewidth=0)
        table = relaxation_summary(rows, ("t_nominal",), level=level, families=families)
        table = table[np.isfinite(table["median"].astype(float))]
        x, median, low, high = (
            table[c].to_numpy(dtype=float) for c in ("t_nominal", "median", "median_low", "median_high")
        )
        bars = np.array([median - low, np.where(np.isinf(high), rows["time_limit"].astype(float).max(), high) - median])
        ax.errorbar(
            x * np.exp(2.4 * _SPREAD * turn),
            median,
            np.where(np.isfinite(bars), np.maximum(bars, 0), 0),
            fmt=style.marker,
            color=style.colour,
            markersize=6,
            markeredgecolor="white",
            label=style.label,
            zorder=4,
        )
        fit = relaxation_fit(rows, (), n_boot=2).iloc[0] if len(rows) else None
        if fit is not None and np.isfinite(fit["exponent"]):
            line = np.geomspace(T.min(), T.max(), 30)
            ax.plot(
                line,
                fit["reference_time"] * (line / fit["reference_t"]) ** -fit["exponent"],
                color=style.colour,
                linestyle="--",
                linewidth=1,
            )
    ax.set(xscale="log", yscale="log", xlabel=TEMPERATURE)
    ax.set_ylabel("effective time to an end")
    if len(noisy) and not noisy["arrived"].astype(bool).all():
        handle = Line2D([], [], linestyle="", marker="^", color=MUTED, label="broken off before it arrived")
        ax.legend(handles=[handle], loc="best", frameon=False, fontsize=8.5)
    quiet(ax)
    return ax
