"""What a store keeps besides results: sweeps, choices, and a summary."""

from __future__ import annotations

import pytest

from mcdist.errors import StoreError
from mcdist.store import Store
from mcdist.store.location import locate

from .examples import pack


def test_sweeps_share_tasks_and_each_is_replaced_as_a_whole(store: Store) -> None:
    assert store.sweeps() == []
    store.write_sweep("one", "name: one\n", ["task1", "task2"])
    store.write_sweep("two", "name: é\n", ["task2"])
    store.write_sweep("one", "name: one, changed\n", ["task3"])
    assert store.sweeps() == ["one", "two"]
    assert store.sweep_spec("one") == "name: one, changed\n"
    assert store.sweep_spec("two") == "name: é\n"
    frame = store.table("sweep_tasks")
    assert list(zip(frame["sweep"], frame["task_id"], strict=True)) == [("one", "task3"), ("two", "task2")]
    store.compact()
    assert len(store.table("sweep_tasks")) == 2


def test_a_sweep_may_be_empty(store: Store) -> None:
    store.write_sweep("none", "name: none", [])
    assert len(store.table("sweep_tasks")) == 0


@pytest.mark.parametrize("name", ["", ".hidden", "_hidden", "a/b", "../a", "a b", "é", "a\n"])
def test_a_name_that_is_no_file_name_is_refused(store: Store, name: str) -> None:
    before = locate(store.uri).list("", deep=True)
    with pytest.raises(StoreError, match=r"sweep name .* cannot be the name of a file; allowed: letters"):
        store.write_sweep(name, "", [])
    assert locate(store.uri).list("", deep=True) == before


def test_an_unknown_sweep_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="unknown sweep 'digits'; allowed: none yet"):
        store.sweep_spec("digits")
    store.write_sweep("digits1", "", [])
    with pytest.raises(StoreError, match="unknown sweep 'digits'; did you mean 'digits1'"):
        store.sweep_spec("digits")


def test_the_first_choice_is_kept(store: Store) -> None:
    assert store.read_choice("group") is None
    assert store.write_choice("group", {"pack": 8}) == {"pack": 8}
    assert store.write_choice("group", {"pack": 4}) == {"pack": 8}
    assert store.read_choice("group") == {"pack": 8}


@pytest.mark.parametrize("data", [b"", b"3", b"{"])
def test_a_damaged_choice_is_named(store: Store, data: bytes) -> None:
    locate(store.uri).write("packs/group.json", data)
    with pytest.raises(StoreError, match=r"packs/group.json is damaged"):
        store.read_choice("group")


def test_the_summary_counts_by_kind_and_status(store: Store) -> None:
    store.commit(pack("p", "task1", "task2"))
    store.commit(pack("q", "task3", status="failed"))
    store.write_sweep("s", "", ["task1"])
    assert store.summary() == {
        "uri": store.uri,
        "tasks": {"endpoint": {"done": 2, "failed": 1}},
        "wall_s": 4.5,
        "sweeps": ["s"],
    }
