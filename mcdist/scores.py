"""Scores of networks that predict together: the mean of their softmax probabilities, against the right classes.

All of it is in float64, of rows that are divided by their sum first: what was kept in float32 sums to 1 but for some
1e-7. Where several classes are equally probable, the first of them is the prediction. scikit-learn and torchmetrics are
imported where they are needed: they take seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdist.errors import RequestError

__all__ = ["BINS", "Scores", "brier", "disagreement", "ece", "error", "nll", "running_means", "score"]

BINS = 15
"""Bins of the calibration error."""

_ROUNDING = 1e-3  # a row that is further from 1 is no row of probabilities

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Of M members together, and of each of them.

    error, nll, brier, ece: of the mean of all members (see the functions of these names). disagreement: None for one
    member. best_member_error: the least error of a member; oracle_error: the part of the examples that every member
    gets wrong. member_errors, member_nlls: [M], each member by itself; running_errors, running_nlls: [M], the mean of
    the members up to this one, the last of which is the ensemble.
    """

    size: int
    error: float
    nll: float
    brier: float
    ece: float
    disagreement: float | None
    mean_member_error: float
    best_member_error: float
    oracle_error: float
    mean_member_nll: float
    member_errors: tuple[float, ...]
    member_nlls: tuple[float, ...]
    running_errors: tuple[float, ...]
    running_nlls: tuple[float, ...]

    def columns(self, split: str) -> dict[str, float | None]:
        """The ensemble's numbers under the names of table `ensembles`, error and nll with those of the split."""
        return {
            f"{split}_error": self.error,
            f"{split}_nll": self.nll,
            "brier": self.brier,
            "ece": self.ece,
            "disagreement": self.disagreement,
            "mean_member_error": self.mean_member_error,
            "best_member_error": self.best_member_error,
            "oracle_error": self.oracle_error,
            "mean_member_nll": self.mean_member_nll,
        }


def score(probabilities: ArrayLike, targets: ArrayLike) -> Scores:
    """All scores of members' probabilities [M, N, C] for the right classes [N], 0 to C - 1.

    Raises RequestError for what is no probabilities, no classes, or does not fit together.
    """
    members = np.asarray(probabilities)
    if members.ndim != 3 or not len(members):
        raise RequestError(f"probabilities must be [members, examples, classes]; got the shape {list(members.shape)}")
    votes, errors, nlls, running_errors, running_nlls = [], [], [], [], []
    mean: Floats | None = None
    for own, mean in _added(members):  # one member in float64 at a time
        votes.append(own.argmax(1))
        errors.append(error(own, targets))
        nlls.append(nll(own, targets))
        running_errors.append(error(mean, targets))
        running_nlls.append(nll(mean, targets))
    assert mean is not None
    voted = np.stack(votes)
    return Scores(
        size=len(members),
        error=running_errors[-1],
        nll=running_nlls[-1],
        brier=brier(mean, targets),
        ece=ece(mean, targets),
        disagreement=disagreement(voted, members.shape[2]),
        mean_member_error=float(np.mean(errors)),
        best_member_error=min(errors),
        oracle_error=float((voted != _classes(targets, mean)).all(axis=0).mean()),
        mean_member_nll=float(np.mean(nlls)),
        member_errors=tuple(errors),
        member_nlls=tuple(nlls),
        running_errors=tuple(running_errors),
        running_nlls=tuple(running_nlls),
    )


def running_means(probabilities: ArrayLike) -> Iterator[Floats]:
    """The mean [N, C] of the first m members of [M, N, C], for m = 1 to M."""
    for _, mean in _added(np.asarray(probabilities)):
        yield mean


def _added(members: NDArray[Any]) -> Iterator[tuple[Floats, Floats]]:
    """Each member's rows [N, C], and the mean of those up to it."""
    total: Floats | float = 0.0
    for m, member in enumerate(members, start=1):
        own = _rows(member)
        total = total + own
        yield own, total / m


def error(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """The part of the rows [N, C] whose most probable class, the first of them if there are several, is not right."""
    rows = _rows(probabilities)
    return float((rows.argmax(1) != _classes(targets, rows)).mean())


def nll(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """-1/N sum_n log p_n(right class), in nats, by scikit-learn.

    A probability counts as at least 2.2e-16, float64's rounding, so that no example costs more than 36.04 nats.
    """
    from sklearn.metrics import log_loss

    rows = _rows(probabilities)
    return float(log_loss(_classes(targets, rows), rows, labels=np.arange(rows.shape[1])))


def brier(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """1/N sum_n sum_c (p_n(c) - [c is right])^2, in [0, 2], for two classes too; by scikit-learn."""
    from sklearn.metrics import brier_score_loss

    rows = _rows(probabilities)
    labels = np.arange(rows.shape[1])
    return float(brier_score_loss(_classes(targets, rows), rows, labels=labels, scale_by_half=False))


def ece(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Expected calibration error: sum_b n_b/N |accuracy_b - mean confidence_b| over bins of the confidence max_c p(c).

    The bins [b/15, (b+1)/15) are of equal width, 1 belongs to the last one. By torchmetrics, whose function for many
    classes computes in float32; the one for two, of the confidence and whether it is right, is the same sum in float64.
    """
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    rows = _rows(probabilities)
    right = rows.argmax(1) == _classes(targets, rows)
    confidence = np.minimum(rows.max(1), np.nextafter(1.0, 0.0))  # of 1 torchmetrics makes a bin by itself
    found = binary_calibration_error(
        torch.from_numpy(confidence), torch.from_numpy(right.astype(np.int64)), n_bins=BINS, norm="l1"
    )
    return float(found)


def disagreement(votes: NDArray[np.integer[Any]], classes: int) -> float | None:
    """Mean over pairs of members of the part of examples where their predictions [M, N] differ; None for one member.

    Of an example where v_c members say c, sum_c v_c (v_c - 1) of the M (M - 1) ordered pairs agree.
    """
    M, N = votes.shape
    if M == 1:
        return None
    said = np.zeros((N, classes), dtype=np.int64)
    for vote in votes:
        said[np.arange(N), vote] += 1
    agreed = int((said * (said - 1)).sum())
    return float(1 - agreed / (N * M * (M - 1)))


def _rows(probabilities: ArrayLike) -> Floats:
    """Probabilities [N, C] in float64, each row divided by its sum."""
    rows = np.asarray(probabilities, dtype=np.float64)
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] < 2:
        raise RequestError(
            "probabilities must be [examples, classes], at least one example and two classes; "
            f"got the shape {list(rows.shape)}"
        )
    sums = rows.sum(axis=1, keepdims=True)
    if not (rows.min() >= 0 and np.abs(sums - 1).max() <= _ROUNDING):  # so that nan is refused
        raise RequestError(
            "probabilities must be at least 0 and sum to 1 in each row; "
            f"got values from {rows.min():g}, sums from {sums.min():g} to {sums.max():g}"
        )
    normalised: Floats = rows / sums
    return normalised


def _classes(targets: ArrayLike, rows: Floats) -> Ints:
    """The right classes of so many rows."""
    classes = np.asarray(targets)
    N, C = rows.shape
    if classes.shape != (N,):
        raise RequestError(f"there must be one target for each of {N} examples; got the shape {list(classes.shape)}")
    if classes.dtype.kind not in "iu" or classes.min() < 0 or classes.max() >= C:
        raise RequestError(f"targets must be whole numbers from 0 to {C - 1}, one of {C} classes")
    return classes.astype(np.int64)
