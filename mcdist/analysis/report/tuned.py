"""What the report says of studies of ensembles: what was chosen, what was stopped, and how the choice does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import yaml

from mcdist.analysis.ensemble_comparison import BETTER, WORSE, winner_comparison
from mcdist.analysis.report import ensemble_figures
from mcdist.analysis.report.ensembles import difference
from mcdist.analysis.report.sweep import SweepTables
from mcdist.analysis.report.text import interval, number, parts
from mcdist.analysis.trial_ranking import (
    RATES,
    ensemble_trials,
    setting_correlations,
    stopped_trials,
    tuned_trials,
)

__all__ = ["tuned_sections"]

Row = dict[str, Any]
Units = Mapping[str, str]

_MOST = 10  # trials in the table that is not folded


def tuned_sections(tables: SweepTables, units: Units) -> list[Row]:
    """One section per study, problem and method with trials of ensembles."""
    if tables.trials.empty:
        return []
    rows = ensemble_trials(tables.trials)
    sections = []
    for study, ids in (tables.asked or {"": set(rows["task_id"])}).items():
        mine = rows[rows["task_id"].isin(list(ids))]
        for (problem, method), part in mine.groupby(["problem", "method"]):
            sections.append(_section(tables, study, str(problem), str(method), part, units))
    return [{**section, "anchor": f"tuned-{k}"} for k, section in enumerate(sections, 1)]


def _section(tables: SweepTables, study: str, problem: str, method: str, trials: pd.DataFrame, units: Units) -> Row:
    ranked = tuned_trials(trials)
    varied = [c for c in RATES if trials[c].nunique() > 1]
    ranked_rows = [_trial(row) for _, row in ranked.iterrows()]
    cycles = tables.trial_cycles
    cycles = cycles[cycles["trial_id"].isin(trials["trial_id"])] if len(cycles) else cycles
    return {
        "label": f"{study}: {method} on {problem}" if study else f"{method} on {problem}",
        "trials": len(trials),
        "complete": int(trials["complete"].sum()),
        "settings": [c for c in RATES if trials[c].notna().any()],
        "fixed": ", ".join(_word(c, trials[c].iloc[0]) for c in RATES if trials[c].nunique() == 1),
        "winner": _winner(ranked),
        "first": ranked_rows[:_MOST],
        "rest": ranked_rows[_MOST:],
        "stopped": _stopped(trials),
        "correlations": [_correlation(row) for _, row in setting_correlations(trials).iterrows()],
        "final": _final(tables.final(study), trials, units),
        "has_final": bool(len(tables.final(study))),
        "parallel": ensemble_figures.parallel(trials, _log(tables.specs.get(study, ""), varied)),
        "curves": ensemble_figures.curves(trials, cycles),
    }


def _trial(row: pd.Series) -> Row:
    return {
        "rank": f"{row['rank']:.0f}" if pd.notna(row["rank"]) else "–",  # noqa: RUF001
        "settings": {c: _value(c, row[c]) for c in RATES},
        "members": f"{row['members']:.0f}",
        "used": f"{row['epochs_used']:g}",
        "nll": parts(row["val_nll"], row["val_nll_low"], row["val_nll_high"]),
        "error": number(row["val_error"]),
    }


def _winner(ranked: pd.DataFrame) -> str:
    """The setting of the first, in words, with its nll; empty where no trial is complete."""
    best = ranked[ranked["rank"] == 1]
    if best.empty:
        return ""
    row = best.iloc[0]
    setting = ", ".join(_word(c, row[c]) for c in RATES if pd.notna(row[c]))
    nll = interval(row["val_nll"], row["val_nll_low"], row["val_nll_high"])
    members = f"{row['members']:.0f} members of each network"
    return f"{setting}: validation nll {nll}, {members}, mean of {row['seeds']:.0f} seeds"


def _word(column: str, value: float) -> str:
    return f"{column} {_value(column, value)}"


def _value(column: str, value: float) -> str:
    return number(value) if column in ("lr1", "lr2") else f"{value:g}"


def _stopped(trials: pd.DataFrame) -> list[str]:
    """One sentence per number of cycles after which trials were stopped."""
    return [
        f"{row['stopped']} of the {row['reached']} that reached {_cycles(row['cycles'])} were stopped there"
        for _, row in stopped_trials(trials).iterrows()
    ]


def _cycles(count: int) -> str:
    return "1 cycle" if count == 1 else f"{count} cycles"


def _correlation(row: pd.Series) -> Row:
    return {
        "setting": row["setting"],
        "trials": row["trials"],
        "range": " to ".join(_value(row["setting"], row[end]) for end in ("least", "greatest")),
        "values": row["values"],
        "correlation": parts(row["correlation"], row["low"], row["high"]),
        "shows": _direction(row["low"], row["high"]),
        "note": row["reason"],
    }


def _direction(low: float, high: float) -> str:
    return "greater is worse" if low > 0 else "greater is better" if high < 0 else "not shown"


def _final(ensembles: pd.DataFrame, trials: pd.DataFrame, units: Units) -> list[Row]:
    """What was chosen against what was published, and independent ensembles beside them."""
    if ensembles.empty:
        return []
    table = winner_comparison(ensembles, trials, units=units)
    rows = []
    for (label, budget), both in table.groupby(["label", "budget"], sort=False):
        by = {row["metric"]: row for _, row in both.iterrows()}
        error, nll = by["test_error"], by["test_nll"]
        rows.append(
            {
                "label": f"{label} less {error['reference']}",
                "budget": f"{budget} B",
                "pairs": error["pairs"],
                "values": [(number(row["value"]), f"against {number(row['reference_value'])}") for row in (error, nll)],
                **{name: difference(row) for name, row in (("error", error), ("nll", nll))},
                **{f"{name}_shows": _wins(row) for name, row in (("error", error), ("nll", nll))},
                "note": error["reason"],
            }
        )
    return rows


def _wins(row: pd.Series) -> str:
    """Which of the two has less error or nll, or that it is not shown."""
    better = {BETTER: row["label"], WORSE: row["reference"]}.get(row["shows"])
    return str(row["shows"]) if better is None else f"{better} is better"


def _log(spec: str, varied: list[str]) -> list[str] | None:
    """The settings that a study searched in the logarithm; None where its specification does not say."""
    try:
        found = yaml.safe_load(spec)
    except yaml.YAMLError:
        return None
    space = found.get("space") if isinstance(found, dict) else None
    if not isinstance(space, dict):
        return None
    return [c for c in varied if isinstance(space.get(c), dict) and space[c].get("log")]
