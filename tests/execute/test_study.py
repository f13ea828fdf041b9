"""Studies: trials over the paths of a sweep, whatever happens on the way."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.studies import adaptive_study, curves, small_study
from support.sweeps import assert_same_tables, tables

import mcdist
from mcdist.analysis import write_report
from mcdist.errors import RequestError, TaskError
from mcdist.execute import Summary, study, study_log
from mcdist.science.steepness import steepness
from mcdist.spec import load_study
from mcdist.spec.tasks import RelaxationTask
from mcdist.tasks.registry import KINDS
from mcdist.tasks.work import Bench, Item, Kind, Outcome


@pytest.fixture(scope="module")
def with_curves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the sweep is done."""
    uri = tmp_path_factory.mktemp("curves") / "store"
    assert mcdist.run(curves(), store=str(uri), executor="serial", out=io.StringIO()).exit_code == 0
    return uri


@pytest.fixture
def uri(with_curves: Path, tmp_path: Path) -> Path:
    """A copy of it, to be written into."""
    return Path(shutil.copytree(with_curves, tmp_path / "store"))


def tune(data: dict[str, Any], uri: Path, **how: Any) -> tuple[Summary, str]:
    """What became of it, and what was said."""
    out = io.StringIO()
    summary = mcdist.tune(data, store=str(uri), executor="serial", out=out, **how)
    return summary, out.getvalue()


def trials(uri: Path) -> pd.DataFrame:
    return mcdist.open_store(uri).table("trials").sort_values("trial_id").reset_index(drop=True)


def started(uri: Path) -> pd.Series:
    return mcdist.open_store(uri).table("tasks").set_index("task_id")["started_at"].sort_index()


def of_sweep(uri: Path, name: str, kind: str) -> list[str]:
    store = mcdist.open_store(uri)
    asked, tasks = store.table("sweep_tasks"), store.table("tasks", ["task_id", "kind"])
    return sorted(set(asked.loc[asked["sweep"] == name, "task_id"]) & set(tasks.loc[tasks["kind"] == kind, "task_id"]))


def test_a_grid_study_has_a_row_for_each_setting(uri: Path) -> None:
    summary, said = tune(small_study(), uri)
    assert (summary.exit_code, summary.counts) == (0, {"done": 4})
    rows = trials(uri)
    assert sorted(zip(rows["lr"], rows["batch_size"], strict=True)) == [(0.2, 2), (0.2, 16), (0.8, 2), (0.8, 16)]
    assert (rows["paths"] == 2).all()
    assert (rows["runs"] + rows["diverged"] == 8).all()
    assert len(mcdist.open_store(uri).table("relaxations")) == 32
    assert of_sweep(uri, "noise", "trial") == sorted(rows["trial_id"])
    assert [line.split(" · ")[0] for line in said.splitlines()[1:]] == [
        "noise: trial 1/4: lr 0.2, batch_size 2",
        "noise: trial 2/4: lr 0.2, batch_size 16",
        "noise: trial 3/4: lr 0.8, batch_size 2",
        "noise: trial 4/4: lr 0.8, batch_size 16",
    ]


def as_relaxations(data: dict[str, Any]) -> list[dict[str, Any]]:
    axes = {name: {"grid": given["grid"]} for name, given in data["space"].items()}
    return [data["relaxation"] | axes | {"kinds": data["kinds"]}]


def test_a_sweep_finds_done_what_a_study_did(uri: Path) -> None:
    tune(small_study(), uri)
    before = started(uri)
    sweep = curves(name="relaxed", relaxations=as_relaxations(small_study()))
    mcdist.run(sweep, store=str(uri), executor="serial", out=io.StringIO())
    pd.testing.assert_series_equal(started(uri), before)
    assert len(of_sweep(uri, "relaxed", "relaxation")) == 8
    assert of_sweep(uri, "relaxed", "relaxation") == of_sweep(uri, "noise", "relaxation")


def test_a_study_finds_done_what_a_sweep_did(uri: Path) -> None:
    sweep = curves(name="relaxed", relaxations=as_relaxations(small_study()))
    mcdist.run(sweep, store=str(uri), executor="serial", out=io.StringIO())
    before = started(uri)
    tune(small_study(), uri)
    after = started(uri)
    pd.testing.assert_series_equal(after[before.index], before)
    assert sorted(set(after.index) - set(before.index)) == of_sweep(uri, "noise", "trial")


