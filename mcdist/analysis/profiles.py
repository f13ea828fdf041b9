"""The mean profile of a metric along many paths, with a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.intervals import check_options, estimate
from mcdist.analysis.pairs import check_columns, groups
from mcdist.analysis.resampling import Statistic, stream

__all__ = ["mean_profile"]

Floats = NDArray[np.float64]


def mean_profile(
    path_points: pd.DataFrame,
    paths: pd.DataFrame,
    metric: str = "train_loss",
    by: Sequence[str] = ("kind", "aligned"),
    statistic: Statistic = "mean",
    *,
    t: Sequence[float] | None = None,
    level: float = 0.95,
    method: str = "auto",
    n_boot: int = 1000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The statistic of a metric over paths at each t, by columns of `paths`, with an interval at each t that
    resamples end points.

    One row per group and t: columns `by`, `t`, `estimate`, `low`, `high` (unit of the metric), `paths`
    (profiles), `endpoints`, `units`, `missing` and `reason` as in `barrier_summary`. The grid `t` is by
    default that of the group's profiles where they share one, else 61 equal steps of [0, 1], by linear
    interpolation. A profile with a value that is not finite, or that does not reach both ends of the
    grid, is `missing` as a whole, so that every t speaks of the same paths. The band holds at each t, not for
    all at once. Raises RequestError as `barrier_summary` does.
    """
    check_options(statistic, level, method, n_boot)
    check_columns(paths, [*by, "path_id", "endpoint_a", "endpoint_b"], "paths")
    check_columns(path_points, ["path_id", "t", metric], "path_points")
    curves = profiles(path_points, metric)
    records = []
    for key, rows in groups(paths.drop_duplicates("path_id"), by):
        mine = [curve for name in rows["path_id"] for curve in curves.get(str(name), [])]
        grid = common_grid(mine) if t is None else np.asarray(t, dtype=float)
        pairs, values, missing = _on_grid(rows, curves, grid)
        rng = stream(seed, "mean_profile", metric, *key)
        found = estimate(
            pairs, values, statistic, level=level, method=method, n_boot=n_boot, rng=rng, families=families
        )
        low, high = found.interval()
        records.append(
            pd.DataFrame(
                {
                    **dict(zip(by, key, strict=True)),
                    "t": grid,
                    "estimate": found.value,
                    "low": low,
                    "high": high,
                    "paths": len(pairs),
                    "endpoints": len(np.unique(pairs[["endpoint_a", "endpoint_b"]].to_numpy(dtype=str))),
                    "units": found.units,
                    "missing": missing,
                    "reason": found.reason,
                }
            )
        )
    columns = [*by, "t", "estimate", "low", "high", "paths", "endpoints", "units", "missing", "reason"]
    return pd.concat(records, ignore_index=True)[columns] if records else pd.DataFrame(columns=columns)


def profiles(path_points: pd.DataFrame, metric: str) -> dict[str, list[tuple[Floats, Floats]]]:
    """Of every path its profiles (t, metric), sorted by t: one per task that measured the path."""
    keys = ["path_id", "task_id"] if "task_id" in path_points.columns else ["path_id"]
    found: dict[str, list[tuple[Floats, Floats]]] = {}
    for key, rows in path_points.sort_values("t").groupby(keys, dropna=False):
        curve = rows["t"].to_numpy(dtype=np.float64), rows[metric].to_numpy(dtype=np.float64)
        found.setdefault(str(key[0]), []).append(curve)
    return found


def common_grid(curves: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The t of all profiles where they agree, else 61 equal steps from 0 to 1."""
    first = curves[0][0] if curves else np.empty(0)
    if len(first) and all(np.array_equal(first, t) for t, _ in curves):
        return first
    return np.linspace(0, 1, 61)


def _on_grid(
    rows: pd.DataFrame, curves: Mapping[str, list[tuple[Floats, Floats]]], grid: Floats
) -> tuple[pd.DataFrame, Floats, int]:
    """The ends and values [M, T] of the whole profiles of these paths, and how many are not whole."""
    ends, values, missing = [], [], 0
    for path, a, b in zip(rows["path_id"], rows["endpoint_a"], rows["endpoint_b"], strict=True):
        for t, m in curves.get(str(path), []):
            if np.isfinite(m).all() and t[0] <= grid[0] and t[-1] >= grid[-1]:
                ends.append((a, b))
                values.append(np.interp(grid, t, m))
            else:
                missing += 1
    pairs = pd.DataFrame(ends, columns=["endpoint_a", "endpoint_b"], dtype=object)
    return pairs, np.array(values, dtype=float).reshape(len(ends), len(grid)), missing
