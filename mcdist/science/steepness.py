"""How steeply a time depends on the noise level, at each of the levels tried."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["steepness"]

Reals = NDArray[np.float64]

_NEIGHBOURS = 3  # the others that the kernel reaches with full weight
_FINEST = 0.04  # of the levels' whole span: the least width of the kernel
_SLOPE = 3.0  # standard deviation of slopes before anything was seen: time ~ T^-1 is ordinary, T^-6 is steep


def steepness(levels: Reals, times: Reals, arrived: Reals) -> Reals:
    """|d ln time / d ln level| at each of N trials, from all of them; NaN for trials that say nothing of it.

    A local line: around trial i with x = ln level, y = ln time and weights w_j = K((x_j - x_i) / h_i) d_j,

        slope_i = sum w_j (x_j - m)(y_j - n) / (sum w_j (x_j - m)^2 + 1 / tau^2),

    K(u) = exp(-u^2 / 2), m and n the weighted means. d_j stands for the precision of ln time: of d arrivals of an
    exponential law it has the variance 1 / d. The last term is the prior N(0, tau^2) of slopes, tau = 3: two trials
    close together, whose times differ by chance, do not make a steep place. The width h_i is the distance of the third
    nearest other trial, at least 0.04 of the span of all x: it narrows where trials are many.

    levels: [N] noise levels T > 0. times: [N] mean times; where none arrived, a lower bound of it. arrived: [N] runs
    that arrived, none counted as one, since the bound is about as uncertain. A level or time that is not finite and
    above 0 says nothing. One trial alone, or several at one level, have steepness 0.
    """
    known = np.isfinite(levels) & np.isfinite(times) & (levels > 0.0) & (times > 0.0)
    found = np.full(len(levels), math.nan)
    if known.any():
        x, y = np.log(levels[known]), np.log(times[known])
        found[known] = np.abs(_slopes(x, y, np.maximum(arrived[known], 1.0)))
    return found


def _slopes(x: Reals, y: Reals, precision: Reals) -> Reals:
    apart = np.abs(x[:, None] - x[None, :])
    nearest = np.sort(apart, axis=1)[:, min(_NEIGHBOURS, len(x) - 1)]
    width = np.maximum(nearest, _FINEST * np.ptp(x))[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        kernel = np.where(width > 0.0, np.exp(-0.5 * (apart / width) ** 2), 1.0)
    w = kernel * precision[None, :]
    total = w.sum(axis=1, keepdims=True)
    dx, dy = x[None, :] - (w * x).sum(1, keepdims=True) / total, y[None, :] - (w * y).sum(1, keepdims=True) / total
    slopes: Reals = (w * dx * dy).sum(axis=1) / ((w * dx**2).sum(axis=1) + 1.0 / _SLOPE**2)
    return slopes
