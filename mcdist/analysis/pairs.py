"""Pairs of end points in a table: what is checked, and how several rows of one pair become one value.

A tour, a path through several end points (column `via`), is no pair: it is kept out of the statistics over pairs,
unless they are grouped by `via`, which then means by the number of end points on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mcdist.errors import RequestError, unknown_name

__all__ = [
    "check_columns",
    "groups",
    "one_per_pair",
    "pair_groups",
    "select",
    "tour_stops",
    "unordered",
    "without_tours",
]


def check_columns(frame: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    """Raises RequestError for the first of `columns` that the frame lacks; `where` names the table."""
    for column in columns:
        if column not in frame.columns:
            raise RequestError(f"{where}: {unknown_name('column', column, map(str, frame.columns))}")


def select(frame: pd.DataFrame, where: str, **equal: object) -> pd.DataFrame:
    """Rows whose columns equal the given values; RequestError for a column or a value that the frame does not
    hold.
    """
    check_columns(frame, list(equal), where)
    for column, value in equal.items():
        rows = frame[frame[column] == value]
        if rows.empty and not frame.empty:
            held = map(str, frame[column].dropna().unique())
            raise RequestError(f"{where}: {unknown_name(column, value, held)}")
        frame = rows
    return frame


def groups(frame: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    """The groups of a frame in sorted order, nulls last, each with its key (None for a null); the whole frame
    where `by` is empty. The key of the column `via` is the number of end points in it, None for a pair, which
    comes first.
    """
    if not by:
        yield (), frame
        return
    keys: list[Any] = [_stops(frame) if column == "via" else column for column in by]
    key: Any
    for key, rows in frame.groupby(keys, dropna=False, sort=True, observed=True):
        parts = zip(by, key, strict=True)
        yield tuple(None if pd.isna(part) or (c == "via" and not part) else part for c, part in parts), rows


def pair_groups(frame: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[object, ...], pd.DataFrame, int]]:
    """As `groups`, but without tours unless `by` has `via`; third, how many rows of tours were left out."""
    for key, rows in groups(frame, by):
        yield (key, rows, 0) if "via" in by else (key, *without_tours(rows))


def without_tours(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows of paths between two end points, and how many others there were."""
    pairs = rows["via"].isna() if "via" in rows.columns else pd.Series(True, index=rows.index)
    return rows[pairs], int((~pairs).sum())


def tour_stops(rows: pd.DataFrame) -> list[tuple[str, ...]]:
    """Of every row the end points on the way, in order: none for a pair."""
    if "via" not in rows.columns:
        return [()] * len(rows)
    return [() if via is None or np.ndim(via) == 0 else tuple(map(str, via)) for via in rows["via"]]


def _stops(frame: pd.DataFrame) -> pd.Series:
    """The number of end points on the way, 0 for a pair; as it is where it is a number already."""
    via = frame["via"] if "via" in frame.columns else pd.Series(None, index=frame.index, dtype=object)
    count = [0.0 if v is None else float(v) if np.ndim(v) == 0 else float(len(v)) for v in via]
    return pd.Series(count, index=frame.index, dtype=float, name="via").fillna(0.0)


def unordered(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with `endpoint_a` <= `endpoint_b`, tours turned with them (a round one to its lesser order).

    Other columns stay as they are: none may depend on direction.
    """
    a, b = rows["endpoint_a"].astype(str), rows["endpoint_b"].astype(str)
    turned = rows.assign(endpoint_a=a.where(a <= b, b), endpoint_b=b.where(a <= b, a))
    if "via" in rows.columns and rows["via"].notna().any():
        via = [
            stops[::-1] if first > last or (first == last and stops[::-1] < stops) else stops
            for stops, first, last in zip(tour_stops(rows), a, b, strict=True)
        ]
        turned["via"] = pd.Series([stops or None for stops in via], index=rows.index, dtype=object)
    return turned


def one_per_pair(rows: pd.DataFrame, value: str) -> tuple[pd.DataFrame, int]:
    """One row per pair (or tour), with the mean of its finite values, and the number of rows whose value is not
    finite.

    Columns `endpoint_a`, `endpoint_b`, `via` if there are tours, and `value`, sorted by pair. Several rows of
    one pair (say, seeds of the path) are averaged, so that a pair counts once however often it was connected.
    """
    values = rows[value].astype(float).to_numpy()
    finite = np.isfinite(values)
    tours = "via" in rows.columns and rows["via"].notna().any()
    keys = ["endpoint_a", "endpoint_b", *(["via"] if tours else [])]
    table = unordered(rows)[keys].assign(value=values)[finite]
    table = table.groupby(keys, dropna=False)[["value"]].mean().reset_index()
    return table, int((~finite).sum())
