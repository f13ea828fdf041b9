"""Before anything is trained: every node can write into the store, and it is the same store everywhere."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command_line import Command
from support.s3 import served_s3
from support.sweeps import small_sweep

import mcdist as package
from mcdist.execute import preflight as module
from mcdist.execute.preflight import preflight
from mcdist.store import open_store
from mcdist.store.location import locate
from mcdist.store.probe import probe, token


def no_work(*_: Any, **__: Any) -> None:
    raise AssertionError("work was begun")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(str(small_sweep()))  # of plain values: YAML
    return path


def test_on_one_machine_it_costs_next_to_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    uri = str(tmp_path / "a" / "store")
    started = time.process_time()
    preflight(uri, on_ray=False)
    assert time.process_time() - started < 0.1
    assert locate(uri).list("", deep=True) == []


@pytest.mark.parametrize("fails", ["fsync", "replace", "unlink"])
def test_a_store_that_cannot_be_used_is_refused_before_there_is_one(
    fails: str, mcdist: Command, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mcdist.execute.worker.Worker.compute", no_work)
    unlink = Path.unlink
    monkeypatch.setattr(*((f"os.{fails}", refused) if fails != "unlink" else ("pathlib.Path.unlink", refused)))
    code, _, err = mcdist("run", spec, "--store", tmp_path / "deep" / "store", "--executor", "serial")
    monkeypatch.setattr("pathlib.Path.unlink", unlink)
    assert code == 2
    assert f"{tmp_path}/deep/store" in err
    assert "Permission denied" in err
    assert "Traceback" not in err
    if fails != "unlink":  # what may not be deleted stays
        assert list(tmp_path.iterdir()) == [spec]


def test_a_store_that_is_there_keeps_what_it_has(tmp_path: Path) -> None:
    open_store(tmp_path, create=True)
    files = locate(tmp_path)
    before = files.list("", deep=True)
    preflight(str(tmp_path), on_ray=False)
    assert files.list("", deep=True) == before
    with pytest.raises(ZeroDivisionError), token(files):
        raise ZeroDivisionError
    assert files.list("", deep=True) == before


def test_who_does_not_see_the_token_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcdist.store.probe._LOOKS_S", (0.0, 0.0))
    assert "does not see" in str(probe(str(tmp_path / "elsewhere"), ".tmp/token-1"))
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_is_seen_late_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a network's file system may show it."""
    files = locate(tmp_path)

    def appear(pause: float) -> None:
        if pause:
            files.write(".tmp/token-1", b".tmp/token-1")

    monkeypatch.setattr(time, "sleep", appear)
    assert probe(str(tmp_path), ".tmp/token-1") is None


def test_the_message_names_nodes_reasons_and_what_to_check() -> None:
    refused = [(f"10.0.0.{k} (abc)", "does not see it") for k in range(7)]
    for uri, hint in (("/home/me/store", "mounted there at this path"), ("s3://bucket/store", "env_vars")):
        said = module._message(uri, 9, refused).splitlines()
        assert said[0] == f"the store {uri} cannot be used from 7 of the 9 other nodes:"
        assert said[1:6] == [f"  node {node}: does not see it" for node, _ in refused[:5]]
        assert said[6] == "  and 2 more"
        assert hint in said[7]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[None]:
    """A head, where this process is, and a node that was started without this process's keys."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.ray
@pytest.mark.cluster
@pytest.mark.usefixtures("two_nodes")
class TestNodes:
    def test_a_folder_that_all_share_will_do(self, tmp_path: Path) -> None:
        started = time.monotonic()
        preflight(str(tmp_path / "store"), on_ray=True)
        assert time.monotonic() - started < 60
        assert locate(tmp_path / "store").list("", deep=True) == []

    def test_a_place_that_is_another_on_each_node_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The memory of a process stands in for a local disk: everybody has one, and can write there."""
        monkeypatch.setattr("mcdist.execute.worker.Worker.compute", no_work)
        uri = "memory://alone/store"
        with pytest.raises(package.RequestError) as refused:
            package.run(small_sweep(), store=uri, executor="ray", out=io.StringIO())
        first, node, *_ = str(refused.value).splitlines()
        assert first == f"the store {uri} cannot be used from 1 of the 1 other nodes:"
        assert node.endswith(": does not see what was just written there from the driver's machine")
        assert locate(uri).list("", deep=True) == []

    def test_a_node_without_keys_is_named_with_what_the_store_said(self) -> None:
        with served_s3() as s3:
            uri = s3.uri()
            with pytest.raises(package.RequestError) as refused:
                preflight(uri, on_ray=True)
            assert "cannot be used from 1 of the 1 other nodes" in str(refused.value)
            assert "env_vars" in str(refused.value)
            assert locate(uri).list("", deep=True) == []
