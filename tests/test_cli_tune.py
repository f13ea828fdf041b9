"""`mcdist tune` and what else of the command line a study concerns."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from support.command_line import Command
from support.studies import curves, small_study

import mcdist as package


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study over a sweep that is done."""
    package.run(curves(), store=str(tmp_path / "store"), executor="serial", out=io.StringIO())
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(small_study(store=str(tmp_path / "store"))))
    return file


def test_from_tune_to_report(mcdist: Command, study: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    code, out, err = mcdist("tune", study, "--executor", "serial")
    assert (code, out) == (0, "")
    first, *trials, last = err.splitlines()
    assert first == f"noise: 0 of 4 trials done, on 2 paths of sweep curves; results in {store}"
    assert [line.split(":")[1] for line in trials] == [f" trial {n}/4" for n in (1, 2, 3, 4)]
    assert last == f"all 4 trials done; next: mcdist report {store}"

    code, _, err = mcdist("tune", study, "--executor", "serial")
    assert (code, len(err.splitlines())) == (0, 2)
    assert "4 of 4 trials done" in err

    assert "sweep noise: 12 tasks: 12 done" in mcdist("status", store)[1]
    assert mcdist("report", store, "--sweep", "noise")[0] == 0
    assert mcdist("tune", store / "sweeps" / "noise.yaml", "--executor", "serial")[0] == 0  # what was resolved is one


def test_a_study_with_everything_done_needs_no_ray(mcdist: Command, study: Path) -> None:
    mcdist("tune", study, "--executor", "serial")
    assert mcdist("tune", study, "--address", "127.0.0.1:1")[0] == 0


def test_failed_trials_are_named_and_exit_1(mcdist: Command, study: Path, tmp_path: Path) -> None:
    store = package.open_store(tmp_path / "store")
    path = store.table("paths").query("kind == 'bezier'")["path_id"].iloc[0]
    (tmp_path / "store" / "weights" / path[:2] / f"{path}.safetensors").unlink()
    code, _, err = mcdist("tune", study, "--executor", "serial")
    assert code == 1
    trials = store.table("tasks").query("kind == 'trial'")["task_id"]
    assert len(trials) == 4
    assert all(trial in err.splitlines()[-2] for trial in trials)
    assert err.splitlines()[-2].startswith("4 of 4 trials failed: ")
    assert err.splitlines()[-1] == f"see: mcdist failures {tmp_path / 'store'}"
    assert mcdist("failures", tmp_path / "store")[0] == 1


WRONG = {
    "no such file": (["{tmp}/none.yaml"], "{tmp}/none.yaml: there is no such file"),
    "unknown parameter": (["{study}", "--set", "space.lrr={grid: [1]}"], "unknown setting 'lrr'; did you mean 'lr'?"),
    "reversed bounds": (
        ["{study}", "--set", "space.lr={log: [1, 0.1]}"],
        "space.lr.log: must be two bounds, the lower",
    ),
    "no store": (["{study}", "--store", "{tmp}/none"], "study.yaml: no store at {tmp}/none"),
    "no such sweep": (["{study}", "--set", "sweep=x"], "study.yaml: sweep: {tmp}/store: unknown sweep 'x'"),
    "no cluster there": (["{study}", "--address", "127.0.0.1:1"], "cannot connect to Ray at 127.0.0.1:1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_one_message_exit_2_and_nothing_written(
    case: str, mcdist: Command, study: Path, tmp_path: Path
) -> None:
    words, message = WRONG[case]
    before = sorted(tmp_path.rglob("*"))
    code, out, err = mcdist("tune", *(w.replace("{study}", str(study)).replace("{tmp}", str(tmp_path)) for w in words))
    assert (code, out) == (2, "")
    assert message.replace("{tmp}", str(tmp_path)) in err
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_without_any_sweep(mcdist: Command, study: Path, tmp_path: Path) -> None:
    package.open_store(tmp_path / "empty", create=True)
    code, _, err = mcdist("tune", study, "--store", tmp_path / "empty")
    assert code == 2
    assert "unknown sweep 'curves'; allowed: none yet; 'mcdist run' makes one" in err


def test_the_schema_of_a_study(mcdist: Command) -> None:
    code, out, _ = mcdist("schema", "--study")
    assert code == 0
    both = json.loads(out)
    assert set(both["else"]["properties"]) >= {"name", "sweep", "relaxation", "space", "search"}
    assert set(both["then"]["properties"]) >= {"name", "problem", "endpoints", "ensemble", "space", "search", "final"}
