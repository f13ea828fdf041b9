"""What a store measured, set beside published numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from mcdist.analysis.curvature import curvature_ratios
from mcdist.analysis.lengths import with_stretch
from mcdist.analysis.pairs import without_tours
from mcdist.analysis.published import PUBLISHED, QUANTITIES, Published
from mcdist.analysis.resampling import families as families_of
from mcdist.analysis.summaries import pair_summary

__all__ = ["published_table"]

Tables = Mapping[str, pd.DataFrame]

_COLUMNS = [
    *("name", "source", "quantity", "published", "published_low", "published_high", "setting", "kind"),
    *("status", "problem", "data", "model", "same_setting", "estimate", "low", "high", "pairs", "endpoints", "missing"),
    *("reason", "note"),
]
_PROBLEM = ("problem", "dataset", "model")
_NOTHING = {"estimate": np.nan, "low": np.nan, "high": np.nan, "pairs": 0, "endpoints": 0, "missing": 0, "reason": ""}


def published_table(tables: Tables, *, level: float = 0.95, families: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Each published number beside the same quantity of this store's paths, by problem.

    `tables` has the store's `endpoints`, `paths`, `path_points`, `barriers`, `curvature` and `spectra`; those that are
    not there count as empty. Paths that are neither aligned nor repaired, between two end points, count. One row per
    published number, kind of path, and problem of the store's; one row `not measured` where there is none:

    - `name`, `source`, `quantity` (in words), `published` (as published), `published_low`, `published_high`, `setting`
      (data and network it was published for);
    - `kind`, `problem`, `data`, `model`: what was measured; `same_setting`: whether it was published for that. If
      not, the two numbers are of different things and only their kind can be compared;
    - `estimate`, `low`, `high`: the median over pairs and its interval, from resampling end points; `families` are
      found from the table of end points unless given; `pairs`, `endpoints`, `missing`, `reason` as in `pair_summary`;
    - `status`: `measured` or `not measured`; `note`: what a reader must know.
    """
    held = {name: tables.get(name, pd.DataFrame()) for name in _NEEDED}
    if families is None and len(held["endpoints"]):
        families = families_of(held["endpoints"])
    paths = _plain_paths(held["paths"], held["endpoints"])
    found = {quantity: _summary(make(held, paths), level, families) for quantity, make in _MEASURES.items()}
    records = [row for entry in PUBLISHED for row in _rows(entry, found[entry.quantity])]
    return pd.DataFrame(records, columns=_COLUMNS)


def _rows(entry: Published, found: pd.DataFrame) -> list[dict[str, object]]:
    about: dict[str, object] = {
        "name": entry.name,
        "source": entry.source,
        "quantity": QUANTITIES[entry.quantity],
        "note": entry.note,
    }
    about |= {"published": entry.text, "published_low": entry.low, "published_high": entry.high}
    about |= {"setting": entry.setting}
    rows: list[dict[str, object]] = []
    for kind in entry.kinds:
        mine = found[found["kind"] == kind]
        for row in mine.to_dict("records"):
            same = row["dataset"] in entry.data and row["model"] in entry.models
            numbers = {name: row[name] for name in _NOTHING}
            where = {"kind": kind, "problem": row["problem"], "data": row["dataset"], "model": row["model"]}
            where |= {"same_setting": same}
            rows.append(about | where | numbers | {"status": "measured"})
    if rows:
        return rows
    nowhere = {"kind": entry.kinds[0], "problem": None, "data": None, "model": None, "same_setting": False}
    return [about | nowhere | _NOTHING | {"status": "not measured"}]


def _plain_paths(paths: pd.DataFrame, endpoints: pd.DataFrame) -> pd.DataFrame:
    """Pairs' paths without alignment or repair, with the data set and the model of their end points."""
    if paths.empty or endpoints.empty:
        return pd.DataFrame(columns=["path_id", "kind", "endpoint_a", "endpoint_b", *_PROBLEM])
    pairs, _ = without_tours(paths.drop_duplicates("path_id"))
    changed = pairs["aligned"].eq(True)
    if "repair" in pairs.columns:
        changed |= pairs["repair"].eq(True)
    about = endpoints.drop_duplicates("endpoint_id")[["endpoint_id", *_PROBLEM]]
    about = about.dropna()  # a problem without data is in no publication
    return pairs[~changed].merge(about, left_on="endpoint_a", right_on="endpoint_id")


def _summary(values: pd.DataFrame, level: float, families: Mapping[str, str] | None) -> pd.DataFrame:
    """The median over pairs by kind and problem; groups without any value are not measured."""
    by = ("kind", *_PROBLEM)
    values = values.reindex(columns=[*by, "endpoint_a", "endpoint_b", "value"])
    table = pair_summary(values, "paths", by, "value", "median", level=level, families=families, name="published")
    return table[table["pairs"] > 0]


