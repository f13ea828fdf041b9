"""Free energies along paths for a range of temperatures, and crossover temperatures of all pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from mcdist.analysis.crossovers import crossover_summary
from mcdist.analysis.free_energy import free_energies, is_trace
from mcdist.analysis.pairs import groups, one_per_pair, select
from mcdist.analysis.plots.drifts import shades
from mcdist.analysis.plots.strip import spread
from mcdist.analysis.plots.style import INK, MUTED, group_styles, quiet
from mcdist.analysis.profiles import mean_profile

__all__ = ["plot_crossover", "plot_free_energy"]

Families = Mapping[str, str]


def plot_free_energy(
    profiles: pd.DataFrame,
    measure: str,
    temperatures: Sequence[float],
    ax: Axes,
    *,
    level: float = 0.95,
    families: Families | None = None,
) -> Axes:
    """The mean over paths of F(s; T), less the mean of the path's ends, against s: one line per temperature, cold to
    hot, with the band of `mean_profile`. Pass the profiles (`entropy_profiles`) of one kind of path and one setting.
    """
    rows = select(profiles, "free energy profiles", measure=measure)
    paths = rows.drop_duplicates("path_id")
    for T, colour in zip(temperatures, shades(list(temperatures)), strict=True):
        points = free_energies(rows, [T])[["path_id", "s", "F_over_ends"]]
        points = points[points["path_id"].isin(paths["path_id"])]
        table = mean_profile(points, paths, "F_over_ends", (), axis="s", level=level, families=families)
        s, mean, low, high = (table[c].to_numpy(dtype=float) for c in ("s", "estimate", "low", "high"))
        name = "T0" if is_trace(measure) else "T"
        ax.plot(s, mean, color=colour, linewidth=1.8, label=f"{name} = {T:.2g}")
        ax.fill_between(s, low, high, color=colour, alpha=0.13, linewidth=0)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.set(xlabel="s (part of the arclength)", ylabel="F − mean of the ends (nats)", xlim=(0, 1))  # noqa: RUF001
    ax.legend(loc="best", frameon=False, fontsize=8.5)
    quiet(ax)
    return ax


def plot_crossover(
    crossovers: pd.DataFrame,
    ax: Axes,
    *,
    by: Sequence[str] = ("kind",),
    temperatures: Mapping[str, float] | None = None,
    level: float = 0.95,
    families: Families | None = None,
) -> Axes:
    """The crossover temperature of every pair, one row of dots per group: filled where energy and entropy are opposed,
    hollow where both push outward; a diamond for the median with its interval. Pass the rows of one measure.

    `temperatures`: names and values of lines to draw, such as the measured temperatures of settings. The vertical
    scatter of the dots has no meaning.
    """
    summary = dict(groups(crossover_summary(crossovers, by, level=level, families=families), by))
    labels = []
    for place, (key, style) in enumerate(group_styles(crossovers, by).items()):
        rows = dict(groups(crossovers, by))[key]
        for sense, fill in (("opposed", style.colour), ("same", "none")):
            values = one_per_pair(rows[rows["sense"] == sense], "t_star")[0]["value"].to_numpy(dtype=float)
            heights = place + 0.16 + 0.26 * spread(len(values))
            ax.scatter(values, heights, s=16, facecolor=fill, edgecolor=style.colour, marker=style.marker, alpha=0.7)
        found = summary[key].iloc[0]
        median, low, high = (float(found[c]) for c in ("t_star", "t_star_low", "t_star_high"))
        if median > 0:
            ax.plot(
                [max(low, median * 1e-2), high], [place - 0.22] * 2, color=INK, linewidth=1.6, solid_capstyle="butt"
            )
            ax.plot([median], [place - 0.22], marker="D", markersize=5, color=INK)
        labels.append(style.label)
    for name, value in (temperatures or {}).items():
        if value > 0:
            ax.axvline(value, color=MUTED, linewidth=0.9, linestyle=":")
            ax.annotate(
                name,
                (value, 1.0),
                (2, -2),
                ("data", "axes fraction"),
                "offset points",
                rotation=90,
                va="top",
                fontsize=7.5,
                color=MUTED,
            )
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.5)
    if (crossovers["t_star"].astype(float) > 0).any():
        ax.set_xscale("log")
    ax.set_xlabel("crossover temperature T*")
    quiet(ax, grid="x")
    return ax
