"""A store looked at again and again: always what a fresh reader sees, and each file read once."""

from __future__ import annotations

import random

import pytest

from mcdist.store import Store, following, open_store
from mcdist.store.following import TaskFollower
from store.examples import pack

COLUMNS = ["task_id", "status", "pack_id"]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files each look has read."""
    numbers: list[int] = []
    scan = following.scan

    def counting(files: object, table: str, entries: list[object], columns: list[str]) -> object:
        numbers.append(len(entries))
        return scan(files, table, entries, columns)  # type: ignore[arg-type]

    monkeypatch.setattr(following, "scan", counting)
    return numbers


def seen(follower: TaskFollower) -> dict[str, tuple[str, str]]:
    rows = follower.look()
    assert rows["task_id"].is_unique
    return {row.task_id: (row.status, row.pack_id) for row in rows.itertuples()}


def fresh(store: Store) -> dict[str, tuple[str, str]]:
    return {row.task_id: (row.status, row.pack_id) for row in store.table("tasks", COLUMNS).itertuples()}


@pytest.mark.parametrize("seed", range(4))
def test_a_follower_sees_what_a_fresh_reader_sees(tmp_path: object, seed: int) -> None:
    rng, store = random.Random(seed), open_store(f"{tmp_path}", create=True)
    follower = TaskFollower(store, COLUMNS)
    tasks = [f"task{n}" for n in range(12)]
    for step in range(30):
        what = rng.random()
        if what < 0.75:  # often a task that another pack has as well
            status = rng.choice(["done", "failed"])
            store.commit(pack(f"p{rng.randrange(8)}-{step % 3}", *rng.sample(tasks, 2), status=status))
        elif what < 0.85:
            store.compact()
        else:
            store.forget(rng.sample(tasks, 1))
        assert seen(follower) == fresh(store)


def test_each_file_is_read_once(tmp_path: object, read: list[int]) -> None:
    store = open_store(f"{tmp_path}", create=True)
    follower = TaskFollower(store, COLUMNS)
    for n in range(5):
        store.commit(pack(f"p{n}", f"task{n}"))
    read.clear()
    assert len(seen(follower)) == 5
    store.commit(pack("p9", "task9"))
    assert len(seen(follower)) == 6
    assert len(seen(follower)) == 6
    assert read == [5, 1]
