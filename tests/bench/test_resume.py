"""The suite `resume`, on small stores."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import mcdist.api
from mcdist.bench.processes import Finished
from mcdist.bench.suites import resume
from mcdist.bench.suites.plan import sweep_of
from mcdist.execute import Summary
from mcdist.store import open_store

SEEDS, SIZES = 8, (8 + 4 * 3, 8 + 4 * 10)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return resume.grow(tmp_path_factory.mktemp("stores"), SIZES, SEEDS)


@pytest.mark.parametrize("size", SIZES)
def test_a_store_is_what_a_run_would_leave(stores: dict[int, Path], size: int) -> None:
    pairs = (size - SEEDS) // 4
    store = open_store(stores[size])
    tasks = store.table("tasks")
    assert Counter(tasks["kind"]) == {"endpoint": SEEDS, "path": 2 * pairs, "profile": 2 * pairs}
    assert set(tasks["status"]) == {"done"}
    assert set(store.table("path_points")["path_id"]) == set(store.table("paths")["path_id"])
    assert all(store.has_weights(i) for i in tasks.loc[tasks["kind"] != "profile", "task_id"])
    assert store.clean(older_than_s=0) == ()


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_left_to_do(stores: dict[int, Path], size: int, compacted: bool) -> None:
    if compacted:
        assert open_store(stores[size]).compact().files_after <= 6
    resume.run_again(size, stores[size], SEEDS)


def test_a_run_that_finds_something_to_do_is_no_measurement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mcdist.api, "run_sweep", lambda *_, **__: Summary(Counter(done=19, failed=1)))
    with pytest.raises(RuntimeError, match=r"of 20 tasks there are {'done': 19, 'failed': 1}"):
        resume.run_again(SIZES[0], tmp_path, SEEDS)


def test_rows_are_of_the_store_as_it_is_left_and_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "SIZES", SIZES)
    monkeypatch.setattr(resume, "sweep_of", lambda size, seeds=SEEDS: sweep_of(size, seeds))
    monkeypatch.setattr(resume, "run_python", lambda *_: Finished(3.0, ""))
    left, growing, compacted, growing_compacted = resume.rows(2)
    assert (left.value, compacted.value, left.rounds) == (3.0, 3.0, 2)
    files = [next(n.value for n in row.numbers if n.name == "row files") for row in (left, compacted)]
    assert files[0] > files[1] == 7  # one of each table
    for row in (growing, growing_compacted):
        assert row.what == "48 tasks / 20 tasks"
        assert all(number.value > 0 for number in row.numbers)
