"""What the report says of ensembles: their scores and settings, and how they compare at equal budget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from mcdist.analysis.ensemble_comparison import ensemble_comparison
from mcdist.analysis.ensembles import SETTING, ensemble_units
from mcdist.analysis.ensembles_published import published_ensembles
from mcdist.analysis.over_seeds import SAME_VALUE
from mcdist.analysis.report.sweep import SweepTables
from mcdist.analysis.report.text import interval, number, parts, spread
from mcdist.analysis.trajectories import low_points

__all__ = [
    "Chapter",
    "chapters",
    "comparison_rows",
    "difference",
    "gain_rows",
    "low_point_rows",
    "published_ensemble_rows",
    "score_rows",
    "units_of",
    "without_members_alone",
]

Row = dict[str, Any]
Units = Mapping[str, str]

_NAMES = {
    "start": "start {}",
    "lr1": "lr1 {}",
    "lr2": "lr2 {}",
    "cycle": "cycle {}",
    "cycles": "{} cycles",
    "points": "{} points",
}


@dataclass(frozen=True)
class Chapter:
    """The ensembles and trajectories of one problem and one way of training; `label` says which, in words."""

    label: str
    ensembles: pd.DataFrame
    members: pd.DataFrame
    trajectories: pd.DataFrame


def chapters(tables: SweepTables) -> list[Chapter]:
    """The ensembles of a sweep by problem, and by how their networks were trained where several ways were tried."""
    if tables.ensembles.empty and tables.trajectories.empty:
        return []
    trained = _training(tables.tasks)
    of_ensemble = _labels(tables.ensembles, "ensemble_id", trained)
    of_run = _labels(tables.trajectories, "trajectory_id", trained)
    found = []
    for label in sorted({*of_ensemble, *of_run}):
        mine = tables.ensembles[of_ensemble == label]
        members = tables.ensemble_members[tables.ensemble_members["ensemble_id"].isin(mine["ensemble_id"])]
        found.append(Chapter(label, mine, members, tables.trajectories[of_run == label]))
    return found


def units_of(tables: SweepTables) -> dict[str, str]:
    """`ensemble_units` of all ensembles of the report."""
    return ensemble_units(
        tables.ensembles, tables.ensemble_members, tables.endpoints, tables.trajectories, tables.paths
    )


def without_members_alone(tables: SweepTables) -> SweepTables:
    """The tables without paths that only gave members to ensembles: nothing was measured along them."""
    if tables.ensemble_members.empty or tables.paths.empty:
        return tables
    measured = {*tables.path_points["path_id"], *tables.barriers["path_id"], *tables.curvature["path_id"]}
    alone = tables.paths["path_id"].isin(tables.ensemble_members["run_id"]) & ~tables.paths["path_id"].isin(measured)
    return replace(tables, paths=tables.paths[~alone])


def score_rows(table: pd.DataFrame) -> list[Row]:
    """Per row of `ensemble_summary`: what was spent, and the scores with intervals."""
    settings = {label: _setting(rows) for label, rows in table.groupby("label")}
    return [
        {
            "label": row["label"],
            "setting": settings[row["label"]],
            "budget": f"{row['budget']} B",
            "seeds": row["seeds"],
            "size": number(row["size"], 2) if row["size"] % 1 else f"{row['size']:.0f}",
            "used": (f"{row['epochs_used']:g}", f"of {row['budget_epochs']}"),
            **{name: _parts(row, name) for name in ("test_error", "test_nll")},
            **{name: number(row[name]) for name in ("brier", "ece")},
            "note": "; ".join(filter(None, (_why(row), f"{row['missing']} missing" if row["missing"] else ""))),
        }
        for _, row in table.iterrows()
    ]


def gain_rows(table: pd.DataFrame) -> list[Row]:
    """Per row of `ensemble_summary` with several members: how they differ, and what they gain together."""
    return [
        {
            "label": row["label"],
            "budget": f"{row['budget']} B",
            "disagreement": number(row["disagreement"]),
            "member": number(row["mean_member_error"]),
            "gain": _parts(row, "gain"),
            "nll_gain": _parts(row, "nll_gain"),
            "best": number(row["best_member_error"]),
            "oracle": number(row["oracle_error"]),
        }
        for _, row in table[table["size"] > 1].iterrows()
    ]


def comparison_rows(chapter: Chapter, units: Units) -> tuple[str, list[Row]]:
    """The reference, and per label and budget the differences from it in error and nll, with what they show."""
    table = ensemble_comparison(chapter.ensembles, units=units)
    rows = []
    for (label, budget), both in table.groupby(["label", "budget"], sort=False):
        by = {row["metric"]: row for _, row in both.iterrows()}
        error, nll = by["test_error"], by["test_nll"]
        unpaired = (
            f"{error['unpaired']} seeds with one of the two alone" if error["unpaired"] and error["pairs"] else ""
        )
        rows.append(
            {
                "label": label,
                "budget": f"{budget} B",
                "pairs": error["pairs"],
                **{name: difference(row) for name, row in (("error", error), ("nll", nll))},
                **{f"{name}_shows": row["shows"] for name, row in (("error", error), ("nll", nll))},
                "note": "; ".join(filter(None, (*dict.fromkeys((error["reason"], nll["reason"])), unpaired))),
            }
        )
    return (str(table["reference"].iloc[0]) if len(table) else "", rows)


def difference(row: pd.Series) -> tuple[str, str]:
    """A difference and its interval, for the two lines of a cell."""
    return parts(row["difference"], row["low"], row["high"])


def low_point_rows(chapter: Chapter) -> list[Row]:
    """Per setting of trajectories: members against what lies between them."""
    return [
        {
            "label": row["label"],
            "seeds": row["seeds"],
            "rates": spread(row["low_lr"], row["high_lr"]),
            "low": number(row["low_error"]),
            "high": number(row["high_error"]),
            "rise": parts(*_ends(row, "error_rise")),
            "nll": parts(*_ends(row, "nll_rise")),
            "shows": row["shows"],
            "distance": f"{number(row['distance_first'])} to {number(row['distance_last'])}",
            "note": row["reason"],
        }
        for _, row in low_points(chapter.trajectories).iterrows()
    ]


def published_ensemble_rows(tables: SweepTables, units: Units) -> list[Row]:
    """Per network and method the published accuracies at each budget, and those of this store for the same."""
    if tables.ensembles.empty:
        return []
    table = published_ensembles(tables.ensembles, tables.endpoints, units=units)
    rows = []
    for (source, setting, method), part in table.groupby(["source", "setting", "method"], sort=False):
        cells = []
        for _, mine in part.groupby("budget"):
            measured = mine[mine["status"] == "measured"].to_dict("records")
            texts = [f"{row['label']}: {interval(row['accuracy'], row['low'], row['high'])}" for row in measured]
            cells.append({"published": f"{mine['published'].iloc[0]:.1f}", "measured": texts})
        rows.append({"source": source, "setting": setting, "method": method, "cells": cells})
    return rows


def _setting(rows: pd.DataFrame) -> str:
    """Of one label all of its setting, in words; of several budgets the range."""
    words = []
    for column in SETTING:
        values = rows[column].dropna()
        if column == "restarts" and len(values):
            longer = rows["budget"].max() > 1
            words += [("runs of B epochs" if values.eq(True).all() else "one run") if longer else ""]
        elif column in _NAMES and len(values) and (column != "start" or values.max() > 0):
            low, high = float(values.min()), float(values.max())
            text = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            words.append(_NAMES[column].format(text))
    return ", ".join(filter(None, words))


def _training(tasks: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By task how its networks were trained before any cycles; an ensemble and a path as what they are made of."""
    known: dict[str, dict[str, Any]] = {}
    below: dict[str, str] = {}
    for name, kind, spec, inputs in zip(*(tasks[c] for c in ("task_id", "kind", "spec", "inputs")), strict=True):
        if kind in ("ensemble", "path") and inputs is not None and len(inputs):
            below[name] = str(inputs[0])
        elif kind in ("endpoint", "trajectory"):
            known[name] = dict(json.loads(spec or "{}").get("train") or {})
    for name in below:
        source, seen = name, set[str]()
        while source in below and source not in seen:
            seen.add(source)
            source = below[source]
        known[name] = known.get(source, {})
    return known


