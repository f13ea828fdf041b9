"""The disconnectivity graph: which end points the lowest saddles join, and how high."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.cluster.hierarchy import leaves_list

from mcdist.analysis.plots.matrix import endpoint_labels
from mcdist.analysis.plots.style import MUTED, axis_label, group_styles, quiet
from mcdist.analysis.saddles import saddle_forest

__all__ = ["plot_dendrogram"]

_MOST_LABELS = 60


def plot_dendrogram(barriers: pd.DataFrame, metric: str, ax: Axes, *, endpoints: pd.DataFrame | None = None) -> Axes:
    """A tree over end points: a leaf starts at the end point's own value, and two branches meet at the lowest
    saddle between them.

    A bar has the colour of the kind of path with that saddle. End points that no path joins stay apart. Rows
    and errors as for `saddle_forest`; leaves are labelled by seed from the `endpoints` table, else by id.
    """
    forest = saddle_forest(barriers, metric)
    styles = {str(key[0]): style for key, style in group_styles(barriers, ["kind"]).items()}
    count = len(forest.names)
    order = leaves_list(forest.merges) if count > 1 else np.arange(count)
    x = dict(zip(order.tolist(), range(count), strict=True))
    places: dict[int, tuple[float, float]] = {i: (float(x[i]), float(forest.floors[i])) for i in range(count)}
    kinds = []
    for step in np.flatnonzero(forest.joined):
        edge = forest.pairs.iloc[int(forest.merges[step, 2]) - 1]
        left, right = (places.pop(int(child)) for child in forest.merges[step, :2])
        height = float(edge["saddle"])
        for centre, floor in (left, right):
            ax.plot([centre] * 2, [floor, height], color=MUTED, linewidth=1.1)
        colour = styles[str(edge["kind"])].colour
        ax.plot([left[0], right[0]], [height] * 2, color=colour, linewidth=1.8, solid_capstyle="butt")
        places[count + int(step)] = ((left[0] + right[0]) / 2, height)
        kinds.append(str(edge["kind"]))
    ax.scatter([x[i] for i in range(count)], forest.floors, s=16, color=MUTED, zorder=3)
    labels = endpoint_labels(forest.names, endpoints)
    ax.set_xticks(range(count), [labels[forest.names[i]] for i in order] if count <= _MOST_LABELS else [""] * count)
    ax.set(
        xlabel="seed" if endpoints is not None else "end point",
        ylabel=axis_label(metric),
        xlim=(-0.6, count - 0.4),
    )
    handles = [
        Line2D([], [], color=styles[kind].colour, linewidth=1.8, label=f"saddle on {_article(kind)} {kind} path")
        for kind in sorted(set(kinds))
    ]
    if handles:
        ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False, fontsize=8.5)
    quiet(ax)
    return ax


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"
