"""The store: where results live, and the one door to them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa

from mcdist.errors import StoreError, unknown_name
from mcdist.store import cleaning, compaction, layout, weights
from mcdist.store.commit import PackResult, commit, written
from mcdist.store.compaction import Compacted
from mcdist.store.files import Files
from mcdist.store.location import check_can_create, found, locate, make
from mcdist.store.probe import try_out
from mcdist.store.rows import to_parquet
from mcdist.store.view import committed, read_rows, read_table, settled

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Store", "TaskState", "check_target", "open_store"]


def open_store(uri: str | Path, *, create: bool = False) -> Store:
    """The store at a folder or any fsspec URI (s3://, gs://); with `create`, made where there is none or an empty
    folder.

    Raises StoreError where there is no store (or, with `create`, something else), one of a newer format, no
    permission, or no way to get there.
    """
    files = locate(uri)
    marker = found(files)
    if marker is None and not create:
        raise StoreError(f"no store at {files.uri}; 'mcdist run' makes one")
    if create:
        make(files, marker)
    return Store(files)


def check_target(uri: str | Path) -> bool:
    """Whether a store is there already.

    Raises the StoreError that `open_store(uri, create=True)` would, as far as can be told without writing.
    """
    files = locate(uri)
    marker = found(files)
    check_can_create(files)
    return marker is not None


class TaskState(NamedTuple):
    """What became of a task: the columns of `tasks` that decide what is to be done."""

    status: str
    kind: str | None
    pack_id: str
    error_kind: str | None
    attempts: int | None
    wall_s: float | None


class Store:
    """A store, made by `open_store`. It holds nothing but where it is, so it can be pickled and sent to workers."""

    def __init__(self, files: Files) -> None:
        self._files = files

    @property
    def uri(self) -> str:
        """Where the store is: an absolute path or the URI."""
        return self._files.uri

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.uri,)

    def __repr__(self) -> str:
        return f"open_store({self.uri!r})"

    def check_writable(self) -> None:
        """Write, read and delete a small file; StoreError with the system's reason if that fails."""
        try_out(self._files)

    # Results

    def commit(self, pack: PackResult) -> None:
        """Write a pack's results; when this returns its tasks are committed (see `commit.commit`)."""
        commit(self._files, pack)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The committed rows of a table, each once, with all its columns or those named (see `view`)."""
        return read_table(self._files, name, columns)

    def rows(self, name: str) -> pa.Table:
        """The same as an Arrow table, where what is missing is null, and NaN a number."""
        return read_rows(self._files, name)

    def tasks(self) -> dict[str, TaskState]:
        """What became of every task that was committed, by task id."""
        columns = ["kind", "error_kind", "attempts", "wall_s"]
        rows = settled(lambda: committed(self._files, columns)).select(
            ["task_id", "status", "kind", "pack_id", "error_kind", "attempts", "wall_s"]
        )
        lists = [column.to_pylist() for column in rows.columns]
        return dict(zip(lists[0], map(TaskState._make, zip(*lists[1:], strict=True)), strict=True))

    def pack_states(self, pack_id: str) -> dict[str, TaskState]:
        """What became of the tasks that this pack has committed: a look at one file, however large the store is.

        Nothing for a pack whose file a compaction has merged with others.
        """
        columns = ["task_id", "status", "kind", "pack_id", "error_kind", "attempts", "wall_s"]
        rows = written(self._files, "tasks", pack_id).select(columns).to_pylist()
        return {row.pop("task_id"): TaskState(**row) for row in rows}

    def weights(self, task_id: str) -> dict[str, Tensor]:
        """The tensors that a task wrote, on the CPU; StoreError if it wrote none."""
        return weights.load(self._files, task_id)

    def weights_with_metadata(self, task_id: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Both at once, which is quicker on an object store; errors as for `weights`."""
        return weights.load_with_metadata(self._files, task_id)

    def weights_metadata(self, task_id: str) -> dict[str, str]:
        """The strings in the header of a task's weights, read without the weights."""
        return weights.load_metadata(self._files, task_id)

    def has_weights(self, task_id: str) -> bool:
        """Whether a task has weights here."""
        return self._files.exists(layout.weights_file(task_id))

    # Sweeps and choices

    def write_sweep(self, name: str, yaml_text: str, task_ids: Sequence[str]) -> None:
        """Record what a sweep is and which tasks it asks for, in place of an earlier sweep of that name."""
        tasks_file, spec_file = layout.sweep_tasks_file(name), layout.sweep_file(name)
        columns = {"task_id": list(task_ids), "sweep": [name] * len(task_ids)}
        rows = pa.table(columns, schema=layout.schema_of("sweep_tasks"))
        self._files.write(tasks_file, to_parquet(rows))
        self._files.write(spec_file, yaml_text.encode())

    def sweeps(self) -> list[str]:
        """The names of the sweeps that were run into this store."""
        paths = (PurePosixPath(entry.name) for entry in self._files.list("sweeps"))
        return sorted(path.stem for path in paths if path.suffix == ".yaml")

    def sweep_spec(self, name: str) -> str:
        """The resolved spec of a sweep, YAML; StoreError for an unknown one."""
        try:
            return self._files.read(layout.sweep_file(name)).decode()
        except FileNotFoundError:
            known = self.sweeps()
            raise StoreError(unknown_name("sweep", name, known, also="" if known else "none yet")) from None

    def read_choice(self, group: str) -> dict[str, Any] | None:
        """What was chosen for a group of tasks, None if nothing yet."""
        name = layout.choice_file(group)
        try:
            return dict(json.loads(self._files.read(name)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise StoreError(f"{self.uri}/{name} is damaged: {error}") from error

    def write_choice(self, group: str, choice: Mapping[str, Any]) -> dict[str, Any]:
        """Choose for a group, once and for all: the first choice is kept. Returns the one that holds."""
        self._files.create(layout.choice_file(group), json.dumps(dict(choice), sort_keys=True).encode())
        holds = self.read_choice(group)
        return dict(choice) if holds is None else holds

    def choices(self) -> set[str]:
        """The groups for which something was chosen."""
        return {PurePosixPath(entry.name).stem for entry in self._files.list("packs")}

    # Upkeep

    def forget(self, task_ids: Collection[str]) -> None:
        """Remove tasks with their rows and weights, so that they are computed again (see `cleaning.forget`)."""
        cleaning.forget(self._files, task_ids)

    def clean(self, planned_packs: Collection[str] = (), older_than_s: float = 3600.0) -> tuple[str, ...]:
        """Remove what kills have left behind; call it before the planned packs are run (see `cleaning.clean`)."""
        return cleaning.clean(self._files, planned_packs, older_than_s)

    def compact(self) -> Compacted:
        """Merge small files into few ones; no row is lost or doubled, wherever it is killed (see `compaction`)."""
        return compaction.compact(self._files)

    def summary(self) -> dict[str, Any]:
        """`tasks`: numbers of tasks by kind and status; `wall_s`: time they took, in seconds; `sweeps`: names."""
        states = self.tasks().values()
        counts: dict[str, dict[str, int]] = {}
        for state in states:
            by_status = counts.setdefault(state.kind or "", {})
            by_status[state.status] = by_status.get(state.status, 0) + 1
        wall_s = sum(state.wall_s or 0.0 for state in states)
        return {"uri": self.uri, "tasks": counts, "wall_s": wall_s, "sweeps": self.sweeps()}


def _reopen(uri: str) -> Store:
    return Store(locate(uri))
