"""What the report says of networks that were split during training: both instabilities against the epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.instability import SPAWN_SETTINGS, instabilities, instability_profile
from mcdist.analysis.onsets import instability_onset, onset_difference
from mcdist.analysis.plots.instability import plot_instability
from mcdist.analysis.plots.style import INK, group_label, measure_name
from mcdist.analysis.report.claims import NOT_SHOWN, OPPOSITE, SHOWN
from mcdist.analysis.report.measures import in_order, name_measures
from mcdist.analysis.report.pictures import Picture, panels, picture
from mcdist.analysis.report.sweep import SweepTables
from mcdist.analysis.report.text import interval, number, parts, sentence

__all__ = ["split_section"]

Row = dict[str, Any]

_MOST = 4
_VERDICTS = {"curvature": SHOWN, "energetic": OPPOSITE}


def split_section(tables: SweepTables) -> dict[str, Any] | None:
    """Onsets, their differences, profiles and the picture, by problem and training; None without split networks."""
    if tables.endpoints.empty or tables.endpoints["spawn_epoch"].isna().all():
        return None
    table = instabilities(tables.endpoints, tables.paths, tables.barriers, _plain(tables.curvature))
    if table.empty:
        return {"onsets": [], "later": [], "profiles": [], "picture": None, "settings": 0}
    words = _words(table)
    onsets, later = instability_onset(table), onset_difference(table)
    return {
        "settings": table[list(SPAWN_SETTINGS)].drop_duplicates().shape[0],
        "onsets": [_onset(row, words) for _, row in onsets.iterrows()],
        "later": [_later(row, words) for _, row in later.iterrows()],
        "profiles": [_profile(row, words) for _, row in instability_profile(table).iterrows()],
        "picture": _picture(table, words),
    }


def _plain(curvature: pd.DataFrame) -> pd.DataFrame:
    """Of measures with several settings those of the first: `instabilities` takes one."""
    rows = curvature[curvature["layer"].isna() & (curvature["role"] == "path")]
    names = name_measures(rows)
    first = {str(rows.loc[names == name, "measure"].iloc[0]): name for name in reversed(in_order(rows, names))}
    return rows[names == rows["measure"].map(first)]


def _words(table: pd.DataFrame) -> dict[tuple[Any, ...], str]:
    """Each setting of training in words: the problem, and what differs between settings."""
    keys = table[list(SPAWN_SETTINGS)].drop_duplicates()
    by = ["problem", *(c for c in SPAWN_SETTINGS[1:] if keys[c].nunique(dropna=False) > 1)]
    return {_key(row): group_label(by, [row[c] for c in by]) for _, row in keys.iterrows()}


def _key(row: pd.Series) -> tuple[Any, ...]:
    return tuple(None if pd.isna(row[c]) else row[c] for c in SPAWN_SETTINGS)


def _onset(row: pd.Series, words: dict[tuple[Any, ...], str]) -> Row:
    rule = "instability" if row["on"] == "instability" else "greatest / ends"
    return {
        "setting": words[_key(row)],
        "what": "energetic" if row["what"] == "energetic" else "entropic",
        "measure": sentence(measure_name(str(row["measure"]))),
        "rule": f"{rule} below {row['threshold']:g}" if np.isfinite(row["threshold"]) else "no threshold",
        "pairs": row["pairs"],
        "onset": _epochs(row, "onset"),
        "note": "; ".join(filter(None, (row["censored"], row["reason"], _missing(row["missing"])))),
    }


def _later(row: pd.Series, words: dict[tuple[Any, ...], str]) -> Row:
    return {
        "setting": words[_key(row)],
        "claim": f"{sentence(measure_name(str(row['measure'])))} after {measure_name(str(row['energetic']))}",
        "verdict": _VERDICTS.get(str(row["later"]), NOT_SHOWN),
        "difference": _epochs(row, "difference"),
        "note": row["reason"],
    }


def _epochs(row: pd.Series, name: str) -> tuple[str, str]:
    """An epoch with its interval, or the bounds that it is known to lie between."""
    low, high = float(row["low"]), float(row["high"])
    if np.isfinite(row[name]):
        return parts(float(row[name]), low, high)
    if not np.isfinite([row["at_least"], row["at_most"]]).all():
        return number(np.nan), ""
    middle = f"{number(row['at_least'])} to {number(row['at_most'])}"
    return middle, f"[{number(low)}, {number(high)}]" if np.isfinite([low, high]).all() else ""


def _profile(row: pd.Series, words: dict[tuple[Any, ...], str]) -> Row:
    return {
        "setting": words[_key(row)],
        "measure": sentence(measure_name(str(row["measure"]))),
        "epoch": number(row["spawn_epoch"]),
        "pairs": row["pairs"],
        "instability": interval(row["instability"], row["instability_low"], row["instability_high"]),
        "ratio": interval(row["ratio"], row["ratio_low"], row["ratio_high"]),
        "note": "; ".join(filter(None, (row["reason"], _missing(row["missing"])))),
    }


def _missing(count: float) -> str:
    return f"{count:.0f} missing" if count else ""


def _picture(table: pd.DataFrame, words: dict[tuple[Any, ...], str]) -> Picture | None:
    keys = table[list(SPAWN_SETTINGS)].apply(_key, axis=1)
    shown = [(key, label) for key, label in words.items() if len(table[keys == key])][:_MOST]
    figure, axes = panels(len(shown), columns=min(len(shown), 2), height=4.0)
    for ax, (key, label) in zip(axes, shown, strict=True):
        plot_instability(table[keys == key], ax)
        if len(shown) > 1:
            ax.set_title(label, fontsize=10, color=INK, pad=26)
    return picture(figure, "Energetic and entropic instability against the epoch of splitting, in units of thresholds.")
