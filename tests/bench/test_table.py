"""Rows in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mcdist.bench.machine import describe_machine
from mcdist.bench.results import Results, write_results
from mcdist.bench.row import Row, failed
from mcdist.bench.table import cells, line, markdown

from .examples import ROWS

LINES = (
    "a: plain / stacked: 3x · (3 .. 4 in 3 rounds) · aim >= 2.5x: met · plain 6 s, stacked 2 s, size 16 networks",
    "b: stacked / plain (2 threads): 0.333x · (0.25 .. 0.333 in 3 rounds) · plain 6 s, stacked 2 s",
    "c: peak: 4 GB · (3.5 .. 4.5 in 2 rounds) · aim <= 3 GB: missed",
    "d: skipped: no GPU",
)


@pytest.mark.parametrize(("row", "said"), list(zip(ROWS, LINES, strict=True)))
def test_a_row_is_one_line(row: Row, said: str) -> None:
    assert line(row) == said


def test_a_reason_of_several_lines_is_one_line() -> None:
    assert line(failed("x", "ValueError:\n  first\n  second")) == "x: failed: ValueError: first second"


def test_large_numbers_are_not_rounded() -> None:
    assert cells(Row("tasks", value=1234567.0, unit="tasks"))[2] == "1,234,567 tasks"


def test_markdown_has_a_line_for_each_row_and_says_the_machine() -> None:
    text = markdown(Results(describe_machine(), list(ROWS)))
    lines = text.splitlines()
    assert lines[0].startswith("| suite | row | measured |")
    assert len({line.count("|") for line in lines[: 2 + len(ROWS)]}) == 1
    assert lines[2].startswith("|  | a: plain / stacked | 3x | 3 .. 4 | >= 2.5x | yes |")
    assert lines[-1].startswith("On ")
    assert "torch" in lines[-1]


def test_the_table_of_a_file_can_be_printed(tmp_path: Path) -> None:
    results = Results(describe_machine(), list(ROWS))
    write_results(tmp_path / "F.json", results)
    command = [sys.executable, "-W", "error", "-m", "mcdist.bench.table"]
    done = subprocess.run([*command, tmp_path / "F.json"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, markdown(results), "")
    done = subprocess.run([*command, tmp_path / "none.json"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot read")
