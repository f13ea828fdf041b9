"""Ensembles against each other at equal budget, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mcdist.analysis.ensembles import labelled
from mcdist.analysis.over_seeds import over_units
from mcdist.analysis.pairs import check_columns, groups
from mcdist.analysis.trial_ranking import RATES, tuned_trials
from mcdist.errors import RequestError, unknown_name

__all__ = ["BETTER", "NOT_SHOWN", "PUBLISHED_SETTING", "WORSE", "ensemble_comparison", "winner_comparison"]

BETTER, WORSE, NOT_SHOWN = "better", "worse", "not shown"

PUBLISHED_SETTING: dict[str, dict[str, float]] = {
    "fge": {"lr1": 0.05, "lr2": 0.01, "cycle": 2.0},
    "snapshot": {"cycles": 5.0},
}
"""By method, the published setting that a tuned one is compared with; fge starts at 80 % of B."""

_SCORES = ("test_error", "test_nll")
_START = 0.8  # of B
_COLUMNS = [
    *("method", "label", "reference", "budget", "budget_epochs", "metric", "pairs", "units", "unpaired"),
    *("value", "reference_value", "difference", "low", "high", "shows", "reason"),
]


def ensemble_comparison(
    ensembles: pd.DataFrame,
    reference: str | None = None,
    by: Sequence[str] = ("problem",),
    *,
    metrics: Sequence[str] = _SCORES,
    level: float = 0.95,
    units: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Each method and setting less a reference, at equal budget, seed by seed.

    Ensembles of one seed share their first network, so differences within a seed vary less than scores do. `reference`
    is a label of `ensemble_summary` or a method (of several settings the first): "independent", or whatever comes
    first, if not said. One row per group of `by`, label, budget and metric, of which less is better:

    - `pairs`: seeds with both; `units`: independent ones; `unpaired`: seeds with one of the two alone;
    - `value`, `reference_value`: means over those pairs; `difference`: the first less the second, `low`, `high`: its
      interval (see `over_seeds`), each row's by itself, not of all rows together;
    - `shows`: "better" or "worse" than the reference where the interval leaves out 0, else "not shown": which is no
      evidence that the two are equal; `reason`: why there is no interval.

    Raises RequestError for a column or a reference that is not there.
    """
    check_columns(ensembles, metrics, "ensembles")
    return _compared(labelled(ensembles, by, units=units), reference, by, metrics, level)


def winner_comparison(
    ensembles: pd.DataFrame,
    trials: pd.DataFrame,
    by: Sequence[str] = ("problem",),
    *,
    metrics: Sequence[str] = _SCORES,
    level: float = 0.95,
    units: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """What a study chose against the published setting, at each budget on seeds that no trial used.

    `ensembles` are those of the final sweep of a study, `trials` the table of its trials. Columns as
    `ensemble_comparison` has them, with the published setting for the reference, and `winner`: "tuned", "published" or
    "not shown", of the rows of the tuned setting. Of two settings of the method, the other one is the published one; of
    more, what is as PUBLISHED_SETTING. Independent ensembles are there to compare with, labelled so. Where
    the study chose the published setting, the reference is the independent ones, and the label says so. Empty where
    there is no complete trial.
    """
    check_columns(ensembles, metrics, "ensembles")
    check_columns(trials, by, "trials")
    rows = labelled(ensembles, by, units=units)
    best = tuned_trials(trials, by)
    parts = []
    for key, part in groups(rows, by):
        mine = best[(best["rank"] == 1) & _equal(best, by, key)]
        if mine.empty:
            continue
        named, reference = _named(part, mine.iloc[0])
        parts.append(_compared(named, reference, by, metrics, level))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*by, *_COLUMNS])
    wins = {BETTER: "tuned", WORSE: "published", NOT_SHOWN: NOT_SHOWN}
    against = (table["label"] == "tuned") & (table["reference"] == "published")
    return table.assign(winner=table["shows"].map(wins).where(against, None))


