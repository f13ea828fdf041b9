"""What trained auctions earn, and how few of their options would do: of each setting the statistics over seeds.

Revenue is the exact one where there is one, else that of the held-out valuations, which all menus of a setting share:
what that sample errs by is added to the error over seeds and does not shrink with their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from mcdist.analysis.intervals import MIN_UNITS
from mcdist.analysis.over_seeds import SAME_VALUE, over_units
from mcdist.analysis.pairs import check_columns, groups
from mcdist.analysis.shares import share_interval

__all__ = ["CLOSE", "MECHANISM", "MENU_SETTING", "labelled_menus", "menu_groups", "menu_summary"]

MECHANISM = ("setting", "mechanism")
"""What is sold to whom, and how: within it menus can be compared."""

MENU_SETTING = (
    *MECHANISM,
    "menu_size",
    *("allocation", "kappa", "iterations", "epochs", "optimizer", "lr", "batch_size", "schedule", "problem"),
)
"""The columns of `menus` that tell ways of training apart; `problem` has whatever else is said of it."""

CLOSE = 0.5
"""Percent of the optimum within which a menu counts as having reached it."""


def labelled_menus(menus: pd.DataFrame) -> pd.DataFrame:
    """The menus with the columns `best_known` (revenue without sampling where there is one, else held out) and `exact`
    (which of the two), `gap` and `above` (percent of the optimum that is missing; percent above the best simple
    auction), `reducible` (whether no valuation is lost, on either sample), and `label`: its setting in words, of which
    only what differs within setting, mechanism and menu size.
    """
    check_columns(menus, [*MENU_SETTING, "endpoint_id", "seed", "revenue", "revenue_exact", "stderr"], "menus")
    rows = menus.drop_duplicates("endpoint_id").reset_index(drop=True)
    numbers = ("revenue", "revenue_exact", "revenue_optimal", "revenue_baseline", "reducibility", "reducibility_fit")
    value = {name: rows[name].astype(float) for name in numbers}
    known = value["revenue_exact"].where(value["revenue_exact"].notna(), value["revenue"])
    lost = value["reducibility"].where(value["reducibility"] > value["reducibility_fit"], value["reducibility_fit"])
    rows = rows.assign(
        best_known=known,
        exact=value["revenue_exact"].notna(),
        gap=100 * (1 - known / value["revenue_optimal"]),
        above=100 * (known / value["revenue_baseline"] - 1),
        reducible=(lost <= 0).where(lost.notna()),
    )
    return rows.assign(label=_labels(rows))


def menu_groups(menus: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The labelled menus that were trained alike, smaller ones first: what they have in common, and the rows."""
    for key, rows in groups(menus, MENU_SETTING):
        yield dict(zip(MENU_SETTING, key, strict=True)), rows


