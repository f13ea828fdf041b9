"""Studies of ensembles by Ray Tune: stopped early, bred, drawn after others; killed, and gone on with."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
import ray
from support.ensemble_studies import SPACE, ensemble_study, population
from support.sweeps import PASSING, assert_same_tables, tables

import mcdist
from mcdist.execute import Summary
from mcdist.execute.driver import drive
from mcdist.execute.ensemble_schedulers import scheduler_of, within
from mcdist.execute.ensemble_tune import _experiment, _folder, _remove
from mcdist.execute.serial import SerialExecutor
from mcdist.execute.state import what_remains
from mcdist.execute.study_trial import Silent
from mcdist.execute.sweep import scheduled
from mcdist.plan.ensemble_trial import starts_plan
from mcdist.plan.graph import Plan
from mcdist.plan.task import Blueprint
from mcdist.spec import EnsembleStudySpec, load_ensemble_study
from mcdist.spec.tasks import EnsembleTrialTask
from mcdist.tasks.problems import prepare

pytestmark = pytest.mark.ray

TESTS = Path(__file__).resolve().parent.parent
FOUR = ({"lr1": {"grid": [0.1, 0.3, 0.002, 0.003]}}, {"method": "fge", "lr2": 0.002, "cycle": 0.8, "start": 2})
"""Four settings, the last two of which learn next to nothing more."""


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    """A Ray with room for two trials."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def tune(data: dict[str, Any], uri: Path, **how: Any) -> tuple[Summary, str]:
    """What became of it, and what was said."""
    out = io.StringIO()
    summary = mcdist.tune(data, store=str(uri), out=out, **how)
    return summary, out.getvalue()


def started(uri: Path) -> pd.Series:
    tasks = mcdist.open_store(uri).table("tasks").query("status == 'done'")
    return tasks.set_index("task_id")["started_at"].sort_index()


