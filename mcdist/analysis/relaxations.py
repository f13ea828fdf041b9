"""Runs that were started on a path and held to it: how long they take to an end, and to which.

Times are effective times of first passage. A run that was broken off before it arrived is censored: its time is longer
than what it had. Runs whose numbers diverged are neither, and are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from mcdist.analysis.intervals import MIN_UNITS
from mcdist.analysis.pairs import check_columns, pair_groups
from mcdist.analysis.resampling import codes, resample, stream
from mcdist.analysis.shares import share_summary
from mcdist.analysis.summaries import pair_summary
from mcdist.analysis.survival import median_time

__all__ = ["RELAXATION_SETTINGS", "relaxation_runs", "relaxation_summary"]

Floats = NDArray[np.float64]
Families = Mapping[str, str]

RELAXATION_SETTINGS = (
    *("noise", "sampling", "temperature", "optimizer", "nesterov", "lr", "batch_size", "momentum", "weight_decay"),
    *("k_project", "buffers", "t_nominal"),
)
"""What tells two runs from one start apart."""

_ABOUT = ("problem", "kind", "aligned")
_MIDDLE = 1e-9
_MOST_LOST = 0.05  # of the samples: where more do not reach the median, the interval has no upper end


def relaxation_runs(relaxations: pd.DataFrame, paths: pd.DataFrame) -> pd.DataFrame:
    """The rows of the `relaxations` table whose path is in `paths`, with the columns of that path (of columns in both,
    the run's), and

    - `time`: effective time of first passage, or of the breaking-off; NaN where the run diverged;
    - `arrived`: whether it is the first; null where the run diverged;
    - `distance`: of the start from the nearer end, as a part of the length; `to_nearer`: whether the end reached is the
      nearer one; null from the middle and for what did not arrive.

    Raises RequestError for a column that is not there.
    """
    needed = ("path_id", "s0", "end", "t_first_passage", "t_eff", "censored", "diverged")
    check_columns(relaxations, needed, "relaxations")
    check_columns(paths, ["path_id", "kind", "aligned", "endpoint_a", "endpoint_b"], "paths")
    about = paths.drop_duplicates("path_id")
    rows = relaxations.merge(
        about.drop(columns=[c for c in about if c in relaxations.columns and c != "path_id"]), on="path_id"
    )
    diverged = rows["diverged"].eq(True)
    passage = rows["t_first_passage"].astype(float)
    arrived = passage.notna() & ~diverged
    s0 = rows["s0"].astype(float)
    nearer = pd.Series(np.where(s0 < 0.5, "a", "b"), index=rows.index)
    decided = arrived & ((s0 - 0.5).abs() > _MIDDLE)
    return rows.assign(
        time=passage.where(arrived, rows["t_eff"].astype(float)).where(~diverged),
        arrived=arrived.astype("boolean").where(~diverged),
        diverged=diverged,
        distance=np.minimum(s0, 1 - s0),
        to_nearer=(rows["end"] == nearer).astype("boolean").where(decided),
    )


def relaxation_summary(
    runs: pd.DataFrame,
    by: Sequence[str] = (*_ABOUT, *RELAXATION_SETTINGS),
    *,
    level: float = 0.95,
    n_boot: int = 500,
    seed: int = 0,
    families: Families | None = None,
) -> pd.DataFrame:
    """Per group of the runs of `relaxation_runs`, with intervals that resample end points:

    - `runs` that did not diverge, `arrived`, `censored`, `diverged`; `time_limit`: the least of the group;
    - `median`, `median_low`, `median_high`: Kaplan and Meier's median of the time of first passage, inf where fewer
      than half arrive; the interval (of its logarithm, by bootstrap) has the upper end inf where more than 5 % of the
      samples do not reach the median; `reason` where there is none;
    - `share_arrived`, `to_nearer` with `.._low`, `.._high`: the share of the runs that arrived, and of those the share
      that ended at the nearer end;
    - `drift`, likewise: the mean movement outward, as a part of the length;
    - `t_measured`: mean; `pairs`, `endpoints`, `units`, `tours`.

    Raises RequestError as `pair_summary` does.
    """
    check_columns(runs, [*by, "time", "arrived", "to_nearer", "drift", "endpoint_a", "endpoint_b"], "relaxations")
    share = partial(share_summary, runs, "relaxations", by, level=level, families=families)
    arrived, nearer = share("arrived"), share("to_nearer")
    drift = pair_summary(runs, "relaxations", by, "drift", "mean", level=level, families=families)
    records = []
    for key, rows, _ in pair_groups(runs, by):
        rng = stream(seed, "relaxation_summary", *key)
        records.append(_counted(rows) | _median(rows, level, n_boot, rng, families))
    table = arrived[[*by, "pairs", "endpoints", "units", "tours"]].copy()
    found = pd.DataFrame(records, columns=[*_COUNTED, *_MEDIAN])
    for name, part in (("share_arrived", arrived), ("to_nearer", nearer), ("drift", drift)):
        for column, end in (("estimate", ""), ("low", "_low"), ("high", "_high")):
            table[f"{name}{end}"] = part[column]
    return pd.concat([table, found], axis=1)


_COUNTED = ["runs", "arrived", "censored", "diverged", "time_limit", "t_measured"]
_MEDIAN = ["median", "median_low", "median_high", "reason"]


def _counted(rows: pd.DataFrame) -> dict[str, Any]:
    there = rows[~rows["diverged"]]
    arrived = int(there["arrived"].sum())

    def known(name: str) -> pd.Series:
        return there[name].astype(float) if name in there.columns else pd.Series(dtype=float)

    return {
        "runs": len(there),
        "arrived": arrived,
        "censored": len(there) - arrived,
        "diverged": int(rows["diverged"].sum()),
        "time_limit": float(known("time_limit").min()),
        "t_measured": float(known("t_measured").mean()),
    }


def _median(
    rows: pd.DataFrame, level: float, n_boot: int, rng: np.random.Generator, families: Families | None
) -> dict[str, Any]:
    there = rows[~rows["diverged"]]
    time, arrived = there["time"].to_numpy(dtype=float), there["arrived"].to_numpy(dtype=bool)
    value = median_time(time, arrived)
    record: dict[str, Any] = {"median": value, "median_low": np.nan, "median_high": np.nan}
    weights, factor, n, reason = weightings(there, n_boot, rng, families)
    if np.isinf(value):
        reason = "fewer than half arrived in time"
    if reason:
        return record | {"reason": reason}
    found = np.log([median_time(time, arrived, w) for w in weights])
    reached = found[np.isfinite(found)]
    half = float(student.ppf((1 + level) / 2, n - 1)) * float(np.sqrt(factor * reached.var()))
    beyond = len(reached) < (1 - _MOST_LOST) * len(found)
    record["median_low"] = float(value * np.exp(-half))
    record["median_high"] = np.inf if beyond else float(value * np.exp(half))
    return record | {"reason": ""}


def weightings(
    rows: pd.DataFrame, n_boot: int, rng: np.random.Generator, families: Families | None
) -> tuple[Floats, float, int, str]:
    """Weights of the rows [R, M] in bootstrap samples of end points, the factor of the variance over them, the number
    of independent end points, and why there are none.
    """
    pairs = rows[["endpoint_a", "endpoint_b"]].astype(str)
    distinct = pairs.drop_duplicates()
    units, n = codes(distinct, families)
    if not len(rows):
        return np.empty((0, 0)), 1.0, n, "no runs"
    if n < MIN_UNITS:
        return np.empty((0, 0)), 1.0, n, f"too few end points: {n} independent, {MIN_UNITS} needed"
    if any((units == unit).any(axis=1).all() for unit in range(n)):
        return np.empty((0, 0)), 1.0, n, "one end point is in every pair"
    place = pairs.merge(distinct.assign(place=range(len(distinct))), on=["endpoint_a", "endpoint_b"], how="left")
    samples = resample(units, n, "bootstrap", n_boot, rng)
    return samples.weights[:, place["place"].to_numpy()].astype(np.float64), samples.factor, n, ""