def menu_summary(menus: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Menus of one way of training each, over seeds: what they earn against what is known, and their reducibility.

    One row per setting, mechanism, menu size and whatever else differs (columns `MENU_SETTING`, in words `label`):

    - `seeds`; `exact`: whether revenue is without sampling; `revenue`, its interval `_low`, `_high`, and `stderr`, the
      sampling error that the interval has in it (0 where exact); `reason` where there is no interval;
    - `best`, `least`: of the seeds;
    - `optimal`, `source`; `gap` with interval, `best_gap`: percent of the optimum that is missing; `close`: share of
      menus that miss no more than `CLOSE` percent, with the interval of Clopper and Pearson;
    - `baseline`, `baseline_revenue`; `above` with interval: percent above the best simple auction;
    - `n_active`, `n_active_least`, `n_active_most`; `capacity`;
    - `reducibility_fit` and `reducibility` (held out) with intervals; `reducible`: share of menus that lose no
      valuation on either sample, with interval; `dropped_revenue` with interval.

    Intervals over seeds are Student's, see `over_seeds`.
    """
    found = [(about, _summary(rows, level)) for about, rows in menu_groups(labelled_menus(menus))]
    records = [about | {"label": record.pop("label")} | record for about, record in found]
    empty = _summary(labelled_menus(menus).iloc[:0], level) if not records else {}
    return pd.DataFrame(records, columns=None if records else [*MENU_SETTING, *empty])


def _summary(rows: pd.DataFrame, level: float) -> dict[str, Any]:
    seeds = rows["seed"]
    exact = bool(rows["exact"].all())
    error = 0.0 if exact else float(rows["stderr"].astype(float).mean())
    optimal, baseline = (_common(rows, name) for name in ("revenue_optimal", "revenue_baseline"))
    first = rows.iloc[0] if len(rows) else pd.Series(dtype=object)
    record: dict[str, Any] = {
        "label": first.get("label", ""),
        "seeds": int(seeds.nunique()),
        "exact": exact,
        **_with_sampling(rows["best_known"], seeds, level, error, "revenue"),
        "stderr": error,
        "best": rows["best_known"].max(),
        "least": rows["best_known"].min(),
        "optimal": optimal,
        "source": first.get("optimal_source"),
        **_with_sampling(rows["gap"], seeds, level, 100 * error / optimal, "gap"),
        "best_gap": rows["gap"].min(),
        **_share((rows["gap"] <= CLOSE).where(rows["gap"].notna()), level, "close"),
        "baseline": first.get("baseline"),
        "baseline_revenue": baseline,
        **_with_sampling(rows["above"], seeds, level, 100 * error / baseline, "above"),
        "n_active": rows["n_active"].astype(float).mean(),
        "n_active_least": rows["n_active"].min(),
        "n_active_most": rows["n_active"].max(),
        "capacity": first.get("capacity"),
    }
    for name in ("reducibility_fit", "reducibility", "dropped_revenue"):
        record |= _with_sampling(rows[name], seeds, level, 0.0, name)
        record[f"{name}_low"] = float(np.maximum(record[f"{name}_low"], 0.0))
    record |= _share(rows["reducible"], level, "reducible")
    record["reason"] = record.pop("revenue_reason")
    return {name: value for name, value in record.items() if not name.endswith("_reason")}


def _with_sampling(
    values: pd.Series, seeds: pd.Series, level: float, error: float, name: str
) -> dict[str, float | str]:
    """The mean over seeds and its interval, made wider by a sampling error that all seeds have in common."""
    found = over_units(values.to_numpy(dtype=float), seeds, level)
    low, high, reason = found.low, found.high, found.reason
    if reason == SAME_VALUE and error > 0:
        low = high = found.value
        reason = ""
    common = float(norm.ppf((1 + level) / 2)) * error if error > 0 else 0.0
    low = found.value - float(np.hypot(found.value - low, common))
    high = found.value + float(np.hypot(high - found.value, common))
    return {name: found.value, f"{name}_low": low, f"{name}_high": high, f"{name}_reason": reason}


def _share(holds: pd.Series, level: float, name: str) -> dict[str, float]:
    """The share of menus that a thing holds of, each a seed of its own; no interval for fewer than four."""
    known = holds.dropna().astype(float)
    part = float(known.mean()) if len(known) else np.nan
    low, high = share_interval(part, len(known), level) if len(known) >= MIN_UNITS else (np.nan, np.nan)
    return {name: part, f"{name}_low": low, f"{name}_high": high}


def _common(rows: pd.DataFrame, name: str) -> float:
    known = rows[name].dropna().astype(float)
    return float(known.iloc[0]) if len(known) else np.nan


def _labels(rows: pd.DataFrame) -> pd.Series:
    """Of each menu what tells its way of training from others of its setting, mechanism and size; else nothing."""
    labels = pd.Series("", index=rows.index, dtype=object)
    rest: Sequence[str] = [c for c in MENU_SETTING if c not in (*MECHANISM, "menu_size")]
    for _, mine in rows.groupby([*MECHANISM, "menu_size"], dropna=False):
        differ = [c for c in rest if c != "problem" and mine[c].nunique(dropna=False) > 1]
        told = mine.groupby(differ, dropna=False)["problem"].nunique().max() if differ else mine["problem"].nunique()
        if told > 1:
            differ.append("problem")
        if differ:
            words = [_words(differ, key) for key in mine[differ].itertuples(index=False, name=None)]
            labels.loc[mine.index] = pd.Series(words, index=mine.index, dtype=object)
    return labels


def _words(columns: Sequence[str], values: Sequence[Any]) -> str:
    """Settings in words: `allocation sigmoid, kappa 300`; a problem is its own name, null is left out."""
    parts = [
        str(value)
        if name == "problem"
        else f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:g}'}"
        for name, value in zip(columns, values, strict=True)
        if pd.notna(value)
    ]
    return ", ".join(parts)
