"""The tasks of a store that others write into, looked at again and again: each file is read once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mcdist.store.files import Entry
from mcdist.store.layout import check_columns
from mcdist.store.location import locate
from mcdist.store.store import Store
from mcdist.store.view import FILE, row_files, scan, settled, standing

__all__ = ["TaskFollower"]


class TaskFollower:
    """What `Store.table("tasks", columns)` gives, but for the order of rows, at the price of what is new since the last
    look: a listing, and the files that were committed or replaced meanwhile.
    """

    def __init__(self, store: Store, columns: Sequence[str]) -> None:
        check_columns("tasks", columns)
        self._files, self._columns = locate(store.uri), list(columns)
        self._numbers: dict[Entry, int] = {}  # of the files that were read; FILE in `_rows` is that number
        self._read = 0
        self._rows: pa.Table = scan(self._files, "tasks", [], self._wanted())

    def _wanted(self) -> list[str]:
        return list(dict.fromkeys(["status", *self._columns]))

    def look(self) -> pd.DataFrame:
        """The rows that stand now."""
        rows = settled(self._look)
        frame: pd.DataFrame = rows.filter(pa.array(standing(rows, "tasks", rows))).select(self._columns).to_pandas()
        return frame

    def _look(self) -> pa.Table:
        """All rows of the files there are, in the order of precedence of the files."""
        entries = row_files(self._files, "tasks")
        new = [entry for entry in entries if entry not in self._numbers]
        if new:
            rows = scan(self._files, "tasks", new, self._wanted())
            numbers = pa.array(rows[FILE].to_numpy() + self._read, pa.int64())
            self._rows = pa.concat_tables([self._rows, rows.drop_columns([FILE]).append_column(FILE, numbers)])
            self._numbers |= {entry: self._read + i for i, entry in enumerate(new)}
            self._read += len(new)
        rank = np.full(self._read, -1)
        rank[[self._numbers[entry] for entry in entries]] = np.arange(len(entries))
        of_row = rank[self._rows[FILE].to_numpy()]
        there = np.flatnonzero(of_row >= 0)
        self._rows = self._rows.take(pa.array(there[np.argsort(of_row[there], kind="stable")])).combine_chunks()
        self._numbers = {entry: self._numbers[entry] for entry in entries}
        return self._rows
