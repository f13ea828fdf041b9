"""Trials of a study of ensembles: the complete ones in order, which settings matter, and where others were stopped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm, spearmanr
from scipy.stats import t as student

from mcdist.analysis.intervals import MIN_UNITS, check_options
from mcdist.analysis.pairs import check_columns, groups

__all__ = ["RATES", "ensemble_trials", "setting_correlations", "stopped_trials", "trial_curves", "tuned_trials"]

RATES = ("start", "lr1", "lr2", "cycle", "cycles")
"""The settings that a study of ensembles may search."""

_FEWEST = 6  # complete trials: fewer have no interval of a rank correlation
_RANKED = (
    *("trial_id", "method", *RATES, "seeds", "members", "members_planned", "epochs_used"),
    *("val_nll", "val_nll_stderr", "val_error"),
)


def ensemble_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that are of ensembles, with numbers as numbers and `complete` as a bool.

    Raises RequestError for a column that is not there.
    """
    check_columns(trials, ["subject", "problem", "complete", *_RANKED], "trials")
    rows = trials[trials["subject"] == "ensemble"].reset_index(drop=True)
    numbers = {c: rows[c].astype(float) for c in _RANKED if c not in ("trial_id", "method")}
    return rows.assign(**numbers, complete=rows["complete"].eq(True).astype(bool))


def tuned_trials(trials: pd.DataFrame, by: Sequence[str] = ("problem",), *, level: float = 0.95) -> pd.DataFrame:
    """The complete trials in order of their validation nll, the least first.

    Trials that were stopped early are missing not at random: they have no rank and enter no number here but `stopped`.
    Columns `by`, `rank` from 1 (null for a trial whose nll is not finite), `trial_id`, `method`, the settings RATES,
    `seeds`, `members`, `members_planned`, `epochs_used` (of each network), `val_nll` with `val_nll_low` and
    `val_nll_high` (t(seeds - 1) standard errors to both sides; NaN for fewer than four seeds), `val_nll_stderr`,
    `val_error`; and of the whole group `complete` and `stopped`, numbers of trials.

    The best of many has been chosen by this number, so it promises too much: judge it on other seeds and on the test
    split (`winner_comparison`). Trials share seeds: their intervals do not say which differences are shown.
    """
    check_options("mean", level, "auto", 2)
    rows = ensemble_trials(trials)
    check_columns(rows, by, "trials")
    parts = []
    for _, part in groups(rows, by):
        done = part[part["complete"]]
        finite = np.isfinite(done["val_nll"])
        order = done.assign(rank=done["val_nll"].where(finite).rank(method="first"))
        counts = {"complete": len(done), "stopped": int((~part["complete"]).sum())}
        parts.append(order.sort_values(["rank", "trial_id"]).assign(**counts))
    table = pd.concat(parts, ignore_index=True) if parts else rows.assign(rank=np.nan, stopped=0)
    degrees = (table["seeds"] - 1).where(table["seeds"] >= MIN_UNITS).astype(float)
    half = student.ppf((1 + level) / 2, degrees) * table["val_nll_stderr"].astype(float)
    table = table.assign(val_nll_low=(table["val_nll"] - half).clip(lower=0), val_nll_high=table["val_nll"] + half)
    return table[[*by, "rank", *_RANKED[:-2], "val_nll_low", "val_nll_high", *_RANKED[-2:], "complete", "stopped"]]