def done_as_tasks(study: EnsembleStudySpec, uri: Path, folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a store whose trials were forgotten, and done again as the tasks that they say they are."""
    copy = shutil.copytree(uri, folder / "as tasks")
    store = mcdist.open_store(copy)
    rows = store.table("tasks").query("kind == 'ensemble_trial'")
    tasks = [Blueprint(EnsembleTrialTask.model_validate_json(row.spec)).task(*row.inputs) for row in rows.itertuples()]
    assert sorted(task.id for task in tasks) == sorted(rows["task_id"])
    store.forget([task.id for task in tasks])
    starts, prepared = starts_plan(study), prepare(starts_plan(study).spec)
    plan = Plan(starts.spec, {**starts.tasks, **{task.id: task for task in tasks}})
    workers = SerialExecutor(study.resources, prepared.datasets)
    workers.start(store.uri, {})
    drive(scheduled(plan, what_remains(plan, store.tasks()), store, workers), workers, store, Silent(plan))
    workers.close()
    return tables(copy)


def without_packs(all_tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Trials are packs of one where they are done one by one."""
    left = {name: frame.drop(columns=["pack_id", "pack_size"], errors="ignore") for name, frame in all_tables.items()}
    return {name: frame.drop(columns=[*PASSING], errors="ignore") for name, frame in left.items()}


@pytest.mark.slow
def test_the_worse_are_stopped_early_and_each_is_what_its_task_would_be(two_workers: None, tmp_path: Path) -> None:
    """What Tune left of some other run, and cannot be read, is no hindrance; nothing of its own is left at the end."""
    space, ensemble = FOUR
    data = ensemble_study(
        space=space, ensemble=ensemble, search={"method": "grid", "scheduler": "asha", "reduction": 2}
    )
    study, uri = load_ensemble_study(data), tmp_path / "store"
    mcdist.open_store(uri, create=True)
    damaged = uri / "tune" / "tuned" / _experiment(study)
    damaged.mkdir(parents=True)
    (damaged / "tuner.pkl").write_bytes(b"damaged")
    summary, said = tune(data, uri)
    rows = mcdist.open_store(uri).table("trials").set_index("lr1")
    assert summary.exit_code == 0, said
    assert summary.counts.total() == len(rows) == 4
    assert summary.counts["stopped"] == (~rows["complete"]).sum() >= 1
    assert rows.loc[0.1, "complete"] or rows.loc[0.3, "complete"]
    for lr1, row in rows[~rows["complete"]].iterrows():
        assert row["members"] < row["members_planned"] == 4
        assert f"lr1 {lr1:.4g} · val nll {row['val_nll']:.4g}" in said
        assert f"stopped after {row['members']} of 4 cycles" in said
    assert f"{summary.counts['done']} of 4 trials complete, {summary.counts['stopped']} stopped early" in said
    assert not (uri / "tune").exists()
    assert_same_tables(without_packs(tables(uri)), without_packs(done_as_tasks(study, uri, tmp_path)))

    before = started(uri)
    again, said = tune(data, uri, address="127.0.0.1:1")
    assert (again.counts, "4 of 4 trials ended" in said) == (summary.counts, True)
    pd.testing.assert_series_equal(started(uri), before)


@pytest.mark.long
def test_a_grid_by_ray_is_a_grid_by_one_process(two_workers: None, tmp_path: Path) -> None:
    for how in ("ray", "serial"):
        assert tune(ensemble_study(), tmp_path / how, executor=how)[0].counts == {"done": 4}
    assert_same_tables(tables(tmp_path / "ray"), tables(tmp_path / "serial"))


@pytest.mark.long
def test_a_population_follows_its_best_and_each_lineage_of_rates_is_a_task(two_workers: None, tmp_path: Path) -> None:
    study, uri = load_ensemble_study(population()), tmp_path / "store"
    summary, said = tune(population(), uri)
    assert (summary.exit_code, summary.counts) == (0, {"done": 4}), said
    store = mcdist.open_store(uri)
    rows, cycles = store.table("trials"), store.table("trial_cycles")
    assert rows["complete"].all()
    changed = 0
    for row in rows.itertuples():
        own = cycles[cycles["trial_id"] == row.trial_id].sort_values("cycle")
        rates = json.loads(str(row.parameters))["rates"] or [[row.lr1, row.lr2]] * row.members
        assert list(zip(own["lr1"], own["lr2"], strict=True)) == [tuple(pair) for pair in rates]
        assert rates[-1] == [row.lr1, row.lr2]
        assert all(0.05 <= high <= 0.3 and 0.001 <= low <= 0.02 for high, low in rates)
        changed += len({tuple(pair) for pair in rates}) > 1
    assert changed >= 1
    assert_same_tables(without_packs(tables(uri)), without_packs(done_as_tasks(study, uri, tmp_path)))
    assert "4 of 4 trials ended" in tune(population(), uri, address="127.0.0.1:1")[1]


@pytest.mark.long
def test_optuna_draws_as_many_as_are_asked_for_and_goes_on_from_those_there_are(
    two_workers: None, tmp_path: Path
) -> None:
    search = {"method": "optuna", "trials": 3, "concurrent": 1, "seed": 1}
    data = ensemble_study(ensemble={"method": "fge", "cycle": 0.8}, space={**SPACE, "start": {"uniform": [2, 3]}})
    data, uri = data | {"search": search}, tmp_path / "store"
    summary, said = tune(data, uri)
    assert (summary.exit_code, summary.counts) == (0, {"done": 3}), said
    study, before = load_ensemble_study(data), started(uri)
    first = load_ensemble_study(uri / "sweeps" / "tuned.yaml").settings
    assert len(first) == 3
    assert all(study.holds(setting) for setting in first)

    summary, said = tune(data, uri, changes=["search.trials=4"])
    assert "3 of 4 trials ended" in said
    assert summary.counts == {"done": 4}
    assert load_ensemble_study(uri / "sweeps" / "tuned.yaml").settings[:3] == first
    pd.testing.assert_series_equal(started(uri)[before.index], before)


# Killed


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """What a test started in it has ended when it is over."""
    yield tmp_path
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False).stdout.split()
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    assert not left, "processes of this test were left running"


def longer() -> dict[str, Any]:
    """With trials long enough to be killed in."""
    grid = {"lr1": {"grid": [0.1, 0.15, 0.2, 0.25]}}
    fixed = {"method": "fge", "lr2": 0.01, "cycle": 10, "start": 2}
    train = {"epochs": 200, "lr": 0.1, "batch_size": 20}
    search = {"method": "grid", "concurrent": 1}
    return ensemble_study(endpoints={"seeds": [100, 101], "train": train}, ensemble=fixed, space=grid, search=search)


def start(study: dict[str, Any], folder: Path) -> subprocess.Popen[str]:
    (folder / "study.yaml").write_text(json.dumps(study))  # JSON is YAML
    line = [sys.executable, "-m", "mcdist", "tune", str(folder / "study.yaml"), "--store", str(folder / "store")]
    env = os.environ | {"PYTHONPATH": str(TESTS), "RAY_TMPDIR": tempfile.gettempdir()}
    return subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=180)
    return process.returncode, output


