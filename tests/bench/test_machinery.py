"""The suites `overhead` and `dispatch`: what they take for busy and for a gap; and both on few short pauses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pandas as pd
import pytest

from mcdist.bench.suites import machinery
from mcdist.bench.suites.machinery import busy_fraction, commits, gaps, pauses


@pytest.fixture(scope="module")
def _one_ray() -> Iterator[None]:
    """A Ray that the tests of this file share; the suites attach to it, and leave it running."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machinery, "TASKS", 6)
    monkeypatch.setattr(machinery, "SECONDS", 0.01)
    monkeypatch.setattr(machinery, "EMPTY", 8)
    monkeypatch.setattr(machinery, "PACKS", (1, 4))


def table(*tasks: tuple[float, float]) -> pd.DataFrame:
    """Rows of `tasks`: starts and wall times in seconds."""
    starts = [datetime(2030, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=start) for start, _ in tasks]
    return pd.DataFrame({"started_at": pd.to_datetime(starts), "wall_s": [wall for _, wall in tasks]})


# worker A: 0 .. 2, 3 .. 4; worker B: 0.5 .. 1.5, 1.75 .. 3.25
TWO_WORKERS = table((0.0, 2.0), (0.5, 1.0), (3.0, 1.0), (1.75, 1.5))


def test_busy_is_the_part_of_the_workers_time_from_the_first_start_to_the_last_finish() -> None:
    assert busy_fraction(TWO_WORKERS, 2) == pytest.approx(5.5 / 8)
    assert busy_fraction(table((0.0, 1.0), (1.0, 1.0), (0.0, 2.0)), 2) == 1.0


def test_a_gap_is_from_the_finish_of_a_task_to_the_start_of_the_next_on_a_worker() -> None:
    assert gaps(TWO_WORKERS, 2) == pytest.approx([0.25, 1.0])
    assert gaps(TWO_WORKERS.iloc[:2], 2) == []


def test_pauses_are_cut_into_packs_and_no_two_are_the_same() -> None:
    packs = pauses(5, 2, 0.0) + pauses(2, 2, 0.0)
    assert [len(pack.tasks) for pack in packs] == [2, 2, 1, 2]
    assert len({task.id for pack in packs for task in pack.tasks}) == 7


@pytest.mark.parametrize("size", [1, 3])
def test_a_commit_alone_takes_time(size: int) -> None:
    assert commits(2, size) > 0


@pytest.mark.ray
@pytest.mark.usefixtures("_one_ray")
def test_what_is_driven_is_committed() -> None:
    with machinery.machinery() as machine:
        machine.warm_up()
        packs = pauses(6, 1, 0.01) + pauses(6, 4, 0.0)
        assert machine.drive(packs) > 0
        tasks = machine.tasks(packs)
        assert len(tasks) == 12
        assert set(tasks["status"]) == {"done"}


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.usefixtures("_one_ray", "_small")
def test_overhead_is_a_fraction_and_its_gaps() -> None:
    (row,) = machinery.overhead_rows(2)
    assert row.name == "6 tasks of 0.01 s, 2 workers"
    assert row.rounds == 2
    assert 0 < row.low <= row.value <= row.high <= 1
    largest, median = row.numbers
    assert largest.value >= median.value


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.usefixtures("_one_ray", "_small")
def test_dispatch_compares_tasks_with_raw_calls() -> None:
    rows = list(machinery.dispatch_rows(2))
    assert [row.name for row in rows] == [f"empty tasks in packs of {size}, 2 workers" for size in (1, 4)]
    for size, row in zip((1, 4), rows, strict=True):
        numbers = {number.name: number.value for number in row.numbers}
        assert row.what == f"raw call / task in packs of {size}"
        assert row.value == pytest.approx(numbers["tasks"] / numbers["raw calls"])
        assert all(value > 0 for value in numbers.values())


@pytest.mark.ray
@pytest.mark.usefixtures("_one_ray")
@pytest.mark.parametrize("calls", [1, 7])
def test_raw_calls_are_all_made(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from mcdist.execute import raw_calls

    made: list[object] = []
    get = ray.get
    monkeypatch.setattr(raw_calls.ray, "get", lambda found: (made.append(found), get(found))[1])
    with raw_calls.own_ray():
        raw = raw_calls.RawCalls(2)
        made.clear()
        assert raw.bounded(calls, 2) > 0
        assert len(made) == calls
        made.clear()
        assert raw.unbounded(calls) > 0
        assert [len(found) for found in made] == [calls]
        raw.close()
    assert ray.is_initialized()
