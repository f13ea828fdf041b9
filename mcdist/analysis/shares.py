"""The share of pairs for which something holds, with an interval that is honest near 0 and 1.

The jackknife's error of a share is zero where all pairs agree, and far too small nearby. So the interval is that of
Clopper and Pearson for as many independent trials as there are independent end points (or pairs, if fewer). Measured
coverage of the 95 % interval, 2000 simulated sweeps each over all pairs of 4, 8 and 20 end points, shares of 0.5,
0.8, 0.9 and 0.97, what decides a pair being its own ("pairs alone"), its ends' ("ends alone") or both alike ("even"):

    pairs alone  0.99 to 1.00      even  0.98 to 1.00      ends alone  0.94 to 1.00

Estimate +- t * jackknife error covers 0.85 to 0.93 for 20 end points and shares from 0.8 ("even", "ends alone").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import beta

from mcdist.analysis.pairs import check_columns
from mcdist.analysis.summaries import ALL_EQUAL, COUNTS, pair_summary

__all__ = ["share_interval", "share_summary"]


def share_interval(share: float, trials: float, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval for a share of so many independent trials; neither need be whole."""
    held, tail = share * trials, (1 - level) / 2
    low = float(beta.ppf(tail, held, trials - held + 1)) if held > 0 else 0.0
    high = float(beta.ppf(1 - tail, held + 1, trials - held)) if held < trials else 1.0
    return low, high


def share_summary(
    frame: pd.DataFrame,
    where: str,
    by: Sequence[str],
    value: str,
    *,
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The share of pairs for which a column is true, by group.

    A pair with several rows counts with the part of them that are true; null is `missing`. Columns `by`, the counts
    of `pair_summary`, `estimate`, `low`, `high` (see the module's head) and `reason` where there is no interval.
    Raises RequestError as `pair_summary` does.
    """
    check_columns(frame, [value], where)
    numbers = frame.assign(**{value: frame[value].astype("Float64").to_numpy(dtype=float, na_value=np.nan)})
    table = pair_summary(numbers, where, by, value, "mean", level=level, families=families)
    table["reason"] = table["reason"].where(table["reason"] != ALL_EQUAL, "")
    ends = [
        share_interval(row["estimate"], min(row["units"], row["pairs"]), level)
        if not row["reason"]
        else (np.nan, np.nan)
        for row in table.to_dict("records")
    ]
    table[["low", "high"]] = np.array(ends, dtype=float).reshape(-1, 2)
    return table[[*by, *COUNTS, "estimate", "low", "high", "reason"]]
