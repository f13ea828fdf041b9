"""The command line: what it prints, its exit codes, and that a wrong request writes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_line import Command
from support.sweeps import small_sweep


def write(folder: Path, sweep: Any) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(sweep))
    return file


def test_from_plan_to_report(mcdist: Command, tmp_path: Path) -> None:
    spec, store = write(tmp_path, small_sweep()), tmp_path / "store"

    code, out, _ = mcdist("plan", spec, "--store", store)
    assert code == 0
    assert [line.split()[:5] for line in out.splitlines()[1:4]] == [
        ["endpoint", "4", "0", "0", "4"],
        ["path", "12", "0", "0", "12"],
        ["profile", "12", "0", "0", "12"],
    ]
    assert not store.exists(), "plan wrote something"

    code, _, err = mcdist("run", spec, "--store", store, "--executor", "serial")
    assert code == 0
    assert "28 of 28 tasks to do, in 10 packs on 1 worker(s)" in err
    assert "all 28 tasks done; next: mcdist report" in err

    code, out, _ = mcdist("plan", spec, "--store", store)
    assert [line.split()[4] for line in out.splitlines()[1:4]] == ["0", "0", "0"]

    code, out, _ = mcdist("status", store)
    assert code == 0
    assert "sweep small: 28 tasks: 28 done" in out

    code, out, _ = mcdist("failures", store)
    assert (code, out) == (0, "no failures\n")

    code, out, _ = mcdist("compact", store)
    assert code == 0
    assert mcdist("status", store)[1].splitlines()[-1] == "sweep small: 28 tasks: 28 done"

    code, out, _ = mcdist("report", store)
    assert code == 0
    assert (store / "report.html").read_text().startswith("<!doctype html>")
    assert str(store / "report.html") in out


def test_failures_are_named_with_where_to_look_and_exit_1(mcdist: Command, tmp_path: Path) -> None:
    train = {"epochs": 1, "batch_size": 32, "lr": 1e30}
    spec = write(tmp_path, small_sweep(endpoints={"seeds": 2, "train": train}, store=str(tmp_path / "store")))
    code, _, err = mcdist("run", spec, "--executor", "serial")
    assert code == 1
    assert f"2 failed, 4 blocked; see: mcdist failures {tmp_path / 'store'}" in err

    code, out, _ = mcdist("failures", tmp_path / "store")
    assert code == 1
    for seed in (0, 1):
        assert f"endpoint (digits/mlp, seed {seed}, lr 1e+30) diverged: the training loss was not finite at step" in out
    assert out.splitlines()[2:] == ["blocked by them: 2 of kind path", "blocked by them: 2 of kind profile"]
    assert "sweep small: 6 tasks: 4 blocked, 2 failed" in mcdist("status", tmp_path / "store")[1]


BAD_REQUESTS = {
    "no such file": (["run", "{tmp}/none.yaml"], "none.yaml: there is no such file"),
    "no YAML": (["run", "{tmp}/broken.yaml"], "broken.yaml:1: not YAML"),
    "unknown key": (["plan", "{spec}", "--set", "endpoints.trian=1"], "unknown key 'trian'; did you mean 'train'?"),
    "wrong type": (["run", "{spec}", "--set", "endpoints.train.epochs=many"], "must be an integer; got 'many'"),
    "negative rate": (["run", "{spec}", "--set", "endpoints.train.lr=-1"], "must be greater than 0; got -1"),
    "empty grid": (["run", "{spec}", "--set", "endpoints.train.lr={grid: []}"], "a list that is not empty; got []"),
    "pair": (["run", "{spec}", "--set", "pairs=[[0, 4]]"], "[0, 4] is out of range: there are 4 end points"),
    "data set": (
        ["run", "{spec}", "--set", "problem.data=digit"],
        "sweep.yaml: problem.data: unknown data set 'digit'; did you mean 'digits'?",
    ),
    "data not there": (["run", "{spec}", "--set", "problem.data={name: cifar10, root: {tmp}/no}"], "cifar10"),
    "model": (["run", "{spec}", "--set", "problem.model=resnet21"], "did you mean 'resnet20'?"),
    "model argument": (
        ["run", "{spec}", "--set", "problem.model={name: mlp, args: {hiden: [3]}}"],
        "unknown argument of model 'mlp' 'hiden'; did you mean 'hidden'?",
    ),
    "path": (["run", "{spec}", "--set", "paths.0.kind=liner"], "paths.0: unknown path kind 'liner'; did you mean"),
    "no such measure": (
        ["run", "{spec}", "--set", "measure.curvature={measures: [lamda_max]}"],
        "sweep.yaml: measure.curvature.0: unknown measure 'lamda_max'; did you mean 'lambda_max'?",
    ),
    "too few pivots": (
        ["run", "{spec}", "--set", "paths={kind: autoneb, neb: {pivots: 1}}"],
        "paths.neb.pivots: must be greater than or equal to 2; got 1",
    ),
    "no samples": (
        ["plan", "{spec}", "--set", "measure.curvature={samples: 0}"],
        "measure.curvature.samples: must be greater than or equal to 1; got 0",
    ),
    "a plane on a line": (
        ["run", "{spec}", "--set", "measure.plane={through: [[0, 1, 1]]}"],
        "three points on a line span no plane",
    ),
    "a plane of no path": (
        ["run", "{spec}", "--set", "pairs=chain", "--set", "measure.plane={pairs: [[0, 3]]}"],
        "sweep.yaml: measure.plane.0: no path of the sweep connects the end points [0, 3]",
    ),
    "a structure that does not fit": (
        ["run", "{spec}", "--set", "paths.0.align={method: weights, structure: {groups: {a: [[1.wieght, 0]]}}}"],
        "sweep.yaml: problem: paths.0: structure: group 'a': there is no tensor '1.wieght'; did you mean '1.weight'?",
    ),
    "no training": (["run", "{spec}", "--set", "paths.0.kind=chain"], "a path of kind 'chain' needs train"),
    "what torch.func cannot follow": (
        ["run", "{spec}", "--set", "problem.model=support.models:DependsOnData"],
        "the forward of DependsOnData does what torch.func cannot follow",
    ),
    "no module": (["run", "{spec}", "--set", "problem.model=support.models:not_a_module"], "not_a_module"),
    "no store": (["status", "{tmp}/nothing"], "no store at {tmp}/nothing"),
    "not a store": (["run", "{spec}", "--store", "{tmp}/foreign"], "foreign is not a store"),
    "store in a file": (["run", "{spec}", "--store", "{tmp}/sweep.yaml"], "sweep.yaml"),
    "no cluster there": (["run", "{spec}", "--address", "127.0.0.1:1"], "cannot connect to Ray at 127.0.0.1:1"),
    "no Ray there": (["run", "{spec}", "--address", "nonsense"], "cannot connect to Ray at nonsense"),
}


@pytest.mark.parametrize("case", list(BAD_REQUESTS))
def test_a_wrong_request_is_one_message_exit_2_and_nothing_written(case: str, mcdist: Command, tmp_path: Path) -> None:
    spec = write(tmp_path, small_sweep(store=str(tmp_path / "store")))
    (tmp_path / "broken.yaml").write_text("a: [1, 2")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").touch()
    words, message = BAD_REQUESTS[case]
    before = sorted(tmp_path.rglob("*"))
    code, out, err = mcdist(*(w.replace("{spec}", str(spec)).replace("{tmp}", str(tmp_path)) for w in words))
    assert (code, out) == (2, "")
    assert message.replace("{tmp}", str(tmp_path)) in err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_where_nothing_can_be_written(mcdist: Command, tmp_path: Path) -> None:
    code, out, err = mcdist("run", write(tmp_path, small_sweep()), "--store", "/proc/mcdist", "--executor", "serial")
    assert (code, out) == (2, "")
    assert "/proc/mcdist" in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_schema_is_printed_as_json(mcdist: Command) -> None:
    code, out, _ = mcdist("schema")
    assert code == 0
    assert {"name", "problem", "endpoints", "paths"} <= set(json.loads(out)["properties"])


def test_as_a_module_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcdist", "status", str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no store at")


def test_a_damaged_store_is_no_empty_one(mcdist: Command, tmp_path: Path) -> None:
    """A torn file must never make a sweep begin anew."""
    spec, store = write(tmp_path, small_sweep()), tmp_path / "store"
    assert mcdist("run", spec, "--store", store, "--executor", "serial")[0] == 0
    torn = next((store / "tables" / "tasks").glob("[!0]*.parquet"))
    torn.write_bytes(torn.read_bytes()[:100])
    for command in ("plan", "run"):
        code, out, err = mcdist(command, spec, "--store", store)
        assert (code, out) == (2, "")
        assert torn.name in err