def _named(rows: pd.DataFrame, winner: pd.Series) -> tuple[pd.DataFrame, str | None]:
    """The rows with the labels "tuned" and "published", and the reference; of one setting of the method alone, what it
    is. A winner whose rates change on the way has no setting to be known by: it is what is not published.
    """
    of_method = rows["method"] == winner["method"]
    known = of_method & _is_published(rows, str(winner["method"]))
    tuned = of_method & _is(rows, {c: winner[c] for c in RATES})
    tuned = tuned if tuned.any() else of_method & ~known
    others = of_method & ~tuned
    published = others if rows.loc[others, "label"].nunique() == 1 else others & known
    word = "tuned, which is the published setting" if (tuned & known).any() and not others.any() else "tuned"
    named = rows.assign(
        label=rows["label"].mask(published, "published").mask(tuned, word),
        place=rows["place"].mask(published, -1).mask(tuned, -2),
    )
    return named, "published" if published.any() else None


def _compared(
    rows: pd.DataFrame, reference: str | None, by: Sequence[str], metrics: Sequence[str], level: float
) -> pd.DataFrame:
    if reference is not None and len(rows) and reference not in {*rows["label"], *rows["method"]}:
        raise RequestError(f"ensembles: {unknown_name('reference', reference, dict.fromkeys(rows['label']))}")
    records = []
    for key, part in groups(rows, by):
        if part.empty:
            continue
        chosen = _reference(part, reference)
        for (_, budget), mine in part[part["label"] != chosen].groupby(["place", "budget"]):
            other = part[(part["label"] == chosen) & (part["budget"] == budget)]
            first = mine.iloc[0]
            about = {name: first[name] for name in ("method", "label", "budget", "budget_epochs")}
            for metric in metrics:
                found = _difference(mine, other, metric, level)
                records.append(
                    {**dict(zip(by, key, strict=True)), **about, "reference": chosen, "metric": metric, **found}
                )
    return pd.DataFrame(records, columns=[*by, *_COLUMNS])


def _reference(rows: pd.DataFrame, wanted: str | None) -> str:
    """The label of the reference; rows are in order."""
    labels = list(dict.fromkeys(rows["label"]))
    if wanted in labels:
        return str(wanted)
    of_method = rows.loc[rows["method"] == (wanted or "independent"), "label"]
    return str(of_method.iloc[0]) if len(of_method) else str(labels[0])


def _difference(mine: pd.DataFrame, other: pd.DataFrame, metric: str, level: float) -> dict[str, object]:
    """The mean difference of a metric over seeds that both have."""
    unit = pd.concat([mine, other]).groupby("seed")["unit"].min()
    values = [rows.assign(m=rows[metric].astype(float)).groupby("seed")["m"].mean() for rows in (mine, other)]
    table = pd.concat(values, axis=1, keys=["mine", "other"])
    table = table.loc[np.isfinite(table.to_numpy()).all(axis=1)]
    found = over_units(table["mine"].to_numpy() - table["other"].to_numpy(), unit.reindex(table.index), level)
    shows = BETTER if found.high < 0 else WORSE if found.low > 0 else NOT_SHOWN
    return {
        "pairs": len(table),
        "units": found.units,
        "unpaired": len({*mine["seed"], *other["seed"]}) - len(table),
        "value": float(table["mine"].mean()),
        "reference_value": float(table["other"].mean()),
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "shows": shows,
        "reason": found.reason if len(other) else "no reference at this budget",
    }


def _equal(rows: pd.DataFrame, by: Sequence[str], key: Sequence[object]) -> pd.Series:
    same = pd.Series(True, index=rows.index)
    for column, value in zip(by, key, strict=True):
        same &= rows[column].isna() if pd.isna(value) else rows[column] == value  # type: ignore[call-overload]
    return same


def _is(rows: pd.DataFrame, setting: Mapping[str, object]) -> pd.Series:
    """Whether ensembles have that setting, what is null there left aside."""
    same = pd.Series(True, index=rows.index)
    for column, value in setting.items():
        if pd.notna(value):  # type: ignore[call-overload]
            same &= np.isclose(rows[column].astype(float), float(str(value)), rtol=1e-6, atol=0.0)
    return same


def _is_published(rows: pd.DataFrame, method: str) -> pd.Series:
    same = _is(rows, PUBLISHED_SETTING.get(method, {}))
    return same & (rows["start"] == (_START * rows["epochs"]).round()) if method == "fge" else same
