"""Scores of ensembles: against plain numpy, and laws."""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mcdist.errors import RequestError
from mcdist.scores import brier, ece, error, nll, running_means, score

Array = NDArray[Any]

EXACT = 1e-12  # sums of some hundred numbers of order 1 in float64


def drawn(
    M: int = 4, N: int = 60, C: int = 5, seed: int = 0, sharp: float = 2.0, dtype: str = "float64"
) -> tuple[Array, Array]:
    """Probabilities [M, N, C] of members that err together and apart, right classes [N]."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, C, N)
    logits = rng.normal(size=(M, N, C)) + rng.normal(size=(N, C)) + np.eye(C)[targets]
    p = np.exp(sharp * logits)
    return (p / p.sum(2, keepdims=True)).astype(dtype), targets


@st.composite
def ensembles(draw: st.DrawFn) -> tuple[Array, Array]:
    """No probability below 1e-9, where the least one that counts makes no difference."""
    M, N, C = draw(st.integers(1, 6)), draw(st.integers(1, 30)), draw(st.integers(2, 5))
    return drawn(M, N, C, draw(st.integers(0, 2**31)), draw(st.sampled_from([0.0, 0.3, 1.0])))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("M", "C"), [(1, 10), (2, 2), (4, 5)])
def test_every_number_is_that_of_plain_numpy(M: int, C: int, dtype: str) -> None:
    p, y = drawn(M, 200, C, dtype=dtype)
    found = score(p, y)

    p = p.astype(np.float64)
    p /= p.sum(2, keepdims=True)
    mean, rows = p.mean(0), np.arange(len(y))
    assert found.size == M
    assert found.error == pytest.approx((mean.argmax(1) != y).mean(), abs=EXACT)
    assert found.nll == pytest.approx(-np.log(mean[rows, y]).mean(), abs=EXACT)
    assert found.brier == pytest.approx(((mean - np.eye(C)[y]) ** 2).sum(1).mean(), abs=EXACT)

    confidence, right = mean.max(1), mean.argmax(1) == y
    bins = np.floor(confidence * 15)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    assert found.ece == pytest.approx(sum(gaps), abs=EXACT)

    votes = p.argmax(2)
    apart = [(votes[i] != votes[j]).mean() for i, j in combinations(range(M), 2)]
    assert found.disagreement == (pytest.approx(np.mean(apart), abs=EXACT) if apart else None)

    errors, nlls = (votes != y).mean(1), -np.log(p[:, rows, y]).mean(1)
    assert found.member_errors == pytest.approx(errors, abs=EXACT)
    assert found.member_nlls == pytest.approx(nlls, abs=EXACT)
    assert found.mean_member_error == pytest.approx(errors.mean(), abs=EXACT)
    assert found.best_member_error == pytest.approx(errors.min(), abs=EXACT)
    assert found.mean_member_nll == pytest.approx(nlls.mean(), abs=EXACT)
    assert found.oracle_error == pytest.approx((votes != y).all(0).mean(), abs=EXACT)

    for m in range(M):
        first = p[: m + 1].mean(0)
        assert found.running_errors[m] == pytest.approx((first.argmax(1) != y).mean(), abs=EXACT)
        assert found.running_nlls[m] == pytest.approx(-np.log(first[rows, y]).mean(), abs=EXACT)


@settings(deadline=None, max_examples=60)
@given(ensembles())
def test_laws(drawn: tuple[Array, Array]) -> None:
    p, y = drawn
    found = score(p, y)
    assert found.nll <= found.mean_member_nll + EXACT  # Jensen: -log is convex
    assert found.brier <= np.mean([brier(own, y) for own in p]) + EXACT  # the square too
    assert found.oracle_error <= found.best_member_error <= found.mean_member_error + EXACT
    assert 0 <= found.brier <= 2
    assert 0 <= found.ece <= 1
    assert found.disagreement is None or 0 <= found.disagreement <= 1
    # who disagree are not both right
    assert found.disagreement is None or found.disagreement <= 2 * found.mean_member_error + EXACT
    # the last one added makes the ensemble, to the bit
    assert (found.running_errors[-1], found.running_nlls[-1]) == (found.error, found.nll)
    assert len(found.running_errors) == len(found.member_errors) == len(p) == found.size


@settings(deadline=None, max_examples=30)
@given(ensembles(), st.randoms(use_true_random=False))
def test_the_order_of_members_does_not_matter(drawn: tuple[Array, Array], random: Any) -> None:
    p, y = drawn
    order = list(range(len(p)))
    random.shuffle(order)
    one, other = score(p, y).columns("test"), score(p[order], y).columns("test")
    tied = np.sort(p.mean(0), axis=1)
    if (tied[:, -1] - tied[:, -2]).min() > 1e-9:  # of equally probable classes rounding chooses
        assert one == pytest.approx(other, abs=EXACT)


@settings(deadline=None, max_examples=30)
@given(ensembles(), st.integers(1, 4))
def test_one_member_or_the_same_several_times_is_that_member(drawn: tuple[Array, Array], times: int) -> None:
    p, y = drawn
    found = score(np.repeat(p[:1], times, axis=0), y)
    assert found.error == found.mean_member_error == found.best_member_error == found.oracle_error == error(p[0], y)
    assert found.nll == pytest.approx(nll(p[0], y), abs=EXACT)
    assert found.mean_member_nll == pytest.approx(nll(p[0], y), abs=EXACT)
    assert found.disagreement == (None if times == 1 else 0)


def test_running_means_are_those_of_the_first_members() -> None:
    p, _ = drawn(5)
    for m, mean in enumerate(running_means(p), start=1):
        np.testing.assert_allclose(mean, p[:m].mean(0), rtol=0, atol=EXACT)
    assert m == 5


def test_of_equally_probable_classes_the_first_is_the_prediction() -> None:
    p = [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]
    assert error(p, [0, 1]) == 0.0
    assert error(p, [1, 2]) == 1.0


def test_known_numbers() -> None:
    """Two examples, two classes."""
    p, y = np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([0, 1])
    assert error(p, y) == 0.5
    assert nll(p, y) == pytest.approx(-(np.log(0.75) + np.log(0.5)) / 2, abs=EXACT)
    assert brier(p, y) == pytest.approx((2 * 0.25**2 + 2 * 0.5**2) / 2, abs=EXACT)
    # each in a bin of its own: 0.25 too little confident, 0.5 too much
    assert ece(p, y) == pytest.approx((0.25 + 0.5) / 2, abs=EXACT)
    certain = score([np.eye(2)[[1, 0]], np.eye(2)[[0, 1]]], y)
    assert (certain.disagreement, certain.oracle_error, certain.best_member_error, certain.error) == (
        1.0,
        0.0,
        0.0,
        0.5,
    )
    assert certain.member_errors == (1.0, 0.0)


def test_the_least_probability_that_counts() -> None:
    """Certain and wrong costs -log of float64's rounding, and no more; certain and right nothing."""
    p = np.eye(3, dtype="float32")[[0, 0]]
    assert nll(p, [0, 1]) == pytest.approx(-np.log(np.finfo(np.float64).eps) / 2, abs=1e-9)
    assert nll(p, [0, 0]) == pytest.approx(0.0, abs=EXACT)
    assert brier(p, [1, 1]) == 2.0
    assert ece(p, [1, 1]) == pytest.approx(1.0, abs=EXACT)


