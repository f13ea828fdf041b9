"""Where everything in a store is: the one place that builds the name of a file.

Names are relative to the store, with forward slashes. A plain reader of a table's folder skips every name
that starts with "_" or ".": that is how a file not yet part of a table is hidden from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pyarrow as pa

from mcdist.errors import StoreError, unknown_name
from mcdist.store.schemas import TABLES

__all__ = [
    "ALL_TABLES",
    "HEAD",
    "JOURNAL",
    "MARKER",
    "TEMPORARY",
    "check_columns",
    "check_ids",
    "choice_file",
    "hidden",
    "is_hidden",
    "is_merged",
    "is_rows",
    "merged_file",
    "pack_of",
    "row_file",
    "schema_of",
    "sweep_file",
    "sweep_tasks_file",
    "table_folder",
    "task_of_weights",
    "weights_file",
]

MARKER = "mcdist.json"
JOURNAL = "compaction.json"
TEMPORARY = ".tmp"
ALL_TABLES = "tables"
HEAD = "0-schema.parquet"
"""A file without rows that sorts first in every table: it gives plain readers all columns, and a table to
read before the first row is there (pyarrow takes a folder's columns from its first file)."""

_NAME = re.compile(r"[A-Za-z0-9-][A-Za-z0-9._-]*")
_MERGED, _HIDDEN = "part-", "_"
_RESERVED = (_MERGED, "0-", "-")  # the last two would sort before HEAD


def _checked(what: str, name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        allowed = "letters, digits, '.', '_' and '-', not starting with '.' or '_'"
        raise StoreError(f"{what} {name!r} cannot be the name of a file; allowed: {allowed}")
    return name


def schema_of(table: str) -> pa.Schema:
    """The schema of a table; StoreError for one that is not known."""
    if table not in TABLES:
        raise StoreError(unknown_name("table", table, TABLES))
    return TABLES[table].schema


def check_columns(table: str, columns: Sequence[str]) -> None:
    """StoreError for a column that the table does not have."""
    names = schema_of(table).names
    for column in columns:
        if column not in names:
            raise StoreError(unknown_name(f"column of table {table!r}:", column, names))


def table_folder(table: str) -> str:
    """The folder of a table."""
    return f"{ALL_TABLES}/{table}"


def check_ids(pack_id: str, task_ids: Iterable[str]) -> None:
    """StoreError for an id that cannot be the name of a file."""
    row_file("tasks", pack_id)
    for task_id in task_ids:
        weights_file(task_id)


def row_file(table: str, pack_id: str) -> str:
    """The file with one pack's rows of a table."""
    if _checked("pack id", pack_id).startswith(_RESERVED):
        raise StoreError(f"pack id {pack_id!r} starts like a file of the store's own: {', '.join(_RESERVED)}")
    return f"{table_folder(table)}/{pack_id}.parquet"


def sweep_tasks_file(sweep: str) -> str:
    """The file with the tasks that one sweep asks for."""
    name = f"{table_folder('sweep_tasks')}/{_checked('sweep name', sweep)}.parquet"
    if name.endswith(f"/{HEAD}"):
        raise StoreError(f"sweep name {sweep!r} is that of a file of the store's own")
    return name


def merged_file(table: str, digest: str) -> str:
    """The file that a compaction makes of several."""
    return f"{table_folder(table)}/{_MERGED}{digest}.parquet"


def hidden(name: str) -> str:
    """The name under which plain readers skip the file."""
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}{_HIDDEN}{base}"


def _base(name: str) -> str:
    """The last part of a name; not by pathlib, which takes ten times as long, and there may be a million names."""
    return name.rpartition("/")[2]


def is_merged(name: str) -> bool:
    """Whether a compaction made the file, hidden or not."""
    return _base(name).removeprefix(_HIDDEN).startswith(_MERGED)


def is_hidden(name: str) -> bool:
    """Whether plain readers skip the file."""
    return _base(name).startswith(_HIDDEN)


def pack_of(name: str) -> str:
    """The pack in the name of a row file that is not merged."""
    return _base(name).rpartition(".")[0]


def is_rows(name: str) -> bool:
    """Whether the file is one that a table's rows may be in, hidden or not."""
    base = _base(name)
    return base.endswith(".parquet") and base != HEAD and (base[0] not in "._" or is_merged(name))


def weights_file(task_id: str) -> str:
    """The weights of one task, in one of many folders: listing one huge folder is slow on most file systems."""
    return f"weights/{_checked('task id', task_id)[:2]}/{task_id}.safetensors"


def task_of_weights(name: str) -> str:
    """The task id in the name of a weights file."""
    return _base(name).rpartition(".")[0]


def sweep_file(sweep: str) -> str:
    """The resolved spec of a sweep."""
    return f"sweeps/{_checked('sweep name', sweep)}.yaml"


def choice_file(group: str) -> str:
    """What was chosen once, and is kept, for a group of tasks: its pack size."""
    return f"packs/{_checked('group', group)}.json"
