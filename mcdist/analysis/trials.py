"""Trials of a study: relaxation times at many settings, and where they change most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.pairs import check_columns, groups

__all__ = ["steepness", "trial_summary", "trial_times"]

Floats = NDArray[np.float64]

_WIDTH = 0.25  # of the extent of log T: the kernel's standard deviation
_NARROWEST = 0.2  # of log T, lest trials at one temperature have a slope of their own
_RIDGE = 1e-2  # of the kernel's own spread: two trials beside each other do not make a cliff


def trial_times(trials: pd.DataFrame) -> pd.DataFrame:
    """The complete trials of relaxations, with `time`: the relaxation time, or the exposure where no run arrived, and
    `bound`: whether `time` is such a lower bound. Trials without any run that stayed finite are left out.

    exposure / arrived is the mean of an exponential law, censored runs included; with none arrived, the time of one
    more arrival would be the exposure at least. Raises RequestError for a column that is not there.
    """
    check_columns(trials, ["t_nominal", "arrived", "exposure", "relaxation_time"], "trials")
    trials = _of_relaxations(trials)
    relaxed = trials["relaxation_time"].astype(float)
    exposure = trials["exposure"].astype(float)
    bound = ~(relaxed > 0)
    rows = trials.assign(time=relaxed.where(~bound, exposure), bound=bound)
    return rows[rows["time"] > 0]


def _of_relaxations(trials: pd.DataFrame) -> pd.DataFrame:
    """What else was tried has no time to an end (`tuned_trials` is for ensembles)."""
    return trials[trials["subject"] == "relaxation"] if "subject" in trials.columns else trials


def steepness(trials: pd.DataFrame) -> pd.Series:
    """|d log time / d log t_nominal| at every trial, by local linear regression: index as `trials`.

    Weights are exp(-(x - x_i)^2 / (2 h_i^2)), x = log T and h_i a quarter of its extent, or the distance of the next
    other temperature where that is more. A trial in which nothing arrived counts with its lower bound. Finite from two
    trials on; 0 for a single temperature; NaN for a trial without T > 0 or without a time.
    """
    rows = trial_times(trials)
    rows = rows[rows["t_nominal"].astype(float) > 0]
    x, y = (np.log(rows[name].to_numpy(dtype=float)) for name in ("t_nominal", "time"))
    found = pd.Series(np.abs(_slopes(x, y)), index=rows.index, dtype=float)
    return found.reindex(trials.index)


def _slopes(x: Floats, y: Floats) -> Floats:
    if len(x) < 2:
        return np.zeros(len(x))
    apart = np.abs(x[None, :] - x[:, None])
    nearest = np.where(apart > 0, apart, np.inf).min(axis=1)
    width = np.maximum(np.where(np.isfinite(nearest), nearest, 0.0), max(_WIDTH * float(np.ptp(x)), _NARROWEST))
    w = np.exp(-0.5 * (apart / width[:, None]) ** 2)
    w /= w.sum(axis=1, keepdims=True)
    mean_x, mean_y = w @ x, w @ y
    away = x[None, :] - mean_x[:, None]
    slopes: Floats = (w * away * (y[None, :] - mean_y[:, None])).sum(axis=1) / (
        (w * away**2).sum(axis=1) + _RIDGE * _NARROWEST**2
    )
    return slopes


def trial_summary(
    trials: pd.DataFrame, by: Sequence[str] = ("problem", "optimizer", "noise", "k_project")
) -> pd.DataFrame:
    """Per group of trials: `trials`, `runs`, `arrived`, `diverged`, `bounds` (trials in which nothing arrived), the
    range `t_low`, `t_high` of the nominal temperature, `time_low`, `time_high` of the relaxation times of trials in
    which runs arrived, `slope` of log time on log T over those (least squares; NaN for fewer than two temperatures),
    and `steepest_t`, `steepest`: where the local slope is the greatest; `left_out`: trials without a time.

    Trials share paths, so that they are not independent: no interval is given. See `relaxation_fit` for one, over the
    same runs.
    """
    check_columns(trials, [*by, "runs", "diverged"], "trials")
    trials = _of_relaxations(trials)
    rows = trial_times(trials)
    records = []
    for key, every in groups(trials, by):
        part = rows.loc[rows.index.isin(every.index)]
        steep = steepness(part)
        T, time = part["t_nominal"].astype(float), part["time"].astype(float)
        sure = ~part["bound"] & (T > 0)
        several = T[sure].nunique() > 1
        top = int(np.nanargmax(steep)) if steep.notna().any() else None
        records.append(
            {
                **dict(zip(by, key, strict=True)),
                "trials": len(part),
                "left_out": len(every) - len(part),
                **{name: int(part[name].fillna(0).sum()) for name in ("runs", "arrived", "diverged")},
                "bounds": int(part["bound"].sum()),
                "t_low": float(T.min()),
                "t_high": float(T.max()),
                "time_low": float(time[sure].min()),
                "time_high": float(time[sure].max()),
                "slope": float(np.polyfit(np.log(T[sure]), np.log(time[sure]), 1)[0]) if several else np.nan,
                "steepest_t": float(T.iloc[top]) if top is not None else np.nan,
                "steepest": float(steep.iloc[top]) if top is not None else np.nan,
            }
        )
    columns = ["trials", "runs", "arrived", "diverged", "bounds", "t_low", "t_high", "time_low", "time_high", "slope"]
    return pd.DataFrame(records, columns=[*by, *columns, "steepest_t", "steepest", "left_out"])
