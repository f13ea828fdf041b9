"""CSV files of a store: every row, every column, nothing rounded, nothing missing mistaken for a number."""

from __future__ import annotations

import csv
import json
import math
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import pytest
from support.command_line import Command

from mcdist.errors import StoreError
from mcdist.store import TABLES, PackResult, Store
from mcdist.store.export import export_csv

from .examples import pack

ODD = 'a "quoted", é\nline'


@pytest.fixture
def filled(store: Store) -> Store:
    when = datetime(2026, 11, 25, 12, 30, 15, 250, tzinfo=timezone.utc)
    task = {"task_id": "task1", "status": "done", "started_at": when, "inputs": ["x", "y"], "error": ODD}
    rows = [
        {"task_id": "task1", "seed": 2**53 + 1, "train_loss": 0.1 + 0.2, "test_loss": math.nan, "model": ""},
        {"task_id": "task1", "seed": None, "train_loss": -math.inf, "test_loss": None, "dataset": ODD},
    ]
    store.commit(PackResult("p", [task], {"endpoints": rows}))
    store.commit(pack("q", "task2"))
    return store


def lines(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_table_with_rows_has_a_file_with_all_of_them(filled: Store, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "csv"
    assert export_csv(filled, out) == {"tasks": 2, "endpoints": 3, "history": 3}
    assert sorted(path.name for path in out.iterdir()) == ["endpoints.csv", "history.csv", "tasks.csv"]
    for name in ("tasks", "endpoints", "history"):
        got = lines(out / f"{name}.csv")
        assert list(got[0]) == TABLES[name].schema.names
        assert [row["task_id"] for row in got] == list(filled.table(name)["task_id"])


def test_values_are_what_they_were(filled: Store, tmp_path: Path) -> None:
    export_csv(filled, tmp_path)
    first, second, _ = lines(tmp_path / "endpoints.csv")
    assert (int(first["seed"]), float(first["train_loss"]), first["test_loss"]) == (2**53 + 1, 0.1 + 0.2, "nan")
    assert (second["seed"], float(second["train_loss"]), second["test_loss"]) == ("", -math.inf, "")
    assert second["dataset"] == ODD
    task, _ = lines(tmp_path / "tasks.csv")
    assert json.loads(task["inputs"]) == ["x", "y"]
    assert task["error"] == ODD
    assert datetime.fromisoformat(task["started_at"].replace("Z", "+00:00")).microsecond == 250


def test_pandas_reads_numbers_back_to_the_last_bit(filled: Store, tmp_path: Path) -> None:
    export_csv(filled, tmp_path)
    got = pd.read_csv(tmp_path / "history.csv")
    expected = filled.table("history")
    for column in ("epoch", "lr"):
        pd.testing.assert_series_equal(got[column], expected[column], check_exact=True, check_dtype=False)


def test_files_are_replaced_and_none_is_left_half_written(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_csv(filled, tmp_path)
    before = (tmp_path / "history.csv").read_bytes()
    filled.commit(pack("r", "task3"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StoreError, match=rf"cannot write into {tmp_path}: No space left on device"):
        export_csv(filled, tmp_path)
    assert (tmp_path / "history.csv").read_bytes() == before
    monkeypatch.undo()
    export_csv(filled, tmp_path)
    assert len(lines(tmp_path / "history.csv")) == 6
    assert not list(tmp_path.glob("*.tmp"))


def test_the_command(filled: Store, tmp_path: Path, mcdist: Command) -> None:
    code, out, _ = mcdist("export", "csv", filled.uri, "--out", tmp_path / "csv")
    assert code == 0
    assert f"8 rows of 3 tables: {tmp_path / 'csv'}" in out
    (tmp_path / "file").touch()
    code, _, err = mcdist("export", "csv", filled.uri, "--out", tmp_path / "file")
    assert code == 2
    assert f"cannot write into {tmp_path / 'file'}" in err
    assert mcdist("export", "csv", tmp_path / "none", "--out", tmp_path / "csv")[0] == 2
