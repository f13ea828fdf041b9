"""The epoch of splitting at which an instability has fallen below a threshold: branches of later epochs stay together.

The profile over k, a statistic over the pairs of each epoch, is made non-increasing (isotonic regression: one noisy
epoch does not decide) and crossed by linear interpolation in k. Where it is below at the first epoch the onset is only
known to be in [0, first]; where it is above at the last, in [last, end of training], since what is split at the end is
one network. Such an onset is censored, and all numbers that are made of it are bounds.

Intervals: parents are resampled with all their pairs at all epochs, and each sample's profile is made and crossed anew.
The ends are percentiles of the bounds, at the levels of a normal law at sqrt(n / (n - 1)) t(n - 1) for n parents: plain
percentiles cover too little where those are few (Hesterberg 2015). Censored samples have their place in them, as they
have none in estimate +- t * error.

Measured coverage of the 95 % intervals of both onsets and of their difference, 300 simulated sweeps each (eight epochs;
every parent has instabilities A exp(-k / tau), A and tau log-normal with a standard deviation of the logarithm of 0.5,
and as much noise from pair to pair), which says why the median is the default:

              median           mean
    n = 4   0.87 to 0.87    0.70 to 0.80
    n = 8   0.97 to 0.97    0.83 to 0.87
    n = 20  0.97 to 0.99    0.90 to 0.91
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.stats import norm
from scipy.stats import t as student

from mcdist.analysis.instability import SPAWN_SETTINGS, parents
from mcdist.analysis.intervals import MIN_UNITS, check_options
from mcdist.analysis.pairs import check_columns, groups
from mcdist.analysis.resampling import Statistic, replicate, stream

__all__ = ["ERROR", "RATIO", "criterion", "instability_onset", "onset_difference"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bounds = tuple[Floats, Floats]

ERROR = 0.02
"""Threshold on the instability of errors: Frankle et al. 2020 call a network stable below 2 %."""
RATIO = 1.1
"""Threshold on the ratio of losses and curvature. Ends that differ by 2 d of their mean have a ratio of 1 + d without
any barrier, so it must not be nearer to 1 than ends are to each other; reported barriers of curvature are 2 to 3."""

_EARLY, _LATE = "already below at the first epoch", "not below at the last epoch"
_SAME = "the same in every sample"
_WHAT = ("what", "measure")


def criterion(measure: str, thresholds: Mapping[str, float] | None = None) -> tuple[str, float]:
    """Which column of `instabilities` is compared with what: errors by their instability with 0.02, log-determinants
    likewise with what `thresholds` says (NaN if nothing), the rest by ratio with 1.1; `thresholds` goes by measure.
    """
    by_value = measure.endswith(("_error", "log_det"))
    usual = ERROR if measure.endswith("_error") else np.nan if by_value else RATIO
    return "instability" if by_value else "ratio", float((thresholds or {}).get(measure, usual))


def instability_onset(
    table: pd.DataFrame,
    thresholds: Mapping[str, float] | None = None,
    statistic: Statistic = "median",
    *,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The onset of stability of each setting and measure of `instabilities`, in epochs of training.

    Columns `SPAWN_SETTINGS`, `what`, `measure`; `on`, `threshold`: see `criterion`; `pairs`, `units` (parents, or
    `families`), `missing` (pairs and epochs without a value);

    - `onset`: the epoch; NaN if it is only known to be from `at_least` to `at_most` (else both are the onset);
    - `censored`: "already below at the first epoch", "not below at the last epoch", or empty;
    - `low`, `high`: its interval, see the module's head; `reason` where there is none.
    """
    records = []
    for key, rows in _settings(table):
        samples = _Samples(rows, level, n_boot, stream(seed, "instability_onset", *key), families)
        for (what, measure), part in groups(rows, _WHAT):
            on, threshold = criterion(str(measure), thresholds)
            bounds = samples.onsets(part, on, threshold, statistic)
            estimate = samples.interval(bounds)
            if np.isnan(threshold):
                estimate["reason"] = "no threshold: how much is much is for thresholds to say"
            k = part.loc[part[on].notna(), "spawn_epoch"].astype(float)
            about = {
                "what": what,
                "measure": measure,
                "on": on,
                "threshold": threshold,
                "pairs": part["path_id"].nunique(),
            }
            about |= {"units": samples.units, "missing": int(part[on].isna().sum())}
            records.append(dict(zip(SPAWN_SETTINGS, key, strict=True)) | about | estimate | _censored(bounds, k))
    columns = [*SPAWN_SETTINGS, *_WHAT, "on", "threshold", "pairs", "units", "missing", "onset", "at_least", "at_most"]
    return pd.DataFrame(records, columns=[*columns, "censored", "low", "high", "reason"])


