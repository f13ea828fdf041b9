"""What the report says of path families side by side, and of AutoNEB's cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.barriers import barrier_summary
from mcdist.analysis.curvature_summaries import curvature_ratio_summary
from mcdist.analysis.lengths import path_summary
from mcdist.analysis.pairs import without_tours
from mcdist.analysis.report.studies import FREE_POINTS, Study
from mcdist.analysis.report.text import interval, number, parts, whole
from mcdist.analysis.saddles import saddle_forest
from mcdist.analysis.summaries import pair_summary

__all__ = ["MOST_MEASURES", "cycle_rows", "family_heads", "family_rows"]

Row = dict[str, Any]
Families = Mapping[str, str]
MOST_MEASURES = 3
_BARRIERS = ("train_loss", "test_error")


def family_heads(ratios: pd.DataFrame, metrics: Sequence[str]) -> tuple[list[str], list[str]]:
    """The metrics and the measures of curvature that the table has columns for."""
    chosen = [metric for metric in _BARRIERS if metric in metrics] or list(metrics[:1])
    measured = ratios["what"][ratios["mid_over_ends"].notna()]
    return chosen, [str(name) for name in measured.cat.categories if (measured == name).any()][:MOST_MEASURES]


def family_rows(study: Study, ratios: pd.DataFrame, metrics: Sequence[str], main: str, families: Families) -> list[Row]:
    """Per group of paths: median barriers, length over chord, curvature at mid-path over ends, height of the tree."""
    chosen, measures = family_heads(ratios, metrics)
    lengths = path_summary(study.paths, study.group, families=families)
    barriers = barrier_summary(study.barriers, (*study.group, "metric"), families=families)
    curvature = curvature_ratio_summary(ratios, ("what", *study.group), families=families)
    rows = []
    for _, variant in study.variants.iterrows():
        path = variant["path"]
        cells = [_cell(barriers[(barriers["path"] == path) & (barriers["metric"] == metric)]) for metric in chosen]
        cells.append(_cell(lengths[lengths["path"] == path]))
        cells += [_cell(curvature[(curvature["path"] == path) & (curvature["what"] == name)]) for name in measures]
        mine = study.paths[study.paths["path"] == path]
        points = mine["n_points"].astype(float)
        height, note = _tree(study.barriers[study.barriers["path"] == path], main)
        stops = int(variant["stops"])
        tour = [f"{stops} end point{'s' if stops > 1 else ''} on the way"] if stops else []
        free = [f"{whole(points.min(), points.max())} control points"] if variant["kind"] in FREE_POINTS else []
        rows.append(
            {
                "path": path,
                "pairs": len(mine[["endpoint_a", "endpoint_b"]].drop_duplicates()),
                "cells": cells,
                "height": height,
                "note": "; ".join(filter(None, (note, *tour, *free))),
            }
        )
    return rows


def _cell(rows: pd.DataFrame) -> tuple[str, str]:
    if rows.empty or not rows["pairs"].iloc[0]:
        return number(np.nan), ""
    row = rows.iloc[0]
    return parts(row["estimate"], row["low"], row["high"])


def _tree(barriers: pd.DataFrame, metric: str) -> tuple[str, str]:
    """The highest saddle of the group's minimum spanning tree, and what it does not join."""
    rows, _ = without_tours(barriers[barriers["metric"] == metric])
    if rows.empty:
        return number(np.nan), ""
    forest = saddle_forest(rows, metric)
    heights = forest.heights[forest.joined]
    trees = len(forest.names) - len(heights)
    note = f"paths join the end points to {trees} trees only" if trees > 1 else ""
    return number(float(heights.max()) if len(heights) else np.nan), note


def cycle_rows(study: Study, families: Families) -> list[Row]:
    """Per AutoNEB and cycle: steps, rate, pivots, the median saddle with its interval, and how many paths kept it."""
    cycles = study.path_cycles.merge(study.paths[["path_id", "path", "endpoint_a", "endpoint_b", "via"]], on="path_id")
    saddles = pair_summary(cycles, "path_cycles", ("path", "cycle"), "saddle", families=families)
    rows = []
    for _, row in saddles[saddles["pairs"] + saddles["missing"] > 0].iterrows():
        mine, _ = without_tours(cycles[(cycles["path"] == row["path"]) & (cycles["cycle"] == row["cycle"])])
        pivots = mine["pivots"].astype(float)
        rows.append(
            {
                "path": row["path"],
                "cycle": int(row["cycle"]),
                "steps": whole(mine["steps"].min(), mine["steps"].max()),
                "lr": f"{mine['lr'].mean():g}",
                "pivots": whole(pivots.min(), pivots.max()),
                "pairs": int(row["pairs"]),
                "saddle": interval(row["estimate"], row["low"], row["high"]),
                "kept": f"{int(mine['kept'].fillna(False).astype(bool).sum())} of {len(mine)}",
                "note": "; ".join(filter(None, (row["reason"], f"{row['missing']} missing" if row["missing"] else ""))),
            }
        )
    return rows
