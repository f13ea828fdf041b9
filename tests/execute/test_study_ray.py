"""Studies by Ray Tune: as by one process, whatever is killed at whatever moment."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
import ray
from support.studies import adaptive_study, curves, small_study
from support.sweeps import assert_same_tables, tables

import mcdist
from mcdist.execute.study_log import Begun
from mcdist.execute.study_trial import Found, Outcome
from mcdist.execute.study_tune import Next
from mcdist.spec import load_study

pytestmark = pytest.mark.ray

TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def with_curves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uri = tmp_path_factory.mktemp("curves") / "store"
    assert mcdist.run(curves(), store=str(uri), executor="serial", out=io.StringIO()).exit_code == 0
    return uri


@pytest.fixture
def folder(tmp_path: Path, with_curves: Path) -> Iterator[Path]:
    """A folder with `store`; what a test started in it has ended when it is over, and left nothing elsewhere."""
    shutil.copytree(with_curves, tmp_path / "store")
    yield tmp_path
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False).stdout.split()
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    assert not left, "processes of this test were left running"


def by_one_process(study: dict[str, Any], with_curves: Path, folder: Path) -> dict[str, pd.DataFrame]:
    uri = shutil.copytree(with_curves, folder / "undisturbed")
    assert mcdist.tune(study, store=str(uri), executor="serial", out=io.StringIO()).exit_code == 0
    return tables(uri)


def start(study: dict[str, Any], folder: Path) -> subprocess.Popen[str]:
    (folder / "study.yaml").write_text(json.dumps(study))  # JSON is YAML
    (folder / "tmp").mkdir(exist_ok=True)
    line = [sys.executable, "-m", "mcdist", "tune", str(folder / "study.yaml"), "--store", str(folder / "store")]
    env = os.environ | {"PYTHONPATH": str(TESTS), "TMPDIR": str(folder / "tmp"), "RAY_TMPDIR": tempfile.gettempdir()}
    return subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=180)
    return process.returncode, output


def wait_for_trials(process: subprocess.Popen[str], folder: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    rows = folder / "store" / "tables" / "trials"
    while len([p for p in rows.glob("*.parquet") if not p.name.startswith("0-")]) < number:
        assert process.poll() is None, f"ended before {number} trials: {process.communicate()[0]}"
        assert time.monotonic() < deadline, "no trial in two minutes"
        time.sleep(0.005)


def started(folder: Path) -> pd.Series:
    tasks = mcdist.open_store(folder / "store").table("tasks").query("status == 'done'")
    return tasks.set_index("task_id")["started_at"].sort_index()


def longer(study: dict[str, Any]) -> dict[str, Any]:
    """With trials long enough to be killed in."""
    return study | {"relaxation": study["relaxation"] | {"time": 30, "stop": False}}


@pytest.mark.long
def test_driver_killed_then_the_same_study(folder: Path, with_curves: Path) -> None:
    """By one process, which is quicker to start; that Ray goes on as well is seen below."""
    study = longer(adaptive_study())
    process = start(study, folder)
    wait_for_trials(process, folder, 3)
    process.kill()
    process.wait()
    before = started(folder)
    done = mcdist.open_store(folder / "store").table("trials")
    assert 3 <= len(done) < 6

    out = io.StringIO()
    assert mcdist.tune(study, store=str(folder / "store"), executor="serial", out=out).exit_code == 0
    assert f"{len(done)} of 6 trials done" in out.getvalue()
    assert_same_tables(tables(folder / "store"), by_one_process(study, with_curves, folder))
    pd.testing.assert_series_equal(started(folder)[before.index], before)  # finished work is not redone


@pytest.mark.long
def test_interrupted_cleanly_told_how_to_go_on_and_nothing_but_own_lines(folder: Path, with_curves: Path) -> None:
    study = longer(small_study())
    process = start(study, folder)
    wait_for_trials(process, folder, 1)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, output = finish(process)
    assert (code, time.monotonic() - asked < 20) == (143, True), output
    assert "stopped; complete trials are kept, and the same command goes on from there" in output
    assert "Traceback" not in output
    assert not list((folder / "tmp").glob("mcdist-tune-*"))

    code, output = finish(start(study, folder))
    assert code == 0, output
    assert_same_tables(tables(folder / "store"), by_one_process(study, with_curves, folder))
    said = [line for line in output.splitlines() if "Started a local Ray" not in line]
    assert all(line.startswith("noise: ") for line in said[:-1]), output
    assert said[-1] == f"all 4 trials done; next: mcdist report {folder / 'store'}"
    assert not list((folder / "tmp").glob("mcdist-tune-*"))


@pytest.mark.long
def test_a_trial_whose_process_is_lost_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, uri, fuse = curves(), str(tmp_path / "store"), tmp_path / "fuse"
    sweep["problem"]["model"] = "support.models:KillsItsWorkerOnce"
    mcdist.run(sweep, store=uri, executor="serial", out=io.StringIO())
    fuse.touch()
    monkeypatch.setenv("MCDIST_TEST_FUSE", str(fuse))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    out = io.StringIO()
    summary = mcdist.tune(small_study(), store=uri, out=out)
    assert not fuse.exists()
    assert (summary.exit_code, summary.counts) == (0, {"done": 4}), out.getvalue()
    assert not ray.is_initialized(), "what the study started it should stop"


@pytest.mark.long
def test_on_a_ray_that_was_there_before_nothing_is_left(folder: Path) -> None:
    """Neither after an interrupt nor at the end: all CPUs are free again, and Ray goes on."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        timer = threading.Timer(8.0, signal.raise_signal, [signal.SIGINT])
        study = small_study(relaxation=small_study()["relaxation"] | {"time": 3000, "stop": False})
        handler = signal.getsignal(signal.SIGINT)
        timer.start()
        summary = mcdist.tune(study, store=str(folder / "store"), out=io.StringIO())
        assert summary.exit_code == 130
        assert signal.getsignal(signal.SIGINT) is handler
        assert all_free()
        assert mcdist.tune(small_study(name="short"), store=str(folder / "store"), out=io.StringIO()).exit_code == 0
        assert all_free()
    finally:
        ray.shutdown()