def test_a_confidence_of_one_is_in_the_last_bin() -> None:
    """[1, 0] wrong and [0.95, 0.05] right: accuracy 0.5, mean confidence 0.975."""
    assert ece([[1.0, 0.0], [0.95, 0.05]], [1, 0]) == pytest.approx(0.475, abs=EXACT)


def test_the_calibration_error_is_torchmetrics_own_for_many_classes() -> None:
    """Which computes in float32."""
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    p, y = drawn(1, 500, 10)
    expected = multiclass_calibration_error(torch.from_numpy(p[0]), torch.from_numpy(y), 10, n_bins=15, norm="l1")
    assert ece(p[0], y) == pytest.approx(float(expected), abs=1e-6)


def test_rows_that_sum_to_one_but_for_rounding_say_nothing() -> None:
    """Of float32, and of many classes, and where a class is not among the targets."""
    p, y = drawn(3, 50, 300, dtype="float32")
    assert (np.abs(p.astype(np.float64).sum(2) - 1) > 1.5e-8).any()  # where scikit-learn begins to warn
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(p, y)
    assert np.isfinite(list(found.columns("test").values())).all()


def test_columns_are_named_for_the_split() -> None:
    found = score(*drawn()).columns("val")
    assert list(found)[:2] == ["val_error", "val_nll"]


@pytest.mark.parametrize(
    ("probabilities", "targets", "said"),
    [
        (np.ones((2, 3)) / 3, [0, 1], r"must be \[members, examples, classes\]; got the shape \[2, 3\]"),
        (np.ones((0, 2, 3)), [0, 1], r"got the shape \[0, 2, 3\]"),
        (np.ones((2, 2, 1)), [0, 0], "at least one example and two classes"),
        (np.ones((1, 2, 3)), [0, 1], "sum to 1 in each row; got values from 1, sums from 3 to 3"),
        ([[[1.5, -0.5]]], [0], "at least 0"),
        ([[[np.nan, 1.0]]], [0], "got values from nan"),
        ([[[0.5, 0.5]]], [0, 1], r"one target for each of 1 examples; got the shape \[2\]"),
        ([[[0.5, 0.5]]], [2], "whole numbers from 0 to 1, one of 2 classes"),
        ([[[0.5, 0.5]]], [-1], "whole numbers from 0 to 1"),
        ([[[0.5, 0.5]]], [0.0], "whole numbers"),
    ],
)
def test_what_is_no_prediction_is_refused(probabilities: Any, targets: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        score(probabilities, targets)
