"""Ensembles at equal budget: their scores over seeds, and settings in few words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.over_seeds import mean_columns, over_units
from mcdist.analysis.pairs import check_columns, groups

__all__ = ["METHODS", "SCORES", "SETTING", "ensemble_summary", "ensemble_units", "labelled"]

METHODS = ("independent", "snapshot", "fge", "swa", "curve")
"""In the order in which tables and figures have them: what all others are compared with comes first."""

SETTING = ("epochs", "restarts", "start", "lr1", "lr2", "cycle", "cycles", "points")
"""What tells ensembles of one method and budget apart; `epochs` are those that train one end point."""

SCORES = (
    *("test_error", "test_nll", "val_error", "val_nll", "brier", "ece", "disagreement", "oracle_error"),
    *("mean_member_error", "best_member_error", "mean_member_nll", "gain", "nll_gain", "size", "epochs_used"),
)
"""Columns of `ensembles`, and `gain`, `nll_gain`: error and nll of the mean member less those of the ensemble."""

_SIGNED = ("gain", "nll_gain")
_WORDS = {
    "epochs": "B = {:g}",
    "start": "start {:g}",
    "lr1": "lr1 {:g}",
    "lr2": "lr2 {:g}",
    "cycle": "cycle {:g}",
    "cycles": "{:g} cycles",
    "points": "{:g} points",
}


def ensemble_summary(
    ensembles: pd.DataFrame,
    by: Sequence[str] = ("problem",),
    *,
    level: float = 0.95,
    units: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The scores of ensembles by method, setting and budget: means over seeds with intervals (see `over_seeds`).

    `ensembles` is the store's table. One row per group of `by`, method, setting and budget, with

    - `label`: method, and of the setting what differs among those of the method (a start that follows from the budget
      does not count); the columns SETTING themselves;
    - `budget` (multiples of B), `budget_epochs`;
    - `seeds`: different ones; `units`: independent ones (fewer where `units`, see `ensemble_units`, joins some);
      `rows`: ensembles, several of one seed being averaged;
    - each of SCORES with `_low` and `_high`; errors, ECE, disagreement and gain are fractions, nll is in nats;
    - `missing`: rows without a finite error and nll; `reason`: why the error has no interval.

    Raises RequestError for a column that is not there.
    """
    rows = labelled(ensembles, by, units=units)
    records = []
    for key, part in groups(rows, [*by, "place", "budget"]):
        first = part.iloc[0]
        error = over_units(part["test_error"].to_numpy(dtype=float), part["unit"], level)
        finite = np.isfinite(part[["test_error", "test_nll"]].to_numpy(dtype=float)).all(axis=1)
        scores = mean_columns(part, [s for s in SCORES if s not in _SIGNED], "unit", level, at_least=0.0)
        scores |= mean_columns(part, _SIGNED, "unit", level)
        records.append(
            {
                **dict(zip(by, key, strict=False)),
                "method": first["method"],
                "label": first["label"],
                **{name: first[name] for name in SETTING},
                "budget": int(first["budget"]),
                "budget_epochs": int(first["budget_epochs"]),
                "seeds": part["seed"].nunique(),
                "units": error.units,
                "rows": len(part),
                **{name: scores[name] for score in SCORES for name in (score, f"{score}_low", f"{score}_high")},
                "missing": int((~finite).sum()),
                "reason": error.reason,
            }
        )
    scores_columns = [name for score in SCORES for name in (score, f"{score}_low", f"{score}_high")]
    about = [*by, "method", "label", *SETTING, "budget", "budget_epochs", "seeds", "units", "rows"]
    return pd.DataFrame(records, columns=[*about, *scores_columns, "missing", "reason"])


