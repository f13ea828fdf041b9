"""The progress line: counts by kind, and a time left that says what it does not know."""

from __future__ import annotations

import io

import pytest

from mcdist.execute.progress import ProgressDisplay, duration

KINDS = {"e1": "endpoint", "e2": "endpoint", "p1": "path", "p2": "path"}
COSTS = {"e1": 10.0, "e2": 10.0, "p1": 0.0, "p2": 30.0}


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> ProgressDisplay:
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    totals = {"endpoint": 3, "path": 2}
    return ProgressDisplay(totals, {"endpoint": 1}, KINDS, COSTS, workers=lambda kind: 2, out=io.StringIO())


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (65, "1:05"), (3661, "1:01:01"), (59.7, "1:00")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_was_done_before_counts_as_done(progress: ProgressDisplay) -> None:
    assert progress.describe() == "endpoint 1/3 · path 0/2"


def test_time_left_is_by_kind_and_shared_by_the_workers(
    progress: ProgressDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 10.0)
    progress.note("e1", "done", 100.0)
    assert progress.describe() == "endpoint 2/3 · path 0/2 · 0.1 tasks/s · at least 0:50 left"
    progress.note("p1", "done", 0.1)  # no cost: says nothing of the other path
    assert "at least 0:50 left" in progress.describe()
    progress.note("e2", "failed", 0.0)
    assert progress.describe() == "endpoint 3/3 · path 1/2 · 1 failed · 0.3 tasks/s"
    progress.note("p2", "done", 60.0)
    assert progress.describe() == "endpoint 3/3 · path 2/2 · 1 failed · 0.4 tasks/s"


def test_plain_lines_now_and_then_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    now, out = [0.0], io.StringIO()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = ProgressDisplay({"endpoint": 2}, {}, {"e1": "endpoint", "e2": "endpoint"}, COSTS, lambda kind: 1, out)
    for now[0] in range(25):
        progress.tick()
    assert out.getvalue() == "endpoint 0/2\n" * 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [io.StringIO, Terminal], ids=["plain lines", "a terminal"])
def test_a_note_is_a_line_that_stays_and_is_said_once(out: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    """Many workers have the same to say, pack after pack. What looks like markup is text."""
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    screen = out()
    progress = ProgressDisplay({"endpoint": 2}, {}, {"e1": "endpoint", "e2": "endpoint"}, COSTS, lambda kind: 1, screen)
    for note in (
        "not compiled: [Errno 2] g++",
        "not compiled: [Errno 2] g++",
        "[bold]another",
        "not compiled: [Errno 2] g++",
    ):
        progress.say(note)
        progress.tick()
    progress.close()
    said = screen.getvalue()
    assert said.count("note: not compiled: [Errno 2] g++\n") == 1
    assert said.count("note: [bold]another\n") == 1
    assert said.count("note: ") == 2


def test_notes_are_no_part_of_the_counts(progress: ProgressDisplay) -> None:
    before = progress.describe()
    progress.say("something")
    assert progress.describe() == before
