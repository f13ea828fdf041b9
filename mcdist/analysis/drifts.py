"""Mean drifts by paired replicas: what noise does at points of paths, and what the loss does there.

A point is one start s on one path at one setting. Outward is towards the nearer end; the middle has none, so it is left
out of everything that speaks of outward. A point is local where its replicas stayed near the tangent line (excursion
below 0.2 of the path's length): elsewhere the drift is no property of the point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.intervals import Estimate, estimate
from mcdist.analysis.pairs import check_columns, one_per_pair, pair_groups
from mcdist.analysis.resampling import stream
from mcdist.analysis.shares import share_summary
from mcdist.analysis.summaries import pair_summary

__all__ = ["CLEAR", "DRIFT_SETTINGS", "LOCAL", "drift_points", "drift_summary", "free_energy_from_drift"]

Floats = NDArray[np.float64]
Families = Mapping[str, str]

LOCAL = 0.2
"""Excursion, as a part of the path's length, below which a drift is local."""

CLEAR = 3.0
"""Standard errors from zero at which a drift is clearly outward."""

DRIFT_SETTINGS = ("noise", "sampling", "lr", "batch_size", "momentum", "weight_decay", "t_nominal", "steps")
"""What tells two drifts from one point apart."""

_ABOUT = ("problem", "kind", "aligned")


def drift_points(drifts: pd.DataFrame, paths: pd.DataFrame, *, local: float = LOCAL) -> pd.DataFrame:
    """The rows of the `drifts` table whose path is in `paths`, with the columns of that path (of columns in both, the
    drift's), and

    - `z` = drift_noise / stderr; NaN without a positive standard error, and where `t_nominal` is 0, so that there is
      no noise and both are rounding;
    - `local`: excursion < `local`;
    - `velocity_noise`, `velocity_stderr`, `velocity_full_batch`: the drifts / t_eff, in parts of the path's length per
      effective time.

    Raises RequestError for a column that is not there.
    """
    needed = ("path_id", "s", "t_nominal", "t_eff", "outward", "drift_noise", "stderr", "drift_full_batch", "excursion")
    check_columns(drifts, needed, "drifts")
    rows = drifts.merge(_about(paths, drifts), on="path_id")
    noise, error, full, excursion, time = (
        rows[name].astype(float) for name in ("drift_noise", "stderr", "drift_full_batch", "excursion", "t_eff")
    )
    return rows.assign(
        z=noise / error.where((error > 0) & (rows["t_nominal"].astype(float) > 0)),
        local=excursion < local,
        velocity_noise=noise / time,
        velocity_stderr=error / time,
        velocity_full_batch=full / time,
    )


