"""A store that fails in the midst of a sweep: the run ends with its reason, and the same command goes on from there."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.command_line import Command
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist as package
from mcdist.execute import Summary
from mcdist.store import attempts


def run(uri: Path, sweep: dict[str, Any] | None = None) -> Summary:
    return package.run(sweep or small_sweep(), store=str(uri), executor="serial", out=io.StringIO())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, pd.DataFrame], int]:
    """The tables of a run, and how many files it brought to disk."""
    uri = tmp_path_factory.mktemp("undisturbed")
    calls, fsync = [], os.fsync
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: calls.append(fsync(file)))
        assert run(uri).exit_code == 0
    return tables(uri), len(calls)


@pytest.fixture
def failing_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, OSError, int], None]:
    """Let the system refuse files, after so many, so many times."""
    fsync = os.fsync

    def fail(after: int, error: OSError, times: int) -> None:
        count = iter(range(10**9))

        def refused(file: int) -> None:
            if after <= next(count) < after + times:
                raise error
            fsync(file)

        monkeypatch.setattr(os, "fsync", refused)

    return fail


@pytest.mark.parametrize("part", [0.5, 0.8, 0.99])
def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(
    part: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing_after: Callable[..., None],
    undisturbed: tuple[dict[str, pd.DataFrame], int],
) -> None:
    expected, files = undisturbed
    failing_after(int(part * files), OSError(28, "No space left on device"), 10**9)
    with pytest.raises(package.McdistError, match=rf"cannot write {tmp_path}/.*: No space left on device"):
        run(tmp_path)
    before = package.open_store(tmp_path).table("tasks").set_index("task_id")["started_at"]
    assert len(before) < 28
    for table in ("tasks", "endpoints", "path_points"):
        pd.read_parquet(tmp_path / "tables" / table)  # whole files only
    assert not list((tmp_path / ".tmp").iterdir())
    monkeypatch.undo()
    assert run(tmp_path).exit_code == 0
    assert_same_tables(tables(tmp_path), expected)
    started = package.open_store(tmp_path).table("tasks").set_index("task_id")["started_at"]
    pd.testing.assert_series_equal(started[before.index], before)  # finished work is not redone


def test_a_disk_that_comes_back_is_waited_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing_after: Callable[..., None],
    undisturbed: tuple[dict[str, pd.DataFrame], int],
) -> None:
    """A network's file system is away four times in a row, in the midst of a commit."""
    expected, files = undisturbed
    monkeypatch.setattr(attempts, "PAUSES_S", (0.0,) * 4)
    failing_after(files * 3 // 4, OSError(116, "Stale file handle"), 4)
    assert run(tmp_path).exit_code == 0
    assert_same_tables(tables(tmp_path), expected)


def test_a_torn_network_fails_what_needs_it_alone_and_says_which_file(tmp_path: Path) -> None:
    ends = small_sweep(paths=[], measure={"profile": []})
    assert package.run(ends, store=str(tmp_path), executor="serial", out=io.StringIO()).exit_code == 0
    first = sorted((tmp_path / "weights").rglob("*.safetensors"))[0]
    first.write_bytes(first.read_bytes()[:-100])
    summary = run(tmp_path)
    assert (summary.exit_code, summary.counts["done"] >= 4 + 6) == (1, True)
    tasks = package.open_store(tmp_path).table("tasks")
    failed = tasks[tasks["status"] == "failed"]
    assert failed["error"].str.contains(f"{first} is not a readable safetensors file", regex=False).all()
    assert all(first.stem in inputs for inputs in failed["inputs"])


@pytest.mark.parametrize("damage", ["torn", "foreign"])
def test_a_file_that_is_no_table_is_named_before_anything_is_done(
    damage: str, tmp_path: Path, mcdist: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = small_sweep(paths=[], measure={"profile": []})
    assert package.run(ends, store=str(tmp_path / "s"), executor="serial", out=io.StringIO()).exit_code == 0
    bad = tmp_path / "s" / "tables" / "tasks" / "x.parquet"
    if damage == "torn":
        bad.write_bytes(next(bad.parent.glob("[!0]*.parquet")).read_bytes()[:-20])
    else:
        pd.DataFrame({"thesis": [1]}).to_parquet(bad)
    (tmp_path / "sweep.yaml").write_text(str(small_sweep()))  # of plain values: YAML
    said = f"{bad} is no file of table 'tasks': move it away and run again"
    for words in (
        ("run", tmp_path / "sweep.yaml", "--store", tmp_path / "s", "--executor", "serial"),
        ("status", tmp_path / "s"),
        ("compact", tmp_path / "s"),
    ):
        code, _, err = mcdist(*words)
        assert (code, said in err, "Traceback" in err) == (2, True, False)
    bad.unlink()
    assert run(tmp_path / "s").exit_code == 0


def child(uri: Path, prelude: str, sweep: dict[str, Any], **how: Any) -> subprocess.CompletedProcess[str]:
    (uri.parent / "sweep.yaml").write_text(str(sweep))  # of plain values: YAML
    code = f"{prelude}\nimport sys; from mcdist.cli import main; main()"
    words = ["run", str(uri.parent / "sweep.yaml"), "--store", str(uri), "--executor", "serial"]
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=240, check=False, **how
    )


MORTAL = """
import os, signal
replace, left = os.replace, [{files}]
def mortal(*names):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*names)
os.replace = mortal
"""


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.6, *(pytest.param(part, marks=pytest.mark.long) for part in (0.5, 0.7, 0.8, 0.9))])
def test_killed_between_the_temporary_file_and_its_move(
    part: float, tmp_path: Path, undisturbed: tuple[dict[str, pd.DataFrame], int]
) -> None:
    expected, files = undisturbed
    uri = tmp_path / "store"
    assert child(uri, MORTAL.format(files=int(part * files)), small_sweep()).returncode == -signal.SIGKILL
    assert len(list((uri / ".tmp").iterdir())) == 1
    assert 0 <= len(package.open_store(uri).table("tasks")) < 28
    assert run(uri).exit_code == 0
    assert_same_tables(tables(uri), expected)


@pytest.mark.slow
def test_a_quota_on_files_ends_the_run_with_the_name_of_the_file(tmp_path: Path) -> None:
    """As the system enforces it: the weights of an end point (19 kB) and all tables fit, those of a curve do not."""
    sweep, uri, limit = small_sweep(), tmp_path / "store", 40_000
    sweep["problem"]["model"]["args"]["hidden"] = [64]
    done = child(uri, "", sweep, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 1, done.stderr
    assert f"cannot write {uri}/weights/" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((uri / ".tmp").iterdir())
    kinds = package.open_store(uri).table("tasks")["kind"]
    assert 0 < len(kinds) < 28
    assert run(uri, sweep).exit_code == run(tmp_path / "undisturbed", sweep).exit_code == 0
    assert_same_tables(tables(uri), tables(tmp_path / "undisturbed"))
