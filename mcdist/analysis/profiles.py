"""The mean profile along many paths, with a band: of a metric, or of a curvature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.intervals import check_options, estimate
from mcdist.analysis.pairs import check_columns, pair_groups, tour_stops
from mcdist.analysis.resampling import Statistic, stream
from mcdist.analysis.summaries import endpoints_of
from mcdist.errors import RequestError

__all__ = ["mean_profile"]

Floats = NDArray[np.float64]

AXES = ("t", "s")
_ROUNDING = 1e-9  # places closer than this are the same


def mean_profile(
    path_points: pd.DataFrame,
    paths: pd.DataFrame,
    metric: str = "train_loss",
    by: Sequence[str] = ("kind", "aligned"),
    statistic: Statistic = "mean",
    *,
    axis: str = "t",
    t: Sequence[float] | None = None,
    level: float = 0.95,
    method: str = "auto",
    n_boot: int = 1000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The statistic of a metric over paths at each place, by columns of `paths`, with an interval at each place that
    resamples end points.

    `axis` says what a place is: `t`, the curve parameter, or `s`, the part of the arclength. One row per group and
    place: columns `by`, the axis, `estimate`, `low`, `high` (unit of the metric), `paths` (profiles), `endpoints`,
    `units`, `missing`, `tours` and `reason` as in `pair_summary`. The places `t` (of either axis) are by default
    those of the group's profiles where all have the same, else 61 equal steps of [0, 1], by linear interpolation. A
    profile with a value that is not finite, or that does not reach both ends of the grid, is `missing` as a whole,
    so that every place speaks of the same paths. The band holds at each place, not for all at once. Raises
    RequestError as `pair_summary` does.
    """
    check_options(statistic, level, method, n_boot)
    if axis not in AXES:
        raise RequestError(f"axis: got {axis!r}; allowed: {', '.join(AXES)}")
    check_columns(paths, [*by, "path_id", "endpoint_a", "endpoint_b"], "paths")
    check_columns(path_points, ["path_id", axis, metric], "path_points")
    curves = profiles(path_points, metric, axis)
    records = []
    for key, rows, tours in pair_groups(paths.drop_duplicates("path_id"), by):
        mine = [curve for name in rows["path_id"] for curve in curves.get(str(name), [])]
        places = common_grid(mine) if t is None else np.asarray(t, dtype=float)
        pairs, values, missing = _on_grid(rows, curves, places)
        rng = stream(seed, "mean_profile", metric, *key)
        found = estimate(
            pairs, values, statistic, level=level, method=method, n_boot=n_boot, rng=rng, families=families
        )
        low, high = found.interval()
        records.append(
            pd.DataFrame(
                {
                    **dict(zip(by, key, strict=True)),
                    axis: places,
                    "estimate": found.value,
                    "low": low,
                    "high": high,
                    "paths": len(pairs),
                    "endpoints": endpoints_of(pairs),
                    "units": found.units,
                    "missing": missing,
                    "tours": tours,
                    "reason": found.reason,
                }
            )
        )
    columns = [*by, axis, "estimate", "low", "high", "paths", "endpoints", "units", "missing", "tours", "reason"]
    return pd.concat(records, ignore_index=True)[columns] if records else pd.DataFrame(columns=columns)


def profiles(path_points: pd.DataFrame, metric: str, axis: str = "t") -> dict[str, list[tuple[Floats, Floats]]]:
    """Of every path its profiles (place, metric), sorted by place: one per task that measured the path."""
    keys = ["path_id", "task_id"] if "task_id" in path_points.columns else ["path_id"]
    found: dict[str, list[tuple[Floats, Floats]]] = {}
    for key, rows in path_points.sort_values(axis, kind="stable").groupby(keys, dropna=False):
        curve = rows[axis].to_numpy(dtype=np.float64), rows[metric].to_numpy(dtype=np.float64)
        found.setdefault(str(key[0]), []).append(curve)
    return found


def common_grid(curves: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The places of all profiles where they agree, else 61 equal steps from 0 to 1."""
    first = curves[0][0] if curves else np.empty(0)
    if len(first) and all(len(x) == len(first) and np.allclose(x, first, rtol=0, atol=_ROUNDING) for x, _ in curves):
        return first
    return np.linspace(0, 1, 61)


def _on_grid(
    rows: pd.DataFrame, curves: Mapping[str, list[tuple[Floats, Floats]]], grid: Floats
) -> tuple[pd.DataFrame, Floats, int]:
    """The ends and values [M, T] of the whole profiles of these paths, and how many are not whole."""
    ends, values, missing = [], [], 0
    for path, a, b, via in zip(rows["path_id"], rows["endpoint_a"], rows["endpoint_b"], tour_stops(rows), strict=True):
        for x, m in curves.get(str(path), []):
            if np.isfinite(m).all() and x[0] <= grid[0] + _ROUNDING and x[-1] >= grid[-1] - _ROUNDING:
                ends.append((a, b, via))
                values.append(np.interp(grid, x, m))
            else:
                missing += 1
    pairs = pd.DataFrame(ends, columns=["endpoint_a", "endpoint_b", "via"], dtype=object)
    return pairs, np.array(values, dtype=float).reshape(len(ends), len(grid)), missing
