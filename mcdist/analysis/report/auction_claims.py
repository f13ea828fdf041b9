"""What is claimed of auctions, and whether the data show it: shown, not shown, or the opposite."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mcdist.analysis.menu_trends import SETTING
from mcdist.analysis.menus import CLOSE
from mcdist.analysis.plots.style import group_label
from mcdist.analysis.report.claims import NOT_SHOWN, OPPOSITE, SHOWN, Claim, verdict
from mcdist.analysis.report.text import interval, number, share

__all__ = ["barrier_claims", "menu_claims", "promise_claims", "size_of", "trend_claims"]

_HALF = 0.5


def size_of(row: Mapping[str, object] | pd.Series) -> str:
    """A menu size and what else tells menus apart, in words: `64 options, kappa 300`."""
    size = row["menu_size"]
    parts = [f"{size:.0f} options" if pd.notna(size) else "size not known", str(row["label"])]
    return ", ".join(filter(None, parts))


def menu_claims(summary: pd.DataFrame) -> list[Claim]:
    """Of `menu_summary`: whether menus come within `CLOSE` percent of the optimum, or above the best simple auction."""
    claims = []
    for _, row in summary[np.isfinite(summary["optimal"])].iterrows():
        text = f"{_percent(row, 'gap')} of the optimum is missing, {row['seeds']} seeds"
        text += f"; {share(row['close'], row['close_low'], row['close_high'])} of them within {CLOSE:g} %"
        known = verdict(CLOSE - row["gap_high"], CLOSE - row["gap_low"])
        claims.append(
            Claim(f"Trained menus reach the optimum within {CLOSE:g} %", size_of(row), known, _why(text, row))
        )
    for _, row in summary[np.isfinite(summary["baseline_revenue"])].iterrows():
        text = f"{_percent(row, 'above')} above {str(row['baseline']).replace('_', ' ')}, {row['seeds']} seeds"
        known = verdict(row["above_low"], row["above_high"])
        claims.append(
            Claim("Trained menus earn more than the best simple auction", size_of(row), known, _why(text, row))
        )
    return claims


def barrier_claims(summary: pd.DataFrame, comparison: pd.DataFrame) -> list[Claim]:
    """Of `auction_barriers` and `barrier_comparison` by menu size, label and path."""
    claims = []
    for _, row in summary[summary["path"].astype(str) == "linear"].iterrows():
        text = (
            f"{row['shown_pairs']} of {row['judged']} pairs, {share(row['shown'], row['shown_low'], row['shown_high'])}"
        )
        text += f"; median {_percent(row, 'estimate')} of the lesser end's revenue"
        most = row["low"] > 0 and row["shown"] > _HALF
        known = SHOWN if most else OPPOSITE if row["shown_high"] < _HALF else NOT_SHOWN
        claims.append(Claim("Straight lines have barriers", size_of(row), known, _why(text, row)))
    matched = comparison["path"].str.startswith("linear, aligned") & (comparison["reference"] == "linear")
    for _, row in comparison[matched].iterrows():
        text = f"by {_percent(row, 'lower')} of revenue, {number(row['barrier'])} in place of"
        text += f" {number(row['reference_barrier'])} %; lower on {row['lower_pairs']} of {row['pairs']} pairs"
        known = verdict(row["lower_low"], row["lower_high"])
        claims.append(Claim("After matching of options they are lower", size_of(row), known, _why(text, row)))
    return claims


def promise_claims(promises: pd.DataFrame) -> list[Claim]:
    """Of `promise_summary` by label and kind: one promise that is broken shows the opposite."""
    claims = []
    for _, row in promises.iterrows():
        broken = row["judged"] - row["kept"]
        known = NOT_SHOWN if not row["judged"] else OPPOSITE if broken else SHOWN
        text = f"{row['kept']} of {row['judged']} kept"
        text += f", {share(row['share'], row['share_low'], row['share_high'])}" if row["judged"] else ""
        text += f"; greatest promise {number(row['eps_most'])}, greatest loss {number(row['shortfall_most'])}"
        where = ", ".join(filter(None, (str(row["kind"]).replace("_", " "), str(row["label"]))))
        claims.append(Claim("Paths made of their ends keep their promises", where, known, text))
    return claims


def trend_claims(barriers: pd.DataFrame | None, reducibility: pd.DataFrame) -> list[Claim]:
    """Of `barrier_trend` by path and `reducibility_trend`: what their authors leave open."""
    claims = []
    for where, row in [] if barriers is None else _told_apart(barriers, ["path"]):
        text = f"barrier ~ size^b, b = {interval(row['slope'], row['slope_low'], row['slope_high'])}"
        text += f", sizes {row['least']:g} to {row['most']:g}, {row['rows']} pairs, {row['shown']} with a barrier"
        known = verdict(-row["slope_high"], -row["slope_low"])
        claims.append(Claim("The bigger the menu, the lower the barrier", where, known, _because(text, row)))
    for where, row in _told_apart(reducibility, []):
        text = f"eps changes by {interval(row['slope'], row['slope_low'], row['slope_high'])} with each doubling"
        text += f", sizes {row['least']:g} to {row['most']:g}, {row['rows']} menus, {row['shown']} with eps above 0"
        known = verdict(-row["slope_high"], -row["slope_low"])
        claims.append(Claim("The bigger the menu, the more reducible", where, known, _because(text, row)))
    return claims


def _told_apart(trends: pd.DataFrame, by: list[str]) -> list[tuple[str, pd.Series]]:
    """Each trend, named by the columns `by` and by the ways of training that there are several of."""
    columns = [*by, *(c for c in SETTING if trends[c].nunique(dropna=False) > 1)]
    words = [group_label(columns, [row[c] for c in columns]) if columns else "menus" for _, row in trends.iterrows()]
    return list(zip(words, (row for _, row in trends.iterrows()), strict=True))


def _because(text: str, row: pd.Series) -> str:
    """The numbers, or only why there are none."""
    reason = row["reason"]
    if not np.isfinite(row["slope"]):
        counted = f"{row['rows']:g} in all, {row['shown']} above 0"
        return f"{reason} ({counted})"
    return f"{text}; {reason}" if reason else text


def _why(text: str, row: pd.Series) -> str:
    return f"{text}; {row['reason']}" if row["reason"] else text


def _percent(row: pd.Series, name: str) -> str:
    low, high = (
        row[end] if end in row.index else row[end.rsplit("_", 1)[1]] for end in (f"{name}_low", f"{name}_high")
    )
    return f"{interval(row[name], low, high)} %"
