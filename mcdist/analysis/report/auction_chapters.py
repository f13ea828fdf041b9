"""Parting the auctions of a sweep into chapters: one setting and mechanism, menus of all sizes together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from mcdist.analysis.menu_trends import with_menus
from mcdist.analysis.menus import MECHANISM, MENU_SETTING, labelled_menus
from mcdist.analysis.pairs import groups
from mcdist.analysis.report.studies import Study
from mcdist.analysis.report.sweep import SweepTables

__all__ = ["AuctionChapter", "auction_chapters", "of_auctions", "without_auctions"]

KINDS = {
    kind: place
    for place, kind in enumerate(
        ("linear", "logits", "bezier", "chain", "autoneb", "three_pieces", "five_pieces", "large_menu")
    )
}
MECHANISMS = ("rochetnet", "affine_maximizer")


@dataclass(frozen=True)
class AuctionChapter:
    """Tables of one setting and mechanism. `paths`, `barriers` and `alignments` have the columns of `menus` that both
    ends have in common, and `label`; `path` is their kind in words.
    """

    setting: str
    mechanism: str
    menus: pd.DataFrame
    options: pd.DataFrame
    paths: pd.DataFrame
    path_points: pd.DataFrame
    barriers: pd.DataFrame
    alignments: pd.DataFrame

    @property
    def name(self) -> str:
        """In words: `uniform_2, rochetnet`."""
        return f"{self.setting}, {self.mechanism.replace('_', ' ')}"


def of_auctions(endpoints: pd.DataFrame) -> pd.Series:
    """Whether each end point is an auction, not a network."""
    return endpoints["model"].isin(MECHANISMS)


def without_auctions(tables: SweepTables) -> SweepTables:
    """The tables of end points and paths without those of auctions."""
    auctions = set(tables.endpoints.loc[of_auctions(tables.endpoints), "endpoint_id"])
    paths = tables.paths[~tables.paths["endpoint_a"].isin(auctions)]
    held = set(tables.paths["path_id"]) - set(paths["path_id"])
    rest = {
        name: getattr(tables, name)[~getattr(tables, name)["path_id"].isin(held)]
        for name in ("path_points", "barriers", "curvature", "spectra")
    }
    ends = tables.endpoints[~tables.endpoints["endpoint_id"].isin(auctions)]
    return replace(tables, endpoints=ends, paths=paths, **rest)


def auction_chapters(tables: SweepTables, studies: Sequence[Study]) -> list[AuctionChapter]:
    """The chapters, by setting and mechanism; studies: those of auctions, whose paths have been told apart."""
    menus = _menus(tables)
    if menus.empty:
        return []
    menus = labelled_menus(menus)
    labels = menus[["endpoint_id", "label"]]
    joined = {
        name: _joined([getattr(study, name) for study in studies]) for name in ("paths", "barriers", "alignments")
    }
    told = {
        name: with_menus(rows, menus).merge(labels, left_on="endpoint_a", right_on="endpoint_id").drop(
            columns="endpoint_id"
        )
        for name, rows in joined.items()
        if "endpoint_a" in rows.columns
    }  # fmt: skip
    return [_chapter(tables, told, rows, *map(str, key)) for key, rows in groups(menus, MECHANISM)]


def _chapter(
    tables: SweepTables, told: dict[str, pd.DataFrame], menus: pd.DataFrame, setting: str, mechanism: str
) -> AuctionChapter:
    mine = {name: rows[rows["endpoint_a"].isin(menus["endpoint_id"])] for name, rows in told.items()}
    paths = mine.get("paths", tables.paths.iloc[:0])
    return AuctionChapter(
        setting,
        mechanism,
        menus,
        tables.menu_options[tables.menu_options["endpoint_id"].isin(menus["endpoint_id"])],
        paths,
        tables.path_points[tables.path_points["path_id"].isin(paths["path_id"])],
        mine.get("barriers", tables.barriers.iloc[:0]),
        mine.get("alignments", tables.alignments.iloc[:0]),
    )


def _menus(tables: SweepTables) -> pd.DataFrame:
    """The rows of `menus`, and of auctions without one (their numbers are not finite) what their end points say."""
    ends = tables.endpoints[of_auctions(tables.endpoints)]
    rest = ends[~ends["endpoint_id"].isin(tables.menus["endpoint_id"] if len(tables.menus) else [])]
    said = rest.rename(columns={"dataset": "setting", "model": "mechanism"})
    said = said[[c for c in said.columns if c in (*tables.menus.columns, *MENU_SETTING)]]
    if said.empty:
        return tables.menus
    return said.reindex(columns=tables.menus.columns) if tables.menus.empty else pd.concat([tables.menus, said])


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows of several studies; paths in words keep the order that they have in each."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame()
    if "path" not in parts[0].columns:
        return pd.concat(parts, ignore_index=True)
    kinds = {str(name): str(kind) for part in parts for name, kind in zip(part["path"], part["kind"], strict=True)}
    names = dict.fromkeys(
        str(name) for part in parts for name in part["path"].cat.remove_unused_categories().cat.categories
    )
    order = sorted(names, key=lambda name: KINDS.get(kinds[name], len(KINDS)))
    dtype = pd.CategoricalDtype(order, ordered=True)
    plain = [part.assign(path=part["path"].astype(str), kind=part["kind"].astype(str)) for part in parts]
    rows = pd.concat(plain, ignore_index=True)
    return rows.assign(path=rows["path"].astype(dtype))
