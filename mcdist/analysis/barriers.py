"""The statistics of a barrier over many pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mcdist.analysis.resampling import Statistic
from mcdist.analysis.summaries import QUANTILES, pair_summary

__all__ = ["QUANTILES", "barrier_summary"]

_NONNEGATIVE = frozenset({"barrier_linear", "barrier_max"})  # by definition; so the interval's low end is too


def barrier_summary(
    barriers: pd.DataFrame,
    by: Sequence[str] = ("kind", "aligned", "metric"),
    value: str = "barrier_linear",
    statistic: Statistic = "median",
    *,
    level: float = 0.95,
    method: str = "auto",
    n_boot: int = 1000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """A statistic of a column of the `barriers` table over the pairs of each group, with an interval that
    resamples end points.

    Numbers are in the unit of the metric; columns and errors as for `pair_summary`.
    """
    return pair_summary(
        barriers,
        "barriers",
        by,
        value,
        statistic,
        level=level,
        method=method,
        n_boot=n_boot,
        seed=seed,
        families=families,
        at_least=0.0 if value in _NONNEGATIVE else -np.inf,
        name="barrier_summary",
    )
