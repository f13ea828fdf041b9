"""Leading eigenvalues along paths, and the density of all of them at a few places of one path."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mcdist.analysis.pairs import check_columns, select
from mcdist.analysis.plots.style import INK, quiet
from mcdist.analysis.profiles import mean_profile

__all__ = ["plot_density", "plot_spectrum"]

_SHADES = "viridis"
_FLOOR = 1e-6  # of the greatest density: what lies below is not drawn


def plot_spectrum(
    spectra: pd.DataFrame,
    paths: pd.DataFrame,
    operator: str,
    ax: Axes,
    *,
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> Axes:
    """The mean over these paths of each leading eigenvalue against s, the greatest first; a band for the greatest.

    Pass the paths of one group. An eigenvalue counts by its place in the order at every position by itself. Raises
    RequestError for an operator that no row has.
    """
    rows = select(spectra, "spectra", operator=operator)
    rows = rows[(rows["role"] == "path") & rows["layer"].isna() & rows["path_id"].isin(paths["path_id"])]
    count = int(rows["index"].max()) + 1 if len(rows) else 0
    colours = matplotlib.colormaps[_SHADES](np.linspace(0, 0.85, max(count, 2)))
    for index in range(count):
        points = rows[rows["index"] == index].rename(columns={"eigenvalue": "value"})
        table = mean_profile(points, paths, "value", (), axis="s", level=level, families=families)
        x, mean, low, high = (table[column].to_numpy(dtype=float) for column in ("s", "estimate", "low", "high"))
        label = f"eigenvalue {index + 1}" if index in (0, count - 1) else None
        ax.plot(x, mean, color=colours[index], linewidth=1.5, label=label)
        if index == 0:
            ax.fill_between(x, low, high, color=colours[index], alpha=0.16, linewidth=0)
    ax.set(xlabel="s (part of the arclength)", ylabel=f"leading eigenvalues ({_operator(operator)})", xlim=(0, 1))
    if count:
        ax.legend(frameon=False, fontsize=8.5)
    quiet(ax)
    return ax


def plot_density(densities: pd.DataFrame, path_id: str, operator: str, ax: Axes) -> Axes:
    """The density of eigenvalues at both ends of a path, in its middle (the position next to s = 0.5), and at the
    controls where there are any, on a logarithmic scale.

    One path, nothing resampled: each line is the estimate by Lanczos quadrature, as it was measured. Raises
    RequestError for a path or an operator that no row has.
    """
    check_columns(densities, ["path_id", "role", "s", "operator", "x", "density"], "spectral_densities")
    rows = select(densities, "spectral_densities", path_id=path_id, operator=operator)
    on = rows[rows["role"] == "path"]
    places = on["s"].dropna().unique()
    middle = float(places[np.argmin(np.abs(places - 0.5))]) if len(places) else np.nan
    control = rows[rows["role"] == "control"]
    lines = [
        (on[on["s"] == 0], "end a", "#0072B2", "-"),
        (on[on["s"] == middle], f"middle, s = {middle:.2f}", "#D55E00", "-"),
        (on[on["s"] == on["s"].max()], "end b", "#009E73", "-"),
        (control[control["t"] == 0], "control a", "#0072B2", ":"),
        (control[control["t"] == 1], "control b", "#009E73", ":"),
    ]
    for line, label, colour, dash in lines:
        curve = line.groupby("x")["density"].mean()
        if len(curve):
            ax.plot(curve.index, curve, color=colour, linestyle=dash, linewidth=1.4, label=label)
    top = float(rows["density"].max())
    if top > 0:
        ax.set_yscale("log")
        ax.set_ylim(top * _FLOOR, top * 2)
    ax.set(xlabel=f"eigenvalue ({_operator(operator)})", ylabel="density")
    ax.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    quiet(ax)
    return ax


def _operator(name: str) -> str:
    return {"hessian": "Hessian", "ggn": "GGN", "fisher": "Fisher matrix"}.get(name, name)
