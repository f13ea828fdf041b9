"""Published revenues of auctions, as data, and those of a store beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcdist.analysis.menus import menu_summary

__all__ = ["PUBLISHED_AUCTIONS", "PublishedAuction", "published_auctions"]


@dataclass(frozen=True)
class PublishedAuction:
    """One published revenue that a learned mechanism reached.

    name: stable, for notebooks. source: who published it. setting: this platform's name. mechanism: in words.
    revenue: as published. note: what else a reader must know.
    """

    name: str
    source: str
    setting: str
    mechanism: str
    revenue: float
    note: str = ""


_CURRY = "Curry, Sandholm & Dickerson 2023"
_DUETTING = "Dütting et al. 2019"
_DUAN = "Duan et al. 2023"
_REGRET = "truthful up to a small regret only, so that no bound holds for it"

PUBLISHED_AUCTIONS = (
    PublishedAuction(
        "lottery-ama-2x2", _CURRY, "bidders_2_items_2", "lottery affine maximizer", 0.868,
        "about; not verified against the paper",
    ),
    PublishedAuction(
        "ama-bound-2x2", _CURRY, "bidders_2_items_2", "affine maximizer, bound", 0.862,
        "not verified against the paper",
    ),
    PublishedAuction("regretnet-2x2", _DUETTING, "bidders_2_items_2", "RegretNet", 0.878, _REGRET),
    PublishedAuction("lottery-ama-2x5", _CURRY, "bidders_2_items_5", "lottery affine maximizer", 2.235),
    PublishedAuction("amenunet-2x5", _DUAN, "bidders_2_items_5", "AMenuNet", 2.277),
    PublishedAuction("lottery-ama-3x10", _CURRY, "bidders_3_items_10", "lottery affine maximizer", 5.345),
    PublishedAuction("amenunet-3x10", _DUAN, "bidders_3_items_10", "AMenuNet", 5.590),
)  # fmt: skip
"""Revenues that learned mechanisms are reported to reach, for values uniform on [0, 1]."""

_COLUMNS = [
    *("setting", "what", "source", "published", "note", "mechanism", "menu_size", "label", "seeds", "exact"),
    *("estimate", "low", "high", "best", "difference", "shows", "reason"),
]
OPTIMUM, BASELINE = "optimum", "best simple auction"


def published_auctions(menus: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """What is known of each setting that the store has menus of, beside what its greatest menus earn.

    One row per number and mechanism: first the `optimum` and the `best simple auction`, from the store's table (its
    columns `optimal_source` and `baseline`), then the published revenues of learned mechanisms. Columns `setting`,
    `what`, `source`, `published`, `note`; of this store's menus of the greatest size, the best mean where they were
    trained in several ways: `mechanism`, `menu_size`, `label`, `seeds`, `exact`, `estimate` with `low` and `high`
    (over seeds), `best` of seeds; `difference` = estimate - published; `shows`: 1 where the interval lies above the
    published number, -1 below it, 0 where it holds it, NaN without one; `reason`.
    """
    table = menu_summary(menus, level=level)
    records = []
    for (setting, _), rows in table.groupby(["setting", "mechanism"], sort=True):
        greatest = rows[rows["menu_size"] == rows["menu_size"].max()] if rows["menu_size"].notna().any() else rows
        row = greatest.sort_values("revenue", ascending=False).iloc[0]
        known = [
            (OPTIMUM, row["source"], row["optimal"], ""),
            (f"{BASELINE}: {str(row['baseline']).replace('_', ' ')}", "", row["baseline_revenue"], ""),
            *((p.mechanism, p.source, p.revenue, p.note) for p in PUBLISHED_AUCTIONS if p.setting == setting),
        ]
        records += [_beside(row, *entry) for entry in known if np.isfinite(entry[2])]
    return pd.DataFrame(records, columns=_COLUMNS)


def _beside(row: pd.Series, what: str, source: str, published: float, note: str) -> dict[str, object]:
    low, high = float(row["revenue_low"]), float(row["revenue_high"])
    shows = float(low > published) - float(high < published) if np.isfinite([low, high]).all() else np.nan
    return {
        "setting": row["setting"],
        "what": what,
        "source": source,
        "published": float(published),
        "note": note,
        **{name: row[name] for name in ("mechanism", "menu_size", "label", "seeds", "exact", "best", "reason")},
        "estimate": row["revenue"],
        "low": low,
        "high": high,
        "difference": row["revenue"] - float(published),
        "shows": shows,
    }
