"""How much lower one kind of path is than another, over the same pairs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mcdist.analysis.intervals import Estimate, estimate
from mcdist.analysis.pairs import groups, one_per_pair, select
from mcdist.analysis.resampling import Statistic, stream
from mcdist.analysis.summaries import endpoints_of

__all__ = ["barrier_ratio"]


def barrier_ratio(
    barriers: pd.DataFrame,
    numerator: Mapping[str, object],
    denominator: Mapping[str, object],
    *,
    metric: str = "test_loss",
    value: str = "barrier_linear",
    statistic: Statistic = "median",
    level: float = 0.95,
    method: str = "auto",
    n_boot: int = 1000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Statistic of one group of rows over that of another, such as `{"kind": "linear"}` over `{"kind":
    "bezier"}`: one row.

    Only pairs with a value in both groups count: `pairs`, with `endpoints` end points and `units` independent
    ones; `unmatched` pairs have one in a single group, and `missing` rows are null or not finite. Both
    statistics see the same resampled end points, so what varies together cancels. Tours are left out; `"via": 1` in
    both groups takes those with one end point on the way instead.

    - `numerator`, `denominator`: the two statistics, in the unit of the metric;
    - `ratio`, `ratio_low`, `ratio_high`: symmetric on the log scale. A denominator of 0 or less gives inf or
      NaN, a numerator of 0 or less a ratio without interval, and `reason` says so;
    - `difference`, `difference_low`, `difference_high`: numerator - denominator, which needs no positive
      denominator.

    Measured coverage of the 95 % interval of the ratio (600 simulated sweeps, 8 and 20 end points, both
    groups correlated, normal and log-normal): 0.93 to 0.99 for means, 0.96 to 1.00 for medians. Raises
    RequestError as `barrier_summary` does, and for a value of a column that no row has.
    """
    rows = select(barriers, "barriers", metric=metric)
    upper, missing_upper = one_per_pair(_chosen(rows, "numerator", numerator), value)
    lower, missing_lower = one_per_pair(_chosen(rows, "denominator", denominator), value)
    ends = [column for column in upper.columns if column in lower.columns and column != "value"]
    both = upper.merge(lower, on=ends, suffixes=("_upper", "_lower"))
    found = estimate(
        both,
        both[["value_upper", "value_lower"]].to_numpy(),
        statistic,
        level=level,
        method=method,
        n_boot=n_boot,
        rng=stream(seed, "barrier_ratio", metric, value, sorted(numerator.items()), sorted(denominator.items())),
        families=families,
    )
    (low,), (high,) = found.interval(np.array([[1.0, -1.0]]))
    ratio, ratio_low, ratio_high, reason = _ratio(found)
    record = {
        "metric": metric,
        "pairs": len(both),
        "endpoints": endpoints_of(both),
        "units": found.units,
        "unmatched": len(upper) + len(lower) - 2 * len(both),
        "missing": missing_upper + missing_lower,
        "numerator": found.value[0],
        "denominator": found.value[1],
        "ratio": ratio,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
        "difference": found.value[0] - found.value[1],
        "difference_low": low,
        "difference_high": high,
        "reason": reason,
    }
    return pd.DataFrame([record])


def _chosen(rows: pd.DataFrame, where: str, equal: Mapping[str, object]) -> pd.DataFrame:
    """The rows with these values; pairs alone, or the tours with so many stops as `via` says."""
    stops = equal.get("via")
    rows = select(rows, where, **{column: value for column, value in equal.items() if column != "via"})
    if "via" not in rows.columns:
        return rows
    return next((part for key, part in groups(rows, ["via"]) if key == (stops,)), rows.iloc[:0])


def _ratio(found: Estimate) -> tuple[float, float, float, str]:
    """Ratio, low, high and why there is none; the log ratio's variance by the delta method."""
    top, bottom = (float(part) for part in found.value)
    if bottom <= 0:
        ratio = np.inf if bottom == 0 and top > 0 else np.nan
        return ratio, np.nan, np.nan, "the denominator is not positive: read the difference"
    if top <= 0 or found.reason or np.isnan(bottom):
        reason = found.reason or "the numerator is not positive: read the difference"
        return top / bottom, np.nan, np.nan, reason
    slope = np.array([1 / top, -1 / bottom])
    spread = np.exp(found.quantile * np.sqrt(max(slope @ found.covariance @ slope, 0.0)))
    return top / bottom, top / bottom / spread, top / bottom * spread, ""
