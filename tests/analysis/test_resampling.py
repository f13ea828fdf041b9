import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcdist.analysis.resampling import codes, families, replicate, resample, stream
from mcdist.errors import RequestError

from .frames import frame

statistics = st.one_of(st.just("mean"), st.just("median"), st.floats(0.01, 0.99))


@given(st.data(), statistics)
def test_a_weighted_statistic_is_that_of_the_repeated_values(data, statistic):
    size = data.draw(st.integers(1, 8))
    values = np.array(data.draw(st.lists(st.floats(-10, 10), min_size=size, max_size=size)))
    weights = np.array(data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size).filter(any)))
    repeated = np.repeat(values, weights)
    level = {"mean": None, "median": 0.5}.get(statistic, statistic)
    expected = repeated.mean() if level is None else np.quantile(repeated, level)
    got = replicate(np.stack([values, 2 * values], axis=1), weights[None], statistic)
    np.testing.assert_allclose(got, [[expected, 2 * expected]], rtol=1e-9, atol=1e-9)


@given(st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_a_jackknife_sample_is_the_pairs_without_one_end_point(n, seed):
    rng = np.random.default_rng(seed)
    a, b = np.triu_indices(n, 1)
    values = rng.normal(size=len(a))
    samples = resample(np.stack([a, b], axis=1), n, "jackknife", 0, rng)
    kept = [values[(a != unit) & (b != unit)] for unit in range(n)]
    expected = [rest.mean() for rest in kept if len(rest)]
    np.testing.assert_allclose(replicate(values[:, None], samples.weights, "mean")[:, 0], expected)
    assert samples.factor == n - 1


def test_a_bootstrap_pair_weighs_the_product_of_its_ends_and_one_inside_a_family_its_count():
    units = np.array([[0, 1], [0, -1], [1, 2]])
    weights = resample(units, 3, "bootstrap", 4000, stream(0, "test")).weights
    # E w_a w_b = n (n - 1) / n^2 for multinomial counts, E w_a = 1; samples without a pair are left out.
    assert (weights.sum(axis=1) > 0).all()
    np.testing.assert_allclose(weights.mean(axis=0)[:2], [2 / 3, 1], atol=0.08)


def test_streams_depend_on_seed_and_names_alone():
    draws = {names: stream(*names).random() for names in [(0, "a"), (1, "a"), (0, "b"), (0, "a", "b"), (0, "ab")]}
    assert len(set(draws.values())) == len(draws)
    assert stream(0, "a").random() == draws[0, "a"]


def test_a_family_is_the_root_ancestor():
    rows = [("root", None), ("child", "root"), ("grandchild", "child"), ("alone", None), ("orphan", "elsewhere")]
    table = frame("endpoints", [{"endpoint_id": name, "parent_id": parent} for name, parent in rows])
    assert families(table) == {
        "root": "root",
        "child": "root",
        "grandchild": "root",
        "alone": "alone",
        "orphan": "elsewhere",
    }


def test_end_points_of_one_problem_and_seed_are_one_family():
    """They began with the same weights; the same seed of another problem says nothing."""
    rows = [("b", "digits/mlp", 0), ("a", "digits/mlp", 0), ("c", "digits/mlp", 1), ("d", "mnist/mlp", 0)]
    table = frame("endpoints", [dict(zip(("endpoint_id", "problem", "seed"), row, strict=True)) for row in rows])
    assert families(table) == {"a": "a", "b": "a", "c": "c", "d": "d"}


def test_branches_of_one_seed_are_one_family_with_its_end_point_whatever_the_rate():
    """What was split is in no row of its own; a training of the same seed began as it did."""
    rows = [("b0", "trunk-fast", 0, 4), ("b1", "trunk-fast", 0, 8), ("b2", "trunk-slow", 0, 4), ("b3", "other", 1, 4)]
    names = ("endpoint_id", "parent_id", "seed", "spawn_epoch")
    said = [
        dict(zip(names, row, strict=True)) for row in [*rows, ("plain", None, 0, None), ("tuned", "plain", 7, None)]
    ]
    found = families(frame("endpoints", [row | {"problem": "digits/mlp"} for row in said]))
    assert len({found[name] for name in ("b0", "b1", "b2", "plain", "tuned")}) == 1
    assert found["b3"] != found["b0"]


def test_units_are_numbered_by_name_after_families_are_joined():
    pairs = pd.DataFrame({"endpoint_a": ["x", "y"], "endpoint_b": ["z", "x"]})
    units, n = codes(pairs, {"z": "x"})
    assert (units.tolist(), n) == ([[0, -1], [1, 0]], 2)


@pytest.mark.parametrize("statistic", ["mode", 0.0, 1.0, 2])
def test_an_unknown_statistic_is_refused(statistic):
    with pytest.raises(RequestError, match=r"statistic: got .* allowed: 'mean', 'median'"):
        replicate(np.ones((2, 1)), np.ones((1, 2), dtype=int), statistic)
