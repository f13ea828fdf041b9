"""A network on its way with a cyclic rate: rate, test error and distance, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mcdist.analysis.pairs import groups
from mcdist.analysis.plots.style import INK, MUTED, quiet
from mcdist.analysis.trajectories import labelled_trajectories, trajectory_summary
from mcdist.errors import RequestError

__all__ = ["plot_trajectories"]

Floats = NDArray[np.float64]

_COLOURS = {"lr": INK, "test_error": "#0072B2", "distance": "#009E73"}
_LABELS = {
    "lr": "learning rate",
    "test_error": "test error (fraction)",
    "distance": "distance from where\nthe cycles began",
}


def plot_trajectories(trajectories: pd.DataFrame, axes: Sequence[Axes]) -> Sequence[Axes]:
    """Rate, test error and distance from where the cycles began, against epochs, on three axes: thin, each seed; thick,
    their mean; circles, where members were taken.

    Pass the trajectories of one problem and one setting: several are refused. The rate is drawn at every step.
    """
    if len(axes) != len(_COLOURS):
        raise RequestError(f"axes: got {len(axes)}; allowed: 3, for rate, error and distance")
    rows = labelled_trajectories(trajectories)
    if rows["problem"].nunique() > 1 or rows["label"].nunique() > 1:
        raise RequestError("trajectories: they are of several problems or settings; pass those of one alone")
    mean = trajectory_summary(rows)
    taken = mean[mean["member"].notna()]
    for ax, (column, colour) in zip(axes, _COLOURS.items(), strict=True):
        if column == "lr":
            ax.plot(*_rate(mean), color=colour, linewidth=1.2)
        else:
            for _, run in groups(rows.sort_values("iteration"), ["trajectory_id"]):
                ax.plot(run["epoch"], run[column], color=colour, linewidth=0.7, alpha=0.4)
            ax.plot(mean["epoch"], mean[column], color=colour, linewidth=1.9, label="mean over seeds")
        ax.scatter(taken["epoch"], taken[column], s=28, facecolor="white", edgecolor=colour, linewidth=1.3, zorder=3)
        ax.set_ylabel(_LABELS[column])
        ax.set_xlim(mean["epoch"].min(), mean["epoch"].max() + 0.01 * np.ptp(mean["epoch"]))
        quiet(ax)
    for at in taken["epoch"]:
        for ax in axes:
            ax.axvline(at, color=MUTED, linewidth=0.6, linestyle=":", zorder=0)
    axes[-1].set_xlabel("epoch")
    return axes


def _rate(looks: pd.DataFrame) -> tuple[Floats, Floats]:
    """Epochs and rate of every step, by the formula of the setting; at the looks alone where these say otherwise."""
    i, epoch, lr = (looks[c].to_numpy(dtype=float) for c in ("iteration", "epoch", "lr"))
    if len(i) < 2 or i[-1] <= 0:
        return epoch, lr
    first = looks.iloc[0]
    steps = np.arange(1, round(i[-1]) + 1, dtype=float)
    each = (epoch[-1] - epoch[0]) / (i[-1] - i[0])
    if first["rate"] == "triangle":
        c = round(float(first["cycle"]) / each)
        t = ((steps - 1) % c + 1) / c
        a, b = float(first["lr1"]), float(first["lr2"])
        rate = np.where(t <= 0.5, (1 - 2 * t) * a + 2 * t * b, (2 - 2 * t) * b + (2 * t - 1) * a)
    else:
        c = -(-round(i[-1]) // round(float(first["cycles"])))
        rate = float(first["lr1"]) / 2 * (np.cos(np.pi * ((steps - 1) % c) / c) + 1)
    at = np.maximum(i.astype(int), 1) - 1
    if not np.allclose(rate[at], lr, rtol=1e-4, atol=1e-9):
        return epoch, lr
    return epoch[0] + steps * each, rate
