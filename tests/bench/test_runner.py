"""Suites are measured one after the other, and none stops the others."""

from __future__ import annotations

import io

import pytest
import torch

from mcdist.bench.registry import SUITES
from mcdist.bench.row import Row, measured
from mcdist.bench.runner import chosen, run_suites
from mcdist.bench.suite import Skipped, Suite
from mcdist.errors import RequestError

from .examples import ROWS, suite


def test_what_is_skipped_or_fails_is_a_row_and_the_others_go_on() -> None:
    out = io.StringIO()
    suites = {
        "absent": suite(error=Skipped("no GPU")),
        "broken": suite(ROWS[0], error=ValueError("no such thing")),
        "sound": suite(*ROWS[1:3]),
    }
    results = run_suites(suites, out)
    assert [(row.suite, row.name, row.status, row.reason) for row in results.rows] == [
        ("absent", "absent", "skipped", "no GPU"),
        ("broken", "a", "measured", None),
        ("broken", "broken", "failed", "ValueError: no such thing"),
        ("sound", "b", "measured", None),
        ("sound", "c", "measured", None),
    ]
    assert results.exit_code == 1
    assert "Traceback" in out.getvalue()


def test_what_is_skipped_or_misses_its_aim_is_no_failure() -> None:
    results = run_suites({"s": suite(*ROWS, error=Skipped("no more"))}, io.StringIO())
    assert [row.met for row in results.rows] == [True, None, False, None, None]
    assert results.exit_code == 0


def test_each_row_is_shown_as_soon_as_it_is_there() -> None:
    out = io.StringIO()
    shown: list[str] = []

    def rows(repeats: int):
        for row in ROWS[:2]:
            shown.append(out.getvalue())
            yield row
        shown.append(out.getvalue())

    run_suites({"s": Suite("what", 2, rows)}, out)
    assert [text.count("\n") for text in shown] == [1, 2, 3]


@pytest.mark.parametrize(("wanted", "rounds"), [(None, 3), (5, 5)])
def test_the_number_of_rounds_is_the_suites_own_unless_wanted(wanted: int | None, rounds: int) -> None:
    given: list[int] = []

    def rows(repeats: int) -> list[Row]:
        given.append(repeats)
        return []

    run_suites({"s": Suite("what", 3, rows)}, io.StringIO(), wanted)
    assert given == [rounds]


def test_torch_computes_on_one_thread() -> None:
    def rows(repeats: int) -> list[Row]:
        return [measured("threads", "of torch", [torch.get_num_threads()], "threads")]

    assert run_suites({"s": Suite("what", 1, rows)}, io.StringIO()).rows[0].value == 1


def test_suites_are_chosen_by_name() -> None:
    suites = {name: suite() for name in ("plan", "resume", "sweep")}
    assert list(chosen(None, suites)) == ["plan", "resume", "sweep"]
    assert list(chosen(["sweep", "plan", "sweep"], suites)) == ["sweep", "plan"]
    with pytest.raises(RequestError, match="unknown suite 'plam'; did you mean 'plan'"):
        chosen(["plam"], suites)


def test_no_rounds_at_all_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="--repeats must be at least 1; got 0"):
        run_suites({}, io.StringIO(), 0)


def test_every_suite_says_what_it_is_about() -> None:
    for name, entry in SUITES.items():
        assert entry.what, name
        assert entry.repeats >= 1, name
