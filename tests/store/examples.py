"""Packs whose contents follow from their names, and what a store shows of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pandas as pd
import torch

from mcdist.store import PackResult, Store
from mcdist.store.files import Entry, Files
from mcdist.store.remote_files import RemoteFiles

TABLES_USED = ("tasks", "endpoints", "history")


def value(pack_id: str, task_id: str) -> float:
    """A number that tells pack and task."""
    return float(sum(f"{pack_id}/{task_id}".encode()))


def pack(pack_id: str, *task_ids: str, status: str = "done") -> PackResult:
    """One row of `endpoints` and three of `history` for each task, and weights; failed tasks have none of
    them.
    """
    done = task_ids if status == "done" else ()
    return PackResult(
        pack_id,
        tasks=[
            {"task_id": t, "kind": "endpoint", "status": status, "wall_s": 1.5, "attempts": 1}
            | {"pack_size": len(task_ids)}
            for t in task_ids
        ],
        rows={
            "endpoints": [{"task_id": t, "endpoint_id": t, "train_loss": value(pack_id, t)} for t in done],
            "history": [{"task_id": t, "epoch": e, "lr": value(pack_id, t)} for t in done for e in (1, 2, 3)],
        },
        tensors={t: {"w": torch.full((2, 3), value(pack_id, t))} for t in done},
        metadata={t: {"kind": "endpoint", "pack": pack_id} for t in done},
    )


def view(store: Store) -> dict[str, pd.DataFrame]:
    """All that a store shows in the tables that these packs write."""
    return {name: store.table(name) for name in TABLES_USED}


def plain_view(uri: str) -> dict[str, pd.DataFrame]:
    """The same by pandas alone, in the order in which the store gives its rows."""
    frames = {}
    for name in TABLES_USED:
        frame = pd.read_parquet(f"{uri}/tables/{name}")
        frames[name] = frame.sort_values("pack_id", kind="stable", ignore_index=True)
    return frames


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    for name in TABLES_USED:
        pd.testing.assert_frame_equal(one[name], other[name])


def assert_consistent(tables: dict[str, pd.DataFrame]) -> None:
    """Each task once, and with it the rows of the pack that its row of `tasks` names: all, none else."""
    tasks = tables["tasks"]
    assert tasks["task_id"].is_unique
    done = tasks[tasks["status"] == "done"]
    for name, column, repeats in (("endpoints", "train_loss", 1), ("history", "lr", 3)):
        got = sorted(zip(tables[name]["task_id"], tables[name]["pack_id"], tables[name][column], strict=True))
        want = [(t, p, value(p, t)) for t, p in zip(done["task_id"], done["pack_id"], strict=True)]
        assert got == sorted(itertools.chain.from_iterable([row] * repeats for row in want)), name


class Killed(BaseException):
    """The process is gone: no handler of errors sees this."""


class MortalFiles(Files):
    """Files whose process is killed just before its n-th change (from 0) of anything."""

    def __init__(self, files: Files, changes: int) -> None:
        self.inner, self.left = files, changes
        self.uri = files.uri

    def path(self, name: str) -> str:
        return self.inner.path(name)

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        return self.inner.read(name, start, end)

    def exists(self, name: str) -> bool:
        return self.inner.exists(name)

    def top(self) -> set[str]:
        return self.inner.top()

    def list(self, folder: str, *, deep: bool = False) -> list[Entry]:
        return self.inner.list(folder, deep=deep)

    def _change(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def write(self, name: str, data: bytes) -> None:
        self._change()
        self.inner.write(name, data)

    def create(self, name: str, data: bytes) -> bool:
        self._change()
        return self.inner.create(name, data)

    def delete(self, name: str) -> None:
        self._change()
        self.inner.delete(name)

    def move(self, source: str, target: str) -> None:
        self._change()
        if isinstance(self.inner, RemoteFiles):  # a copy, then a deletion: two changes
            self.inner.fs.cp_file(self.path(source), self.path(target))
            self.delete(source)
        else:
            self.inner.move(source, target)


def names(files: Files, folders: Iterable[str] = ("tables", "weights")) -> set[str]:
    """The names of all files of a store."""
    return {entry.name for folder in folders for entry in files.list(folder, deep=True)}