def onset_difference(
    table: pd.DataFrame,
    thresholds: Mapping[str, float] | None = None,
    statistic: Statistic = "median",
    *,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """How much later curvature stops rising between branches than energy does: onset of each measure of curvature minus
    that of each loss or error, in epochs, of those that have thresholds; both see the same resampled parents.

    Columns `SPAWN_SETTINGS`, `measure` (of curvature), `energetic` (the metric), `units`; `difference`, `at_least`,
    `at_most`, `low`, `high`, `reason` as for `instability_onset`; `later`: "curvature" or "energetic" where the
    interval lies on that side of 0, else "not shown".
    """
    records = []
    for key, rows in _settings(table):
        samples = _Samples(rows, level, n_boot, stream(seed, "instability_onset", *key), families)
        found = {
            (str(what), str(measure)): samples.onsets(part, *criterion(str(measure), thresholds), statistic)
            for (what, measure), part in groups(rows, _WHAT)
            if not np.isnan(criterion(str(measure), thresholds)[1])
        }
        for (what, measure), (low, high) in found.items():
            for (other, energetic), (least, most) in found.items():
                if (what, other) == ("curvature", "energetic"):
                    about = {"measure": measure, "energetic": energetic, "units": samples.units}
                    estimate = samples.interval((low - most, high - least))
                    estimate["difference"] = estimate.pop("onset")
                    verdict = {"later": _later(estimate["low"], estimate["high"])}
                    records.append(dict(zip(SPAWN_SETTINGS, key, strict=True)) | about | estimate | verdict)
    columns = [*SPAWN_SETTINGS, "measure", "energetic", "units", "difference", "at_least", "at_most", "low", "high"]
    return pd.DataFrame(records, columns=[*columns, "later", "reason"])


def _settings(table: pd.DataFrame) -> list[tuple[tuple[object, ...], pd.DataFrame]]:
    needed = [*SPAWN_SETTINGS, *_WHAT, "path_id", "parent_id", "endpoint_a", "spawn_epoch", "instability", "ratio"]
    check_columns(table, needed, "instabilities")
    return list(groups(table, SPAWN_SETTINGS))


class _Samples:
    """Samples of the parents of one setting: counts [1 + R, n], the first of them each once."""

    def __init__(
        self,
        rows: pd.DataFrame,
        level: float,
        n_boot: int,
        rng: np.random.Generator,
        families: Mapping[str, str] | None,
    ) -> None:
        check_options("median", level, "bootstrap", n_boot)
        self._family = parents(rows) if families is None else families
        names = sorted(set(self._units(rows)))
        self._number = {name: i for i, name in enumerate(names)}
        self.units, self._end, self._level = len(names), float(rows["epochs"].iloc[0]), level
        drawn = rng.multinomial(self.units, np.full(self.units, 1 / self.units), size=n_boot)
        self._counts = np.concatenate([np.ones((1, self.units), dtype=np.int64), drawn])

    def _units(self, rows: pd.DataFrame) -> list[str]:
        return [self._family.get(name, name) for name in rows["endpoint_a"].astype(str)]

    def onsets(self, rows: pd.DataFrame, on: str, threshold: float, statistic: Statistic) -> Bounds:
        """Bounds [1 + R] of the onset of one measure in every sample; NaN where there is nothing to tell it from."""
        values = rows.assign(value=rows[on].astype(float), unit=self._units(rows))
        values = values[np.isfinite(values["value"])].groupby(["spawn_epoch", "path_id", "unit"])["value"].mean()
        k, profiles = [], []
        for epoch, part in values.reset_index().groupby("spawn_epoch"):
            weights = self._counts[:, [self._number[unit] for unit in part["unit"]]]
            held = weights.sum(1) > 0
            profile = np.full(len(weights), np.nan)
            profile[held] = replicate(part[["value"]].to_numpy(dtype=float), weights[held], statistic)[:, 0]
            k.append(float(str(epoch)))
            profiles.append(profile)
        if not k or np.isnan(threshold):
            nothing = np.full(len(self._counts), np.nan)
            return nothing, nothing
        crossed = [_crossing(np.array(k), row, threshold, self._end) for row in np.stack(profiles, axis=1)]
        low, high = np.array(crossed).T
        return low, high

    def interval(self, bounds: Bounds) -> dict[str, Any]:
        """The estimate with its bounds, and its interval or why there is none."""
        low, high = bounds
        found: dict[str, Any] = {
            "onset": low[0] if low[0] == high[0] else np.nan,
            "at_least": low[0],
            "at_most": high[0],
        }
        reason = "" if np.isfinite([low[0], high[0]]).all() else "no values"
        if not reason and self.units < MIN_UNITS:
            reason = f"too few networks: {self.units} independent, {MIN_UNITS} needed"
        least, most = (part[1:][np.isfinite(part[1:])] for part in bounds)
        if not reason and np.ptp(least) == np.ptp(most) == 0 and low[0] == high[0]:
            reason = _SAME  # no evidence of an error of zero
        ends = {"low": np.nan, "high": np.nan}
        if not reason:
            far = np.sqrt(self.units / (self.units - 1)) * student.ppf((1 + self._level) / 2, self.units - 1)
            tail = float(norm.cdf(-far))
            ends = {"low": float(np.quantile(least, tail)), "high": float(np.quantile(most, 1 - tail))}
        return found | ends | {"reason": reason}


def _crossing(k: Floats, profile: Floats, threshold: float, end: float) -> tuple[float, float]:
    """Bounds of the epoch at which a profile over epochs k falls below the threshold; end: of training."""
    known = np.isfinite(profile)
    if not known.any():
        return np.nan, np.nan
    k, level = k[known], isotonic_regression(profile[known], increasing=False).x
    below = np.flatnonzero(level < threshold)
    if not len(below):
        return float(k[-1]), end
    first = int(below[0])
    if not first:
        return 0.0, float(k[0])
    above, under = level[first - 1], level[first]
    at = float(k[first - 1] + (above - threshold) / (above - under) * (k[first] - k[first - 1]))
    return at, at


def _censored(bounds: Bounds, k: pd.Series) -> dict[str, str]:
    low, high = bounds[0][0], bounds[1][0]
    if not len(k) or np.isnan(low):
        return {"censored": ""}
    if low == 0.0 and high == k.min():
        return {"censored": _EARLY}
    return {"censored": _LATE if low < high else ""}


def _later(low: float, high: float) -> str:
    return "curvature" if low > 0 else "energetic" if high < 0 else "not shown"
