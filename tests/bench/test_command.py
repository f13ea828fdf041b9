"""`mcdist bench`: what it prints and writes, its exit codes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mcdist import cli
from mcdist.bench import runner
from mcdist.bench.results import read_results
from mcdist.bench.suite import Suite

from .examples import ROWS, suite


def bench(monkeypatch: pytest.MonkeyPatch, suites: dict[str, Suite], *words: object) -> int:
    monkeypatch.setattr(runner.chosen, "__defaults__", (suites,))
    monkeypatch.setattr(sys, "argv", ["mcdist", "bench", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


SOUND = {"one": suite(*ROWS), "two": suite(ROWS[0])}


def test_lines_while_measuring_then_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench(monkeypatch, SOUND, "--suite", "one", "--out", tmp_path / "F.json", "--repeats", 4) == 0
    out, err = capsys.readouterr()
    assert "one: what it is about; 4 round(s)" in err
    assert "two: " not in err
    assert "plain / stacked" in err
    assert "missed" in err
    assert out.splitlines()[0].split()[0] == "suite"
    assert "skipped" in out
    assert [row.name for row in read_results(tmp_path / "F.json").rows] == [row.name for row in ROWS]


def test_a_suite_that_fails_is_exit_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    suites = SOUND | {"one": suite(error=RuntimeError("broken"))}
    assert bench(monkeypatch, suites, "--out", tmp_path / "F.json") == 1
    assert [row.status for row in read_results(tmp_path / "F.json").rows] == ["failed", "measured"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--suite", "ome"], "unknown suite 'ome'; did you mean 'one'? allowed: one, two"),
        (["--out", "no/such/folder/F.json"], "there is no folder"),
        (["--repeats", "0"], "--repeats must be at least 1"),
    ],
)
def test_a_wrong_request_is_exit_2_and_nothing_is_measured_or_written(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench(monkeypatch, SOUND, *words) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {message}") or message in err
    assert "round(s)" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []
