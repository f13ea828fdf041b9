"""What the report says of auctions: what menus earn, barriers of revenue, promises, and trends with their size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.auction_paths import auction_barriers, barrier_comparison, promise_summary
from mcdist.analysis.auctions_published import published_auctions
from mcdist.analysis.lengths import path_summary
from mcdist.analysis.menu_trends import barrier_trend, reducibility_trend, seed_units
from mcdist.analysis.menus import menu_summary
from mcdist.analysis.report.auction_chapters import AuctionChapter
from mcdist.analysis.report.auction_claims import (
    barrier_claims,
    menu_claims,
    promise_claims,
    size_of,
    trend_claims,
)
from mcdist.analysis.report.claims import Claim, verdict
from mcdist.analysis.report.text import interval, number, share, spread, whole
from mcdist.analysis.summaries import pair_summary

__all__ = ["auction_rows", "chapter_rows", "published_auction_rows"]

Row = dict[str, Any]
Families = Mapping[str, str]

DIGITS = 4  # of a revenue: optima and menus differ in the third
_WITHIN = ("menu_size", "label")
_SAMPLED = "revenue by sample"


def auction_rows(chapters: list[AuctionChapter]) -> list[Row]:
    """Per setting, mechanism and menu size, for the list of all end points: revenue, and the surrogate's."""
    rows = []
    for chapter in chapters:
        for (size, label), menus in chapter.menus.groupby(list(_WITHIN), dropna=False):
            soft, known = (menus[c].astype(float) for c in ("revenue_soft", "best_known"))
            rows.append(
                {
                    "label": chapter.name,
                    "size": size_of({"menu_size": size, "label": label}),
                    "count": len(menus),
                    "revenue": (number(known.mean(), DIGITS), _range(known)),
                    "kind": "exact" if menus["exact"].all() else "held out",
                    "soft": (number(soft.mean(), DIGITS), _range(soft)),
                    "missing": int(known.isna().sum()),
                }
            )
    return rows


def _range(values: pd.Series) -> str:
    known = values.dropna()
    return spread(known.min(), known.max(), DIGITS) if len(known) > 1 else ""


def chapter_rows(chapter: AuctionChapter, families: Families) -> dict[str, Any]:
    """All tables of one chapter, and its claims."""
    menus = menu_summary(chapter.menus)
    within: Row = {"families": families}
    measured = len(chapter.barriers) > 0
    barriers = auction_barriers(chapter.barriers, (*_WITHIN, "path"), **within) if measured else None
    comparison = barrier_comparison(chapter.barriers, _WITHIN, first=_first(chapter), **within) if measured else None
    promises = promise_summary(chapter.paths, (*_WITHIN, "kind"), **within) if len(chapter.paths) else None
    trends = barrier_trend(chapter.barriers, chapter.menus, ("path",)) if measured else None
    reducible = reducibility_trend(chapter.menus)
    claims = menu_claims(menus)
    if barriers is not None and comparison is not None:
        claims += barrier_claims(barriers, comparison)
    if promises is not None:
        of_all = promise_summary(chapter.paths, ("label", "kind"), families=seed_units(chapter.menus))
        claims += promise_claims(of_all)
    claims += trend_claims(trends, reducible)
    return {
        "claims": sorted(claims, key=lambda claim: _order(claims, claim)),
        "menus": [_menu(row) for _, row in menus.iterrows()],
        "reducible": [_reducible(row) for _, row in menus.iterrows()],
        "barriers": [] if barriers is None else _barriers(chapter, barriers, families),
        "reference": _first(chapter) or "",
        "comparison": [_comparison(row) for _, row in comparison.iterrows()] if comparison is not None else [],
        "promises": [] if promises is None else [_promise(row) for _, row in promises.iterrows()],
        "matched": _matched(chapter, families),
    }


def _order(claims: list[Claim], claim: Claim) -> int:
    """Claims of one text together, in the order in which they first come."""
    return [other.claim for other in claims].index(claim.claim)


def _first(chapter: AuctionChapter) -> str | None:
    """What kinds of paths are compared with: the plain straight line, where there is one."""
    held = set(chapter.barriers["path"].astype(str)) if "path" in chapter.barriers.columns else set()
    return "linear" if "linear" in held else None


def _menu(row: pd.Series) -> Row:
    known = np.isfinite(row["optimal"])
    return {
        "size": size_of(row),
        "seeds": row["seeds"],
        "revenue": _two(row, "revenue", DIGITS),
        "kind": "exact" if row["exact"] else f"held out, ± {number(row['stderr'], 2)}",
        "best": number(row["best"], DIGITS),
        "gap": _two(row, "gap"),
        "close": share(row["close"], row["close_low"], row["close_high"]) if known else number(np.nan),
        "above": _two(row, "above"),
        "active": whole(row["n_active_least"], row["n_active_most"]) if pd.notna(row["n_active_least"]) else "",
        "note": row["reason"],
    }


def _two(row: pd.Series, name: str, digits: int = 3) -> tuple[str, str]:
    middle, _, ends = interval(row[name], row[f"{name}_low"], row[f"{name}_high"], digits).partition(" ")
    return middle, ends


