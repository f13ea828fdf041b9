"""Whatever is done to a store, in whatever order and killed wherever: every task once, with its own rows."""

from __future__ import annotations

from collections.abc import Callable

import fsspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdist.store import Store, open_store
from mcdist.store.location import locate

from .examples import Killed, MortalFiles, assert_consistent, assert_same, pack, view

PACKS = {"p": ("task1", "task2"), "q": ("task2", "task3"), "r": ("task4",)}
TASKS = ("task1", "task2", "task3", "task4")

# An act, the tasks it commits, the tasks it forgets.
Act = tuple[Callable[[Store], object], frozenset[str], frozenset[str]]


def committing(name: str, status: str) -> Act:
    return lambda store: store.commit(pack(name, *PACKS[name], status=status)), frozenset(PACKS[name]), frozenset()


def forgetting(task_id: str) -> Act:
    return lambda store: store.forget([task_id]), frozenset(), frozenset([task_id])


def clean(store: Store) -> object:
    return store.clean(PACKS, older_than_s=-60)


def finished(store: Store) -> frozenset[str]:
    return frozenset(task_id for task_id, state in store.tasks().items() if state.status == "done")


UPKEEP: list[Act] = [(Store.compact, frozenset(), frozenset()), (clean, frozenset(), frozenset())]
ACTS = st.one_of(
    st.builds(committing, st.sampled_from(sorted(PACKS)), st.sampled_from(["done", "failed"])),
    st.builds(forgetting, st.sampled_from(TASKS)),
    st.sampled_from(UPKEEP),
)


@settings(max_examples=25)
@given(history=st.lists(st.tuples(ACTS, st.none() | st.integers(0, 12)), max_size=7))
def test_every_history_leaves_each_task_once(history: list[tuple[Act, int | None]]) -> None:
    fsspec.filesystem("memory").store.clear()
    store = open_store("memory://laws/store", create=True)
    known: frozenset[str] = frozenset()
    for (act, commits, forgets), killed_after in history:
        before, done = view(store), finished(store)
        mortal = Store(MortalFiles(locate(store.uri), -1 if killed_after is None else killed_after))
        try:
            act(mortal)
        except Killed:
            now = frozenset(store.tasks())
            assert now <= known | commits
            assert now - known in (frozenset(), commits - known)
            assert known - now <= forgets | (commits - done)  # a failure that was tried again
            assert_consistent(view(store))
            clean(store)  # as the next run does before anything else
        else:
            now = (known | commits) - forgets
            assert frozenset(store.tasks()) == now
        assert finished(store) >= done - forgets
        assert_consistent(view(store))
        if not commits and not forgets:
            assert_same(view(store), before)
        known = now