def setting_correlations(
    trials: pd.DataFrame, by: Sequence[str] = ("problem", "method"), *, level: float = 0.95
) -> pd.DataFrame:
    """Spearman's rank correlation of each searched setting with the validation nll, over complete trials.

    One row per group of `by` and setting of which there are several values: `setting`, `trials`, `values` (different
    ones), `least`, `greatest`, `correlation` (positive: the greater the setting, the worse), `low`, `high` (tanh(z ±
    q sqrt((1 + r^2 / 2) / (n - 3))), z = artanh r: Bonett and Wright 2000; for six trials or more), `reason`.

    Measured coverage of the 95 % interval, 4000 simulated studies each of 6 to 50 independent trials, bivariate normal
    with a rank correlation of 0, 0.5 and 0.85: 0.95 to 0.98. Adaptive searches do not sample evenly, and stop what
    looks bad: with them a correlation is that of the trials that were completed, not of the settings in themselves, and
    the interval is no more than a guide.
    """
    rows = ensemble_trials(trials)
    check_columns(rows, by, "trials")
    done = rows[rows["complete"] & np.isfinite(rows["val_nll"])]
    records = []
    for key, part in groups(done, by):
        for setting in RATES:
            values = part[setting]
            if values.nunique() < 2 or values.isna().any():
                continue
            records.append(
                {
                    **dict(zip(by, key, strict=True)),
                    "setting": setting,
                    "trials": len(part),
                    "values": values.nunique(),
                    "least": float(values.min()),
                    "greatest": float(values.max()),
                    **_correlation(values, part["val_nll"], level),
                }
            )
    columns = ["setting", "trials", "values", "least", "greatest", "correlation", "low", "high", "reason"]
    return pd.DataFrame(records, columns=[*by, *columns])


def stopped_trials(trials: pd.DataFrame, by: Sequence[str] = ("problem", "method")) -> pd.DataFrame:
    """How many trials were stopped after how many cycles.

    One row per group of `by` and number of `cycles` after which some were: `reached`, trials that made so many cycles,
    complete ones included; `stopped`, those that made no more and were not complete; `planned`, the most cycles that
    any trial was to make (settings differ in how many the budget holds); `complete`: trials that were given it all.
    """
    rows = ensemble_trials(trials)
    check_columns(rows, by, "trials")
    records: list[dict[str, object]] = []
    for key, part in groups(rows, by):
        early = part.loc[~part["complete"], "members"]
        records += [
            {
                **dict(zip(by, key, strict=True)),
                "cycles": int(cycles),
                "reached": int((part["members"] >= cycles).sum()),
                "stopped": int((early == cycles).sum()),
                "planned": int(part["members_planned"].max()),
                "complete": int(part["complete"].sum()),
            }
            for cycles in np.unique(early.dropna())
        ]
    return pd.DataFrame(records, columns=[*by, "cycles", "reached", "stopped", "planned", "complete"])


def trial_curves(trials: pd.DataFrame, cycles: pd.DataFrame, by: Sequence[str] = ("problem",)) -> pd.DataFrame:
    """The table `trial_cycles` with what its trials are: `by`, `method`, `complete`, and `rank` (`tuned_trials`; null
    for those that were stopped), in order of trial and cycle.
    """
    check_columns(cycles, ["trial_id", "cycle", "epochs_used", "val_nll"], "trial_cycles")
    rows = ensemble_trials(trials)
    ranks = tuned_trials(trials, by)[["trial_id", "rank"]]
    about = rows[["trial_id", *dict.fromkeys((*by, "method", "complete"))]].merge(ranks, on="trial_id", how="left")
    return cycles.merge(about, on="trial_id").sort_values(["rank", "trial_id", "cycle"], ignore_index=True)


def _correlation(setting: pd.Series, nll: pd.Series, level: float) -> dict[str, object]:
    n = len(setting)
    r = float(spearmanr(setting, nll).statistic) if nll.nunique() > 1 else float("nan")
    record: dict[str, object] = {"correlation": r, "low": np.nan, "high": np.nan}
    if np.isnan(r):
        return record | {"reason": "all trials have the same nll"}
    if n < _FEWEST:
        return record | {"reason": f"too few trials: {n} complete, {_FEWEST} needed"}
    if abs(r) > 1 - 1e-12:
        return record | {"reason": "the ranks agree wholly"}
    half = norm.ppf((1 + level) / 2) * np.sqrt((1 + r**2 / 2) / (n - 3))
    return record | {
        "low": float(np.tanh(np.arctanh(r) - half)),
        "high": float(np.tanh(np.arctanh(r) + half)),
        "reason": "",
    }
