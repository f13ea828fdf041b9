"""What is different on an object store: listings that others remember, requests that fail, and their number."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from support.s3 import S3

from mcdist.errors import StoreError
from mcdist.store import Store, attempts, open_store
from mcdist.store.location import locate

from .examples import Killed, MortalFiles, assert_consistent, assert_same, names, pack, plain_view, view


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PAUSES_S", (0.0,) * 4)


@pytest.fixture
def bucket(s3: S3) -> Store:
    store = open_store(s3.uri(), create=True)
    s3.forget()
    return store


def methods(s3: S3) -> Counter[str]:
    return Counter(method for method, _ in s3.requests)


def test_a_pack_is_committed_by_one_request_a_file(bucket: Store, s3: S3) -> None:
    bucket.commit(pack("p", "task1", "task2"))
    asked = methods(s3)
    assert (asked["PUT"], asked["GET"], asked["HEAD"]) == (5, 1, 0)
    written = [path.rpartition("/store/")[2] for method, path in s3.requests if method == "PUT"]
    assert {path.partition("/")[0] for path in written[:2]} == {"weights"}
    assert set(written[2:4]) == {"tables/endpoints/p.parquet", "tables/history/p.parquet"}
    assert s3.requests[-1] == ("PUT", s3.requests[-1][1])
    assert written[4] == "tables/tasks/p.parquet"


def test_a_table_is_read_by_one_request_a_file(bucket: Store, s3: S3) -> None:
    for k in range(5):
        bucket.commit(pack(f"p{k}", f"task{k}"))
    s3.forget()
    assert len(bucket.table("history")) == 15
    gets = Counter(path.endswith(".parquet") for method, path in s3.requests if method == "GET")
    assert gets[True] == 5 + 5  # of tasks and of history
    assert len(s3.requests) - 10 <= 10  # journals and listings


def test_requests_are_made_side_by_side(bucket: Store, s3: S3) -> None:
    """As many are under way at once as there are files: each waits until the others have come."""
    for k in range(4):
        bucket.commit(pack(f"p{k}", f"task{k}"))
    together = threading.Barrier(4, timeout=30)

    def wait_for_others(method: str, path: str) -> bool:
        if method == "GET" and path.endswith(".parquet"):
            s3.pause = together.wait
        return False

    with s3.failing(wait_for_others):
        assert len(bucket.tasks()) == 4


def test_a_large_file_is_read_at_one_moment(bucket: Store, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """s3fs by itself asks for parts of it, between which it may be replaced."""
    files = locate(bucket.uri)
    monkeypatch.setattr(files.fs, "default_block_size", 1000)
    files.write("weights/ta/task1.safetensors", bytes(5000))
    s3.forget()
    assert files.read("weights/ta/task1.safetensors") == bytes(5000)
    assert methods(s3) == {"GET": 1}


def test_what_another_thread_listed_a_moment_ago_is_not_believed(
    bucket: Store, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its listing is older than a commit, and ends while another one is asked for."""
    bucket.commit(pack("p", "task1"))
    files = locate(bucket.uri)
    listed, go_on = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> bool:
        if method == "GET" and not listed.is_set() and not path.endswith((".json", ".parquet")):
            s3.pause = lambda: (listed.set(), go_on.wait(30))
        return False

    with s3.failing(hold), ThreadPoolExecutor(1) as other:
        old = other.submit(files.list, "tables/tasks")
        assert listed.wait(30)
        bucket.commit(pack("q", "task2"))
        forget = files.fs.invalidate_cache

        def forgotten_too_soon(*args: object) -> None:
            forget(*args)
            go_on.set()
            old.result()

        monkeypatch.setattr(files.fs, "invalidate_cache", forgotten_too_soon)
        assert "tables/tasks/q.parquet" in {entry.name for entry in files.list("tables/tasks")}


