"""Times of which some are known to be longer only: Kaplan and Meier's median, and accelerated failure times.

A time is right-censored where a run was broken off before it arrived. Rows have weights: a bootstrap sample is counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import log_ndtr

__all__ = ["LAWS", "MEDIANS", "FailureTimes", "fit_failure_times", "median_time"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LAWS = ("weibull", "lognormal")
MEDIANS = {"weibull": float(np.log(np.log(2))), "lognormal": 0.0}
"""The median of e, by law."""
_STEPS, _TOLERANCE = 100, 1e-10
_FLAT = 1e-6  # of the curvature that as many certain times would give: as flat is the way to infinity


def median_time(time: Floats, arrived: Bools, weights: Floats | None = None) -> float:
    """The least time at which Kaplan and Meier's survival, prod (1 - arrivals / at risk), is at most 1/2; inf where it
    stays above, NaN without rows of positive weight.
    """
    w = np.ones(len(time)) if weights is None else weights
    if not len(time) or w.sum() <= 0:
        return float("nan")
    order = np.argsort(time, kind="stable")
    time, w, event = time[order], w[order], (w * arrived)[order]
    places, first = np.unique(time, return_index=True)
    risk = np.cumsum(w[::-1])[::-1][first]
    events = np.add.reduceat(event, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(np.where(risk > 0, 1 - events / risk, 1.0))
    below = np.flatnonzero(survival <= 0.5 + 1e-12)
    return float(places[below[0]]) if len(below) else float("inf")


@dataclass(frozen=True)
class FailureTimes:
    """log t = x . coefficients + scale e, e of the law; `log_likelihood` of t. `reason` says why there are none."""

    coefficients: Floats
    scale: float
    log_likelihood: float
    reason: str = ""


def fit_failure_times(
    time: Floats, arrived: Bools, x: Floats, law: str = "weibull", weights: Floats | None = None
) -> FailureTimes:
    """Greatest likelihood of times [M], right-censored where not `arrived`, on x [M, D] (no constant is added).

    weibull: e is Gumbel's law of least values, S = exp(-exp(z)), z = (log t - x . b) / scale; scale 1 is the
    exponential law. lognormal: e is normal. The log-likelihood

        sum_arrived [log f(z) - log scale - log t] + sum_censored log S(z)

    is concave in (1 / scale, b / scale), so that Newton's steps, halved where needed, find the one maximum. None is
    found, and `reason` is set, where nothing arrived, x is collinear, or the maximum is at infinity.
    """
    M, D = x.shape
    w = np.ones(M) if weights is None else weights
    used = w > 0
    time, arrived, x, w = time[used], arrived[used], x[used], w[used]
    nothing = np.full(D, np.nan)
    if not arrived.any():
        return FailureTimes(nothing, np.nan, np.nan, "no run arrived")
    if len(x) <= D or np.linalg.matrix_rank(x) < D:
        return FailureTimes(nothing, np.nan, np.nan, "too few different settings")
    y = np.log(time)
    middle, spread = float(y.mean()), float(y.std()) or 1.0
    design = np.column_stack([(y - middle) / spread, -x])  # z = design . (1 / scale, b / scale), of standardised log t
    params = np.concatenate([[1.0], np.linalg.lstsq(x, (y - middle) / spread, rcond=None)[0]])
    value = _likelihood(params, design, arrived, w, law)[0]
    for _ in range(_STEPS):
        _, gradient, hessian = _likelihood(params, design, arrived, w, law)
        try:
            step = np.linalg.solve(hessian + 1e-12 * np.trace(hessian) * np.eye(D + 1), gradient)
        except np.linalg.LinAlgError:
            break
        size, moved = 1.0, False
        while size > 1e-8:
            tried = params - size * step
            found = _likelihood(tried, design, arrived, w, law)[0] if tried[0] > 0 else -np.inf
            if found >= value:
                moved = found > value + _TOLERANCE * (1 + abs(value))
                params, value = tried, found
                break
            size /= 2
        if not moved:
            break
    _, _, hessian = _likelihood(params, design, arrived, w, law)
    flattest = eigh(-hessian, (design * w[:, None]).T @ design + 1e-12 * np.eye(D + 1), eigvals_only=True)[0]
    if not flattest > _FLAT:
        return FailureTimes(nothing, np.nan, np.nan, "no greatest likelihood: a setting where nothing arrived")
    scale, coefficients = spread / params[0], spread * params[1:] / params[0]
    shift = np.linalg.lstsq(x, np.full(len(x), middle), rcond=None)[0]  # x holds a constant: log t, not standardised
    likelihood = value - float((w * arrived * (np.log(spread) + y)).sum())
    return FailureTimes(coefficients + shift, float(scale), likelihood)


def _likelihood(params: Floats, design: Floats, arrived: Bools, w: Floats, law: str) -> tuple[float, Floats, Floats]:
    """Value, gradient and Hessian of sum w [arrived (log tau + log f(z)) + (1 - arrived) log S(z)], tau the first of
    `params`, z = design . params.
    """
    z = design @ params
    if law == "weibull":
        with np.errstate(over="ignore"):
            e = np.exp(z)
        f, slope, bend = np.where(arrived, z - e, -e), np.where(arrived, 1 - e, -e), -e
    else:
        tail = log_ndtr(-z)
        hazard = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - tail)
        f = np.where(arrived, -0.5 * z**2 - 0.5 * np.log(2 * np.pi), tail)
        slope = np.where(arrived, -z, -hazard)
        bend = np.where(arrived, -1.0, -hazard * (hazard - z))
    count = float((w * arrived).sum())
    value = float((w * f).sum()) + count * float(np.log(params[0]))
    gradient = design.T @ (w * slope)
    gradient[0] += count / params[0]
    hessian = (design * (w * bend)[:, None]).T @ design
    hessian[0, 0] -= count / params[0] ** 2
    return value if np.isfinite(value) else -np.inf, gradient, hessian