def _reducible(row: pd.Series) -> Row:
    return {
        "size": size_of(row),
        "seeds": row["seeds"],
        "capacity": f"{row['capacity']:g}" if pd.notna(row["capacity"]) else number(np.nan),
        "active": f"{row['n_active']:.1f}" if pd.notna(row["n_active"]) else number(np.nan),
        "fit": _two(row, "reducibility_fit"),
        "held_out": _two(row, "reducibility"),
        "exactly": share(row["reducible"], row["reducible_low"], row["reducible_high"]),
        "dropped": _two(row, "dropped_revenue"),
    }


def _barriers(chapter: AuctionChapter, table: pd.DataFrame, families: Families) -> list[Row]:
    lengths = path_summary(chapter.paths, (*_WITHIN, "path"), families=families)
    stretch = {(row["menu_size"], row["label"], row["path"]): row["estimate"] for _, row in lengths.iterrows()}
    rows = []
    for _, row in table.iterrows():
        notes = ["" if row["exact"] else _SAMPLED, row["reason"]]
        notes += [f"{row['missing']} missing"] if row["missing"] else []
        rows.append(
            {
                "size": size_of(row),
                "path": str(row["path"]).replace("_", " "),
                "pairs": row["pairs"],
                "relative": _ends(row["estimate"], row["low"], row["high"]),
                "value": number(row["value"]),
                "most": number(row["most"]),
                "shown": f"{row['shown_pairs']} of {row['judged']}",
                "share": share(row["shown"], row["shown_low"], row["shown_high"]),
                "length": number(stretch.get((row["menu_size"], row["label"], row["path"]), np.nan)),
                "note": "; ".join(filter(None, notes)),
            }
        )
    return rows


def _ends(value: float, low: float, high: float) -> tuple[str, str]:
    middle, _, ends = interval(value, low, high).partition(" ")
    return middle, ends


def _comparison(row: pd.Series) -> Row:
    return {
        "size": size_of(row),
        "path": str(row["path"]).replace("_", " "),
        "pairs": row["pairs"],
        "reference": number(row["reference_barrier"]),
        "barrier": number(row["barrier"]),
        "lower": _ends(row["lower"], row["lower_low"], row["lower_high"]),
        "lower_pairs": f"{row['lower_pairs']} of {row['pairs']}",
        "shows": {"shown": "lower", "not shown": "not shown"}.get(
            verdict(row["lower_low"], row["lower_high"]), "higher"
        ),
        "note": row["reason"],
    }


def _promise(row: pd.Series) -> Row:
    beyond = row["beyond_most"]
    return {
        "size": size_of(row),
        "kind": str(row["kind"]).replace("_", " "),
        "paths": row["paths"],
        "options": whole(row["kept_least"], row["kept_most"]),
        "eps": (number(row["eps"]), f"at most {number(row['eps_most'])}"),
        "exactly": f"{row['exactly']} of {row['paths']}",
        "sharp": number(row["eps_sharp_most"]),
        "measured": number(row["eps_measured_most"]),
        "shortfall": (number(row["shortfall_most"]), f"{number(beyond, 2)} stderr beyond" if beyond > 0 else ""),
        "kept": (f"{row['kept']} of {row['judged']}", share(row["share"], row["share_low"], row["share_high"])),
        "broken": bool(row["kept"] < row["judged"]),
        "deviation": number(row["middle_deviation"], 2),
        "changed": number(row["outer_changed"], 2),
    }


def _matched(chapter: AuctionChapter, families: Families) -> list[Row]:
    """How far apart menus are before and after the matching of their options."""
    if chapter.alignments.empty:
        return []
    table = chapter.alignments.assign(
        closer=chapter.alignments["distance_after"] / chapter.alignments["distance_before"],
        part=chapter.alignments["moved"] / chapter.alignments["units"],
    )
    by = (*_WITHIN, "method")
    found = [
        pair_summary(table, "alignments", by, name, families=families, at_least=0.0) for name in ("closer", "part")
    ]
    return [
        {
            "size": size_of(row),
            "method": row["method"],
            "pairs": row["pairs"],
            "moved": share(found[1].iloc[place]["estimate"], np.nan, np.nan),
            "closer": interval(row["estimate"], row["low"], row["high"]),
            "note": row["reason"],
        }
        for place, (_, row) in enumerate(found[0].iterrows())
    ]


def published_auction_rows(chapters: list[AuctionChapter]) -> list[Row]:
    """What is known of each setting beside the greatest menus of this report."""
    if not chapters:
        return []
    words = {1.0: "more", -1.0: "less", 0.0: "not shown"}
    table = published_auctions(pd.concat([chapter.menus for chapter in chapters], ignore_index=True))
    return [
        {
            "setting": row["setting"],
            "what": row["what"],
            "source": row["source"] if pd.notna(row["source"]) else "",
            "published": number(row["published"], DIGITS),
            "mechanism": f"{str(row['mechanism']).replace('_', ' ')}, {size_of(row)}",
            "measured": _ends_of(row),
            "best": number(row["best"], DIGITS),
            "shows": words.get(row["shows"], "not shown"),
            "note": "; ".join(filter(None, (row["note"], row["reason"], f"{row['seeds']} seeds"))),
        }
        for _, row in table.iterrows()
    ]


def _ends_of(row: pd.Series) -> tuple[str, str]:
    middle, _, ends = interval(row["estimate"], row["low"], row["high"], DIGITS).partition(" ")
    return middle, ends
