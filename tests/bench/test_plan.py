"""The suite `plan`, on a small sweep."""

from __future__ import annotations

import json

import pytest

from mcdist.bench.processes import Finished
from mcdist.bench.suites import plan
from mcdist.plan import make_plan
from mcdist.spec import load_spec


def test_a_sweep_has_as_many_tasks_as_wanted() -> None:
    counts = make_plan(load_spec(plan.sweep_of(8 + 4 * 25, seeds=8))).counts()
    assert counts == {"endpoint": 8, "path": 50, "profile": 50}
    with pytest.raises(ValueError, match="101 tasks are not"):
        plan.sweep_of(101, seeds=8)


def test_planning_takes_time_and_memory() -> None:
    took = plan.plan_once(4_000)
    assert took["work"] == pytest.approx(sum(took[phase] for phase in plan.PHASES))
    assert took["peak"] > took["grown"] >= 0
    assert min(took[phase] for phase in plan.PHASES) >= 0


def test_rows_are_of_time_and_memory_and_of_their_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that needs 2 µs and 500 bytes for each task, 0.1 s and 1 GB before the first."""

    def machine(*words: object) -> Finished:
        size = int(str(words[-1]))
        took = dict.fromkeys(("prepare", *plan.PHASES), 0.1)
        took |= {"work": size * 2e-6, "peak": 1e9 + 500 * size, "grown": 500 * size}
        return Finished(0.1 + size * 2e-6, json.dumps(took))

    monkeypatch.setattr(plan, "run_python", machine)
    time, memory, slower, larger = plan.rows(2)
    assert (time.value, time.unit, time.rounds) == (pytest.approx(2.1), "s", 2)
    assert (memory.value, memory.unit) == (pytest.approx(1.5), "GB")
    assert (slower.value, larger.value) == (pytest.approx(1.0), pytest.approx(1.0))
    assert [number.value for number in slower.numbers] == pytest.approx([2.0] * 3)
    assert [number.value for number in larger.numbers] == pytest.approx([500.0] * 3)
    assert all(row.met for row in (time, memory, slower, larger))
