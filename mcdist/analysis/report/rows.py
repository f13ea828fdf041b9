"""The rows of the report's tables, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.barriers import barrier_summary
from mcdist.analysis.plots.style import metric_name
from mcdist.analysis.ratios import barrier_ratio
from mcdist.analysis.report.endpoints import label_endpoints, trained_on
from mcdist.analysis.report.studies import Study
from mcdist.analysis.report.sweep import SweepTables
from mcdist.analysis.report.text import duration, interval, last_line, number, ratio, spread

__all__ = ["barrier_rows", "endpoint_rows", "failure_rows", "overview", "ratio_row", "ratio_rows", "task_rows"]

Row = dict[str, Any]
STATUSES = ("done", "failed", "blocked")
ENDPOINT_METRICS = ("train_loss", "test_loss", "train_error", "test_error")


def overview(tables: SweepTables) -> list[tuple[str, str]]:
    """Facts about the run, name and text; a fact that the tables do not hold is left out."""
    tasks = tables.tasks
    counts = tasks["status"].value_counts()
    parts = [f"{counts.get(status, 0):,} {status}" for status in STATUSES if counts.get(status, 0)]
    if tables.waiting:
        parts.append(f"{tables.waiting:,} not finished")
    started = tasks["started_at"].dropna()
    facts = [
        ("Tasks", ", ".join(parts) or "none"),
        ("Compute time", duration(float(tasks["wall_s"].astype(float).sum())) if len(tasks) else ""),
        ("Started", f"{started.min():%Y-%m-%d %H:%M} UTC" if len(started) else ""),
        ("Last task started", f"{started.max():%Y-%m-%d %H:%M} UTC" if len(started) else ""),
        *((title, _listed(tasks[column])) for title, column in _PLACES),
        ("Store", tables.uri),
    ]
    return [(name, text) for name, text in facts if text]


_PLACES = (
    ("Hosts", "host"),
    ("Devices", "device"),
    ("mcdist", "mcdist_version"),
    ("torch", "torch_version"),
)


def _listed(values: pd.Series, most: int = 6) -> str:
    names = sorted(map(str, values.dropna().unique()))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def task_rows(tables: SweepTables) -> list[Row]:
    """Counts by kind of task and status, with the compute time of the kind."""
    rows = []
    for kind, tasks in tables.tasks.groupby("kind"):
        counts = tasks["status"].value_counts()
        wall = duration(float(tasks["wall_s"].astype(float).sum()))
        numbers = {status: int(counts.get(status, 0)) for status in STATUSES}
        rows.append({"kind": kind, "wall": wall, **numbers})
    return rows


def endpoint_rows(tables: SweepTables) -> list[Row]:
    """Per problem and way of training: how many end points, and mean and range of their losses and errors."""
    labels = label_endpoints(tables.endpoints)
    return [_endpoint_row(str(label), rows) for label, rows in tables.endpoints.groupby(labels)]


def _endpoint_row(label: str, endpoints: pd.DataFrame) -> Row:
    cells = []
    for metric in ENDPOINT_METRICS:
        values = endpoints[metric].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        extent = spread(values.min(), values.max()) if len(values) > 1 else ""
        missing = len(endpoints) - len(values)
        mean = number(values.mean() if len(values) else np.nan)
        cells.append({"mean": mean, "range": extent, "missing": missing if len(values) else 0})
    first = endpoints.iloc[0]
    about = [str(first[name]) for name in ("dataset", "model") if pd.notna(first[name])]
    about += [f"{int(first['n_params']):,} parameters"] if pd.notna(first["n_params"]) else []
    about += [f"{int(first['epochs'])} epochs"] if pd.notna(first["epochs"]) else []
    about += ["controls: end points trained on, no networks of their own"] if trained_on(endpoints).all() else []
    return {"label": label, "about": ", ".join(about), "count": len(endpoints), "cells": cells}


def barrier_rows(study: Study, value: str, metrics: Sequence[str], families: Mapping[str, str]) -> list[Row]:
    """Mean and median of a value by group of paths and metric, with intervals, and the spread over pairs."""
    by = (*study.group, "metric")
    mean = barrier_summary(study.barriers, by, value, "mean", families=families)
    median = barrier_summary(study.barriers, by, value, "median", families=families)
    both = mean.merge(median[[*by, "estimate", "low", "high"]], on=by, suffixes=("", "_median"))
    order = {name: place for place, name in enumerate([*metrics, *study.barriers["path"].cat.categories])}
    return [
        {
            "metric": metric_name(row["metric"]),
            "path": row["path"],
            "pairs": row["pairs"],
            "endpoints": row["endpoints"],
            "families": row["units"] if row["units"] < row["endpoints"] else None,
            "missing": row["missing"],
            "mean": interval(row["estimate"], row["low"], row["high"]),
            "median": interval(row["estimate_median"], row["low_median"], row["high_median"]),
            "spread": spread(row["q05"], row["q95"]),
            "note": row["reason"],
        }
        for row in both.sort_values(["metric", "path"], key=lambda names: names.map(order)).to_dict("records")
    ]


def ratio_rows(study: Study, value: str, metrics: Sequence[str], families: Mapping[str, str]) -> list[Row]:
    """The linear path's median and mean over each other kind's, on the same pairs and with the same alignment."""
    variants = study.variants[["path", "kind", "aligned", "alignment", "repair", "stops"]]
    lines = variants[(variants["kind"] == "linear") & ~variants["repair"]]
    others = variants[variants["kind"] != "linear"]
    matched = lines.merge(others, on=["aligned", "alignment", "stops"], suffixes=("_line", "_other"))
    rows: list[Row] = []
    for metric in metrics:
        held = set(study.barriers.loc[study.barriers["metric"] == metric, "path"])
        rows.extend(
            ratio_row(study.barriers, metric, value, line, other, stops, families)
            for line, other, stops in matched[["path_line", "path_other", "stops"]].itertuples(index=False)
            if {line, other} <= held
        )
    return rows


def ratio_row(
    barriers: pd.DataFrame,
    metric: str,
    value: str,
    upper: str,
    lower: str,
    stops: int,
    families: Mapping[str, str],
) -> Row:
    """Ratio and difference of the medians, then of the means, of one group of paths over another's."""
    via = {"via": stops} if stops else {}
    found = [
        barrier_ratio(
            barriers,
            {"path": upper, **via},
            {"path": lower, **via},
            metric=metric,
            value=value,
            statistic=statistic,
            families=families,
        ).iloc[0]
        for statistic in ("median", "mean")
    ]
    first = found[0]
    unmatched = f"{first['unmatched']} pairs in one of the two only" if first["unmatched"] else ""
    missing = f"{first['missing']} missing" if first["missing"] else ""
    return {
        "metric": metric_name(metric),
        "paths": f"{upper} / {lower}",
        "pairs": int(first["pairs"]),
        "numbers": [
            {
                "ratio": ratio(row["ratio"], row["ratio_low"], row["ratio_high"]),
                "difference": interval(row["difference"], row["difference_low"], row["difference_high"]),
            }
            for row in found
        ],
        "note": "; ".join(filter(None, (*dict.fromkeys(row["reason"] for row in found), unmatched, missing))),
    }


def failure_rows(tables: SweepTables) -> list[Row]:
    """Tasks that failed, then those blocked by a failed input: id, kind, what happened, the whole error."""
    bad = tables.tasks[tables.tasks["status"] != "done"]
    bad = bad.sort_values(["status", "kind", "task_id"], ascending=[False, True, True])
    return [
        {
            "task": row["task_id"],
            "kind": row["kind"],
            "what": row["error_kind"] if pd.notna(row["error_kind"]) else row["status"],
            "status": row["status"],
            "last": last_line(row["error"]),
            "error": str(row["error"]) if pd.notna(row["error"]) else "",
        }
        for row in bad.to_dict("records")
    ]
