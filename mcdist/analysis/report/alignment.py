"""What the report says of alignment and REPAIR: what they do to barriers, and to the distance of end points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mcdist.analysis.report.rows import ratio_row
from mcdist.analysis.report.studies import Study
from mcdist.analysis.report.text import interval, number, share
from mcdist.analysis.summaries import pair_summary

__all__ = ["alignment_effect_rows", "alignment_rows"]

Row = dict[str, Any]
_VARIANT = ("aligned", "alignment", "repair", "via")


def alignment_effect_rows(study: Study, value: str, metrics: Sequence[str], families: Mapping[str, str]) -> list[Row]:
    """Per metric and kind: the barrier without alignment over that with it, and without repair over that with it."""
    pairs = _compared(study)
    rows = []
    for metric in metrics:
        held = set(study.barriers.loc[study.barriers["metric"] == metric, "path"])
        rows += [
            ratio_row(study.barriers, metric, value, upper, lower, stops, families)
            for upper, lower, stops in pairs
            if {upper, lower} <= held
        ]
    return rows


def _compared(study: Study) -> list[tuple[str, str, int]]:
    """Groups of paths that differ in alignment or repair alone: the plainer first, and their stops."""
    variants = study.variants
    same = ["kind", "stops", *(column for column in study.by if column not in ("kind", *_VARIANT))]
    plain = variants[~variants["aligned"] & ~variants["repair"]]
    changed = variants[variants["aligned"] | variants["repair"]]
    against_plain = plain.merge(changed, on=same, suffixes=("_upper", "_lower"))
    repaired = variants[variants["aligned"] & variants["repair"]]
    unrepaired = variants[variants["aligned"] & ~variants["repair"]]
    against_aligned = unrepaired.merge(repaired, on=[*same, "alignment"], suffixes=("_upper", "_lower"))
    table = pd.concat([part[["path_upper", "path_lower", "stops"]] for part in (against_plain, against_aligned)])
    return [(str(upper), str(lower), int(stops)) for upper, lower, stops in table.itertuples(index=False)]


def alignment_rows(study: Study, families: Mapping[str, str]) -> list[Row]:
    """Per method: how far apart end points were before and after, and how many hidden units moved."""
    table = study.alignments.assign(
        closer=study.alignments["distance_after"] / study.alignments["distance_before"],
        part=study.alignments["moved"] / study.alignments["units"],
    )
    found = {
        column: pair_summary(table, "alignments", ("method",), column, families=families)
        for column in ("distance_before", "distance_after", "closer", "part")
    }
    rows = []
    for place, row in enumerate(found["closer"].to_dict("records")):
        parts = {column: frame.iloc[place] for column, frame in found.items()}
        moved = parts["part"]
        units = table.loc[table["method"] == row["method"], ["groups", "units"]].iloc[0]
        rows.append(
            {
                "method": row["method"],
                "pairs": int(row["pairs"]),
                "units": f"{units['units']:,.0f} in {units['groups']:,.0f}",
                "moved": share(moved["estimate"], max(moved["low"], 0.0), min(moved["high"], 1.0)),
                "before": number(parts["distance_before"]["estimate"]),
                "after": number(parts["distance_after"]["estimate"]),
                "closer": interval(row["estimate"], row["low"], row["high"]),
                "note": row["reason"],
            }
        )
    return rows
