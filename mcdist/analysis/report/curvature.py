"""What the report says of curvature: along paths against ends and controls, layer by layer, at end points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.curvature import COMPARISONS, curvature_ratios
from mcdist.analysis.curvature_summaries import curvature_ratio_summary
from mcdist.analysis.report.measures import in_order, name_measures
from mcdist.analysis.report.studies import Study
from mcdist.analysis.report.text import interval, number, parts, sentence, share
from mcdist.analysis.summaries import pair_summary

__all__ = ["curvature_rows", "endpoint_curvature_rows", "layer_rows", "ratios_of"]

Row = dict[str, Any]
Families = Mapping[str, str]


def ratios_of(study: Study, *, layers: bool = False) -> pd.DataFrame:
    """`curvature_ratios` of the study's paths, with `what`, the measure in words."""
    table = curvature_ratios(study.curvature, study.paths, layers=layers)
    names = name_measures(table)
    dtype = pd.CategoricalDtype(in_order(table, names), ordered=True)
    return table.assign(what=names.astype(dtype))


def curvature_rows(study: Study, ratios: pd.DataFrame, families: Families) -> list[Row]:
    """Per measure and group of paths: ratios and differences with intervals, and the shares above both ends and
    both controls.
    """
    by = ("what", *study.group)
    ends, controls, most = (curvature_ratio_summary(ratios, by, value, families=families) for value in COMPARISONS)
    rows = []
    for (_, end), (_, control), (_, top) in zip(ends.iterrows(), controls.iterrows(), most.iterrows(), strict=True):
        rows.append(
            {
                "what": sentence(end["what"]),
                "path": end["path"],
                "pairs": int(end["share_pairs"]),
                "endpoints": int(end["endpoints"]),
                "ends": _ratio(end),
                "controls": _ratio(control),
                "top": _ratio(top),
                "difference": parts(end["difference"], end["difference_low"], end["difference_high"]),
                "above_ends": _share(end),
                "above_controls": _share(control),
                "stderr": f"± {number(end['stderr'], 2)} each" if np.isfinite(end["stderr"]) else "",
                "note": _note(end, control),
                "missing": int(end["share_missing"]),
            }
        )
    return rows


def _ratio(row: pd.Series) -> tuple[str, str]:
    return parts(row["estimate"], row["low"], row["high"])


def _share(row: pd.Series) -> tuple[str, str]:
    text = share(row["share"], row["share_low"], row["share_high"])
    middle, bracket, ends = text.partition(" [")
    return middle, bracket.strip() + ends


def _note(end: pd.Series, control: pd.Series) -> str:
    """Why intervals or values are missing, each reason once; controls that were not asked for are no reason."""
    without = control["why"] if control["pairs"] and control["why"] != end["why"] else ""
    return "; ".join(
        part for part in dict.fromkeys((end["reason"] if end["pairs"] else "", end["why"], without)) if part
    )


def layer_rows(study: Study, families: Families) -> list[Row]:
    """Per measure, group of paths and layer: mid-path over ends and the share above both ends."""
    if study.curvature["layer"].isna().all():
        return []
    ratios = ratios_of(study, layers=True)
    ratios = ratios[ratios["layer"].notna()]
    table = curvature_ratio_summary(ratios, ("what", *study.group, "layer"), families=families)
    return [
        {
            "what": sentence(row["what"]),
            "path": row["path"],
            "layer": f"layer {row['layer']}",
            "pairs": int(row["share_pairs"]),
            "ends": _ratio(row),
            "above_ends": _share(row),
            "note": "; ".join(filter(None, (row["reason"] if row["pairs"] else "", row["why"]))),
        }
        for _, row in table.iterrows()
    ]


def endpoint_curvature_rows(study: Study, families: Families) -> list[Row]:
    """Per measure and layer: the mean over end points by themselves, with an interval that resamples them."""
    rows = study.curvature[study.curvature["role"] == "endpoint"]
    names = name_measures(rows)
    dtype = pd.CategoricalDtype(in_order(rows, names), ordered=True)
    alone = rows.assign(what=names.astype(dtype), endpoint_a=rows["endpoint_id"], endpoint_b=rows["endpoint_id"])
    layer = alone["layer"].astype(object).where(alone["layer"].notna(), "")
    table = pair_summary(alone.assign(layer=layer), "curvature", ("what", "layer"), "value", "mean", families=families)
    return [
        {
            "what": sentence(row["what"]),
            "layer": f"layer {row['layer']}" if row["layer"] else "whole network",
            "count": int(row["endpoints"]),
            "mean": interval(row["estimate"], row["low"], row["high"]),
            "spread": f"{number(row['q05'])} to {number(row['q95'])}",
            "note": "; ".join(filter(None, (row["reason"], f"{row['missing']} missing" if row["missing"] else ""))),
        }
        for _, row in table.iterrows()
    ]
