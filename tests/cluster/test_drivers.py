"""Drivers on one store: two at once, and one after the other was killed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.disturbing import Watch, assert_not_redone, commits, committed, wait_for
from support.sweeps import assert_same_tables, tables

import mcdist
from cluster.conftest import Nodes
from cluster.test_nodes import long_curves

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

Expected = Callable[[dict[str, Any]], dict[str, pd.DataFrame]]


Start = Callable[[], subprocess.Popen[str]]


@pytest.fixture
def start_other(nodes: Nodes, tmp_path: Path) -> Iterator[Start]:
    """Starts a process that does the sweep with one worker; call once there is a node for it."""
    (tmp_path / "sweep.yaml").write_text(json.dumps(long_curves(workers=1)))
    line = [sys.executable, "-m", "mcdist", "run", str(tmp_path / "sweep.yaml"), "--store", str(tmp_path / "s")]
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        environment = os.environ | {"RAY_ADDRESS": ""}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen([*line, "--address", nodes.address], env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def begun(process: subprocess.Popen[str], store: Path) -> None:
    """Return when the process has committed something."""

    def has() -> bool:
        assert process.poll() is None, process.communicate()[0]
        return commits(store) > 0

    wait_for(has, "a commit")


def test_two_drivers_that_do_the_same_sweep_at_once_are_in_nobodys_way(
    nodes: Nodes, watch: Watch, tmp_path: Path, undisturbed: Expected, start_other: Start
) -> None:
    expected, store = undisturbed(long_curves()), tmp_path / "s"
    nodes.add(cpus=2)
    other_driver = start_other()
    begun(other_driver, store)
    summary = mcdist.run(
        long_curves(workers=1), store=str(store), executor="ray", address=nodes.address, out=io.StringIO()
    )
    output, _ = other_driver.communicate(timeout=120)
    assert (summary.exit_code, other_driver.returncode) == (0, 0), output
    mine = {i for event in watch.events for i in event.job.ids}
    theirs = set(committed(store).index) - mine
    assert mine, "the first driver was done before the second began"
    assert theirs
    assert_same_tables(tables(store), expected)


def test_a_driver_killed_on_a_cluster_frees_its_workers_for_the_next(
    nodes: Nodes, watch: Watch, tmp_path: Path, undisturbed: Expected, start_other: Start
) -> None:
    """The node has room for one worker: the next driver has none until Ray has ended that of the first."""
    expected, store = undisturbed(long_curves()), tmp_path / "s"
    nodes.add(cpus=1)
    other_driver = start_other()
    begun(other_driver, store)
    other_driver.kill()
    other_driver.wait()
    before = committed(store)
    summary = mcdist.run(long_curves(), store=str(store), executor="ray", address=nodes.address, out=io.StringIO())
    assert summary.exit_code == 0
    assert not {i for event in watch.events for i in event.job.ids} & set(before.index)
    assert_not_redone(store, before)
    assert_same_tables(tables(store), expected)
