"""The statistics of a barrier over many pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.intervals import check_options, estimate
from mcdist.analysis.pairs import check_columns, groups, one_per_pair
from mcdist.analysis.resampling import Statistic, stream

__all__ = ["QUANTILES", "barrier_summary"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

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

    One row per group, with the columns `by` and

    - `pairs`: distinct pairs with a value; several rows of a pair are averaged first; `rows`: those rows;
    - `endpoints`: distinct end points in them; `units`: independent ones (fewer where `families` joins some,
      see `families`);
    - `missing`: rows whose value is null or not finite: not part of any number here, and rarely missing by
      chance;
    - `estimate`, `low`, `high`: the statistic and its interval of that level (in the unit of the metric; see
      `intervals` for the method and its measured coverage), NaN where `reason` says why there is none;
    - `q05` .. `q95`: plain quantiles over the pairs, a description of the spread and no interval for
      anything.

    A group's numbers depend on its own rows and the seed, not on which other groups are there. Raises
    RequestError for columns or options that are not allowed.
    """
    check_options(statistic, level, method, n_boot)
    check_columns(barriers, [*by, value, "endpoint_a", "endpoint_b"], "barriers")
    records = []
    for key, rows in groups(barriers, by):
        pairs, missing = one_per_pair(rows, value)
        values = pairs[["value"]].to_numpy()
        rng = stream(seed, "barrier_summary", value, *key)
        found = estimate(
            pairs, values, statistic, level=level, method=method, n_boot=n_boot, rng=rng, families=families
        )
        (low,), (high,) = found.interval()
        reason = found.reason
        if not reason and np.ptp(values) == 0:  # a spread of zero is no evidence of an error of zero
            low, high, reason = np.nan, np.nan, "all pairs have the same value"
        records.append(
            {
                **dict(zip(by, key, strict=True)),
                "pairs": len(pairs),
                "rows": len(rows) - missing,
                "endpoints": len(np.unique(pairs[["endpoint_a", "endpoint_b"]].to_numpy(dtype=str))),
                "units": found.units,
                "missing": missing,
                "estimate": found.value[0],
                "low": max(low, 0.0) if value in _NONNEGATIVE else low,
                "high": high,
                **_quantiles(values[:, 0]),
                "reason": reason,
            }
        )
    counts = ["pairs", "rows", "endpoints", "units", "missing"]
    columns = [*by, *counts, "estimate", "low", "high", *_quantiles(np.empty(0)), "reason"]
    return pd.DataFrame(records, columns=columns)


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    names = [f"q{round(100 * level):02d}" for level in QUANTILES]
    if not len(values):
        return dict.fromkeys(names, np.nan)
    return dict(zip(names, np.quantile(values, QUANTILES).tolist(), strict=True))
