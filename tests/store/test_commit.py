"""A pack is committed as one: all of it or nothing, once however often."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mcdist.errors import StoreError
from mcdist.store import PackResult, Store, open_store
from mcdist.store.location import locate

from .examples import Killed, MortalFiles, assert_consistent, assert_same, names, pack, value, view


def test_what_is_committed_can_be_read(store: Store) -> None:
    store.commit(pack("p1", "task1", "task2"))
    store.commit(pack("p2", "task3", status="failed"))
    assert_consistent(view(store))
    states = store.tasks()
    assert {task: state.status for task, state in states.items()} == {
        "task1": "done",
        "task2": "done",
        "task3": "failed",
    }
    assert (states["task1"].pack_id, states["task1"].kind, states["task1"].wall_s) == ("p1", "endpoint", 1.5)
    assert states["task1"].error_kind is None
    assert torch.equal(store.weights("task2")["w"], torch.full((2, 3), value("p1", "task2")))
    assert store.weights_metadata("task2") == {"kind": "endpoint", "pack": "p1"}
    assert (store.has_weights("task1"), store.has_weights("task3")) == (True, False)


def test_what_became_of_one_pack(store: Store) -> None:
    assert store.pack_states("p1") == {}
    store.commit(pack("p1", "task1", "task2"))
    store.commit(pack("p2", "task3", status="failed"))
    assert store.pack_states("p1") == {task: store.tasks()[task] for task in ("task1", "task2")}
    assert store.pack_states("p2") == {"task3": store.tasks()["task3"]}


def test_a_pack_killed_before_its_commit_has_no_states(store: Store) -> None:
    kill(store, 4, pack("p1", "task1", "task2"))
    assert store.pack_states("p1") == {}


def test_files_are_named_for_pack_and_task(store: Store) -> None:
    store.commit(pack("p1", "task1"))
    heads = {name for name in names(locate(store.uri)) if name.endswith("/0-schema.parquet")}
    tables = {f"tables/{table}/p1.parquet" for table in ("tasks", "endpoints", "history")}
    assert names(locate(store.uri)) - heads == tables | {"weights/ta/task1.safetensors"}


def test_to_commit_again_changes_nothing(store: Store) -> None:
    files = locate(store.uri)
    store.commit(pack("p1", "task1", "task2"))
    before = {name: files.read(name) for name in names(files)}
    store.commit(pack("p1", "task1", "task2"))
    assert {name: files.read(name) for name in names(files)} == before


def test_another_attempt_replaces_all_that_a_killed_one_left(store: Store) -> None:
    """The first left rows, but no commit; the last attempt of the pack failed, without any."""
    files = locate(store.uri)
    kill(store, 4, pack("p1", "task1", "task2"))
    assert store.has_weights("task1")
    store.commit(pack("p1", "task1", "task2", status="failed"))
    assert_consistent(view(store))
    assert not any(name.endswith("/endpoints/p1.parquet") for name in names(files))
    store.clean(older_than_s=-60)
    assert not store.has_weights("task1")


@pytest.mark.parametrize("compacted", [False, True])
def test_finished_work_is_not_lost_to_a_later_attempt(store: Store, compacted: bool) -> None:
    """A worker was thought to be lost after its commit: the pack was tried again, elsewhere, and failed there."""
    for name in ("p1", "p2"):
        store.commit(pack(name, f"{name}-task1", f"{name}-task2"))
    before = view(store)
    if compacted:
        store.compact()
    store.commit(pack("p1", "p1-task1", "p1-task2", status="failed"))
    assert_same(view(store), before)
    assert store.has_weights("p1-task1")


@pytest.mark.parametrize("status", ["done", "failed"])
@pytest.mark.usefixtures("many_stores")
def test_what_was_done_of_a_pack_stays_when_the_rest_is_tried_again(uri: str, status: str) -> None:
    """Killed anywhere meanwhile, and ending as if all had been written at once."""
    whole = pack("p", "task1", "task2", "task3")
    undisturbed = open_store(uri, create=True)
    undisturbed.commit(whole)
    expected = view(undisturbed)
    for n in range(100):
        store = open_store(f"{uri}-{n}", create=True)
        store.commit(replace(whole, tasks=[*whole.tasks[:1], {**whole.tasks[1], "status": "failed"}, *whole.tasks[2:]]))
        before = locate(store.uri).read("weights/ta/task1.safetensors")
        finished = not killed(store, n, pack("p", "task1", "task2", "task3", status=status))
        states = {task: state.status for task, state in store.tasks().items()}
        assert states["task1"] == states["task3"] == "done"
        assert set(view(store)["endpoints"]["task_id"]) >= {"task1", "task3"}
        assert locate(store.uri).read("weights/ta/task1.safetensors") == before
        store.forget(["task2"])
        assert_consistent(view(store))
        store.commit(whole)
        assert_same(view(store), expected)
        if finished:
            return


def killed(store: Store, changes: int, result: PackResult) -> bool:
    try:
        Store(MortalFiles(locate(store.uri), changes)).commit(result)
    except Killed:
        return True
    return False


def kill(store: Store, changes: int, result: PackResult) -> None:
    assert killed(store, changes, result)


@pytest.mark.usefixtures("many_stores")
def test_a_kill_at_any_moment_leaves_all_or_nothing(uri: str) -> None:
    undisturbed = open_store(uri, create=True)
    undisturbed.commit(pack("p0", "task0"))
    nothing = view(undisturbed)
    undisturbed.commit(pack("p1", "task1", "task2"))
    everything, files = view(undisturbed), names(locate(uri))
    for n in range(100):
        store = open_store(f"{uri}-{n}", create=True)
        store.commit(pack("p0", "task0"))
        try:
            Store(MortalFiles(locate(store.uri), n)).commit(pack("p1", "task1", "task2"))
        except Killed:
            assert_same(view(store), nothing)
            assert list(store.tasks()) == ["task0"]
            store.clean(["p1"])
            assert_same(view(store), nothing)
            store.commit(pack("p1", "task1", "task2"))
            assert_same(view(store), everything)
            assert names(locate(store.uri)) == files
        else:
            assert n >= 5  # two weights, three tables
            return


GOOD = pack("p1", "task1")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (replace(GOOD, tasks=[]), "needs one row of 'tasks' for each of its tasks"),
        (replace(GOOD, tasks=[*GOOD.tasks, *GOOD.tasks]), "needs one row of 'tasks' for each"),
        (
            replace(GOOD, rows={"history": [{"task_id": "task9"}]}),
            "table 'history' of task 'task9', which is not in",
        ),
        (replace(GOOD, tensors={"task9": {}}), "tensors of task 'task9', which is not in the pack"),
        (replace(GOOD, metadata={"task9": {}}), "metadata of task 'task9', which is not in the pack"),
        (
            replace(GOOD, rows={"histories": [{"task_id": "task1"}]}),
            "unknown table 'histories'; did you mean 'history'",
        ),
        (
            replace(GOOD, rows={"history": [{"task_id": "task1", "epoch": "one"}]}),
            "table 'history', column 'epoch'",
        ),
        (
            replace(GOOD, rows={"sweep_tasks": [{"task_id": "task1"}]}),
            "'sweep_tasks' is written with the sweep",
        ),
        (
            replace(GOOD, rows={"history": [{"task_id": "task1", "pack_id": "p2"}]}),
            "a row of pack 'p2' in pack 'p1'",
        ),
        (replace(GOOD, pack_id="part-1"), "pack id 'part-1' starts like a file of the store's own"),
        (replace(GOOD, pack_id="../p1"), "pack id '../p1' cannot be the name of a file"),
        (
            replace(GOOD, tasks=[{"task_id": "a/b"}], rows={}, tensors={}, metadata={}),
            "task id 'a/b' cannot be",
        ),
    ],
)
def test_a_wrong_result_is_refused_before_anything_is_written(store: Store, bad, message: str) -> None:
    before = names(locate(store.uri))
    with pytest.raises(StoreError, match=message):
        store.commit(bad)
    assert names(locate(store.uri)) == before