def _about(paths: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The paths, without the columns that the rows have too: a path's training has rates of its own."""
    check_columns(paths, ["path_id", "kind", "aligned", "endpoint_a", "endpoint_b"], "paths")
    return paths.drop_duplicates("path_id").drop(columns=[c for c in paths if c in rows.columns and c != "path_id"])


def drift_summary(
    points: pd.DataFrame,
    by: Sequence[str] = (*_ABOUT, *DRIFT_SETTINGS),
    *,
    clear: float = CLEAR,
    level: float = 0.95,
    families: Families | None = None,
) -> pd.DataFrame:
    """Per group of the points of `drift_points`, over pairs, with intervals that resample end points:

    - `points` (with a drift), `middle`, `local`: of those, in the middle, and local off the middle: all that follows is
      of the last; `missing`: points without a drift; `diverged`: replicas that were left out;
    - `outward`, `outward_low`, `outward_high`: the share of points with z > `clear`; `clear_points`: how many; see
      `shares` for the interval; `inward`: how many have z < -`clear`;
    - `drift_noise`, `drift_full_batch` with `.._low`, `.._high`: means over pairs, towards the nearer end, as parts of
      the path's length (several points of a pair are averaged first);
    - `ratio`, `ratio_low`, `ratio_high`: mean drift_full_batch / mean drift_noise; the interval (delta method) is there
      where the mean of noise is itself away from zero; `ratio_reason` otherwise;
    - `opposite`: in how many points the full-batch drift has the other sign than that of noise;
    - `velocity_noise`: the mean drift_noise / t_eff; `excursion`, `t_measured`: means over those points;
    - `pairs`, `endpoints`, `units`, `tours` and `reason` as in `pair_summary`.

    Raises RequestError as `pair_summary` does.
    """
    check_columns(points, [*by, "z", "local", "outward", "drift_noise", "drift_full_batch"], "drifts")
    known = np.isfinite(points["drift_noise"].astype(float))
    used = known & points["local"] & points["outward"].notna()
    frame = points.assign(
        known=known,
        used=used,
        clear=(points["z"] > clear).astype("boolean").where(used & points["z"].notna()),
        **{name: points[name].astype(float).where(used) for name in ("drift_noise", "drift_full_batch")},
    )
    summary = partial(pair_summary, frame, "drifts", by, statistic="mean", level=level, families=families)
    shares = share_summary(frame, "drifts", by, "clear", level=level, families=families)
    noise, full = summary("drift_noise"), summary("drift_full_batch")
    counts = [_counted(rows, clear) for _, rows, _ in pair_groups(frame, by)]
    both = [_ratio(rows, level, families) for _, rows, _ in pair_groups(frame, by)]
    table = noise[[*by, "pairs", "endpoints", "units", "tours", "reason"]].copy()
    for name, part in (("outward", shares), ("drift_noise", noise), ("drift_full_batch", full)):
        for column, end in (("estimate", ""), ("low", "_low"), ("high", "_high")):
            table[f"{name}{end}"] = part[column]
    return pd.concat([table, pd.DataFrame(counts, columns=_COUNTED), pd.DataFrame(both, columns=_RATIO)], axis=1)


_COUNTED = [
    *("points", "middle", "local", "missing", "diverged", "clear_points", "inward", "opposite"),
    *("velocity_noise", "excursion", "t_measured"),
]
_RATIO = ["ratio", "ratio_low", "ratio_high", "ratio_reason"]


def _counted(rows: pd.DataFrame, clear: float) -> dict[str, Any]:
    mine = rows[rows["used"]]
    other = np.sign(mine["drift_noise"]) * np.sign(mine["drift_full_batch"]) < 0
    means = {
        name: float(mine[name].astype(float).mean()) if name in mine.columns and len(mine) else np.nan
        for name in ("velocity_noise", "excursion", "t_measured")
    }
    return {
        "points": int(rows["known"].sum()),
        "middle": int((rows["known"] & rows["outward"].isna()).sum()),
        "local": len(mine),
        "missing": int((~rows["known"]).sum()),
        "diverged": int(rows["diverged"].fillna(0).sum()) if "diverged" in rows.columns else 0,
        "clear_points": int((mine["z"] > clear).sum()),
        "inward": int((mine["z"] < -clear).sum()),
        "opposite": int(other.sum()),
        **means,
    }


def _ratio(rows: pd.DataFrame, level: float, families: Families | None) -> dict[str, Any]:
    """The ratio of the mean drifts over the same pairs; both see the same resampled end points."""
    full, noise = (one_per_pair(rows, name)[0] for name in ("drift_full_batch", "drift_noise"))
    both = full.merge(noise, on=["endpoint_a", "endpoint_b"], suffixes=("_full", "_noise"))
    found = estimate(
        both,
        both[["value_full", "value_noise"]].to_numpy(),
        "mean",
        level=level,
        method="jackknife",
        n_boot=2,
        rng=stream(0, "drift_ratio"),
        families=families,
    )
    ratio, low, high, reason = ratio_of(found)
    return {"ratio": ratio, "ratio_low": low, "ratio_high": high, "ratio_reason": reason}


def ratio_of(found: Estimate) -> tuple[float, float, float, str]:
    """First estimate over the second, low, high, and why there is no interval; by the delta method."""
    top, bottom = (float(part) for part in found.value)
    if not np.isfinite([top, bottom]).all() or abs(bottom) <= 1e-12 * abs(top):
        return np.nan, np.nan, np.nan, found.reason or "nothing to divide by"
    if found.reason:
        return top / bottom, np.nan, np.nan, found.reason
    if abs(bottom) <= found.quantile * np.sqrt(found.covariance[1, 1]):
        return top / bottom, np.nan, np.nan, "what is divided by is not told from zero"
    slope = np.array([1 / bottom, -top / bottom**2])
    half = found.quantile * np.sqrt(max(slope @ found.covariance @ slope, 0.0))
    return top / bottom, top / bottom - half, top / bottom + half, ""


def free_energy_from_drift(points: pd.DataFrame, by: Sequence[str] = DRIFT_SETTINGS) -> pd.DataFrame:
    """The free energy along each path that its mean drifts give, by setting `by`: the force integrated over arclength.

    With l = s x length and unit mobility the velocity is v = dl/dt = -dF/dl, v = drift x length / t_eff, so that

        F(s) - F(s_0) = - int_{l_0}^{l} v dl',   by the trapezoid rule over the starts, s_0 the least of them.

    Noise and full batches apart: `f_noise` is what entropy adds, `f_full_batch` the loss that the noise-free twin sees;
    `f_noise_stderr` is the standard error of the first, the replicas of different starts being independent. One row
    per path, setting and start, with the columns of the path; `local_all`: whether all starts of the path are local.

    Runs start on the path, where transverse modes are cold: a mode of curvature lambda fills within 1 / (2 lambda), and
    over a time t its mean contribution is 1 - (1 - exp(-2 lambda t)) / (2 lambda t) of the full one. Short runs so
    underestimate F; `predicted_drift` puts in the factor.
    """
    columns = ["path_id", *by, "s", "outward", "path_length", "t_eff", "drift_noise", "stderr", "drift_full_batch"]
    check_columns(points, columns, "drifts")
    rows = points[np.isfinite(points["drift_noise"].astype(float))].sort_values("s", kind="stable")
    parts = [_integrated(part) for _, part in rows.groupby(["path_id", *by], dropna=False, sort=True)]
    about = [c for c in (*_ABOUT, "endpoint_a", "endpoint_b", "via", "path") if c in points.columns]
    keep = list(dict.fromkeys(["path_id", *about, *by, "s", "t_eff", "t_measured"]))
    keep = [c for c in keep if c in points.columns]
    found = ["f_noise", "f_noise_stderr", "f_full_batch", "local_all"]
    return (
        pd.concat(parts, ignore_index=True)[[*keep, *found]]
        if parts
        else pd.DataFrame({c: pd.Series(dtype=object) for c in [*keep, *found]})
    )


def _integrated(rows: pd.DataFrame) -> pd.DataFrame:
    """One path at one setting, by s: several drifts from one start (of other seeds) are averaged."""
    sign = rows["outward"].astype(float).fillna(1.0)  # from the middle drifts are towards end b
    force = -(rows["path_length"].astype(float) ** 2) / rows["t_eff"].astype(float)  # of drift: dF/ds
    rows = rows.assign(
        _noise=force * sign * rows["drift_noise"].astype(float),
        _variance=(force * rows["stderr"].astype(float)) ** 2,
        _full=force * sign * rows["drift_full_batch"].astype(float),
    )
    count = rows.groupby("s")["_noise"].transform("size").astype(float)
    for name in ("_noise", "_full"):
        rows[name] = rows.groupby("s")[name].transform("mean")
    rows["_variance"] = rows.groupby("s")["_variance"].transform("sum") / count**2
    local = bool(rows["local"].all()) if "local" in rows.columns else True
    rows = rows.drop_duplicates("s")
    weights = _trapezoids(rows["s"].to_numpy(dtype=float))
    return rows.assign(
        f_noise=weights @ rows["_noise"].to_numpy(),
        f_noise_stderr=np.sqrt(weights**2 @ rows["_variance"].to_numpy()),
        f_full_batch=weights @ rows["_full"].to_numpy(),
        local_all=local,
    )


def _trapezoids(s: Floats) -> Floats:
    """Weights [S, S]: row k integrates values at s from s_0 to s_k."""
    weights = np.zeros((len(s), len(s)))
    for k in range(1, len(s)):
        weights[k] = weights[k - 1]
        weights[k, k - 1 : k + 1] += (s[k] - s[k - 1]) / 2
    return weights
