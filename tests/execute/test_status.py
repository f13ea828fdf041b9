"""How a store stands, at a known moment: counts, speed, who works, silence, and the time that is left."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_line import Command
from support.sweeps import small_sweep

from mcdist.execute.status import StatusReader, StoreStatus
from mcdist.plan import Plan, make_plan
from mcdist.spec import load_spec
from mcdist.spec.load import dump_spec
from mcdist.store import PackResult, Store, open_store

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=timezone.utc)


@pytest.fixture
def plan() -> Plan:
    return make_plan(load_spec(small_sweep()))  # 4 end points, 12 paths, 12 profiles


@pytest.fixture
def store(tmp_path: Path, plan: Plan) -> Store:
    made = open_store(tmp_path / "store", create=True)
    made.write_sweep("small", dump_spec(plan.spec), list(plan.tasks))
    return made


def look(store: Store) -> StoreStatus:
    return StatusReader(store, NOW.timestamp).look()


def commit(store: Store, ids: list[str], kind: str, began: timedelta, wall_s: float, **more: Any) -> None:
    """A pack that began so long ago and took `wall_s` for each of its tasks."""
    about = {"kind": kind, "status": "done", "host": "node1", "device": "cuda: H100", "pack_size": len(ids)}
    rows = [about | {"task_id": i, "wall_s": wall_s, "started_at": NOW - began} | more for i in ids]
    store.commit(PackResult(f"pack-{ids[0]}", rows))


def of_kind(plan: Plan, kind: str) -> list[str]:
    return [task.id for task in plan.tasks.values() if task.kind == kind]


def test_a_store_of_which_nothing_is_done_yet(store: Store) -> None:
    seen = look(store)
    assert (seen.tasks, seen.rows(), seen.silent_s, seen.unfinished) == (0, [], None, True)
    assert seen.lines() == ["sweep small: 28 tasks: 28 to do"]


def test_counts_speed_places_and_time_left_of_a_sweep_under_way(store: Store, plan: Plan) -> None:
    ends, paths = of_kind(plan, "endpoint"), of_kind(plan, "path")
    commit(store, ends[:2], "endpoint", timedelta(seconds=3600), 100.0)
    commit(store, ends[2:], "endpoint", timedelta(seconds=220), 100.0, host="node2")  # ended 20 s ago
    commit(store, paths[:6], "path", timedelta(seconds=100), 10.0)  # ended 40 s ago
    seen = look(store)
    assert seen.kinds == {"endpoint": Counter(done=4), "path": Counter(done=6)}
    # the last 300 s: 2 end points and 6 paths, 200 + 60 s of work
    assert (seen.lately, seen.lately_s, seen.busy) == (8, 300.0, pytest.approx(260 / 300))
    assert seen.places == {("node1", "cuda: H100"): 6, ("node2", "cuda: H100"): 2}
    assert seen.silent_s == pytest.approx(20.0)
    (sweep,) = seen.sweeps
    assert sweep.states == {"done": 10, "to do": 18}
    # 6 paths of 10 s, by as many workers as were busy; nothing is known of profiles
    assert (sweep.left_s, sweep.least) == (pytest.approx(60 / (260 / 300)), True)
    assert seen.lines() == [
        "in the last 5:00: 8 tasks, 0.0267 tasks/s, about 0.867 worker(s) busy",
        "  node1, cuda: H100: 6 tasks",
        "  node2, cuda: H100: 2 tasks",
        "last commit 0:20 ago",
        "sweep small: 28 tasks: 10 done, 18 to do; at least 1:09 left",
    ]
    commit(store, of_kind(plan, "profile")[:6], "profile", timedelta(seconds=10), 1.0)
    (sweep,) = look(store).sweeps
    assert (sweep.left_s, sweep.least) == (pytest.approx(66 / (266 / 300)), False)


def test_silence_is_said_while_there_is_something_to_do(store: Store, plan: Plan) -> None:
    commit(store, of_kind(plan, "endpoint"), "endpoint", timedelta(seconds=740), 5.0)  # ended 720 s ago
    assert "nothing has been committed for 12:00" in look(store).lines()
    store.write_sweep("small", dump_spec(plan.spec), of_kind(plan, "endpoint"))
    assert look(store).lines() == ["sweep small: 4 tasks: 4 done"]


def test_failures_are_counted_by_kind_of_error_and_blocked_tasks_are_no_work(store: Store, plan: Plan) -> None:
    ends, paths = of_kind(plan, "endpoint"), of_kind(plan, "path")
    commit(store, ends[:3], "endpoint", timedelta(seconds=30), 5.0, status="failed", error_kind="diverged")
    commit(store, ends[3:], "endpoint", timedelta(seconds=30), 5.0, status="failed", error_kind="lost")
    commit(store, paths, "path", timedelta(seconds=5), 0.0, status="blocked", error_kind="blocked")
    seen = look(store)
    assert f"failed: 3 diverged, 1 lost; see: mcdist failures {store.uri}" in seen.lines()
    assert (seen.lately, seen.lately_s) == (4, 30.0)  # since the first began
    assert seen.sweeps[0].line() == "sweep small: 28 tasks: 12 blocked, 4 failed, 12 to do"


def test_a_specification_of_another_version_leaves_the_time_unknown(store: Store, plan: Plan) -> None:
    commit(store, of_kind(plan, "endpoint"), "endpoint", timedelta(seconds=30), 5.0)
    store.write_sweep("small", yaml.safe_dump({"name": "small", "soup": 1}), list(plan.tasks))
    assert look(store).sweeps[0].line() == "sweep small: 28 tasks: 4 done, 24 to do"


def test_watching_looks_again_until_it_is_interrupted(
    mcdist: Command, store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt
        commit(store, of_kind(plan, "endpoint"), "endpoint", timedelta(seconds=30), 5.0)

    monkeypatch.setattr("mcdist.cli.time.sleep", sleep)
    code, out, _ = mcdist("status", store.uri, "--watch", "--every", "3")
    assert (code, looks) == (0, [3.0, 3.0])
    assert re.findall(r"sweep small: 28 tasks: .*?to do", out) == [
        "sweep small: 28 tasks: 28 to do",
        "sweep small: 28 tasks: 4 done, 24 to do",
    ]