def test_requests_that_fail_now_and_then_change_nothing(s3: S3) -> None:
    """Every third time that a file, or a listing, is asked for: in the lives of packs, from commit to oblivion."""

    def lived(uri: str) -> Store:
        store = open_store(uri, create=True)
        for k in range(3):
            store.commit(pack(f"p{k}", f"task{k}a", f"task{k}b"))
        store.compact()
        store.forget(["task1a"])
        store.commit(pack("q", "task1a"))
        store.write_choice("group", {"pack": 3})
        store.clean(older_than_s=-60)
        return store

    expected = lived(s3.uri())
    asked = Counter[str]()

    def fails(method: str, path: str) -> bool:
        asked[path] += 1
        return asked[path] % 3 == 2

    with s3.failing(fails):
        store = lived(s3.uri())
        got = view(store)
    assert sum(n // 3 for n in asked.values()) > 50
    assert_same(got, view(expected))
    assert_same(plain_view(store.uri), got)
    assert names(locate(store.uri)) == names(locate(expected.uri))


def test_a_store_that_goes_on_failing_is_given_up_and_a_pack_is_not_half_there(bucket: Store, s3: S3) -> None:
    bucket.commit(pack("p", "task1"))
    before = view(bucket)
    for folder in ("weights/", "tables/history", "tables/tasks"):
        fault = lambda method, path, folder=folder: method == "PUT" and folder in path  # noqa: E731
        said = rf"cannot write {bucket.uri}/{folder}.*come back later.*tried 5 times"
        with s3.failing(fault), pytest.raises(StoreError, match=said):
            bucket.commit(pack("q", "task2"))
        assert_same(view(bucket), before)
    bucket.commit(pack("q", "task2"))
    assert_consistent(view(bucket))
    assert len(view(bucket)["tasks"]) == 2


def test_no_answer_is_not_taken_for_a_no(bucket: Store, s3: S3) -> None:
    """A compaction killed between sources and merged file: who takes the latter for gone loses all rows."""
    for name in "abc":
        bucket.commit(pack(name, f"task-{name}"))
    before = view(bucket)
    with pytest.raises(Killed):
        Store(MortalFiles(locate(bucket.uri), 3 + 1 + 3)).compact()  # merged files, journal, sources of one table
    with s3.failing(lambda method, path: method == "HEAD"), pytest.raises(StoreError, match="cannot read"):
        bucket.clean()
    assert_same(view(bucket), before)
    bucket.clean()
    assert_same(view(bucket), before)
    assert_same(plain_view(bucket.uri), before)


def test_whose_journal_it_is_when_the_answer_was_lost(bucket: Store, s3: S3) -> None:
    """The file was made, and the client told to come back later."""
    files = locate(bucket.uri)
    once = iter([True])

    def lost(method: str, path: str) -> bool:
        return method == "PUT" and next(once, False)

    with s3.failing(lost, after=True):
        assert files.create("packs/group.json", b"{}")
        assert not files.create("packs/group.json", b"{}")
    assert not files.create("packs/group.json", b"[]")


def test_the_same_pack_is_committed_by_several_at_once(bucket: Store, s3: S3) -> None:
    undisturbed = open_store(s3.uri(), create=True)
    undisturbed.commit(pack("p", "task1", "task2"))
    with ThreadPoolExecutor(4) as pool:
        stores = [open_store(bucket.uri) for _ in range(4)]
        list(pool.map(lambda store: store.commit(pack("p", "task1", "task2")), stores))
        choices = list(pool.map(lambda k: stores[k].write_choice("group", {"by": k}), range(4)))
    assert_same(view(bucket), view(undisturbed))
    assert names(locate(bucket.uri)) == names(locate(undisturbed.uri))
    assert choices == [choices[0]] * 4


def test_large_merged_files_are_read_in_part(bucket: Store, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(4):
        bucket.commit(pack(f"p{k}", f"task{k}"))
    expected = bucket.table("history", ["lr"])
    bucket.compact()
    monkeypatch.setattr("mcdist.store.remote_files._LARGE", 1)
    pd.testing.assert_frame_equal(bucket.table("history", ["lr"]), expected)
