"""The suite `resume`, on small stores."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

import mcdist.api
from mcdist.bench import processes
from mcdist.bench.suites import resume
from mcdist.execute import Summary
from mcdist.store import open_store

SEEDS, PAIRS = 32, 32
SWEEPS = [resume.sweep_of_settings(n, SEEDS, PAIRS) for n in (1, 2)]
STORES = range(len(SWEEPS))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[resume.Finished]:
    return resume.grow(tmp_path_factory.mktemp("stores"), SWEEPS)


@pytest.mark.parametrize("n", STORES)
def test_a_store_is_what_a_run_would_leave(stores: list[resume.Finished], n: int) -> None:
    store, settings = open_store(stores[n].path), n + 1
    tasks = store.table("tasks")
    kinds = {"endpoint": SEEDS, "path": 2 * PAIRS, "profile": 2 * PAIRS}
    assert Counter(tasks["kind"]) == {kind: settings * count for kind, count in kinds.items()}
    assert stores[n].tasks == len(tasks)
    assert set(tasks["status"]) == {"done"}
    assert set(tasks["pack_size"]) == {16}
    assert set(store.table("path_points")["path_id"]) == set(store.table("paths")["path_id"])
    assert all(store.has_weights(i) for i in tasks.loc[tasks["kind"] != "profile", "task_id"])
    assert store.clean(older_than_s=0) == ()


def test_the_sizes_measured_are_of_whole_packs() -> None:
    assert (resume.SEEDS % 16, resume.PAIRS % 16) == (0, 0)
    assert resume.SETTINGS[-1] * (resume.SEEDS + 4 * resume.PAIRS) == 102_400


@pytest.mark.parametrize("n", STORES)
def test_nothing_is_left_to_do(stores: list[resume.Finished], n: int) -> None:
    resume.run_again(stores[n])


def test_a_run_that_finds_something_to_do_is_no_measurement(
    stores: list[resume.Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcdist.api, "run_sweep", lambda *_, **__: Summary(Counter(done=19, failed=1)))
    with pytest.raises(RuntimeError, match=r"of 20 tasks there are {'done': 19, 'failed': 1}"):
        resume.run_again(replace(stores[0], tasks=20))


def test_rows_are_of_the_stores_as_they_are_left_and_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_of_settings = resume.sweep_of_settings
    monkeypatch.setattr(resume, "SETTINGS", (1, 2))
    monkeypatch.setattr(resume, "sweep_of_settings", lambda n: sweep_of_settings(n, SEEDS, PAIRS))
    monkeypatch.setattr(resume, "run_python", lambda *_: processes.Finished(3.0, ""))
    left, growing, compacted, growing_compacted = resume.rows(2)
    assert (left.value, compacted.value, left.rounds) == (3.0, 3.0, 2)
    files = [next(n.value for n in row.numbers if n.name == "row files") for row in (left, compacted)]
    assert files[0] > files[1] == 7  # one of each table
    for row in (growing, growing_compacted):
        assert row.what == "320 tasks / 160 tasks"
        assert all(number.value > 0 for number in row.numbers)
