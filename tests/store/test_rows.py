"""Rows to Parquet and back."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdist.errors import StoreError
from mcdist.store.rows import from_parquet, to_arrow, to_parquet
from mcdist.store.schemas import TABLES

NUMBERS = pa.list_(pa.field("element", pa.float64()))
VALUES = {
    pa.string(): st.text(st.characters(exclude_categories=["Cs"])),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats() | st.integers(-100, 100).map(np.float32),
    pa.bool_(): st.booleans(),
    pa.list_(pa.field("element", pa.string())): st.lists(st.text("abc")),
    NUMBERS: st.lists(st.floats(allow_nan=False), max_size=3),
    pa.list_(pa.field("element", NUMBERS)): st.lists(st.lists(st.floats(allow_nan=False), max_size=2), max_size=3),
    pa.timestamp("us", tz="UTC"): st.datetimes(
        datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc)
    ),
}


def row_of(schema: pa.Schema) -> st.SearchStrategy[dict[str, object]]:
    optional = {f.name: st.none() | VALUES[f.type] for f in schema if f.name != "task_id"}
    return st.fixed_dictionaries({"task_id": st.text("0123456789abcdef", min_size=1)}, optional=optional)


@settings(max_examples=60)
@given(data=st.data(), table=st.sampled_from(sorted(TABLES)))
def test_rows_survive_and_missing_columns_are_null(data: st.DataObject, table: str) -> None:
    schema = TABLES[table].schema
    rows = data.draw(st.lists(row_of(schema), max_size=4))
    back = from_parquet(to_parquet(to_arrow(table, rows)), "here")
    assert back.schema.equals(schema, check_metadata=True)
    for got, row in zip(back.to_pylist(), rows, strict=True):
        for name, is_value in got.items():
            want = row.get(name)
            same = (
                want is None
                if is_value is None
                else np.all(is_value == want) or (want != want and is_value != is_value)
            )
            assert same, (name, is_value, want)


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = [{"task_id": "a", "epoch": 1, "lr": 0.1}]
    assert to_parquet(to_arrow("history", rows)) == to_parquet(to_arrow("history", rows))


def test_nan_is_no_null() -> None:
    column = to_arrow("history", [{"task_id": "a", "lr": float("nan")}, {"task_id": "b", "lr": None}])["lr"]
    assert [value is None for value in column.to_pylist()] == [False, True]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"task_id": "a", "trainloss": 1.0}, "table 'endpoints'.*'trainloss'; did you mean 'train_loss'"),
        ({"task_id": "a", "train_loss": "low"}, "table 'endpoints', column 'train_loss' .double"),
        ({"task_id": "a", "train_loss": torch.tensor(1.0)}, "column 'train_loss'"),
        ({"task_id": "a", "epochs": 1.5}, "column 'epochs' .int64"),
        ({"task_id": "a", "epochs": True}, "column 'epochs'"),
        ({"task_id": "a", "seed": 2**63}, "column 'seed'"),
        ({"task_id": "a", "model": 3}, "column 'model' .string"),
        ({"train_loss": 1.0}, "table 'endpoints': a row without 'task_id'"),
        ({"task_id": None}, "table 'endpoints': a row without 'task_id'"),
        ({"task_id": 7}, "table 'endpoints': a row without 'task_id': got 7"),
    ],
)
def test_rows_that_are_not_the_tables_are_named(row: dict[str, object], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        to_arrow("endpoints", [{"task_id": "fine"}, row])


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(StoreError, match="unknown table 'barrier'; did you mean 'barriers'"):
        to_arrow("barrier", [])


def test_bytes_that_are_no_parquet_file_are_named() -> None:
    with pytest.raises(StoreError, match=r"here/x.parquet is not a readable Parquet file"):
        from_parquet(b"PAR1 torn", "here/x.parquet")
