"""How relaxation times fall with temperature: accelerated failure times, censored runs included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import t as student

from mcdist.analysis.pairs import check_columns, pair_groups
from mcdist.analysis.relaxations import weightings
from mcdist.analysis.resampling import stream
from mcdist.analysis.survival import LAWS, MEDIANS, fit_failure_times
from mcdist.errors import RequestError

__all__ = ["relaxation_fit"]

Floats = NDArray[np.float64]

_MOST_LOST = 0.1
_ON = ("t_nominal", "t_measured")


def relaxation_fit(
    runs: pd.DataFrame,
    by: Sequence[str] = ("problem", "kind", "aligned", "noise", "optimizer", "k_project", "buffers"),
    on: str = "t_nominal",
    law: str = "weibull",
    *,
    level: float = 0.95,
    n_boot: int = 200,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The exponent of relaxation times in the temperature `on`, over the noisy runs of `relaxation_runs`, by group:

        log time = c - a log T + d log distance + scale e,      e of the `law` (see `survival`)

    where distance is that of the start from the nearer end. Intervals: bootstrap of end points.

    - `exponent` = a: the time falls as T^-a (1: as the force of entropy; more: as over a barrier); `distance` = d;
      `scale`; each with `.._low`, `.._high`; `reason` where there is none;
    - lr and B apart: log time = c - a_lr log(lr / (1 - momentum)) + a_B log B + d log distance + scale e, which is the
      first where a_lr = a_B. `exponent_lr`, `exponent_batch`, and `difference` = a_lr - a_B (0 if times depend on
      lr / B alone), with intervals; `likelihood_ratio` = 2 (log-likelihood of this - of the first), and its `p_value`
      by chi^2 of one degree of freedom, which takes runs for independent, and so is too small where they share end
      points: go by the interval of `difference`. `apart_reason` where one of them does not vary by itself;
    - `runs`, `arrived`, `temperatures`, `pairs`, `units`, `log_likelihood` (to compare laws);
    - `reference_t`, `reference_time`: the geometric mean of T, and the law's median time there, at the geometric mean
      of the distances.

    With the exponents of log lr and log B themselves, -a_lr and a_B, `difference` is minus their sum.

    Measured coverage of the 95 % intervals (100 simulated sweeps each: all pairs of 4, 6 and 10 end points, 3 starts, 2
    runs at each of 2 rates x 2 batch sizes, times and exponents that vary by end point, with and without a fifth of
    the runs censored): `exponent` 0.99, 0.98 and 0.94, `difference` 1.00; wider than need be where exponents are alike.

    Raises RequestError for a law or `on` that is not allowed, and as `pair_summary` does.
    """
    if law not in LAWS:
        raise RequestError(f"law: got {law!r}; allowed: {', '.join(LAWS)}")
    if on not in _ON:
        raise RequestError(f"on: got {on!r}; allowed: {', '.join(_ON)}")
    needed = [*by, on, "time", "arrived", "diverged", "distance", "lr", "batch_size", "momentum"]
    check_columns(runs, needed, "relaxations")
    noisy = runs[~runs["diverged"] & (runs[on].astype(float) > 0) & (runs["time"].astype(float) > 0)]
    records = []
    for key, rows, _ in pair_groups(noisy, by):
        rng = stream(seed, "relaxation_fit", on, law, *key)
        records.append(dict(zip(by, key, strict=True)) | _fitted(rows, on, law, level, n_boot, rng, families))
    empty = _fitted(noisy.iloc[:0], on, law, level, 2, np.random.default_rng(0), None)
    return pd.DataFrame(records, columns=[*by, *empty])


def _fitted(
    rows: pd.DataFrame,
    on: str,
    law: str,
    level: float,
    n_boot: int,
    rng: np.random.Generator,
    families: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Both models of one group."""
    arrived = rows["arrived"].to_numpy(dtype=bool)
    T, rate, batch, distance = (np.log(part.to_numpy(dtype=float)) for part in _factors(rows, on))
    starts = [distance] if len(rows) and np.ptp(distance) > 1e-9 else []
    one = np.ones(len(rows))
    weights, factor, n, reason = weightings(rows, n_boot, rng, families)
    record: dict[str, Any] = {
        "runs": len(rows),
        "arrived": int(arrived.sum()),
        "temperatures": len(np.unique(T.round(9))),
        "pairs": len(rows[["endpoint_a", "endpoint_b"]].drop_duplicates()),
        "units": n,
    }
    time = rows["time"].to_numpy(dtype=float)
    quantile = float(student.ppf((1 + level) / 2, n - 1)) if n > 1 else np.nan
    models = {
        "joint": (np.column_stack([one, -T, *starts]), ("exponent", "distance", "scale")),
        "apart": (
            np.column_stack([one, -rate, batch, *starts]),
            ("exponent_lr", "exponent_batch", "difference"),
        ),
    }
    likelihood = {}
    for model, (x, names) in models.items():
        fit = fit_failure_times(time, arrived, x, law)
        likelihood[model] = fit.log_likelihood
        value = _reported(fit.coefficients, fit.scale, model)
        if model == "joint":
            record |= {"reference_t": float(np.exp(T.mean())) if len(rows) else np.nan}
            middle = x.mean(axis=0) @ fit.coefficients if len(rows) else np.nan
            record |= {"reference_time": float(np.exp(middle + fit.scale * MEDIANS[law]))}
        why = fit.reason or reason
        low, high = np.full(3, np.nan), np.full(3, np.nan)
        if not why:
            samples = [fit_failure_times(time, arrived, x, law, w) for w in weights]
            found = np.array([_reported(s.coefficients, s.scale, model) for s in samples])
            kept = found[np.isfinite(found[:, 0])]
            if len(kept) < (1 - _MOST_LOST) * len(found):
                why = f"no estimate in {len(found) - len(kept)} of {len(found)} samples"
            else:
                half = quantile * np.sqrt(factor * kept.var(axis=0))
                low, high = value - half, value + half
        for k, name in enumerate(names):
            record |= {name: float(value[k]), f"{name}_low": float(low[k]), f"{name}_high": float(high[k])}
        record["reason" if model == "joint" else "apart_reason"] = why
    record["log_likelihood"] = likelihood["joint"]
    record["likelihood_ratio"] = 2 * (likelihood["apart"] - likelihood["joint"])
    record["p_value"] = float(chi2.sf(max(record["likelihood_ratio"], 0.0), 1))
    return record | {"law": law}


def _factors(rows: pd.DataFrame, on: str) -> list[pd.Series]:
    """Temperature, effective rate, batch size (1 where there is none) and distance from the nearer end."""
    rate = rows["lr"].astype(float) / (1 - rows["momentum"].astype(float).fillna(0.0))
    batch = rows["batch_size"].astype("Float64").astype(float).fillna(1.0)
    return [rows[on].astype(float), rate, batch, rows["distance"].astype(float)]


def _reported(coefficients: Floats, scale: float, model: str) -> Floats:
    if model == "joint":
        return np.array([coefficients[1], coefficients[2] if len(coefficients) > 2 else np.nan, scale])
    return np.array([coefficients[1], coefficients[2], coefficients[1] - coefficients[2]])
