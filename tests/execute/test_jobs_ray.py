"""`ray job submit`, `logs` and `stop` against a real head on loopback, as clusters/README.md has them."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from support.loopback import Head, head
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TOKEN = "0" * 63 + "1"
SHORT = ("endpoints.seeds=3", "endpoints.train.epochs=2", "paths.1.train.epochs=3", "resources.pack=2")
SAME_BITS = ("resources.compile=off", "resources.cuda_graphs=off", "resources.channels_last=off")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Head]:
    """With a token, as a cluster should be: a job has it from the node that runs it."""
    with head(environment={"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}) as found:
        yield found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a checkout of the repository holds, an environment in it and results of an earlier run."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("mcdist", "jobs", "clusters"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", ".gitignore", ".rayignore"):
        shutil.copy(REPOSITORY / name, folder)
    for name in (".venv/bin/python", "results/old/tables.parquet", "data/cifar.tar", ".git/HEAD", "tests/test.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("large")
    return folder


def changes(*words: str) -> list[str]:
    return [part for word in words for part in ("--set", word)]


def undisturbed(spec: Path | dict[str, Any], folder: Path, *words: str) -> dict[str, pd.DataFrame]:
    summary = mcdist.run(spec, store=str(folder), executor="serial", changes=words, out=io.StringIO())
    assert summary.exit_code == 0
    return tables(folder)


def test_a_submitted_job_from_the_checkout_to_its_tables(cluster: Head, checkout: Path, tmp_path: Path) -> None:
    """The command of the README, of three networks and few epochs."""
    store = tmp_path / "store"
    line = ["python", "-m", "mcdist", "run", "jobs/digits.yaml", "--store", str(store), *changes(*SHORT, *SAME_BITS)]
    code, output = cluster.job("submit", "--submission-id", "short", "--working-dir", ".", "--", *line, cwd=checkout)
    assert code == 0, output
    assert "Job 'short' succeeded" in output
    expected = undisturbed(REPOSITORY / "jobs" / "digits.yaml", tmp_path / "serial", *SHORT, *SAME_BITS)
    assert_same_tables(tables(store), expected)

    code, log = cluster.job("logs", "short")
    assert code == 0
    own = [one for one in log.splitlines() if one.startswith(("digits: ", "endpoint ", "all "))]
    assert re.fullmatch(rf"digits: 15 of 15 tasks to do, in \d+ packs on 2 worker\(s\); results in {store}", own[0])
    assert all(one.startswith("endpoint ") for one in own[1:-1])
    assert own[-2].startswith("endpoint 3/3 · path 6/6 · profile 6/6")
    assert own[-1] == f"all 15 tasks done; next: mcdist report {store}"
    assert not set("\r\x1b") & set("\n".join(own))  # plain lines: no bar, no colours

    [uploaded] = (cluster.folder / "ray" / "session_latest" / "runtime_resources" / "working_dir_files").glob("*/")
    there = {path.name for path in uploaded.iterdir()}
    assert {"mcdist", "jobs", "pyproject.toml"} <= there
    assert not there & {".venv", "results", "data", ".git", "tests"}


def test_the_same_job_again_has_nothing_to_do(cluster: Head, checkout: Path, tmp_path: Path) -> None:
    (checkout / "tiny.yaml").write_text(yaml.safe_dump(small_sweep(pairs="none", paths=[], measure={"profile": []})))
    line = ["python", "-m", "mcdist", "run", "tiny.yaml", "--store", str(tmp_path / "store")]
    for times in range(2):
        code, output = cluster.job("submit", "--working-dir", ".", "--", *line, cwd=checkout)
        assert code == 0, output
        assert "all 4 tasks done" in output
        assert ("4 of 4 tasks to do" in output) == (times == 0)


@pytest.mark.parametrize(
    ("words", "said", "number"),
    [
        (["jobs/digit.yaml"], "error: ", 2),
        (["jobs/digits.yaml", "--set", "resources.gpus=4"], "no node has that; there are: 2 CPU, 0 GPU", 2),
    ],
)
def test_a_wrong_request_is_a_failed_job(
    words: list[str], said: str, number: int, cluster: Head, checkout: Path, tmp_path: Path
) -> None:
    """`ray job submit` knows 0 and 1 alone; the exit code of the command is in its message."""
    line = ["python", "-m", "mcdist", "run", *words, "--store", str(tmp_path / "store")]
    code, output = cluster.job("submit", "--working-dir", ".", "--", *line, cwd=checkout)
    assert code == 1
    assert said in output
    assert f"exit code {number}" in output
    assert not (tmp_path / "store").exists()


def test_runtime_env_file_gives_variables_to_driver_and_workers(cluster: Head, checkout: Path, tmp_path: Path) -> None:
    """The documented one, cut to what needs no network: its working_dir, excludes and env_vars."""
    documented = yaml.safe_load((REPOSITORY / "clusters" / "runtime-env.yaml").read_text())
    assert set(documented) == {"working_dir", "excludes", "env_vars"}
    documented["env_vars"] = {"MCDIST_CACHE": str(tmp_path / "cache")}
    (tmp_path / "env.yaml").write_text(yaml.safe_dump(documented))
    sweep = small_sweep(pairs="none", paths=[], measure={"profile": []}, resources={"compile": "on", "pack": 2})
    (checkout / "compiled.yaml").write_text(yaml.safe_dump(sweep))
    line = ["python", "-m", "mcdist", "run", "compiled.yaml", "--store", str(tmp_path / "store")]
    code, output = cluster.job("submit", "--runtime-env", str(tmp_path / "env.yaml"), "--", *line, cwd=checkout)
    assert code == 0, output
    assert any((tmp_path / "cache").rglob("*"))  # where the workers keep compiled programs


def long_sweep() -> dict[str, Any]:
    """The small sweep with curves long enough to be stopped in."""
    sweep = small_sweep()
    sweep["paths"][1]["train"]["epochs"] = 150
    return sweep


def submit_and_wait_for_commits(cluster: Head, checkout: Path, name: str, folder: Path, number: int) -> list[str]:
    """Start a job, leave it once so many packs are in the store. Its command."""
    (folder / "sweep.yaml").write_text(json.dumps(long_sweep()))
    line = ["python", "-m", "mcdist", "run", str(folder / "sweep.yaml"), "--store", str(folder / "store")]
    code, output = cluster.job(
        "submit", "--no-wait", "--submission-id", name, "--working-dir", ".", "--", *line, cwd=checkout
    )
    assert code == 0, output
    deadline = time.monotonic() + 300
    rows = folder / "store" / "tables" / "tasks"
    while len([path for path in rows.glob("*.parquet") if not path.name.startswith("0-")]) < number:
        assert time.monotonic() < deadline, cluster.job("logs", name)[1]
        time.sleep(0.02)
    return line


def drivers(folder: Path) -> list[int]:
    """Processes of `mcdist run` of this test's sweep."""
    found = subprocess.run(["pgrep", "-f", f"mcdist run {folder}"], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in found.split()]


