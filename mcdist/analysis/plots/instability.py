"""Both instabilities of networks that were split, against the epoch of splitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.markers import CARETLEFT, CARETRIGHT
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator
from numpy.typing import NDArray

from mcdist.analysis.instability import instability_profile
from mcdist.analysis.onsets import criterion, instability_onset
from mcdist.analysis.pairs import select
from mcdist.analysis.plots.style import MUTED, measure_name, quiet
from mcdist.analysis.resampling import Statistic
from mcdist.errors import RequestError

__all__ = ["plot_instability"]

Floats = NDArray[np.float64]

# Warm: energetic; cold: curvature. Okabe-Ito, as the kinds of paths are.
_COLOURS = {"energetic": ("#D55E00", "#E69F00", "#CC79A7"), "curvature": ("#0072B2", "#009E73", "#56B4E9")}
_DASH, _MARK = {"energetic": "--", "curvature": "-"}, {"energetic": "s", "curvature": "o"}
_USUAL = ("train_error", "test_error", "lambda_max", "fisher_trace")
_LINEAR = 0.1  # thresholds: below it the scale is linear, so that 0 has a place


def plot_instability(
    table: pd.DataFrame,
    ax: Axes,
    measures: Sequence[str] | None = None,
    *,
    thresholds: Mapping[str, float] | None = None,
    statistic: Statistic = "median",
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> Axes:
    """How far each measure rises between branches, in units of its threshold, against the epoch of splitting: energetic
    ones dashed, curvature solid, with intervals; both scales hold 0. Above the frame, diamonds: the onsets with theirs.

    `table` from `instabilities`, of one setting. measures: those that are drawn; errors, largest eigenvalue and Fisher
    trace where they are there, if not said. The rise is the instability, or ratio - 1, as `criterion` has it. An onset
    that is censored is an arrow head, at the first epoch or the last.
    """
    shown = [m for m in _USUAL if m in set(table["measure"])] if measures is None else list(measures)
    for measure in shown:
        select(table, "instabilities", measure=measure)
    rows = table[table["measure"].isin(shown)]
    if rows["lr"].nunique() > 1 or rows["problem"].nunique() > 1:
        raise RequestError("instabilities: they are of several problems or learning rates; pass those of one alone")
    profile = instability_profile(rows, statistic=statistic, level=level, families=families)
    onsets = instability_onset(rows, thresholds, statistic, level=level, families=families)
    epochs = np.unique(profile["spawn_epoch"].to_numpy(dtype=float))
    used = dict.fromkeys(_COLOURS, 0)
    for measure in shown:
        mine, onset = profile[profile["measure"] == measure], onsets[onsets["measure"] == measure].iloc[0]
        if np.isnan(onset["threshold"]):
            continue
        what = str(onset["what"])
        colour = _COLOURS[what][used[what] % len(_COLOURS[what])]
        turn = sum(used.values())
        used[what] += 1
        k, (mean, low, high) = mine["spawn_epoch"].to_numpy(dtype=float), _risen(mine, measure, thresholds)
        bars = np.where(np.isfinite([mean - low, high - mean]), [mean - low, high - mean], 0.0)
        ax.errorbar(
            k,
            mean,
            np.maximum(bars, 0),
            color=colour,
            linestyle=_DASH[what],
            marker=_MARK[what],
            markersize=4,
            linewidth=1.6,
            elinewidth=1,
            label=measure_name(measure),
        )
        _mark(ax, onset, epochs, colour, turn)
    ax.axhline(1, color=MUTED, linewidth=0.9, linestyle=":")
    ax.set_xscale("symlog", linthresh=1)
    ax.set_yscale("symlog", linthresh=_LINEAR)
    ax.xaxis.set_major_locator(FixedLocator(epochs.tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FormatStrFormatter("%g"))
    ax.set(xlabel="epoch of splitting", ylabel="instability / threshold")
    ax.set_ylim(bottom=0)
    ax.set_xlim(-0.2, 1.2 * np.nanmax([1.0, epochs.max(initial=0), onsets["high"].max()]))
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1))
    quiet(ax)
    return ax


def _risen(
    profile: pd.DataFrame, measure: str, thresholds: Mapping[str, float] | None
) -> tuple[Floats, Floats, Floats]:
    """The statistic and its interval in units of the threshold; a ratio counts from 1."""
    on, threshold = criterion(measure, thresholds)
    base = 1.0 if on == "ratio" else 0.0
    mean, low, high = (
        (profile[name].to_numpy(dtype=float) - base) / (threshold - base) for name in (on, f"{on}_low", f"{on}_high")
    )
    return mean, low, high


def _mark(ax: Axes, onset: pd.Series, epochs: Floats, colour: str, turn: int) -> None:
    """The onset and its interval on a line of its own above the frame; an arrow away from where it is not."""
    height, where = 1.03 + 0.045 * turn, ax.get_xaxis_transform()
    how: dict[str, Any] = {"transform": where, "color": colour, "clip_on": False}
    if np.isfinite(onset["low"]):
        ax.plot([onset["low"], onset["high"]], [height, height], linewidth=1.4, **how)
    if np.isfinite(onset["onset"]):
        ax.plot([onset["onset"]], [height], marker="D", markersize=4.5, **how)
    elif np.isfinite(onset["at_least"]):
        early = onset["at_most"] <= epochs.min()
        at = onset["at_most"] if early else onset["at_least"]
        ax.plot([at], [height], marker=CARETLEFT if early else CARETRIGHT, markersize=6, **how)
