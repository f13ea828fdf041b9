"""Parting a sweep into studies that are comparable within: one problem, one way of training end points.

Within a study paths are told apart by kind, alignment, and every setting that varies within a kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mcdist.analysis.plots.style import group_label
from mcdist.analysis.report.sweep import SweepTables

__all__ = ["Study", "label_endpoints", "studies"]

_TRAINING = ("epochs", "optimizer", "lr", "momentum", "weight_decay", "batch_size", "schedule")
_ENDPOINT_SETTINGS = ("dataset", "model", *_TRAINING, "spawn_epoch")
_PATH_SETTINGS = ("control_points", "ends", *_TRAINING)
_FREE_POINTS = ("autoneb",)  # kinds whose number of control points is an outcome, no setting


@dataclass(frozen=True)
class Study:
    """Tables of one study. `paths` and `barriers` have the columns `by`; `path` is their group in words."""

    label: str
    by: tuple[str, ...]
    endpoints: pd.DataFrame
    paths: pd.DataFrame
    path_points: pd.DataFrame
    barriers: pd.DataFrame


def label_endpoints(endpoints: pd.DataFrame) -> pd.Series:
    """The study of each end point in words: its problem, and the settings that differ within the problem."""
    labels = pd.Series("", index=endpoints.index, dtype=object)
    for _, rows in endpoints.groupby("problem", dropna=False):
        by = ["problem", *(c for c in _ENDPOINT_SETTINGS if rows[c].nunique(dropna=False) > 1)]
        words = [group_label(by, key) for key in rows[by].itertuples(index=False, name=None)]
        labels.loc[rows.index] = pd.Series(words, index=rows.index, dtype=object)
    return labels


def studies(tables: SweepTables) -> list[Study]:
    """The studies of a sweep that have paths, by label. A path between two ways of training is a study of
    its own.
    """
    labels = dict(zip(tables.endpoints["endpoint_id"], label_endpoints(tables.endpoints), strict=True))
    paths = tables.paths.drop_duplicates("path_id")
    names = [
        _pair_label(labels.get(a, ""), labels.get(b, ""))
        for a, b in zip(paths["endpoint_a"], paths["endpoint_b"], strict=True)
    ]
    found = []
    for label, rows in paths.groupby(pd.Series(names, index=paths.index, dtype=object)):
        mine, by = _tell_apart(rows)
        ends = pd.concat([mine["endpoint_a"], mine["endpoint_b"]]).unique()
        settings = mine[["path_id", "path", *by]]
        barriers = tables.barriers.drop(columns=[c for c in by if c in tables.barriers.columns])
        found.append(
            Study(
                label=str(label),
                by=by,
                endpoints=tables.endpoints[tables.endpoints["endpoint_id"].isin(ends)],
                paths=mine,
                path_points=tables.path_points[tables.path_points["path_id"].isin(mine["path_id"])],
                barriers=barriers.merge(settings, on="path_id"),
            )
        )
    return found


def _pair_label(a: str, b: str) -> str:
    return (a if a == b else " to ".join(sorted((a, b)))) or "unknown problem"


def _tell_apart(paths: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The paths with a setting's column blank where it does not vary within the kind, and the columns that
    tell groups apart.
    """
    paths = paths.rename(columns={"n_points": "control_points"})
    varying = []
    for column in _PATH_SETTINGS:
        count = paths.groupby("kind")[column].transform("nunique", dropna=False)
        constant = count <= 1
        if column == "control_points":
            constant |= paths["kind"].isin(_FREE_POINTS)
        if not constant.all():
            varying.append(column)
            paths[column] = paths[column].astype(object).where(~constant, None)
    by = ("kind", "aligned", *varying)
    # The straight line comes first, as what the others are compared with; the rest by name.
    kinds = sorted(paths["kind"].unique(), key=lambda kind: (kind != "linear", kind))
    paths["kind"] = paths["kind"].astype(pd.CategoricalDtype(kinds, ordered=True))
    paths = paths.sort_values([*by, "path_id"], kind="stable")
    words = [group_label(by, key) for key in paths[list(by)].itertuples(index=False, name=None)]
    order = pd.CategoricalDtype(list(dict.fromkeys(words)), ordered=True)
    return paths.assign(path=pd.Series(words, index=paths.index, dtype=object).astype(order)), by
