"""Whatever is killed at whatever moment: the same command ends with the tables of an undisturbed run."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist

pytestmark = pytest.mark.ray

TESTS = Path(__file__).resolve().parent.parent


def command(sweep: dict[str, Any], folder: Path, *options: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.yaml").write_text(json.dumps(sweep))  # JSON is YAML
    return [
        sys.executable, "-m", "mcdist", "run", str(folder / "sweep.yaml"), "--store", str(folder / "store"), *options,
    ]  # fmt: skip


def start(line: list[str], **environment: str) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(TESTS)} | environment
    return subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=180)
    return process.returncode, output


def commits(folder: Path) -> int:
    return len([p for p in (folder / "store" / "tables" / "tasks").glob("*.parquet") if not p.name.startswith("0-")])


def wait_for_commits(process: subprocess.Popen[str], folder: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    while commits(folder) < number:
        assert process.poll() is None, f"ended before {number} commits: {process.communicate()[0]}"
        assert time.monotonic() < deadline, "no commit in two minutes"
        time.sleep(0.005)


def long_sweep() -> dict[str, Any]:
    """The small sweep with curves long enough to be killed in."""
    sweep = small_sweep()
    sweep["paths"][1]["train"]["epochs"] = 60
    return sweep


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    uri = tmp_path_factory.mktemp("undisturbed")
    mcdist.run(long_sweep(), store=str(uri), executor="serial", out=io.StringIO())
    return tables(uri)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False).stdout.split()
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    assert not left, "processes of this test were left running"


@pytest.mark.parametrize(("executor", "after"), [("serial", 2), ("ray", 3)])
def test_driver_killed_then_the_same_command(
    executor: str, after: int, folder: Path, expected: dict[str, pd.DataFrame]
) -> None:
    line = command(long_sweep(), folder, "--executor", executor)
    process = start(line)
    wait_for_commits(process, folder, after)
    process.kill()
    process.wait()
    before = pd.read_parquet(folder / "store" / "tables" / "tasks").set_index("task_id")["started_at"]
    assert 0 < len(before) < 28

    code, output = finish(start(line))
    assert code == 0, output
    assert_same_tables(tables(folder / "store"), expected)
    started = mcdist.open_store(folder / "store").table("tasks").set_index("task_id")["started_at"]
    pd.testing.assert_series_equal(started[before.index], before, check_dtype=False)  # finished work is not redone


@pytest.mark.parametrize(
    ("number", "code", "then"),
    [pytest.param(signal.SIGINT, 130, "ray", marks=pytest.mark.long), (signal.SIGTERM, 143, "serial")],
)
def test_interrupted_cleanly_and_told_how_to_go_on(
    number: signal.Signals, code: int, then: str, folder: Path, expected: dict[str, pd.DataFrame]
) -> None:
    """It may be gone on with by the same executor or the other."""
    line = command(long_sweep(), folder)
    process = start(line)
    wait_for_commits(process, folder, 2)
    asked = time.monotonic()
    process.send_signal(number)
    got, output = finish(process)
    assert (got, time.monotonic() - asked < 10) == (code, True), output
    assert "the same command goes on" in output
    assert "Traceback" not in output
    assert finish(start([*line, "--executor", then]))[0] == 0
    assert_same_tables(tables(folder / "store"), expected)


def mine(model: str) -> dict[str, Any]:
    sweep = small_sweep(paths=[], pairs="none", measure={"profile": []})
    sweep["problem"]["model"] = f"support.models:{model}"
    return sweep


def test_a_killed_worker_is_replaced_and_its_pack_done_again(folder: Path) -> None:
    fuse = folder / "fuse"
    fuse.touch()
    sweep = mine("KillsItsWorkerOnce")
    code, output = finish(start(command(sweep, folder), MCDIST_TEST_FUSE=str(fuse)))
    assert code == 0, output
    assert not fuse.exists()
    tasks = mcdist.open_store(folder / "store").table("tasks")
    assert sorted(tasks["attempts"].unique()) == [1, 2]

    undisturbed = folder / "undisturbed"
    assert mcdist.run(sweep, store=str(undisturbed), executor="serial", out=io.StringIO()).exit_code == 0
    assert_same_tables(tables(folder / "store"), tables(undisturbed))


def test_a_task_that_always_kills_its_worker_is_given_up(folder: Path) -> None:
    sweep = mine("KillsItsWorkerAlways") | {"resources": {"pack": 2, "retries": 1, "workers": 1}}
    sweep["endpoints"]["seeds"] = 2
    code, output = finish(start(command(sweep, folder)))
    assert code == 1, output
    assert "2 failed; see: mcdist failures" in output
    tasks = mcdist.open_store(folder / "store").table("tasks")
    assert tasks["status"].tolist() == ["failed", "failed"]
    assert tasks["error_kind"].tolist() == ["lost", "lost"]
    assert tasks["error"].str.contains("its worker was lost 2 times").all()