def _train_loss(extreme: str) -> Callable[[Tables, pd.DataFrame], pd.DataFrame]:
    """The greatest or least regularised train loss on each path over that of its worse or better end."""

    def values(tables: Tables, paths: pd.DataFrame) -> pd.DataFrame:
        points = _profiles(tables, paths)
        decay = points["weight_decay"].astype(float).fillna(0.0)
        loss = points["train_loss"].astype(float) + 0.5 * decay * points["l2_norm"].astype(float) ** 2
        # Without weight decay in the path's training the norm does not matter, measured or not.
        points = points.assign(m=loss.where(decay > 0, points["train_loss"].astype(float)))
        over = points.groupby("path_id")["m"].agg(extreme)
        ends = points[points["t"].isin((0.0, 1.0))].groupby("path_id")["m"].agg(extreme)
        return paths.assign(value=paths["path_id"].map(over / ends.where(ends > 0)))

    return values


def _test_error(tables: Tables, paths: pd.DataFrame) -> pd.DataFrame:
    points = _profiles(tables, paths)
    by_path = points.assign(m=points["test_error"].astype(float)).groupby("path_id")["m"]
    worse = points[points["t"].isin((0.0, 1.0))].groupby("path_id")["test_error"].max()
    return paths.assign(value=paths["path_id"].map(by_path.max() - worse.astype(float)))


def _test_error_rise(tables: Tables, paths: pd.DataFrame) -> pd.DataFrame:
    barriers = tables["barriers"]
    if barriers.empty:
        return paths.assign(value=np.nan)
    rise = barriers[barriers["metric"] == "test_error"].groupby("path_id")["barrier_mean"].mean()
    return paths.assign(value=paths["path_id"].map(rise))


def _profiles(tables: Tables, paths: pd.DataFrame) -> pd.DataFrame:
    """The positions of these paths, with the weight decay of the paths' training."""
    points = tables["path_points"]
    names = ["path_id", "t", "train_loss", "test_error", "l2_norm"]
    points = points.reindex(columns=names).astype({"path_id": object})
    return points.merge(paths.reindex(columns=["path_id", "weight_decay"]).astype({"path_id": object}), on="path_id")


def _stretch(tables: Tables, paths: pd.DataFrame) -> pd.DataFrame:
    return with_stretch(paths).assign(value=lambda rows: rows["stretch"]) if len(paths) else paths.assign(value=np.nan)


def _ratio(measure: str) -> Callable[[Tables, pd.DataFrame], pd.DataFrame]:
    def values(tables: Tables, paths: pd.DataFrame) -> pd.DataFrame:
        curvature = tables["curvature"]
        if paths.empty or curvature.empty:
            return paths.assign(value=np.nan)
        mine = curvature[(curvature["measure"] == measure) & curvature["layer"].isna()]
        return _mid_over_ends(mine, paths)

    return values


def _leading_spectrum(tables: Tables, paths: pd.DataFrame) -> pd.DataFrame:
    """Each eigenvalue by its place in the order is a measure; of their ratios the least."""
    spectra = tables["spectra"]
    if paths.empty or spectra.empty:
        return paths.assign(value=np.nan)
    rows = spectra[(spectra["operator"] == "hessian") & spectra["layer"].isna()]
    measures = rows.assign(
        measure=rows["index"].astype(str), value=rows["eigenvalue"], stderr=np.nan, label_mode=None, floor=np.nan
    )
    ratios = _mid_over_ends(measures, paths)
    least = ratios.groupby("path_id")["value"].agg(lambda values: values.min(skipna=False))
    return paths.assign(value=paths["path_id"].map(least))


def _mid_over_ends(curvature: pd.DataFrame, paths: pd.DataFrame) -> pd.DataFrame:
    """One row per path and measurement; several settings of one measure are averaged over later."""
    parts = [
        curvature_ratios(curvature[curvature["path_id"].isin(rows["path_id"])], rows)
        for _, rows in paths.groupby([*_PROBLEM])
    ]
    ratios = pd.concat(parts, ignore_index=True)
    return ratios.assign(value=ratios["mid_over_ends"].astype(float))


_NEEDED = ("endpoints", "paths", "path_points", "barriers", "curvature", "spectra")
_MEASURES: dict[str, Callable[[Tables, pd.DataFrame], pd.DataFrame]] = {
    "max_train_loss": _train_loss("max"),
    "min_train_loss": _train_loss("min"),
    "max_test_error": _test_error,
    "test_error_rise": _test_error_rise,
    "stretch": _stretch,
    "fisher_trace": _ratio("fisher_trace"),
    "lambda_max": _ratio("lambda_max"),
    "leading_spectrum": _leading_spectrum,
}
