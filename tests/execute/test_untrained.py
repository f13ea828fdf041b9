"""Networks that are not trained, and all that can be asked of them."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from support.sweeps import small_sweep

import mcdist
from mcdist import cli
from mcdist.analysis import write_report

CURVE = {"kind": "bezier", "train": {"epochs": 1, "lr": 0.05, "batch_size": 32}}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uri = tmp_path_factory.mktemp("untrained") / "store"
    sweep = small_sweep(
        endpoints={"seeds": 2, "train": "none"},
        paths=[{"kind": "linear"}, {"kind": "linear", "align": "weights"}, CURVE],
        measure={"profile": {"points": 5}, "curvature": {"measures": ["lambda_max"], "points": 3, "samples": 50}},
    )
    summary = mcdist.run(sweep, store=str(uri), executor="serial", out=io.StringIO())
    assert summary.exit_code == 0
    return uri


def test_tables(uri: Path) -> None:
    table = mcdist.open_store(str(uri)).table
    ends, history = table("endpoints"), table("history")
    assert ends["epochs"].tolist() == [0, 0]
    assert ends[["optimizer", "lr", "momentum", "weight_decay", "batch_size", "schedule"]].isna().all(axis=None)
    assert (ends["train_error"] > 0.5).all()  # of ten classes
    assert history["endpoint_id"].isna().all()
    assert len(history) == 1  # the curve's epoch
    losses = table("barriers").query("metric == 'train_loss'")
    at_ends = pd.concat([losses["value_a"], losses["value_b"]]).unique()
    assert sorted(at_ends) == pytest.approx(sorted(ends["train_loss"]), abs=1e-6)


def test_commands(uri: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["mcdist", "status", str(uri)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert (stop.value.code or 0, err) == (0, "")
    assert [line.split() for line in out.splitlines() if line.startswith("endpoint")] == [
        ["endpoint", "2", "2", "0", "0"]
    ]


def test_a_report(uri: Path, tmp_path: Path) -> None:
    write_report(mcdist.open_store(str(uri)), tmp_path / "report.html")
    assert "digits/mlp" in (tmp_path / "report.html").read_text()
