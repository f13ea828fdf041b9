"""Pairs of end points in a table: what is checked, and how several rows of one pair become one value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mcdist.errors import RequestError, unknown_name

__all__ = ["check_columns", "groups", "one_per_pair", "select", "unordered"]


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
    where `by` is empty.
    """
    if not by:
        yield (), frame
        return
    key: Any
    for key, rows in frame.groupby(list(by), dropna=False, sort=True, observed=True):
        yield tuple(None if pd.isna(part) else part for part in key), rows


def unordered(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with `endpoint_a` <= `endpoint_b`. Other columns stay as they are: none may depend on
    direction.
    """
    a, b = rows["endpoint_a"].astype(str), rows["endpoint_b"].astype(str)
    return rows.assign(endpoint_a=a.where(a <= b, b), endpoint_b=b.where(a <= b, a))


def one_per_pair(rows: pd.DataFrame, value: str) -> tuple[pd.DataFrame, int]:
    """One row per pair, with the mean of its finite values, and the number of rows whose value is not finite.

    Columns `endpoint_a`, `endpoint_b`, `value`, sorted by pair. Several rows of one pair (say, seeds of the
    path) are averaged, so that a pair counts once however often it was connected.
    """
    values = rows[value].astype(float).to_numpy()
    finite = np.isfinite(values)
    table = unordered(rows)[["endpoint_a", "endpoint_b"]].assign(value=values)[finite]
    table = table.groupby(["endpoint_a", "endpoint_b"])[["value"]].mean().reset_index()
    return table, int((~finite).sum())
