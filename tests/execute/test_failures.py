"""Tasks that raise: recorded with their traceback, alone; tried again by the next run."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist
from mcdist.errors import StoreError
from mcdist.execute import Summary
from mcdist.execute import worker as worker_module
from mcdist.execute.executor import ExecutorError
from mcdist.store import PackResult, Store
from mcdist.tasks import endpoint, path
from mcdist.tasks.work import Bench, Item, Outcome


def run(uri: Path) -> Summary:
    return mcdist.run(small_sweep(), store=str(uri), executor="serial", out=io.StringIO())


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 2 raises, in whatever pack it is."""

    def poisoned(items: Sequence[Item], bench: Bench) -> list[Outcome]:
        if any(item.spec.seed == 2 for item in items):  # type: ignore[attr-defined]
            raise ZeroDivisionError("poison")
        return endpoint.KIND(items, bench)

    monkeypatch.setitem(worker_module.KINDS, "endpoint", poisoned)


@pytest.mark.usefixtures("poison")
def test_only_the_task_to_blame_fails_and_its_traceback_is_kept(tmp_path: Path) -> None:
    summary = run(tmp_path)
    tasks = mcdist.open_store(tmp_path).table("tasks").set_index("task_id")
    assert summary.exit_code == 1
    assert summary.counts == {"done": 3 + 6 + 6, "failed": 1, "blocked": 6 + 6}
    (failed,) = tasks.index[tasks["status"] == "failed"]
    assert "ZeroDivisionError: poison" in tasks.loc[failed, "error"]
    assert "Traceback" in tasks.loc[failed, "error"]
    assert tasks.loc[failed, "error_kind"] == "raised"
    blocked = tasks[tasks["status"] == "blocked"]
    direct = blocked[blocked["kind"] == "path"]
    assert direct["error"].str.contains(failed).all()


def test_the_next_run_tries_again_and_ends_like_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The packs differ from the undisturbed run's (the poisoned one was done task by task), so rounding may."""
    request.getfixturevalue("poison")
    assert run(tmp_path / "a").exit_code == 1
    monkeypatch.undo()
    assert run(tmp_path / "a").exit_code == 0
    assert run(tmp_path / "b").exit_code == 0
    frames = [
        {name: frame.drop(columns=["pack_id", "pack_size"], errors="ignore") for name, frame in tables(uri).items()}
        for uri in (tmp_path / "a", tmp_path / "b")
    ]
    assert_same_tables(*frames, rtol=1e-4, atol=1e-4)


class Killed(BaseException):
    """Ends a run at once: nothing handles it."""


@pytest.mark.parametrize(
    "after", [1, pytest.param(3, marks=pytest.mark.long), 4, pytest.param(7, marks=pytest.mark.long), 8]
)
def test_a_sweep_whose_packs_are_halved_killed_and_resumed_ends_like_an_undisturbed_one(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two packs of six paths come to eight: 2 + 1 + 2 + 1 each. Killed while it does the n-th of them."""
    sweep, fitted, too_large = small_sweep(resources={"pack": 6}), [0], [0]

    def scarce(items: Sequence[Item], bench: Bench) -> list[Outcome]:
        if len(items) > 2:
            too_large[0] += 1
            raise MemoryError
        fitted[0] += 1
        if fitted[0] == after:
            raise Killed
        return path.KIND(items, bench)

    def do(uri: Path) -> Summary:
        return mcdist.run(sweep, store=str(uri), executor="serial", out=io.StringIO())

    monkeypatch.setitem(worker_module.KINDS, "path", scarce)
    with pytest.raises(Killed):
        do(tmp_path / "a")
    assert do(tmp_path / "a").exit_code == 0
    halved = too_large[0]
    assert do(tmp_path / "b").exit_code == 0
    assert_same_tables(tables(tmp_path / "a"), tables(tmp_path / "b"))
    assert halved == too_large[0] - halved, "what was halved before the kill was tried whole again"


@pytest.mark.usefixtures("poison")
def test_what_a_failure_blocks_is_written_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver waits for the store for hundreds of them on a large sweep. Two packs of lines, two of curves."""
    commit, at_it, seen = Store.commit, list[str](), list[int]()

    def watched(store: Store, pack: PackResult) -> None:
        blocked = pack.tasks[0]["status"] == "blocked"
        if blocked:
            at_it.append(pack.pack_id)
            time.sleep(0.2)
            seen.append(len(at_it))
        commit(store, pack)
        if blocked:
            at_it.remove(pack.pack_id)

    monkeypatch.setattr(Store, "commit", watched)
    assert run(tmp_path).counts["blocked"] == 12
    assert len(seen) >= 4
    assert max(seen) > 1


@pytest.mark.usefixtures("poison")
def test_a_store_that_fails_the_driver_is_no_wrong_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, not 2: something has been written. The same command goes on."""
    commit = Store.commit

    def refused(store: Store, pack: PackResult) -> None:
        if pack.tasks[0]["status"] == "blocked":
            raise StoreError(f"cannot write {tmp_path}: it is away")
        commit(store, pack)

    monkeypatch.setattr(Store, "commit", refused)
    with pytest.raises(ExecutorError, match=r"the sweep cannot go on: cannot write .*: it is away"):
        run(tmp_path)
    monkeypatch.setattr(Store, "commit", commit)
    assert run(tmp_path).counts == {"done": 3 + 6 + 6, "failed": 1, "blocked": 6 + 6}