def wait_in_the_midst_of_a_trial(process: subprocess.Popen[str], folder: Path, number: int) -> None:
    """Until so many trials are complete, and the next one was kept by Tune, in a state that Tune knows of."""
    deadline, rows = time.monotonic() + 120, folder / "store" / "tables" / "trials"
    while True:
        complete = len([p for p in rows.glob("*.parquet") if not p.name.startswith("0-")])
        trials = {path.parent for path in (folder / "store" / "tune").glob("*/*/*/checkpoint_*")}
        if complete >= number and len(trials) > complete:
            break
        assert process.poll() is None, f"ended before {number} trials: {process.communicate()[0]}"
        assert time.monotonic() < deadline, "no trial in two minutes"
        time.sleep(0.01)
    time.sleep(1.3)  # Tune writes down once a second what it knows


@pytest.mark.long
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "lost"])
def test_driver_killed_then_the_same_study(kept: bool, folder: Path) -> None:
    """Complete trials are not done again; the one that was under way goes on from its last member, as long as what Tune
    kept of it is there.
    """
    process = start(longer(), folder)
    wait_in_the_midst_of_a_trial(process, folder, 1)
    process.kill()
    process.wait()
    killed, before = datetime.now(timezone.utc), started(folder / "store")
    complete = len(mcdist.open_store(folder / "store").table("trials"))
    assert 1 <= complete < 4
    for state in () if kept else list((folder / "store" / "tune").glob("*/*/*/checkpoint_*")):
        shutil.rmtree(state)

    code, output = finish(start(longer(), folder))
    assert code == 0, output
    assert f"{complete} of 4 trials ended" in output
    assert output.count("· complete ·") == 4 - complete, output
    after = started(folder / "store")
    pd.testing.assert_series_equal(after[before.index], before)
    begun = mcdist.open_store(folder / "store").table("tasks").query("kind == 'ensemble_trial'")["started_at"]
    assert (begun < killed).sum() == complete + kept, "the trial under way was begun before the kill, not again"
    assert tune(longer(), folder / "undisturbed", executor="serial")[0].counts == {"done": 4}
    assert_same_tables(tables(folder / "store"), tables(folder / "undisturbed"))
    assert not (folder / "store" / "tune").exists()


@pytest.mark.long
def test_interrupted_cleanly_and_gone_on_without_the_folder_of_tune(folder: Path) -> None:
    """Then the trial under way is lost, and nothing else."""
    process = start(longer(), folder)
    wait_in_the_midst_of_a_trial(process, folder, 1)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, output = finish(process)
    assert (code, time.monotonic() - asked < 20) == (143, True), output
    assert "stopped; complete trials are kept, and the same command goes on from there" in output
    assert "Traceback" not in output
    before = started(folder / "store")
    shutil.rmtree(folder / "store" / "tune")
    summary, said = tune(longer(), folder / "store", executor="serial")
    assert (summary.exit_code, summary.counts) == (0, {"done": 4}), said
    pd.testing.assert_series_equal(started(folder / "store")[before.index], before)
    assert tune(longer(), folder / "undisturbed", executor="serial")[0].counts == {"done": 4}
    assert_same_tables(tables(folder / "store"), tables(folder / "undisturbed"))


@pytest.mark.long
def test_a_trial_whose_process_is_lost_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, uri, fuse = ensemble_study(), tmp_path / "store", tmp_path / "fuse"
    study["problem"]["model"] = "support.models:KillsItsWorkerOnce"
    ray.shutdown()  # that of `two_workers`, whose processes do not see the environment set here
    assert tune(study, tmp_path / "undisturbed", executor="serial")[0].counts == {"done": 4}
    fuse.touch()
    monkeypatch.setenv("MCDIST_TEST_FUSE", str(fuse))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    starts = list(starts_plan(load_ensemble_study(study)).tasks)
    copy = shutil.copytree(tmp_path / "undisturbed", uri)
    store = mcdist.open_store(copy)
    store.forget(sorted(store.tasks().keys() - set(starts)))
    summary, said = tune(study, uri)
    assert not fuse.exists()
    assert (summary.exit_code, summary.counts) == (0, {"done": 4}), said
    assert_same_tables(tables(uri), tables(tmp_path / "undisturbed"))
    assert not ray.is_initialized(), "what the study started it should stop"


# Rules


def scheduler(study: dict[str, Any]) -> Any:
    spec = load_ensemble_study(study)
    return scheduler_of(spec, prepare(starts_plan(spec).spec).facts[0])


def reports(asha: Any, name: str, start: float, nlls: list[float]) -> list[str]:
    """What is decided at each member of a trial, in epochs since the earliest start, 2, the cycle being of 0.8."""
    trial, before, said = cast(Any, SimpleNamespace(trial_id=name)), start - 2, []
    asha.on_trial_add(None, trial)
    for j, nll in enumerate(nlls):
        told = {"before": before, "since": start - 2 + 0.4 + 0.8 * j, "val_nll": nll}
        said.append(asha.on_trial_result(None, trial, told))
        before = told["since"]
    return said


