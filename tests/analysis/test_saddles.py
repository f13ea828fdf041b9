from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdist.analysis import minimax_saddles, saddle_tree
from mcdist.analysis.saddles import saddle_forest
from mcdist.errors import RequestError

from .frames import barrier_frame

NAMES = "abcde"
# Saddles of zero, below zero and equal ones on purpose: sparse-graph routines take zeros for absent edges.
saddles = st.dictionaries(
    st.sampled_from(list(combinations(NAMES, 2))), st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 3.5]), min_size=1
)


def brute_minimax(values):
    """The least highest saddle over all routes, by relaxing through every end point in turn."""
    names = sorted({name for pair in values for name in pair})
    best = {(a, b): -np.inf if a == b else np.inf for a in names for b in names}
    for (a, b), value in values.items():
        best[a, b] = best[b, a] = value
    for via in names:
        best = {(a, b): min(best[a, b], max(best[a, via], best[via, b])) for a, b in best}
    return {(a, b): best[a, b] for a, b in combinations(names, 2)}


def connects(edges, pairs):
    """Whether the edges join all that the pairs join."""
    group = {name: name for pair in pairs for name in pair}

    def find(name):
        return name if group[name] == name else find(group[name])

    for a, b in edges:
        group[find(a)] = find(b)
    return all(find(a) == find(b) for a, b in pairs)


@settings(max_examples=40)
@given(saddles)
def test_the_tree_is_the_lightest_forest_that_joins_what_paths_join(values):
    tree = saddle_tree(barrier_frame(values))
    edges = list(zip(tree["endpoint_a"], tree["endpoint_b"], strict=True))
    assert connects(edges, values)
    lightest = min(
        sum(values[edge] for edge in subset) for subset in combinations(values, len(edges)) if connects(subset, values)
    )
    assert tree["saddle"].sum() == pytest.approx(lightest)
    assert tree["saddle"].is_monotonic_increasing


@settings(max_examples=40)
@given(saddles)
def test_minimax_is_the_best_of_all_routes(values):
    table = minimax_saddles(barrier_frame(values))
    got = dict(zip(zip(table["endpoint_a"], table["endpoint_b"], strict=True), table["minimax"], strict=True))
    assert got == brute_minimax(values)
    own = table["saddle"].fillna(np.inf)
    assert (table["minimax"] <= own).all()


@settings(max_examples=40)
@given(saddles)
def test_minimax_is_an_ultrametric(values):
    table = minimax_saddles(barrier_frame(values))
    far = {frozenset(pair): m for *pair, m in table[["endpoint_a", "endpoint_b", "minimax"]].itertuples(index=False)}
    for a, b, c in combinations(sorted({name for pair in values for name in pair}), 3):
        sides = sorted(far[frozenset(pair)] for pair in combinations((a, b, c), 2))
        assert sides[1] == sides[2]


@settings(max_examples=40)
@given(saddles)
def test_the_heights_of_the_merges_are_the_tree(values):
    forest = saddle_forest(barrier_frame(values))
    tree = saddle_tree(barrier_frame(values))
    assert sorted(forest.heights[forest.joined]) == tree["saddle"].tolist()
    assert np.isinf(forest.heights[~forest.joined]).all()


def test_the_lowest_path_of_a_pair_counts_whatever_its_direction():
    high = barrier_frame({("a", "b"): 3.0})
    low = barrier_frame({("b", "a"): 1.0}, kind="bezier", path_id="low")

    (edge,) = saddle_tree(pd.concat([high, low])).to_dict("records")
    assert (edge["saddle"], edge["kind"], edge["path_id"], edge["argmax_t"]) == (1.0, "bezier", "low", 0.5)


def test_a_pair_whose_paths_all_diverged_is_not_joined():
    values = {("a", "b"): np.nan, ("c", "d"): 1.0}
    assert len(saddle_tree(barrier_frame(values))) == 1
    table = minimax_saddles(barrier_frame(values)).set_index(["endpoint_a", "endpoint_b"])
    assert np.isinf(table.loc[("a", "b"), "minimax"])
    assert table.loc[("c", "d"), "minimax"] == 1
    assert saddle_forest(barrier_frame(values)).names == ["a", "b", "c", "d"]


def test_no_rows_give_an_empty_tree():
    assert len(saddle_tree(barrier_frame({}))) == 0
    assert len(minimax_saddles(barrier_frame({}))) == 0


def test_a_metric_that_no_row_has_is_refused():
    with pytest.raises(RequestError, match="unknown metric 'test_loss'"):
        saddle_tree(barrier_frame({("a", "b"): 1.0}), "test_loss")