def labelled(
    ensembles: pd.DataFrame, by: Sequence[str] = ("problem",), *, units: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The table of ensembles with `label`, `place` (its order within the group of `by`), `epochs`, `gain`, `nll_gain`
    and `unit`, sorted by these.

    Raises RequestError for a column that is not there.
    """
    needed = ("ensemble_id", "method", "seed", *SETTING[1:], "budget", "budget_epochs", "test_error", "test_nll")
    check_columns(ensembles, [*by, *needed], "ensembles")
    ensembles = ensembles.reset_index(drop=True)
    numbers = {c: ensembles[c].astype(float) for c in SETTING[2:]}
    names = ensembles["ensemble_id"].astype(str)
    own = ensembles["seed"].map("seed {}".format)
    rows = ensembles.assign(
        **numbers,
        epochs=ensembles["budget_epochs"].astype(float) / ensembles["budget"].astype(float),
        restarts=ensembles["restarts"].map(lambda value: None if pd.isna(value) else bool(value)).astype(object),
        gain=_less(ensembles, "mean_member_error", "test_error"),
        nll_gain=_less(ensembles, "mean_member_nll", "test_nll"),
        unit=own if units is None else names.map(units).fillna(own),
    )
    parts = [part.assign(**_words(part)) for _, part in groups(rows, by)]
    if not parts or rows.empty:
        return rows.assign(label=pd.Series(dtype=object), place=pd.Series(dtype=int))
    return pd.concat(parts).sort_values([*by, "place", "budget", "seed"], kind="stable")


def ensemble_units(
    ensembles: pd.DataFrame,
    members: pd.DataFrame,
    endpoints: pd.DataFrame,
    trajectories: pd.DataFrame,
    paths: pd.DataFrame,
) -> dict[str, str]:
    """For every ensemble a name that it has in common with those that it shares a network with, directly or through
    others.

    Within one sweep these are its seeds. Sweeps of one store may group the same seeds in different ways; then fewer
    ensembles are independent. What is shared is a seed of one problem: end points and runs from it have initial weights
    and data order in common, however they were trained.
    """
    seeds = {
        str(name): (str(problem), seed)
        for table, key in ((endpoints, "endpoint_id"), (trajectories, "trajectory_id"))
        for name, problem, seed in zip(*(table[c] for c in (key, "problem", "seed")), strict=True)
    }
    ends = {
        str(name): (str(a), str(b))
        for name, a, b in zip(*(paths[c] for c in ("path_id", "endpoint_a", "endpoint_b")), strict=True)
    }
    held: dict[str, set[object]] = {}
    for name, run in zip(members["ensemble_id"].astype(str), members["run_id"].astype(str), strict=True):
        held.setdefault(name, set()).update(seeds.get(end, end) for end in ends.get(run, (run,)))
    about = zip(*(ensembles[c] for c in ("ensemble_id", "problem", "seed")), strict=True)
    return _joined({str(name): held.get(str(name), set()) | {(str(problem), seed)} for name, problem, seed in about})


def _joined(held: Mapping[str, Iterable[object]]) -> dict[str, str]:
    """The groups of names that share something of what they hold, each called by its least name."""
    parent = {name: name for name in held}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    first: dict[object, str] = {}
    for name, things in sorted(held.items()):
        for thing in things:
            a, b = root(first.setdefault(thing, name)), root(name)
            parent[max(a, b)] = min(a, b)
    return {name: root(name) for name in held}


def _less(rows: pd.DataFrame, upper: str, lower: str) -> pd.Series:
    if upper not in rows.columns:
        return pd.Series(np.nan, index=rows.index)
    return rows[upper].astype(float) - rows[lower].astype(float)


def _words(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Label and order of ensembles that stand beside each other."""
    labels = pd.Series("", index=rows.index, dtype=object)
    for method, part in rows.groupby("method"):
        varying = _varying(part)
        words = [_label(str(method), varying, row) for row in part[[*SETTING]].to_dict("records")]
        labels.loc[part.index] = pd.Series(words, index=part.index, dtype=object)
    rank = rows["method"].map({method: i for i, method in enumerate(METHODS)}).fillna(len(METHODS))
    long = rows["restarts"].map(lambda value: value is False)
    order = rows.assign(label=labels, rank=rank, long=long)
    order = order.sort_values(["rank", "method", "long", *SETTING[2:], "label"], na_position="first")
    places = {label: i for i, label in enumerate(dict.fromkeys(order["label"]))}
    return {"label": labels, "place": labels.map(places).astype(int)}


def _varying(rows: pd.DataFrame) -> list[str]:
    """The columns of SETTING that tell ensembles of one method apart; of a run's own only at equal budgets, as a start
    may follow from the budget.
    """
    whole = [c for c in SETTING[:2] if rows[c].nunique() > 1]
    equal = rows.groupby(["budget", *SETTING[:2]], dropna=False)
    return whole + [c for c in SETTING[2:] if (equal[c].nunique(dropna=False) > 1).any()]


def _label(method: str, varying: Sequence[str], setting: Mapping[Any, Any]) -> str:
    parts = [method]
    for column in varying:
        value = setting[column]
        if column == "restarts":
            parts += ["one long run"] if value is False else []
        elif pd.notna(value):
            parts.append(_WORDS[column].format(value))
    return ", ".join(parts)
