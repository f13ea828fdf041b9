"""The barrier of every pair as a matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mcdist.analysis.pairs import check_columns, one_per_pair, select, without_tours
from mcdist.analysis.plots.style import axis_label, quiet

__all__ = ["endpoint_labels", "plot_barrier_matrix"]

_MOST_LABELS, _MOST_NUMBERS = 12, 10


def plot_barrier_matrix(
    barriers: pd.DataFrame,
    kind: str,
    metric: str,
    value: str,
    ax: Axes,
    *,
    endpoints: pd.DataFrame | None = None,
) -> Axes:
    """The value of every pair in colour (and in digits up to 10 end points); pairs without a value are grey.

    Rows and columns are end points by seed, taken from the `endpoints` table, else by id. Several paths of a
    pair are averaged; tours are no pairs and left out. Raises RequestError for a kind or metric that no row has.
    """
    rows, _ = without_tours(select(barriers, "barriers", kind=kind, metric=metric))
    check_columns(rows, [value], "barriers")
    pairs, _ = one_per_pair(rows, value)
    names = np.unique(rows[["endpoint_a", "endpoint_b"]].to_numpy(dtype=str))
    labels = endpoint_labels(names.tolist(), endpoints)
    place = {name: i for i, name in enumerate(labels)}
    a, b = (pairs[column].map(place).to_numpy(dtype=int) for column in ("endpoint_a", "endpoint_b"))
    grid = np.full((len(labels), len(labels)), np.nan)
    grid[a, b] = grid[b, a] = pairs["value"]
    power = _power(grid)
    grid = grid / 10.0**power
    image = ax.imshow(grid, cmap="cividis", interpolation="nearest")
    if len(labels) <= _MOST_NUMBERS:
        dark = np.asarray(image.norm(grid)) < 0.55
        for i, j in np.argwhere(np.isfinite(grid)):
            colour = "w" if dark[i, j] else "k"
            ax.text(j, i, f"{grid[i, j]:.2g}", ha="center", va="center", size=7.5, color=colour)
    ax.set_facecolor("#eef0f3")  # what has no value
    step = -(-len(labels) // _MOST_LABELS) or 1
    ticks = range(0, len(labels), step)
    shown = [list(labels.values())[i] for i in ticks]
    ax.set_xticks(ticks, shown)
    ax.set_yticks(ticks, shown)
    ax.set(xlabel="seed" if endpoints is not None else "end point")
    quiet(ax, grid=None)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.046, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.set_label(axis_label(metric, value), size=8.5)
    if power:
        bar.ax.set_title(f"$\\times 10^{{{power}}}$", size=8)
    return ax


def _power(grid: np.ndarray) -> int:
    """The power of ten in which the numbers of a matrix are short: 0 from 0.1 to 1000."""
    top = float(np.nanmax(np.abs(grid), initial=0.0))
    power = int(np.floor(np.log10(top))) if top > 0 else 0
    return 0 if -1 <= power < 3 else power


def endpoint_labels(names: Sequence[str], endpoints: pd.DataFrame | None) -> dict[str, str]:
    """End points in the order of their seeds, with the seed as label; those that share a seed are numbered
    `3.1`, `3.2`.

    Without a row in the table an end point comes last, under the first six letters of its id.
    """
    seeds = {} if endpoints is None else dict(zip(endpoints["endpoint_id"], endpoints["seed"], strict=True))
    known = sorted((name for name in names if pd.notna(seeds.get(name))), key=lambda name: (int(seeds[name]), name))
    sharing = pd.Series([int(seeds[name]) for name in known], dtype=int)
    turn, total = sharing.groupby(sharing).cumcount(), sharing.map(sharing.value_counts())
    labels = {
        name: f"{seed}" if many == 1 else f"{seed}.{k + 1}"
        for name, seed, k, many in zip(known, sharing, turn, total, strict=True)
    }
    return labels | {name: str(name)[:6] for name in sorted(set(names) - set(known))}
