"""Means over seeds with intervals, for what different seeds share nothing of.

Rows of one unit (a seed, or several that share a network) are averaged, then the n units: m ± t(n - 1) s / sqrt(n),
with s their standard deviation. This is what the delete-one jackknife of `intervals` gives where every value belongs to
one unit alone, without random numbers: exact for normal values. It is about other seeds, not about other examples than
those of the test split, which all have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from mcdist.analysis.intervals import MIN_UNITS, check_options

__all__ = ["SAME_VALUE", "Mean", "mean_columns", "over_units"]

SAME_VALUE = "all seeds have the same value"
_EQUAL = 1e-9  # relative: values that differ by less differ by rounding


@dataclass(frozen=True)
class Mean:
    """A mean over units, its interval (NaN where `reason` says why there is none), and the number of units."""

    value: float
    low: float
    high: float
    units: int
    reason: str

    def columns(self, name: str) -> dict[str, float]:
        """The mean as a column of that name, its interval as `_low` and `_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def over_units(values: pd.Series | NDArray[Any], units: Sequence[object] | pd.Series, level: float = 0.95) -> Mean:
    """The mean over units of values [N], with `units` [N] naming the unit of each; what is not finite is left out.

    Fewer than four units have no interval, nor have units that all have one value: no evidence of an error of zero.
    """
    check_options("mean", level, "auto", 2)
    numbers = np.asarray(values, dtype=float)
    finite = np.isfinite(numbers)
    place = pd.factorize(pd.Series(list(units), dtype=object))[0][finite]
    count = np.bincount(place)
    means = np.bincount(place, numbers[finite])[count > 0] / count[count > 0]
    n = len(means)
    if not n:
        return Mean(np.nan, np.nan, np.nan, 0, "no values")
    value = float(means.mean())
    if n < MIN_UNITS:
        return Mean(value, np.nan, np.nan, n, f"too few seeds: {n} independent, {MIN_UNITS} needed")
    if np.ptp(means) <= _EQUAL * np.abs(means).max():
        return Mean(value, np.nan, np.nan, n, SAME_VALUE)
    half = float(student.ppf((1 + level) / 2, n - 1) * means.std(ddof=1) / np.sqrt(n))
    return Mean(value, value - half, value + half, n, "")


def mean_columns(
    rows: pd.DataFrame, metrics: Sequence[str], unit: str, level: float, at_least: float = -np.inf
) -> dict[str, float]:
    """Of each metric the mean over units and its interval, as columns; no interval reaches below `at_least`."""
    record: dict[str, float] = {}
    for metric in metrics:
        values = rows[metric] if metric in rows.columns else pd.Series(np.nan, index=rows.index)
        found = over_units(values.to_numpy(dtype=float), rows[unit], level).columns(metric)
        found[f"{metric}_low"] = float(np.maximum(found[f"{metric}_low"], at_least))
        record |= found
    return record
