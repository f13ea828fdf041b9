"""The tables of a store for other programs: a CSV file of each."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from mcdist.errors import StoreError
from mcdist.store.schemas import TABLES
from mcdist.store.store import Store

__all__ = ["export_csv"]


def export_csv(store: Store, folder: Path) -> dict[str, int]:
    """Write `folder/<table>.csv` for every table that has rows; the number of rows in each.

    One line of column names, then the rows that `Store.table` gives, in that order. What is missing is an empty field
    (an empty string is ""), NaN is nan, a list is JSON, a time is UTC. A file that is there is replaced, as a whole.
    Raises StoreError where the folder cannot be written.
    """
    written = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            rows = store.rows(name)
            if len(rows):
                _write(rows, folder / f"{name}.csv")
                written[name] = len(rows)
    except OSError as error:
        raise StoreError(f"cannot write into {folder}: {error.strerror or error}") from error
    return written


def _write(rows: pa.Table, path: Path) -> None:
    temporary = path.with_suffix(".csv.tmp")
    try:
        csv.write_csv(pa.table([_plain(column) for column in rows.columns], rows.column_names), temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if not pa.types.is_list(column.type):
        return column
    return pa.array([None if value is None else json.dumps(value) for value in column.to_pylist()], pa.string())
