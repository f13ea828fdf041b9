"""The trials of a study of ensembles: their settings beside each other, and what they reached cycle by cycle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mcdist.analysis.plots.style import INK, MUTED, few_decades, quiet
from mcdist.analysis.trial_ranking import RATES, ensemble_trials, trial_curves, tuned_trials
from mcdist.errors import RequestError

__all__ = ["plot_parallel", "plot_trial_curves"]

Floats = NDArray[np.float64]

_WIDE = 4.0  # greatest over least: a span that is drawn in the logarithm where nothing else is said
_LABELS = {"start": "start (epoch)", "cycle": "cycle (epochs)", "val_nll": "validation nll\n(nats per example)"}
_STOPPED = "#b8bfc8"
_WINNER = "#D55E00"


def plot_parallel(trials: pd.DataFrame, ax: Axes, *, log: Sequence[str] | None = None) -> Axes:
    """Each trial a line over its searched settings to its validation nll: coloured by that, the less the darker; the
    best thick with a star. Stopped ones thin and grey, without an nll, which is of fewer members.

    Pass the ensemble trials of one problem and method. log: settings on a logarithmic axis (those searched so);
    rates over a wide span if not said. Settings that all trials have in common are left out.
    """
    rows = _of_one(trials)
    done = tuned_trials(rows)
    done = done[done["rank"].notna()]
    varied = [c for c in RATES if rows[c].nunique() > 1] or [c for c in RATES if rows[c].notna().any()][:1]
    chosen = [c for c in ("lr1", "lr2") if _wide(rows[c])] if log is None else list(log)
    places = [_place(rows[c], c in chosen) for c in varied]
    columns = [*varied, "val_nll"]
    places.append(_place(done["val_nll"], _wide(done["val_nll"])))
    stopped = rows[~rows["complete"]]
    for setting in stopped[varied].to_numpy(dtype=float):
        y = [place(value) for place, value in zip(places, setting, strict=False)]
        ax.plot(range(len(varied)), y, color=_STOPPED, linewidth=0.7, zorder=1)
        ax.plot([len(varied) - 1], y[-1:], color=_STOPPED, marker="x", markersize=4, zorder=1)
    colour, ramp = _shade(done["val_nll"])
    for row in done.iloc[::-1].to_dict("records"):
        y = [place(float(row[c])) for place, c in zip(places, columns, strict=True)]
        best = row["rank"] == 1
        how = {"color": _WINNER, "linewidth": 2.6, "zorder": 4} if best else {"color": ramp(colour(row["val_nll"]))}
        ax.plot(range(len(columns)), y, **({"linewidth": 1.0, "alpha": 0.85, "zorder": 2} | how))
        if best:
            ax.plot([len(varied)], y[-1:], marker="*", markersize=13, color=_WINNER, zorder=5, clip_on=False)
    _axes(ax, columns, [*(rows[c] for c in varied), done["val_nll"]], places)
    handles = [Line2D([], [], color=_WINNER, linewidth=2.6, marker="*", markersize=10, label="least nll")]
    handles += [Line2D([], [], color=ramp(0.35), label="complete, darker: less nll")] if len(done) > 1 else []
    handles += [Line2D([], [], color=_STOPPED, marker="x", markersize=4, label="stopped early")] if len(stopped) else []
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=3, frameon=False, fontsize=8.5)
    return ax


def plot_trial_curves(trials: pd.DataFrame, cycles: pd.DataFrame, ax: Axes) -> Axes:
    """Validation nll of each trial against the epochs of training of each of its networks, cycle by cycle; colours
    as in `plot_parallel`, stopped ones grey, with a cross where they end.

    Pass the ensemble trials of one problem and method.
    """
    rows = _of_one(trials)
    curves = trial_curves(rows, cycles)
    done = tuned_trials(rows)
    colour, ramp = _shade(done.loc[done["rank"].notna(), "val_nll"])
    for _, part in curves.groupby("trial_id", sort=False):
        first = part.iloc[0]
        x, y = part["epochs_used"].to_numpy(dtype=float), part["val_nll"].to_numpy(dtype=float)
        if not first["complete"]:
            ax.plot(x, y, color=_STOPPED, linewidth=0.9, zorder=1)
            ax.plot(x[-1:], y[-1:], color=MUTED, marker="x", markersize=5, zorder=3)
        elif first["rank"] == 1:
            ax.plot(x, y, color=_WINNER, linewidth=2.4, marker="o", markersize=3.5, zorder=4)
            ax.plot(x[-1:], y[-1:], color=_WINNER, marker="*", markersize=13, zorder=5)
        else:
            ax.plot(x, y, color=ramp(colour(y[-1])), linewidth=1.0, marker="o", markersize=2.5, zorder=2)
    if _wide(curves["val_nll"]):
        few_decades(ax)
    ax.set(xlabel="epochs of training of each network", ylabel="validation nll (nats per example)")
    quiet(ax)
    return ax


def _of_one(trials: pd.DataFrame) -> pd.DataFrame:
    rows = ensemble_trials(trials)
    if rows["problem"].nunique() > 1 or rows["method"].nunique() > 1:
        raise RequestError("trials: they are of several problems or methods; pass those of one alone")
    return rows


def _wide(values: pd.Series) -> bool:
    """Whether positive values span so much that their logarithm shows them better."""
    finite = values[np.isfinite(values.astype(float))].astype(float)
    return bool(len(finite) and finite.min() > 0 and finite.max() > _WIDE * finite.min())


def _place(values: pd.Series, log: bool) -> Callable[[float], float]:
    """From a value to its height between 0 and 1; the middle where all are one."""
    finite = values[np.isfinite(values.astype(float))].astype(float)
    scale: Callable[[float], float] = (lambda v: float(np.log(v))) if log else float
    low, high = (scale(finite.min()), scale(finite.max())) if len(finite) else (0.0, 0.0)
    return lambda value: (scale(value) - low) / (high - low) if high > low else 0.5


def _shade(nll: pd.Series) -> tuple[Normalize, Colormap]:
    """From an nll to a colour by its place between least and greatest, in the logarithm where they span much."""
    values = nll[np.isfinite(nll)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    scale = matplotlib.colors.LogNorm if _wide(values) else Normalize
    return scale(low, high if high > low else low + 1), matplotlib.colormaps["viridis"]


def _axes(
    ax: Axes, columns: Sequence[str], values: Sequence[pd.Series], places: Sequence[Callable[[float], float]]
) -> None:
    """A vertical line for each column, with a few of its values beside it."""
    for x, (series, place) in enumerate(zip(values, places, strict=True)):
        ax.axvline(x, color=INK, linewidth=0.9, zorder=3)
        for value in _ticks(series):
            ax.annotate(
                f"{value:.3g}",
                (x, place(value)),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
                zorder=6,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
            )
    ax.set_xticks(range(len(columns)), [_LABELS.get(c, c) for c in columns])
    ax.set(xlim=(-0.15, len(columns) - 0.75), ylim=(-0.06, 1.06), yticks=[])
    quiet(ax, grid=None)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(axis="x", length=0, pad=6)


def _ticks(series: pd.Series) -> Floats:
    """All values of a short list; of many the ends and one near the middle."""
    values = np.unique(series[np.isfinite(series.astype(float))].to_numpy(dtype=float))
    if len(values) <= 5:
        return values
    return values[[0, len(values) // 2, -1]]
