"""The free energy along paths, and the temperature at which entropy and energy are equal.

Noise of temperature T fills the stiff directions transverse to a path, and so adds to the loss

    isotropic noise:                        F(s; T) = L(s) + (T / 2) sum_i ln lambda_i(s)
    noise that is shaped as the Hessian:    F(s; T0) = L(s) + (T0 / 2) Tr H(s)        (C = 2 T0 H)

L is the objective of the dynamics: train loss + weight_decay / 2 |w|^2, with the weight decay of the loss whose
curvature it is.

A sum over the eigenvalues above a floor is taken relative to that floor, sum ln(lambda / floor) = value - rank ln
floor. The plain sum jumps by ln floor where an eigenvalue crosses the floor: with floor < 1 one that grows past it
would *lower* the sum, and a stiffer point would look softer. Relative to the floor it comes in from zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.curvature import SETTINGS
from mcdist.analysis.pairs import check_columns, groups

__all__ = [
    "entropy_profiles",
    "free_energies",
    "is_log_det",
    "is_trace",
    "objective_profile",
    "shaped_temperature",
]

Floats = NDArray[np.float64]

_LOG_DET, _TRACE = "log_det", "trace"


def is_log_det(measure: str) -> bool:
    """Whether the measure is a log-determinant, of whatever matrix."""
    return measure.endswith(_LOG_DET)


def is_trace(measure: str) -> bool:
    """Whether the measure is a trace, of whatever matrix."""
    return measure.endswith(_TRACE)


def shaped_temperature(measure: str, T: Floats, P: Floats, trace: Floats, decay: Floats) -> Floats:
    """T0 of noise shaped as a matrix of that trace, as much of it in all as isotropic noise of T: T0 = T P / Tr H.

    Of the Hessian and the Gauss-Newton matrix the part of weight decay, `decay` P, is left out of the trace: gradients
    of single examples do not differ by it, so there is no noise of its shape (the Fisher trace has none of it). NaN
    where nothing is left.
    """
    own = trace - (0.0 if measure.startswith("fisher") else decay) * P
    result: Floats = np.where(own > 0, T * P / np.where(own > 0, own, 1.0), np.nan)
    return result


def entropy_profiles(
    curvature: pd.DataFrame,
    path_points: pd.DataFrame,
    paths: pd.DataFrame,
    measures: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Energy and stiffness along each path: one row per path, measure, settings and position, by s.

    Of the `curvature` table the rows at positions of these `paths`, of the whole network, of the log-determinants and
    traces that are there (or of `measures`). Columns: those of `paths`; `measure`, the settings of `curvature_ratios`
    (`loss_weight_decay` is the curvature's); `t`, `s`; `floor`, `rank`, and

    - `stiffness`: sum ln(lambda / floor) of a log-determinant, the trace of a trace; F = `energy` + T / 2 `stiffness`;
    - `energy`: L(s), by linear interpolation in s of `path_points`; NaN where the path was not profiled;
    - `truncated`: whether eigenvalues above the floor may be missing, so that the sum is a lower bound.

    Positions of several seeds of the subset are averaged. Raises RequestError for a column that is not there.
    """
    check_columns(paths, ["path_id", "kind", "aligned", "endpoint_a", "endpoint_b"], "paths")
    check_columns(curvature, ["path_id", "role", "t", "s", "measure", "layer", "value", "weight_decay"], "curvature")
    rows = curvature.rename(columns={"weight_decay": "loss_weight_decay"})
    name = rows["measure"].astype(str)
    wanted = (
        name.map(is_log_det).astype(bool) | name.map(is_trace).astype(bool) if measures is None else name.isin(measures)
    )
    rows = rows[wanted & (rows["role"] == "path") & rows["layer"].isna() & rows["path_id"].isin(paths["path_id"])]
    rows = rows.assign(**{c: np.nan for c in ("floor", "rank", "truncated") if c not in rows.columns})
    rows = rows.assign(stiffness=_stiffness(rows), truncated=rows["truncated"].eq(True))
    settings = [c for c in SETTINGS if c in rows.columns and c != "subset_seed"]
    keys = ["path_id", "measure", *settings, "t"]
    if len(rows):
        rows = (
            rows.groupby(keys, dropna=False, sort=True)
            .agg(
                s=("s", "mean"),
                stiffness=("stiffness", lambda x: x.mean(skipna=False)),
                rank=("rank", "mean"),
                truncated=("truncated", "max"),
            )
            .reset_index()
        )
    rows = _with_energy(rows, path_points)
    about = paths.drop_duplicates("path_id").drop(columns=["task_id", "pack_id", "t", "s"], errors="ignore")
    found = ["measure", *settings, "t", "s", "rank", "truncated", "stiffness", "energy"]
    return about.merge(rows.reindex(columns=["path_id", *found]).astype({"path_id": object}), on="path_id")


