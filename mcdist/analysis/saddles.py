"""Saddles between end points, and the tree of the lowest ones.

The saddle of a path is the greatest value of a metric on it; that of a pair, the lowest over its paths. Going
from a to b through other end points may be lower still: the minimax saddle is the least, over all such
routes, of the highest saddle on the way. It is the greatest edge between a and b on the minimum spanning tree
of saddles, which is also single linkage, and an ultrametric: minimax(a, c) <= max(minimax(a, b), minimax(b,
c)).

Only the order of saddles matters for the tree, so it is found on their ranks 1, 2, ...: saddles of zero,
below zero or equal need no care.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from mcdist.analysis.pairs import check_columns, select, unordered, without_tours

__all__ = ["SaddleForest", "minimax_saddles", "saddle_forest", "saddle_tree"]

Floats = NDArray[np.float64]
_EDGE = ["endpoint_a", "endpoint_b", "saddle", "path_id", "kind", "argmax_t"]


@dataclass(frozen=True)
class SaddleForest:
    """End points, their pairs by saddle, and the merges of single linkage.

    `names` [n]: end points, sorted; `floors` [n]: the metric at each (the lowest that any of its paths
    found); `pairs`: one row per pair with a path, from the lowest saddle up; `merges` [n-1, 4]: scipy's
    linkage matrix whose distances are positions in `pairs`, from 1. A distance beyond the last pair joins
    what no path joins: such merges belong to the matrix, not to the forest.
    """

    names: list[str]
    floors: Floats
    pairs: pd.DataFrame
    merges: Floats

    @property
    def joined(self) -> NDArray[np.bool_]:
        """Whether each merge is one by a path, [n-1]."""
        merged: NDArray[np.bool_] = self.merges[:, 2] <= len(self.pairs)
        return merged

    @property
    def heights(self) -> Floats:
        """The saddle of each merge, inf where no path joins, [n-1]."""
        saddles = np.append(self.pairs["saddle"].to_numpy(dtype=float), np.inf)
        found: Floats = saddles[self.merges[:, 2].astype(int) - 1]
        return found


def saddle_forest(barriers: pd.DataFrame, metric: str = "train_loss") -> SaddleForest:
    """The forest of saddles over all given rows of that metric of the `barriers` table.

    Pass the rows of one problem (and `aligned` or not) only: every path counts as one between the same end
    points. Rows whose saddle is not finite join nothing; their end points are still in the forest. Tours are
    left out: their saddle is one of its legs'. Raises RequestError for a metric that no row has.
    """
    check_columns(barriers, [*_EDGE[:2], "max", *_EDGE[3:], "value_a", "value_b"], "barriers")
    rows = without_tours(select(barriers, "barriers", metric=metric))[0].rename(columns={"max": "saddle"})
    ends = pd.concat([rows[[f"endpoint_{x}", f"value_{x}"]].set_axis(["name", "value"], axis=1) for x in "ab"]).astype(
        {"name": str, "value": float}
    )
    floors = ends.groupby("name")["value"].min()
    names = [str(name) for name in floors.index]
    finite = unordered(rows[np.isfinite(rows["saddle"].astype(float))])
    finite = finite[finite["endpoint_a"] != finite["endpoint_b"]]
    pairs = finite.sort_values(["saddle", "endpoint_a", "endpoint_b", "path_id"], kind="stable")
    pairs = pairs.drop_duplicates(["endpoint_a", "endpoint_b"])[_EDGE].reset_index(drop=True)
    return SaddleForest(names, floors.to_numpy(dtype=float), pairs, _single_linkage(names, pairs))


def saddle_tree(barriers: pd.DataFrame, metric: str = "train_loss") -> pd.DataFrame:
    """Edges of the minimum spanning tree of saddles (a forest where paths do not join all), from the lowest
    up.

    Columns `endpoint_a`, `endpoint_b`, `saddle` (unit of the metric), `path_id`, `kind`, `argmax_t` of the
    path that has the pair's lowest saddle. Rows and errors as for `saddle_forest`.
    """
    forest = saddle_forest(barriers, metric)
    chosen = forest.merges[forest.joined, 2].astype(int) - 1
    return forest.pairs.iloc[np.sort(chosen)].reset_index(drop=True)


def minimax_saddles(barriers: pd.DataFrame, metric: str = "train_loss") -> pd.DataFrame:
    """For every two end points the least saddle that the paths of the table bound, directly or through other
    end points.

    Columns `endpoint_a` < `endpoint_b`, `saddle` (lowest of the pair's own paths, NaN without one) and
    `minimax` (inf where no route joins them), in the unit of the metric. Rows and errors as for
    `saddle_forest`.
    """
    forest = saddle_forest(barriers, metric)
    first, second = np.triu_indices(len(forest.names), 1)
    names = np.array(forest.names, dtype=object)
    table = pd.DataFrame({"endpoint_a": names[first], "endpoint_b": names[second]})
    saddles = np.append(forest.pairs["saddle"].to_numpy(dtype=float), np.inf)
    ranks = cophenet(forest.merges) if len(names) > 1 else np.empty(0)
    own = forest.pairs.set_index(["endpoint_a", "endpoint_b"])["saddle"].astype(float)
    return table.assign(
        saddle=own.reindex(pd.MultiIndex.from_frame(table)).to_numpy(),
        minimax=saddles[ranks.astype(int) - 1],
    )


def _single_linkage(names: list[str], pairs: pd.DataFrame) -> Floats:
    """Scipy's linkage matrix on the ranks of the pairs' saddles; one beyond the last rank where a pair has no
    path.
    """
    if len(names) < 2:
        return np.empty((0, 4))
    number = {name: i for i, name in enumerate(names)}
    ranks = np.full((len(names), len(names)), len(pairs) + 1.0)
    np.fill_diagonal(ranks, 0)
    a, b = (pairs[column].map(number).to_numpy(dtype=int) for column in ("endpoint_a", "endpoint_b"))
    ranks[a, b] = ranks[b, a] = np.arange(1, len(pairs) + 1)
    merges: Floats = linkage(squareform(ranks), method="single")
    return merges