def all_free() -> bool:
    deadline = time.monotonic() + 20
    while ray.available_resources().get("CPU") != 2.0:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_request_that_no_node_can_meet_is_refused(folder: Path) -> None:
    study, before = small_study(resources={"cpus": 1000}), sorted(folder.rglob("*"))
    with pytest.raises(mcdist.RequestError, match="a worker asks for 1000 CPU and 0 GPU, and no node has that"):
        mcdist.tune(study, store=str(folder / "store"), out=io.StringIO())
    assert not ray.is_initialized()
    assert sorted(folder.rglob("*")) == before


class Log:
    """Three trials, in place of a study's."""

    def __init__(self) -> None:
        relaxation = load_study(small_study()).at({"lr": 0.2, "batch_size": 2})
        self.waiting = [Begun(number, {}, relaxation, [str(number)]) for number in (3, 2, 1)]
        self.ended: dict[int, Outcome] = {}

    def begin(self) -> Begun | None:
        return self.waiting.pop() if self.waiting else None

    def again(self, number: int) -> None:
        self.waiting.append(Begun(number, {}, self.waiting[0].relaxation, [str(number)]))

    def end(self, number: int, outcome: Outcome, seconds: float | None) -> None:
        self.ended[number] = outcome


def test_a_trial_that_always_loses_its_process_is_given_up_and_the_others_go_on() -> None:
    log, found = Log(), Outcome(Found(1.0, 8, 4, 2.0, 0.5))
    trials: Any = Next(cast(Any, log), cast(Begun, log.begin()), retries=1)
    for name in ("a", "b"):
        assert trials.suggest(name)["relaxation"]
        trials.on_trial_complete(name, error=True)  # Tune says it twice, first without a reason
        trials.lost(name, f"the node of {name} went away")
    assert log.ended == {1: Outcome(None, error="its process was lost 2 times; the last time: the node of b went away")}
    for name in ("c", "d"):
        trials.suggest(name)
    assert trials.suggest("e") is None, "those that run may yet have to be begun again"
    for name in ("c", "d"):
        trials.on_trial_complete(name, {"outcome": found, "done": True})
    assert trials.suggest("f") == "FINISHED"
    assert set(log.ended) == {1, 2, 3}
    assert log.ended[3] == found
