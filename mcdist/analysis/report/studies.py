"""Parting a sweep into studies that are comparable within: one problem, one way of training end points.

Within a study paths are told apart by kind, alignment, repair, stops, and every setting that varies within a kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.pairs import tour_stops
from mcdist.analysis.plots.style import group_label
from mcdist.analysis.report.endpoints import label_endpoints
from mcdist.analysis.report.sweep import MEASURED, SweepTables

__all__ = ["FREE_POINTS", "Study", "studies"]

_PATH_SETTINGS = (
    "control_points",
    "ends",
    "draws",
    "objective",
    "epochs",
    "optimizer",
    "lr",
    "momentum",
    "weight_decay",
    "batch_size",
    "schedule",
    "steps",
)
_VARIANT = ("kind", "aligned", "alignment", "repair")
FREE_POINTS = ("autoneb",)  # kinds whose number of control points is an outcome, no setting


@dataclass(frozen=True)
class Study:
    """Tables of one study. `paths` and `barriers` have the columns `by`; `path` is their group in words.

    Of the other tables it has the rows that belong to its paths or its end points; any of them may be empty.
    """

    label: str
    by: tuple[str, ...]
    endpoints: pd.DataFrame
    paths: pd.DataFrame
    path_points: pd.DataFrame
    barriers: pd.DataFrame
    alignments: pd.DataFrame
    path_cycles: pd.DataFrame
    curvature: pd.DataFrame
    spectra: pd.DataFrame
    spectral_densities: pd.DataFrame
    planes: pd.DataFrame
    plane_marks: pd.DataFrame
    drifts: pd.DataFrame
    relaxations: pd.DataFrame
    relaxation_traces: pd.DataFrame

    @property
    def group(self) -> tuple[str, ...]:
        """The columns that statistics are grouped by: as `by`, in fewer words."""
        return ("path", "via") if "via" in self.by else ("path",)

    @property
    def variants(self) -> pd.DataFrame:
        """One row per group of paths, in order: what it is, and `stops`, end points on the way."""
        rows = self.paths.drop_duplicates("path").sort_values("path")
        stops = pd.Series([len(stops) for stops in tour_stops(rows)], index=rows.index, dtype=int)
        return rows.assign(stops=stops, aligned=rows["aligned"].eq(True), repair=rows["repair"].eq(True))


def studies(tables: SweepTables) -> list[Study]:
    """The studies of a sweep that have paths, or planes or curvature without any, by label.

    What lies between two ways of training is a study of its own.
    """
    labels = dict(zip(tables.endpoints["endpoint_id"], label_endpoints(tables.endpoints), strict=True))
    paths = tables.paths.drop_duplicates("path_id")
    ends = zip(paths["endpoint_a"], paths["endpoint_b"], tour_stops(paths), strict=True)
    of_path = {
        path: _joint_label(labels, (a, b, *stops)) for path, (a, b, stops) in zip(paths["path_id"], ends, strict=True)
    }
    owners = {name: _owners(getattr(tables, name), of_path, labels) for name in MEASURED if name != "plane_marks"}
    planes = dict(zip(tables.planes["plane_id"], owners["planes"], strict=True))
    owners["plane_marks"] = tables.plane_marks["plane_id"].map(planes)
    seen = ("curvature", "spectra", "spectral_densities", "planes")
    names = sorted(set(of_path.values()).union(*(owners[name].dropna() for name in seen)))
    return [_study(name, tables, paths[paths["path_id"].map(of_path) == name], owners, labels) for name in names]


def _study(
    label: str, tables: SweepTables, paths: pd.DataFrame, owners: Mapping[str, pd.Series], labels: Mapping[str, str]
) -> Study:
    mine, by = _tell_apart(paths, tables.path_cycles)
    measured = {name: getattr(tables, name)[owners[name] == label] for name in MEASURED}
    ends = {*mine["endpoint_a"], *mine["endpoint_b"]}.union(*tour_stops(mine))
    ends |= {name for name, own in labels.items() if own == label} if mine.empty else set()
    barriers = tables.barriers.drop(columns=[c for c in by if c in tables.barriers.columns and c != "via"])
    settings = mine[["path_id", "path", *(c for c in by if c != "via")]]
    return Study(
        label=label,
        by=by,
        endpoints=tables.endpoints[tables.endpoints["endpoint_id"].isin(ends)],
        paths=mine,
        path_points=tables.path_points[tables.path_points["path_id"].isin(mine["path_id"])],
        barriers=barriers.merge(settings, on="path_id"),
        **measured,
    )


def _owners(rows: pd.DataFrame, of_path: Mapping[str, str], labels: Mapping[str, str]) -> pd.Series:
    """The study of each row: that of its path, else that of its end points together."""
    columns = [c for c in ("endpoint_id", "endpoint_a", "endpoint_b", "endpoint_c") if c in rows.columns]
    path = rows["path_id"] if "path_id" in rows.columns else pd.Series(None, index=rows.index, dtype=object)
    known: dict[tuple[Any, ...], str] = {}
    found = []
    for name, *ends in zip(path, *(rows[column] for column in columns), strict=True):
        if pd.notna(name):
            found.append(of_path.get(name))
            continue
        key = tuple(end for end in ends if pd.notna(end))
        if key not in known:
            known[key] = _joint_label(labels, key)
        found.append(known[key])
    return pd.Series(found, index=rows.index, dtype=object)


def _joint_label(labels: Mapping[str, str], ends: Iterable[str]) -> str:
    return " to ".join(sorted({labels.get(end, "") for end in ends} - {""})) or "unknown problem"


def _tell_apart(paths: pd.DataFrame, cycles: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The paths with a setting's column blank where it does not vary within the kind, and the columns that
    tell groups apart. Paths with as many stops are compared with each other only.
    """
    steps = cycles.groupby("path_id")["steps"].sum()
    paths = paths.assign(control_points=paths["n_points"], steps=paths["path_id"].map(steps))
    stops = pd.Series([len(stops) for stops in tour_stops(paths)], index=paths.index, dtype=int)
    varying = []
    for column in _PATH_SETTINGS:
        count = paths.groupby(["kind", stops])[column].transform("nunique", dropna=False)
        constant = count <= 1
        if column == "control_points":
            constant |= paths["kind"].isin(FREE_POINTS)
        if not constant.all():
            varying.append(column)
            paths[column] = paths[column].astype(object).where(~constant, None)
    by = (*_VARIANT, *(["via"] if stops.any() else []), *varying)
    # The straight line comes first, as what the others are compared with; the rest by name.
    kinds = sorted(paths["kind"].unique(), key=lambda kind: (kind != "linear", kind))
    paths["kind"] = paths["kind"].astype(pd.CategoricalDtype(kinds, ordered=True))
    paths = paths.assign(stops=stops)
    order = ["stops" if column == "via" else column for column in by]
    paths = paths.sort_values([*order, "path_id"], kind="stable", na_position="first")
    keys = paths[order].replace({"stops": {0: np.nan}}) if "via" in by else paths[order]
    words = [group_label(by, key) for key in keys.itertuples(index=False, name=None)]
    dtype = pd.CategoricalDtype(list(dict.fromkeys(words)), ordered=True)
    named = pd.Series(words, index=paths.index, dtype=object).astype(dtype)
    return paths.drop(columns="stops").assign(path=named), by