@pytest.mark.parametrize("answers", [True, False])
def test_stopped_and_submitted_again(answers: bool, cluster: Head, checkout: Path, tmp_path: Path) -> None:
    """`ray job stop` is SIGTERM, and SIGKILL to what is there 3 s later, as a driver that does not answer."""
    name = f"stopped-{answers}"
    line = submit_and_wait_for_commits(cluster, checkout, name, tmp_path, 3)
    if not answers:
        for pid in drivers(tmp_path):
            os.kill(pid, signal.SIGSTOP)
    code, output = cluster.job("stop", name)
    assert code == 0, output
    assert f"Job '{name}' was stopped" in output
    assert not drivers(tmp_path)
    log = cluster.job("logs", name)[1]
    assert ("stopped; what is finished is kept, and the same command goes on from there" in log) == answers
    before = pd.read_parquet(tmp_path / "store" / "tables" / "tasks").set_index("task_id")["started_at"]
    assert 0 < len(before) < 28

    code, output = cluster.job("submit", "--working-dir", ".", "--", *line, cwd=checkout)
    assert code == 0, output
    assert re.search(r"small: (\d+) of 28 tasks to do", output)[1] == str(28 - len(before))  # type: ignore[index]
    assert_same_tables(tables(tmp_path / "store"), undisturbed(long_sweep(), tmp_path / "undisturbed"))
    started = mcdist.open_store(tmp_path / "store").table("tasks").set_index("task_id")["started_at"]
    pd.testing.assert_series_equal(started[before.index], before, check_dtype=False)  # finished work is not redone


def test_the_digits_job_whole(cluster: Head, checkout: Path, tmp_path: Path) -> None:
    """`jobs/digits.yaml` as it is: 8 networks, 28 pairs, two kinds of path."""
    line = ["python", "-m", "mcdist", "run", "jobs/digits.yaml", "--store", str(tmp_path / "digits")]
    code, output = cluster.job("submit", "--working-dir", ".", "--", *line, cwd=checkout)
    assert code == 0, output
    store = mcdist.open_store(tmp_path / "digits")
    assert store.table("tasks")["status"].eq("done").all()
    counts = {name: len(store.table(name)) for name in ("endpoints", "paths", "path_points", "barriers")}
    assert counts == {"endpoints": 8, "paths": 56, "path_points": 56 * 61, "barriers": 56 * 4}
    code, output = cluster.command("mcdist", "status", store.uri)
    assert code == 0
    assert "sweep digits: 120 tasks: 120 done" in output
