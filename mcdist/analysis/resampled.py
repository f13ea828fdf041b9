"""Intervals for any estimator that can weight its rows: end points are resampled, the estimator is run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.intervals import MIN_UNITS, Estimate
from mcdist.analysis.resampling import codes, resample

__all__ = ["resampled"]

Floats = NDArray[np.float64]

_MOST_LOST = 0.1  # of the samples: where more give no estimate, those that do are no fair picture


def resampled(
    rows: pd.DataFrame,
    statistic: Callable[[Floats], Floats],
    *,
    level: float = 0.95,
    method: str = "jackknife",
    n_boot: int = 200,
    rng: np.random.Generator,
    families: Mapping[str, str] | None = None,
) -> Estimate:
    """C estimates from M rows of pairs (columns `endpoint_a`, `endpoint_b`), with their covariance over samples of end
    points as in `intervals`.

    `statistic` takes weights [M], how often each row counts, and gives [C] numbers, NaN where it cannot. All rows of
    one pair have the same weight. Samples without a finite estimate are left out; where those are more than a tenth,
    or fewer than four units are there, there is no covariance, and `reason` says so.
    """
    pairs = list(zip(rows["endpoint_a"].astype(str), rows["endpoint_b"].astype(str), strict=True))
    number = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
    place = np.array([number[pair] for pair in pairs], dtype=np.int64)
    units, n = codes(pd.DataFrame(list(number), columns=["endpoint_a", "endpoint_b"]), families)
    value = statistic(np.ones(len(rows)))
    nothing = np.full((len(value), len(value)), np.nan)
    if not len(rows) or not np.isfinite(value).all():
        return Estimate(value, nothing, n, level, "no values" if not len(rows) else "no estimate")
    if n < MIN_UNITS:
        return Estimate(value, nothing, n, level, f"too few end points: {n} independent, {MIN_UNITS} needed")
    if any((units == unit).any(axis=1).all() for unit in range(n)):
        return Estimate(value, nothing, n, level, "one end point is in every pair")
    samples = resample(units, n, method, n_boot, rng)
    found = np.stack([statistic(weights[place].astype(np.float64)) for weights in samples.weights])
    found = found[np.isfinite(found).all(axis=1)]
    lost = len(samples.weights) - len(found)
    if lost > _MOST_LOST * len(samples.weights):
        return Estimate(value, nothing, n, level, f"no estimate in {lost} of {len(samples.weights)} samples")
    deviations = found - found.mean(axis=0)
    covariance: Floats = samples.factor * deviations.T @ deviations / len(deviations)
    return Estimate(value, covariance, n, level, "")