def _stiffness(rows: pd.DataFrame) -> pd.Series:
    """Log-determinants relative to their floor, other values as they are."""
    value, floor, rank = (rows[name].astype(float) for name in ("value", "floor", "rank"))
    relative = value - rank * np.log(floor.where(floor > 0))
    return relative.where(rows["measure"].astype(str).map(is_log_det), value)


def _with_energy(rows: pd.DataFrame, path_points: pd.DataFrame) -> pd.DataFrame:
    energy = pd.Series(np.nan, index=rows.index, dtype=float)
    if len(rows):
        decays = rows["loss_weight_decay"].astype(float).fillna(0.0)
        for (path, decay), mine in rows.groupby([rows["path_id"], decays]):
            s, L = objective_profile(path_points, str(path), float(str(decay)))
            if len(s):
                at = mine["s"].to_numpy(dtype=float)
                energy[mine.index] = np.interp(at, s, L, left=np.nan, right=np.nan)
    return rows.assign(energy=energy)


def objective_profile(path_points: pd.DataFrame, path_id: str, weight_decay: float) -> tuple[Floats, Floats]:
    """s and L(s) = train_loss + weight_decay / 2 |w|^2 along a path, by s, finite values alone.

    Rows of several tasks at one place are averaged. Without weight decay the norm does not matter, measured or not.
    """
    mine = path_points[path_points["path_id"] == path_id]
    loss = mine["train_loss"].astype(float)
    if weight_decay:
        loss = loss + 0.5 * weight_decay * mine["l2_norm"].astype(float) ** 2
    profile = loss[np.isfinite(loss)].groupby(mine["s"].astype(float)).mean().sort_index()
    s: Floats = profile.index.to_numpy(dtype=np.float64)
    return s, np.asarray(profile.to_numpy(), dtype=np.float64)


def free_energies(profiles: pd.DataFrame, temperatures: Sequence[float]) -> pd.DataFrame:
    """F(s; T) of the profiles of `entropy_profiles` for each T: its rows once per temperature, with

    - `T`; `entropic` = T / 2 x stiffness; `F` = energy + entropic;
    - `F_over_ends`, `energy_over_ends`, `entropic_over_ends`: less the mean of the path's two ends (t = 0 and 1), NaN
      where those were not measured.
    """
    keys = ["path_id", "measure", *(c for c in SETTINGS if c in profiles.columns)]
    ends = profiles[profiles["t"].isin((0.0, 1.0))]
    mean = ends.groupby(keys, dropna=False).agg(
        _energy=("energy", "mean"), _stiffness=("stiffness", "mean"), _ends=("t", "nunique")
    )
    mean = mean[mean["_ends"] == 2].drop(columns="_ends").reset_index()
    rows = profiles.merge(mean.astype({"path_id": object, "measure": object}), on=keys, how="left")
    parts = []
    for T in temperatures:
        part = rows.assign(T=float(T), entropic=0.5 * T * rows["stiffness"])
        part["F"] = part["energy"] + part["entropic"]
        part["energy_over_ends"] = part["energy"] - part["_energy"]
        part["entropic_over_ends"] = part["entropic"] - 0.5 * T * part["_stiffness"]
        part["F_over_ends"] = part["energy_over_ends"] + part["entropic_over_ends"]
        parts.append(part.drop(columns=["_energy", "_stiffness"]))
    return pd.concat(parts, ignore_index=True)


def by_profile(profiles: pd.DataFrame) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """The profiles apart: of each path, measure and settings what they are, and its rows by s."""
    keys = ["path_id", "measure", *(c for c in SETTINGS if c in profiles.columns)]
    return [
        (dict(zip(keys, key, strict=True)), rows.sort_values("s", kind="stable"))
        for key, rows in groups(profiles, keys)
    ]
