"""The drift that curvature predicts, -dF/ds, beside the one that replicas measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.stats import spearmanr

from mcdist.analysis.free_energy import by_profile, entropy_profiles, is_trace, objective_profile, shaped_temperature
from mcdist.analysis.pairs import check_columns, pair_groups
from mcdist.analysis.resampled import resampled
from mcdist.analysis.resampling import stream

__all__ = ["predicted_drift", "predicted_summary", "transient"]

Floats = NDArray[np.float64]

_OPERATORS = {"log_det": "hessian", "ggn_log_det": "ggn", "fisher_log_det": "fisher"}
_FOUND = ("measure", "predicted_noise", "predicted_plain", "predicted_full_batch", "modes", "near", "excess_z")
_NEAR = 0.1  # of the path's length: what runs may have moved where forces are those at their start


def transient(x: Floats) -> Floats:
    """1 - (1 - exp(-2 x)) / (2 x), x = lambda t: the mean of a mode's <x^2> / (T / lambda) over a time t from zero."""
    x = np.asarray(x, dtype=np.float64)
    small = np.abs(x) < 1e-4
    safe = np.where(small, 1.0, x)
    result: Floats = np.where(small, x, 1 + np.expm1(-2 * safe) / (2 * safe))
    return result


def predicted_drift(
    points: pd.DataFrame,
    curvature: pd.DataFrame,
    path_points: pd.DataFrame,
    paths: pd.DataFrame,
    spectra: pd.DataFrame | None = None,
    measures: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The points of `drift_points`, once per log-determinant and trace that their path has, with the drift predicted.

    With dl/dt = -dF/dl and T = `t_measured`, after a time t = `t_eff`, towards the nearer end (from the middle towards
    b), as a part of the path's length:

        noise:        -(1 / length^2) t (T / 2) d/ds sum ln(lambda / floor)   (log-determinants)
                      -(1 / length^2) t (T0 / 2) d/ds Tr H, T0: `shaped_temperature`   (traces)
        full batches: -(1 / length^2) t dL/ds

    - `predicted_plain`: as above; `predicted_noise`: with the factor `transient(lambda_i t)` for every mode where
      `spectra` has the leading eigenvalues of the path, summed over those above the floor, `modes` of them at most; as
      `predicted_plain` where it has none, `modes` 0: then too large for short runs, modes of 1 / lambda > t being cold;
    - `predicted_full_batch`, with the weight decay that the drift's loss had;
    - `excess_z` = (drift_noise - predicted_noise) / stderr.

    T is the mean over all parameters, as if noise were isotropic; minibatch noise is stronger in the stiff directions,
    so that there the log-determinant's prediction is too small, and the trace's rests on noise shaped as the Hessian.
    Derivatives are those of cubic splines through the positions of the curvature. No interval is carried over from
    the curvature. The prediction is of first order in the time: it holds for runs that stay near their start (`near`:
    |drift_noise| + |drift_full_batch| + spread < 0.1). Raises RequestError for a column that is not there.
    """
    check_columns(points, ["path_id", "s", "t_measured", "t_eff", "path_length", "n_params", "stderr"], "drifts")
    profiles = entropy_profiles(curvature, path_points, paths, measures)
    of_path: dict[str, list[_Profile]] = {}
    for about, rows in by_profile(profiles):
        modes = _modes(spectra, about)
        of_path.setdefault(str(about["path_id"]), []).append(_Profile.of(about, rows, modes))
    parts = []
    for path, mine in points.groupby("path_id", sort=False):
        parts += [_predicted(mine, profile, path_points) for profile in of_path.get(str(path), [])]
    if parts:
        return pd.concat(parts, ignore_index=True)
    return pd.DataFrame({c: pd.Series(dtype=object) for c in [*points.columns, *_FOUND]})


@dataclass(frozen=True)
class _Profile:
    """Stiffness along one path, and its leading eigenvalues [S, N] at `mode_s`, relative to the floor."""

    about: dict[str, Any]
    s: Floats
    stiffness: Floats
    mode_s: Floats
    modes: Floats

    @classmethod
    def of(cls, about: dict[str, Any], rows: pd.DataFrame, modes: tuple[Floats, Floats]) -> _Profile:
        known = rows[np.isfinite(rows["stiffness"].astype(float))].groupby("s")["stiffness"].mean().sort_index()
        return cls(about, known.index.to_numpy(dtype=float), known.to_numpy(dtype=float), *modes)


def _modes(spectra: pd.DataFrame | None, about: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Where they were measured [S], and the leading eigenvalues there [S, N], for a log-determinant of that matrix."""
    nothing = np.empty(0), np.empty((0, 0))
    operator = _OPERATORS.get(str(about["measure"]))
    if spectra is None or spectra.empty or operator is None:
        return nothing
    rows = spectra[(spectra["path_id"] == about["path_id"]) & (spectra["operator"] == operator)]
    rows = rows[(rows["role"] == "path") & rows["layer"].isna()]
    decay = about.get("loss_weight_decay")
    if "weight_decay" in rows.columns and pd.notna(decay):
        rows = rows[rows["weight_decay"].astype(float) == decay]
    if rows.empty:
        return nothing
    table = rows.pivot_table(index="s", columns="index", values="eigenvalue", aggfunc="mean").sort_index()
    table = table.dropna(axis=1)
    return table.index.to_numpy(dtype=float), table.to_numpy(dtype=float)


def _predicted(points: pd.DataFrame, profile: _Profile, path_points: pd.DataFrame) -> pd.DataFrame:
    """The points of one path with the prediction of one profile."""
    s, T, time, length, P = (
        points[c].to_numpy(dtype=float) for c in ("s", "t_measured", "t_eff", "path_length", "n_params")
    )
    sign = points["outward"].astype(float).fillna(1.0).to_numpy()
    scale = -sign * time / length**2
    slope = _slope(profile.s, profile.stiffness, s)
    if is_trace(str(profile.about["measure"])):
        value = np.interp(s, profile.s, profile.stiffness) if len(profile.s) else np.full(len(s), np.nan)
        decay = np.full(len(s), float(profile.about.get("loss_weight_decay") or 0.0))
        plain = scale * shaped_temperature(str(profile.about["measure"]), T, P, value, decay) / 2 * slope
    else:
        plain = scale * T / 2 * slope
    floor = float(profile.about.get("floor") or np.nan)
    used = profile.modes.shape[1] and np.isfinite(floor)
    noise = scale * T / 2 * _filled_slope(profile, floor, s, time) if used else plain
    full = np.full(len(points), np.nan)
    decays = points["weight_decay"].astype(float).fillna(0.0).to_numpy()
    for decay in np.unique(decays):
        here = decays == decay
        where, L = objective_profile(path_points, str(profile.about["path_id"]), float(decay))
        full[here] = scale[here] * _slope(where, L, s[here])
    error = points["stderr"].astype(float)
    about = {name: value for name, value in profile.about.items() if name != "path_id"}
    return points.assign(
        **about,
        predicted_noise=noise,
        predicted_plain=plain,
        predicted_full_batch=full,
        modes=int(profile.modes.shape[1]) if used else 0,
        near=_moved(points) < _NEAR,
        excess_z=(points["drift_noise"].astype(float) - noise) / error.where(error > 0),
    )


def _moved(points: pd.DataFrame) -> pd.Series:
    """How far along the path the replicas are from their start, as a part of its length."""
    names = [c for c in ("drift_noise", "drift_full_batch", "spread") if c in points.columns]
    return points[names].astype(float).abs().fillna(0.0).sum(axis=1)


def _filled_slope(profile: _Profile, floor: float, s: Floats, time: Floats) -> Floats:
    """sum_i transient(lambda_i t) d/ds ln max(lambda_i / floor, 1), at each s after its time."""
    total = np.zeros(len(s))
    for mode in profile.modes.T:
        height = np.log(np.maximum(mode, floor) / floor)
        here = np.interp(s, profile.mode_s, np.maximum(mode, 0.0))
        total += transient(here * time) * _slope(profile.mode_s, height, s)
    return total


def _slope(x: Floats, y: Floats, at: Floats) -> Floats:
    """dy/dx at these places, by a cubic spline; NaN outside, and with fewer than two places."""
    if len(x) < 2:
        return np.full(len(at), np.nan)
    slope = CubicSpline(x, y)(at, 1) if len(x) > 3 else np.interp(at, x, np.gradient(y, x))
    result: Floats = np.where((at >= x[0] - 1e-9) & (at <= x[-1] + 1e-9), slope, np.nan)
    return result


def predicted_summary(
    predictions: pd.DataFrame,
    by: Sequence[str] = ("problem", "kind", "aligned", "measure", "noise"),
    *,
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """How far measured drifts are the predicted ones, by group, over the local points of `predicted_drift` that have
    noise and whose replicas stayed near their start.

    - `points`: with both; `with_modes`: of those, predicted mode by mode; `far`: local ones that are left out, as their
      replicas did not stay near;
    - `slope` of measured on predicted, through zero, weighted by 1 / stderr^2 (1: as predicted; its sign is what
      matters where the temperature is not known better than by its mean; NaN where all predictions together are below
      one standard error); interval by delete-one jackknife of end points; `correlation`: Spearman's, between the two;
      `within_3`: the part of the points with |excess_z| <= 3;
      `mean_z`: the mean of excess_z;
    - `full_batch_slope`, `full_batch_correlation`: likewise of the drifts of full batches, weighted alike;
    - `pairs`, `units`, `reason`.
    """
    needed = [
        *by,
        "local",
        "near",
        "t_measured",
        "drift_noise",
        "predicted_noise",
        "drift_full_batch",
        "predicted_full_batch",
        "stderr",
    ]
    check_columns(predictions, needed, "predicted drifts")
    records = []
    for key, rows, _ in pair_groups(predictions, by):
        rng = stream(0, "predicted_summary", *key)
        records.append(dict(zip(by, key, strict=True)) | _compared(rows, level, families, rng))
    columns = [*by, *_compared(predictions.iloc[:0], level, families, np.random.default_rng(0))]
    return pd.DataFrame(records, columns=columns)


def _compared(
    rows: pd.DataFrame, level: float, families: Mapping[str, str] | None, rng: np.random.Generator
) -> dict[str, Any]:
    values = rows[["drift_noise", "predicted_noise", "stderr"]].astype(float)
    finite = np.isfinite(values.to_numpy()).all(axis=1) & (values["stderr"] > 0).to_numpy()
    local = rows["local"].to_numpy(dtype=bool) & finite & (rows["t_measured"].astype(float) > 0).to_numpy()
    near = rows["near"].to_numpy(dtype=bool)
    mine = rows[local & near]
    z = mine["excess_z"].astype(float)
    record: dict[str, Any] = {
        "points": len(mine),
        "far": int((local & ~near).sum()),
        "with_modes": int((mine["modes"] > 0).sum()),
        "within_3": float((z.abs() <= 3).mean()) if len(mine) else np.nan,
        "mean_z": float(z.mean()) if len(mine) else np.nan,
        "pairs": len(mine[["endpoint_a", "endpoint_b"]].drop_duplicates()),
    }
    for start, kind in (("", "noise"), ("full_batch_", "full_batch")):
        part = mine[np.isfinite(mine[f"predicted_{kind}"].astype(float))]
        y, x, error = (part[c].to_numpy(dtype=float) for c in (f"drift_{kind}", f"predicted_{kind}", "stderr"))

        def slope(w: Floats, x: Floats = x, y: Floats = y, error: Floats = error) -> Floats:
            bottom = float((w * x**2 / error**2).sum())
            # Below one, all predictions together are no more than one standard error.
            return np.array([float((w * x * y / error**2).sum()) / bottom if bottom > 1 else np.nan])

        found = resampled(part, slope, level=level, rng=rng, families=families)
        (low,), (high,) = found.interval()
        record |= {f"{start}slope": float(found.value[0]), f"{start}slope_low": low, f"{start}slope_high": high}
        several = len(part) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
        record[f"{start}correlation"] = float(spearmanr(x, y).statistic) if several else np.nan
        if not start:
            record |= {"units": found.units, "reason": found.reason}
    return record