def test_another_study_shares_what_is_there_at_no_cost(uri: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tune(small_study(), uri)
    before = started(uri)
    monkeypatch.setattr(study, "do_trial", None)  # nothing is to be done
    summary, said = tune(small_study(name="other"), uri)
    assert (summary.exit_code, summary.counts) == (0, {"done": 4})
    assert said.count("· shared") == 4
    pd.testing.assert_series_equal(started(uri), before)
    assert of_sweep(uri, "other", "trial") == of_sweep(uri, "noise", "trial")
    assert of_sweep(uri, "other", "relaxation") == of_sweep(uri, "noise", "relaxation")


@pytest.fixture(scope="module")
def undisturbed(with_curves: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    copy = Path(shutil.copytree(with_curves, tmp_path_factory.mktemp("undisturbed") / "store"))
    assert tune(adaptive_study(), copy)[0].counts == {"done": 6}
    return tables(copy)


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_study_that_was_broken_off_goes_on_as_if_it_had_not_been(
    after: int, uri: Path, undisturbed: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off with one trial begun, after so many that were complete."""
    done = iter(range(after))

    def breaking(*what: Any) -> Any:
        if next(done, None) is None:
            raise ZeroDivisionError
        return real(*what)

    real = study.do_trial
    monkeypatch.setattr(study, "do_trial", breaking)
    with pytest.raises(ZeroDivisionError):
        tune(adaptive_study(), uri)
    monkeypatch.setattr(study, "do_trial", real)
    before = started(uri)

    summary, said = tune(adaptive_study(), uri)
    assert (summary.exit_code, summary.counts) == (0, {"done": 6})
    assert f"{after} of 6 trials done" in said
    assert_same_tables(tables(uri), undisturbed)
    pd.testing.assert_series_equal(started(uri)[before.index], before)


def test_more_trials_go_on_from_those_there_are(uri: Path, undisturbed: dict[str, pd.DataFrame]) -> None:
    tune(adaptive_study(), uri, changes=["search.trials=4"])
    before = started(uri)
    summary, _ = tune(adaptive_study(), uri)
    assert summary.counts == {"done": 6}
    pd.testing.assert_series_equal(started(uri)[before.index], before)
    assert_same_tables(tables(uri), undisturbed)
    assert tune(adaptive_study(), uri, changes=["search.trials=3"])[0].counts == {"done": 6}  # none is forgotten


def drawn(uri: Path) -> list[dict[str, Any]]:
    return list(load_study(uri / "sweeps" / "noise.yaml").settings)


def test_earlier_trials_count_as_long_as_they_are_of_the_same_study(uri: Path) -> None:
    """Another seed draws other settings; those that were begun stay. With another relaxation they are other trials."""
    space = {"lr": {"uniform": [0.2, 0.8]}}
    data = small_study(space=space, search={"method": "random", "trials": 2})
    data["relaxation"]["batch_size"] = 8
    tune(data, uri)
    first = drawn(uri)
    assert len(first) == 2
    tune(data, uri, changes=["search.seed=1", "search.trials=3"])
    assert drawn(uri)[:2] == first
    summary, said = tune(data, uri, changes=["search.seed=3", "relaxation.time=2"])
    assert "0 of 2 trials done" in said
    assert summary.counts == {"done": 2}
    assert not [setting for setting in drawn(uri) if setting in first]
    assert len(of_sweep(uri, "noise", "trial")) == 2
    assert len(trials(uri)) == 5
    tune(data, uri, changes=["search.seed=3", "relaxation.time=2", "space.lr={uniform: [0.9, 1.0]}"])
    assert min(setting["lr"] for setting in drawn(uri)) >= 0.9, "what is out of the new range does not count"


def failing(lr: float) -> Callable[[Sequence[Item], Bench], list[Outcome]]:
    real = KINDS["relaxation"]

    def run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
        bad = [isinstance(item.spec, RelaxationTask) and item.spec.relaxation.lr == lr for item in items]
        return [
            TaskError("on purpose") if fails else outcome
            for fails, outcome in zip(bad, real(items, bench), strict=True)
        ]

    return run


def test_a_trial_that_fails_is_named_and_the_others_go_on(uri: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(KINDS, "relaxation", Kind(failing(0.8)))
        summary, said = tune(small_study(), uri)
    assert (summary.exit_code, summary.counts) == (1, {"done": 2, "failed": 2})
    assert "trial 3/4: lr 0.8, batch_size 2 · failed: 2 tasks failed, 1 tasks blocked" in said
    assert sorted(trials(uri)["lr"]) == [0.2, 0.2]  # complete ones alone
    before = started(uri)
    done = mcdist.open_store(uri).table("tasks").query("status == 'done'")["task_id"]

    summary, said = tune(small_study(), uri)
    assert "2 of 4 trials done" in said
    assert (summary.exit_code, summary.counts) == (0, {"done": 4})
    pd.testing.assert_series_equal(started(uri)[sorted(done)], before[sorted(done)])


def test_optuna_is_told_how_steep_the_time_is_at_every_complete_trial(
    uri: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all that were complete when it was asked."""
    seen: list[list[float | None]] = []
    real = study_log.next_setting

    def watched(spec: Any, tried: Any) -> Any:
        seen.append([one.steepness for one in tried])
        return real(spec, tried)

    monkeypatch.setattr(study_log, "next_setting", watched)
    tune(adaptive_study(), uri)
    settings = load_study(uri / "sweeps" / "adaptive.yaml").settings
    rows = trials(uri).set_index(["lr", "batch_size"]).loc[[(one["lr"], one["batch_size"]) for one in settings]]
    assert rows["relaxation_time"].notna().all()
    times = rows["relaxation_time"]
    for known, told in enumerate(seen):
        levels, arrived = (rows[name].to_numpy(float)[:known] for name in ("t_nominal", "arrived"))
        assert told == steepness(levels, times.to_numpy(float)[:known], arrived).tolist()
    assert len(seen) == 7


def test_where_no_run_arrived_the_exposure_bounds_the_time_from_below(uri: Path) -> None:
    """Sixty small steps, or four large ones, after which no run has arrived yet."""
    data = small_study(space={"lr": {"grid": [0.05, 0.8]}, "batch_size": {"grid": [2]}})
    _, said = tune(data, uri, changes=["relaxation.time=3", "relaxation.margin=0.08"])
    rows = trials(uri).sort_values("lr")
    assert rows["relaxation_time"].isna().tolist() == [False, True]
    times = np.array([rows["relaxation_time"].iloc[0], rows["exposure"].iloc[1]])
    steep = steepness(rows["t_nominal"].to_numpy(), times, rows["arrived"].to_numpy(float))
    assert steep[1] > 0.1
    assert f"0 arrived · time above {times[1]:.3g} · steepness {steep[1]:.2f}" in said


def test_paths_that_failed_are_left_out(uri: Path) -> None:
    store = mcdist.open_store(uri)
    paths = store.table("paths").query("kind == 'bezier'")["path_id"].tolist()
    store.forget([paths[0]])
    sweep = curves()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, "path", Kind(lambda items, bench: [TaskError("on purpose") for _ in items]))
        assert mcdist.run(sweep, store=str(uri), executor="serial", out=io.StringIO()).exit_code == 1
    assert tune(small_study(), uri)[0].counts == {"done": 4}
    assert (trials(uri)["paths"] == 1).all()


WRONG = {
    "no such sweep": (
        {"sweep": "curve"},
        "sweep: {uri}: unknown sweep 'curve'; did you mean 'curves'? allowed: curves",
    ),
    "no such kind": ({"kinds": ["bezir"]}, "kinds: unknown path kind 'bezir'; did you mean 'bezier'?"),
    "no such problem": ({"problem": 1}, "problem: 1 is out of range: sweep 'curves' has 1 problems, positions 0 to 0"),
    "the name of a sweep": ({"name": "curves"}, "name: {uri} has a sweep of the name 'curves'"),
    "more than the data": (
        {"space": {"lr": {"grid": [0.1]}, "batch_size": {"grid": [2, 400]}}},
        "trials: batch_size: 400 is more than the 200 training examples",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_refused_and_nothing_is_written(case: str, uri: Path) -> None:
    changes, message = WRONG[case]
    before = sorted(uri.rglob("*"))
    with pytest.raises(RequestError, match=r"^study: ") as error:
        tune(small_study(**changes), uri)
    assert message.replace("{uri}", str(uri)) in str(error.value)
    assert sorted(uri.rglob("*")) == before


def test_a_store_without_paths_is_refused(tmp_path: Path, uri: Path) -> None:
    with pytest.raises(RequestError, match="study: no store at"):
        tune(small_study(), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(RequestError, match="no store: give --store, or a line 'store: FOLDER' in the study"):
        mcdist.tune(small_study(), executor="serial")
    none = curves(name="none", paths=[], pairs="none")
    mcdist.run(none, store=str(uri), executor="serial", out=io.StringIO())
    with pytest.raises(RequestError, match=r"sweep: 'none' in .* has no paths to start from"):
        tune(small_study(sweep="none", kinds=[]), uri)


def test_paths_that_are_not_done_yet_are_refused(uri: Path) -> None:
    store = mcdist.open_store(uri)
    store.forget(store.table("paths").query("kind == 'bezier'")["path_id"].tolist()[:1])
    before = sorted(uri.rglob("*"))
    with pytest.raises(
        RequestError, match=r"are not there yet: 1 done, 0 failed, 1 to do; do them first, by 'mcdist run'"
    ):
        tune(small_study(), uri)
    assert sorted(uri.rglob("*")) == before
    assert tune(small_study(kinds=["linear"]), uri)[0].exit_code == 0


def test_a_study_is_no_sweep_of_another_study(uri: Path) -> None:
    tune(small_study(), uri)
    with pytest.raises(RequestError, match="unknown sweep 'noise'; allowed: curves"):
        tune(small_study(name="deeper", sweep="noise"), uri)


def test_status_and_report_know_of_a_study(uri: Path, tmp_path: Path) -> None:
    tune(small_study(), uri)
    store = mcdist.open_store(uri)
    assert store.sweeps() == ["curves", "noise"]
    for sweep in ("noise", None):
        assert "lr" in write_report(store, tmp_path / "r.html", sweep).read_text()
