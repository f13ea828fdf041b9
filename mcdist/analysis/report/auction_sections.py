"""The report's chapters on auctions: tables, claims and figures of each setting and mechanism."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcdist.analysis.report import auction_figures
from mcdist.analysis.report.auction_chapters import AuctionChapter
from mcdist.analysis.report.auctions import chapter_rows

__all__ = ["auction_sections"]


def auction_sections(chapters: Sequence[AuctionChapter], families: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the template shows, one for each chapter."""
    return [
        {
            "anchor": f"auctions-{number}",
            "label": chapter.name,
            "end_points": len(chapter.menus),
            "paths": len(chapter.paths),
            **chapter_rows(chapter, families),
            "drawn": auction_figures.menus(chapter),
            "goods": int(chapter.menus["n"].dropna().max()) if chapter.menus["n"].notna().any() else 0,
            "revenues": auction_figures.revenues(chapter, families),
            "barrier_sizes": auction_figures.barrier_sizes(chapter, families),
            "reducibility_sizes": auction_figures.reducibility_sizes(chapter),
        }
        for number, chapter in enumerate(chapters, 1)
    ]
