"""Several processes at one store."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from mcdist.store import Store, open_store

from .examples import assert_consistent, assert_same, pack, plain_view, view

COMMIT = """
import sys
sys.path.insert(0, sys.argv[2])
from store.examples import pack
from mcdist.store import open_store
store = open_store(sys.argv[1])
for _ in range(20):
    store.commit(pack("p", "task1", "task2"))
print(store.write_choice("group", {"by": sys.argv[3]}))
"""


def test_two_processes_commit_the_same_pack_at_once(local_store: Store, tmp_path: Path) -> None:
    undisturbed = open_store(tmp_path / "undisturbed", create=True)
    undisturbed.commit(pack("p", "task1", "task2"))
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", COMMIT, local_store.uri, tests]
    workers = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in "ab"
    ]
    results = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], results
    assert_same(view(local_store), view(undisturbed))
    assert_same(plain_view(local_store.uri), view(undisturbed))
    assert results[0][0] == results[1][0]  # the same choice, whoever made it


def test_readers_see_whole_packs_while_others_commit_and_compact(local_store: Store) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(turn) -> None:
        try:
            k = 0
            while not stop.is_set():
                turn(k)
                k += 1
        except BaseException as error:
            failures.append(error)
            stop.set()

    committed: list[str] = []

    def commit(k: int) -> None:
        local_store.commit(pack(f"p{k:04}", f"task{k}"))
        committed.append(f"task{k}")

    def read(k: int) -> None:
        sure = set(committed)
        tables = {name: local_store.table(name) for name in ("tasks", "history")}
        assert sure <= set(tables["tasks"]["task_id"])
        assert sure <= set(tables["history"]["task_id"])
        assert (tables["history"].groupby("task_id").size() == 3).all()

    threads = [threading.Thread(target=work, args=[turn]) for turn in (commit, read, lambda k: local_store.compact())]
    for thread in threads:
        thread.start()
    stop.wait(1.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert_consistent(view(local_store))
    assert_same(plain_view(local_store.uri), view(local_store))