def test_trials_are_compared_at_equal_epochs_whenever_they_begin() -> None:
    """Rungs are at 0.4, the first member of those that begin first, 0.8 and 1.6. One that begins at 1.0 has its first
    member at 1.4: it crossed no rung, and is compared with nothing, until it comes past 1.6.
    """
    asha = scheduler(ensemble_study(search={"method": "grid", "scheduler": "asha", "reduction": 2}))
    assert reports(asha, "a", 2, [0.9, 0.8, 0.3]) == ["CONTINUE", "CONTINUE", "CONTINUE"]
    assert reports(asha, "late and worse", 3, [0.95, 0.5]) == ["CONTINUE", "STOP"]
    assert reports(asha, "late and better", 3, [0.95, 0.2]) == ["CONTINUE", "CONTINUE"]
    assert reports(asha, "early and worse", 2, [0.91]) == ["STOP"]
    assert reports(asha, "early and better at first", 2, [0.5, 0.85]) == ["CONTINUE", "STOP"]


def test_a_member_at_a_rung_is_compared_there_whatever_the_rounding() -> None:
    """Three times 0.4 is a little more than 1.2."""
    asha = scheduler(ensemble_study(search={"method": "grid", "scheduler": "asha", "grace": 0.4, "reduction": 3}))
    said = []
    for name, nll in (("a", 0.5), ("b", 0.6)):
        trial = cast(Any, SimpleNamespace(trial_id=name))
        asha.on_trial_add(None, trial)
        said.append(asha.on_trial_result(None, trial, {"before": 0.4, "since": 1.2, "val_nll": nll}))
    assert said == ["CONTINUE", "STOP"]


def test_a_trial_that_ends_is_compared_no_further() -> None:
    """Its last member, past no rung, is not taken for one that was."""
    asha = scheduler(ensemble_study(search={"method": "grid", "scheduler": "asha", "reduction": 2}))
    assert reports(asha, "a", 3, [0.2]) == ["CONTINUE"]
    asha.on_trial_complete(None, SimpleNamespace(trial_id="a"), {"before": 1.0, "since": 1.4, "val_nll": 0.2})
    assert reports(asha, "b", 2, [0.9, 0.9, 0.9]) == ["CONTINUE", "CONTINUE", "CONTINUE"]


def test_what_trials_had_told_before_a_kill_counts_again() -> None:
    """Tune itself forgets what its scheduler knew."""
    asha = scheduler(ensemble_study(search={"method": "grid", "scheduler": "asha", "reduction": 2}))
    cycles = [{"epochs_used": 2.4 + 0.8 * j, "val_nll": nll} for j, nll in enumerate((0.5, 0.4, 0.3))]
    asha.tell({"trial_id": "x", "epochs_used": 4.0, "since": 2.0, "began": 0.0, "told": json.dumps({"cycles": cycles})})
    assert reports(asha, "y", 2, [0.45, 0.45]) == ["CONTINUE", "STOP"]
    assert reports(asha, "z", 2, [0.6]) == ["STOP"]


def test_changed_rates_are_brought_back_within_their_bounds() -> None:
    study = load_ensemble_study(population())
    assert within(study, {"lr1": 0.36, "lr2": 0.0008}) == {"lr1": 0.3, "lr2": 0.001}
    assert within(study, {"lr1": 0.123456, "lr2": 0.01}) == {"lr1": 0.123, "lr2": 0.01}


def test_tune_keeps_its_own_in_the_store_where_it_can(tmp_path: Path) -> None:
    study = load_ensemble_study(ensemble_study())
    for uri, folder in (
        ("/a/b", "/a/b/tune/tuned"),
        ("s3://a/b", "s3://a/b/tune/tuned"),
        ("memory://a/b", f"{tempfile.gettempdir()}/mcdist/tune/tuned"),
    ):
        assert _folder(study, cast(Any, SimpleNamespace(uri=uri))) == folder
    for prefix in ("", "file://"):
        (tmp_path / "tune" / "tuned" / "x").mkdir(parents=True)
        _remove(f"{prefix}{tmp_path}/tune/tuned")
        assert not list(tmp_path.iterdir())
    (tmp_path / "tune" / "other").mkdir(parents=True)
    _remove(f"{tmp_path}/tune/tuned")
    assert (tmp_path / "tune" / "other").exists()


def test_no_scheduler_where_none_is_asked_for() -> None:
    assert scheduler(ensemble_study()) is None
