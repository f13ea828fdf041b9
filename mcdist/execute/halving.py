"""Packs too large for the memory of a worker: each is done as two halves, and that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mcdist.plan.packs import Pack, pack_of
from mcdist.plan.task import Task
from mcdist.store import Store

__all__ = ["Halvings", "StoredHalvings", "halves"]


class Halvings(Protocol):
    """Packs that were halved, by id, and the tasks that they had then.

    A pack of the plan may have had fewer: some settled before, some blocked. The halves are those of what was left, and
    must be so in every later run, since other packs give other last bits.
    """

    def get(self, pack_id: str) -> Sequence[str] | None:
        """The tasks of a pack when it was halved; None for one that was not."""

    def __setitem__(self, pack_id: str, task_ids: Sequence[str]) -> None:
        """Keep that a pack of these tasks was halved; to be called before its halves are done."""


class StoredHalvings:
    """Keeps them in the store, a small file each. See `Halvings`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = store.choices()  # one look for all: most sweeps have none

    def get(self, pack_id: str) -> Sequence[str] | None:
        """See `Halvings`."""
        choice = self._store.read_choice(pack_id) if pack_id in self._known else None
        return None if choice is None else choice.get("halved")

    def __setitem__(self, pack_id: str, task_ids: Sequence[str]) -> None:
        self._store.write_choice(pack_id, {"halved": list(task_ids)})
        self._known.add(pack_id)


def halves(tasks: Sequence[Task]) -> tuple[Pack, Pack]:
    """Two packs of at least two tasks, in order; the first has one more where they cannot be equal."""
    middle = (len(tasks) + 1) // 2
    return pack_of(tasks[:middle]), pack_of(tasks[middle:])