def _labels(rows: pd.DataFrame, key: str, trained: Mapping[str, dict[str, Any]]) -> pd.Series:
    """Of each row its problem, and what differs between ways of training within it."""
    if rows.empty:
        return pd.Series(dtype=object)
    ways = {name: {k: json.dumps(v) for k, v in trained.get(name, {}).items()} for name in rows[key].unique()}
    words = dict[str, str]()
    for problem, part in rows.groupby("problem"):
        mine = {name: ways[name] for name in part[key].unique()}
        names = sorted({k for way in mine.values() for k in way})
        varying = [k for k in names if len({way.get(k) for way in mine.values()}) > 1]
        for name, way in mine.items():
            words[name] = ", ".join([str(problem), *(f"{k.replace('_', ' ')} {way.get(k, '–')}" for k in varying)])  # noqa: RUF001
    return rows[key].map(words)


def _ends(row: pd.Series, name: str) -> tuple[float, float, float]:
    return row[name], row[f"{name}_low"], row[f"{name}_high"]


def _parts(row: pd.Series, name: str) -> tuple[str, str]:
    return parts(*_ends(row, name))


def _why(row: pd.Series) -> str:
    """Why there is no interval, or what fewer units mean for it."""
    if row["reason"] and row["reason"] != SAME_VALUE:
        return str(row["reason"])
    joined = f"{row['units']} groups of seeds that share no network" if row["units"] < row["seeds"] else ""
    return "; ".join(filter(None, (row["reason"], joined)))
