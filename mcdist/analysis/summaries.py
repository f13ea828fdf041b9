"""The statistic of any column over pairs, group by group, with an interval that resamples end points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.intervals import check_options, estimate
from mcdist.analysis.pairs import check_columns, one_per_pair, pair_groups, tour_stops
from mcdist.analysis.resampling import Statistic, stream

__all__ = ["ALL_EQUAL", "COUNTS", "QUANTILES", "endpoints_of", "pair_summary"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COUNTS = ("pairs", "rows", "endpoints", "units", "missing", "tours")
ALL_EQUAL = "all pairs have the same value"
_EQUAL = 1e-9  # relative: values that differ by less differ by rounding


def pair_summary(
    frame: pd.DataFrame,
    where: str,
    by: Sequence[str],
    value: str,
    statistic: Statistic = "median",
    *,
    level: float = 0.95,
    method: str = "auto",
    n_boot: int = 1000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
    at_least: float = -np.inf,
    name: str = "",
) -> pd.DataFrame:
    """A statistic of a column over the pairs of each group, with an interval that resamples end points.

    `frame` has the columns `by`, `value`, `endpoint_a` and `endpoint_b` (both the same where a row is of one end
    point), and `via` if there are tours. `where` names it in errors. One row per group, with the columns `by` and

    - `pairs`: distinct pairs with a value; several rows of a pair are averaged first; `rows`: those rows;
    - `endpoints`: distinct end points in them; `units`: independent ones (fewer where `families` joins some,
      see `families`);
    - `missing`: rows whose value is null or not finite: not part of any number here, and rarely missing by
      chance;
    - `tours`: rows of paths through several end points, which are left out unless `by` has `via`;
    - `estimate`, `low`, `high`: the statistic and its interval of that level (in the unit of the column; see
      `intervals` for the method and its measured coverage), NaN where `reason` says why there is none; the
      interval does not reach below `at_least`, which no value can by definition;
    - `q05` .. `q95`: plain quantiles over the pairs, a description of the spread and no interval for
      anything.

    A group's numbers depend on its own rows, the seed and `name`, not on which other groups are there. Raises
    RequestError for columns or options that are not allowed.
    """
    check_options(statistic, level, method, n_boot)
    check_columns(frame, [*by, value, "endpoint_a", "endpoint_b"], where)
    records = []
    for key, rows, tours in pair_groups(frame, by):
        pairs, missing = one_per_pair(rows, value)
        values = pairs[["value"]].to_numpy()
        rng = stream(seed, name or where, value, *key)
        found = estimate(
            pairs, values, statistic, level=level, method=method, n_boot=n_boot, rng=rng, families=families
        )
        (low,), (high,) = found.interval()
        reason = found.reason
        if not reason and np.ptp(values) <= _EQUAL * np.abs(values).max():
            low, high, reason = np.nan, np.nan, ALL_EQUAL  # no evidence of an error of zero
        records.append(
            {
                **dict(zip(by, key, strict=True)),
                "pairs": len(pairs),
                "rows": len(rows) - missing,
                "endpoints": endpoints_of(pairs),
                "units": found.units,
                "missing": missing,
                "tours": tours,
                "estimate": found.value[0],
                "low": max(low, at_least),
                "high": high,
                **_quantiles(values[:, 0]),
                "reason": reason,
            }
        )
    columns = [*by, *COUNTS, "estimate", "low", "high", *_quantiles(np.empty(0)), "reason"]
    return pd.DataFrame(records, columns=columns)


def endpoints_of(pairs: pd.DataFrame) -> int:
    """How many distinct end points the pairs and tours have, those on the way too."""
    names = set(pairs[["endpoint_a", "endpoint_b"]].to_numpy(dtype=str).ravel())
    return len(names.union(*tour_stops(pairs)))


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    names = [f"q{round(100 * level):02d}" for level in QUANTILES]
    if not len(values):
        return dict.fromkeys(names, np.nan)
    return dict(zip(names, np.quantile(values, QUANTILES).tolist(), strict=True))
