"""The promise to notebooks: pandas alone reads the tables, at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mcdist.store import TABLES, Store, open_store
from mcdist.store.location import locate

from .examples import Killed, MortalFiles, pack, plain_view

READ = """
import json, sys, pandas as pd
frames = {name: pd.read_parquet(f"{sys.argv[1]}/tables/{name}") for name in sys.argv[2:]}
assert not [name for name in sys.modules if name.startswith("mcdist")]
print(json.dumps({name: [list(frame.columns), len(frame)] for name, frame in frames.items()}))
"""


def test_pandas_reads_every_table_without_mcdist(local_store: Store, tmp_path: Path) -> None:
    local_store.commit(pack("p", "task1", "task2"))
    local_store.write_sweep("s", "", ["task1"])
    command = [sys.executable, "-P", "-c", READ, local_store.uri, *TABLES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    lengths = {"tasks": 2, "endpoints": 2, "history": 6, "sweep_tasks": 1}
    expected = {name: [table.schema.names, lengths.get(name, 0)] for name, table in TABLES.items()}
    assert json.loads(done.stdout) == expected


@pytest.mark.parametrize("act", ["commit", "again", "forget", "compact", "clean"])
def test_no_task_is_doubled_and_no_file_torn_at_any_moment(tmp_path: Path, act: str) -> None:
    actions = {
        "commit": lambda store: store.commit(pack("r", "task4", "task5")),
        "again": lambda store: store.commit(pack("p", "task1", "task2")),
        "forget": lambda store: store.forget(["task2", "task3"]),
        "compact": lambda store: store.compact(),
        "clean": lambda store: store.clean(["q"], older_than_s=-60),
    }
    for n in range(100):
        store = open_store(tmp_path / str(n), create=True)
        store.commit(pack("p", "task1", "task2"))
        store.commit(pack("q", "task3"))
        with pytest.raises(Killed):
            Store(MortalFiles(locate(store.uri), 2)).commit(pack("x", "task9"))
        try:
            actions[act](Store(MortalFiles(locate(store.uri), n)))
        except Killed:
            finished = False
        else:
            finished = True
        tables = plain_view(store.uri)
        assert tables["tasks"]["task_id"].is_unique
        assert tables["endpoints"]["task_id"].is_unique
        assert list(tables["history"].columns) == TABLES["history"].schema.names
        if finished:
            return
