"""Mean drifts along paths, and how they grow with temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mcdist.analysis.drift_fits import drift_fit
from mcdist.analysis.drifts import DRIFT_SETTINGS, drift_summary
from mcdist.analysis.pairs import groups
from mcdist.analysis.plots.style import INK, MUTED, TEMPERATURE, group_styles, quiet
from mcdist.analysis.summaries import pair_summary
from mcdist.errors import RequestError

__all__ = ["plot_drift", "plot_drift_temperature", "setting_label", "shades"]

Families = Mapping[str, str]

PARTS = {"noise": "drift of noise", "full_batch": "drift of full batches"}
_MUCH = 20.0  # a span of values that a linear scale does not show


def setting_label(row: Mapping[str, object] | pd.Series) -> str:
    """A setting of noise in a few words: `lr 0.1, B 8`, with momentum and noise where they are not plain SGD's."""
    parts = [f"lr {float(str(row['lr'])):g}"]
    if pd.notna(row["batch_size"]):
        parts.append(f"B {float(str(row['batch_size'])):g}")
    if pd.notna(row["momentum"]) and float(str(row["momentum"])):
        parts.append(f"momentum {float(str(row['momentum'])):g}")
    if row["noise"] == "isotropic":
        parts.append("isotropic" if pd.notna(row["batch_size"]) else f"isotropic, T {float(str(row['t_nominal'])):g}")
    elif row["noise"] == "none":
        parts.append("full batches")
    return ", ".join(parts)


def shades(values: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """A colour for each value in order, from cold to hot."""
    ramp = matplotlib.colormaps["plasma"](np.linspace(0.05, 0.85, max(len(values), 2)))
    return [tuple(map(float, ramp[i])) for i in range(len(values))]  # type: ignore[misc]


def plot_drift(
    points: pd.DataFrame, part: str, ax: Axes, *, level: float = 0.95, families: Families | None = None
) -> Axes:
    """The mean over paths of the velocity `part`, `noise` or `full_batch`, towards the nearer end, against s: one line
    per setting, cold to hot, with the interval at each s by itself; hollow where not all points are local.

    Pass the points (`drift_points`) of one kind of path. Velocities are parts of the path's length per effective time;
    in the middle they are towards end b. The scale is logarithmic to both sides of zero where settings span much.
    """
    if part not in PARTS:
        raise RequestError(f"part: got {part!r}; allowed: {', '.join(PARTS)}")
    settings = list(groups(points.sort_values("t_nominal"), ["t_nominal", *(c for c in DRIFT_SETTINGS[:-2])]))
    value = f"velocity_{part}"
    sizes = [np.empty(0)]
    for (_, rows), colour in zip(settings, shades([0.0] * len(settings)), strict=True):
        table = pair_summary(rows, "drifts", ("s",), value, "mean", level=level, families=families)
        s, mean, low, high = (table[c].to_numpy(dtype=float) for c in ("s", "estimate", "low", "high"))
        sizes.append(np.abs(mean[np.isfinite(mean) & (mean != 0)]))
        bars = np.where(np.isfinite([mean - low, high - mean]), [mean - low, high - mean], 0.0)
        ax.errorbar(
            s, mean, bars, color=colour, linewidth=1.3, elinewidth=1, markersize=0, label=setting_label(rows.iloc[0])
        )
        local = rows.groupby("s")["local"].all().reindex(table["s"]).to_numpy(dtype=bool)
        ax.scatter(s[local], mean[local], s=22, color=colour, zorder=3)
        ax.scatter(s[~local], mean[~local], s=22, facecolor="white", edgecolor=colour, zorder=3)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    every = np.concatenate(sizes)
    if len(every) and every.max() > _MUCH * np.median(every):
        ax.set_yscale("symlog", linthresh=float(np.quantile(every, 0.2)))
    ax.set(
        xlabel="s (part of the arclength)", ylabel=f"{PARTS[part]} outward\n(length per effective time)", xlim=(0, 1)
    )
    quiet(ax)
    return ax


def plot_drift_temperature(
    points: pd.DataFrame,
    ax: Axes,
    *,
    by: Sequence[str] = ("kind",),
    level: float = 0.95,
    families: Families | None = None,
) -> Axes:
    """The mean velocity outward of noise against the nominal temperature, both logarithmic, one colour per group, with
    intervals, and the law T^a of `drift_fit` (dashed); hollow: the mean velocity of full batches, by its size.

    A mean that is not positive has no place on the scale: an arrow at the lower edge says that it is there.
    """
    fits = dict(groups(drift_fit(points, by, level=level, families=families), by))
    for key, style in group_styles(points, by).items():
        rows = dict(groups(points, by))[key]
        table = drift_summary(rows, DRIFT_SETTINGS, level=level, families=families)
        times = rows.groupby(list(DRIFT_SETTINGS), dropna=False, sort=True)["t_eff"].first().to_numpy(dtype=float)
        T, mean, low, high, full = (
            table[c].to_numpy(dtype=float)
            for c in ("t_nominal", "drift_noise", "drift_noise_low", "drift_noise_high", "drift_full_batch")
        )
        mean, low, high, full = mean / times, low / times, high / times, full / times
        up = mean > 0
        bars = np.array([mean - np.maximum(low, mean * 1e-2), high - mean])[:, up]
        ax.errorbar(
            T[up],
            mean[up],
            np.where(np.isfinite(bars), bars, 0),
            fmt=style.marker,
            color=style.colour,
            label=style.label,
        )
        ax.scatter(T, np.abs(full), s=26, facecolor="none", edgecolor=style.colour, marker=style.marker, linewidth=0.9)
        for at in T[~up & np.isfinite(mean)]:
            ax.annotate(
                "",
                (at, 0.0),
                (at, 0.06),
                ("data", "axes fraction"),
                ("data", "axes fraction"),
                {"arrowstyle": "->", "color": style.colour},
            )
        _law(ax, T[np.isfinite(mean)], fits.get(key), style.colour)
    ax.set(xscale="log", yscale="log", xlabel=TEMPERATURE)
    ax.set_ylabel("drift outward (length per effective time)")
    quiet(ax)
    return ax


def _law(ax: Axes, T: NDArray[np.float64], fit: pd.DataFrame | None, colour: str) -> None:
    if fit is None or not len(T) or not np.isfinite(fit["exponent_all"].iloc[0]):
        return
    row = fit.iloc[0]
    x = np.geomspace(T.min(), T.max(), 30)
    y = row["reference_velocity"] * (x / row["reference_t"]) ** row["exponent_all"]
    ax.plot(x, y, color=colour, linestyle="--", linewidth=1)
    ax.annotate(
        f"T^{row['exponent_all']:.2f}",
        (x[-1], y[-1]),
        (-4, 6),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=INK,
    )
