"""Studies of ensembles by one process: trials on validation data, the winner, and the run that compares it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.ensemble_studies import ensemble_study, population
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist
from mcdist.errors import Diverged, RequestError
from mcdist.execute import Summary
from mcdist.execute import ensemble_study as module
from mcdist.execute.ensemble_log import EnsembleLog
from mcdist.execute.ensemble_search import listed_settings, setting_of, trial_name
from mcdist.execute.ensemble_trials import Ended, Trials, write_failure, write_trial
from mcdist.plan.ensemble_trial import compared, starts_plan, trial_task
from mcdist.spec import load_ensemble_study
from mcdist.tasks.registry import KINDS
from mcdist.tasks.work import Kind

ABOUT = {"wall_s": 1.0, "device": "cpu", "host": "here"}


def tune(data: dict[str, Any], uri: Path, **how: Any) -> tuple[Summary, str]:
    """What became of it, and what was said."""
    out = io.StringIO()
    summary = mcdist.tune(data, store=str(uri), out=out, **{"executor": "serial", **how})
    return summary, out.getvalue()


FINAL = {"seeds": 4, "budgets": [1, 2], "published": {"cycle": 0.8}}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A study without a final run, done; what was said. To be left as it is."""
    uri = tmp_path_factory.mktemp("done") / "store"
    summary, said = tune(ensemble_study(), uri)
    assert (summary.exit_code, summary.counts, summary.what) == (0, {"done": 4}, "trials"), said
    return uri, said


@pytest.fixture
def uri(done: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of its store, to be written into."""
    return Path(shutil.copytree(done[0], tmp_path / "store"))


def started(uri: Path) -> pd.Series:
    tasks = mcdist.open_store(uri).table("tasks").query("status == 'done'")
    return tasks.set_index("task_id")["started_at"].sort_index()


def trials(uri: Path) -> pd.DataFrame:
    return mcdist.open_store(uri).table("trials").sort_values(["lr1", "start"]).reset_index(drop=True)


def test_every_setting_has_a_row_and_one_for_each_cycle(done: tuple[Path, str]) -> None:
    rows, cycles = trials(done[0]), mcdist.open_store(done[0]).table("trial_cycles")
    assert list(zip(rows["lr1"], rows["start"], strict=True)) == [(0.1, 2), (0.1, 3), (0.3, 2), (0.3, 3)]
    assert rows["complete"].all()
    assert rows["members"].tolist() == rows["members_planned"].tolist() == [4, 3, 4, 3]
    assert set(rows["subject"]) == {"ensemble"}
    assert (rows["epochs_used"] <= 5).all()
    last = cycles.sort_values("cycle").groupby("trial_id").last().loc[rows["trial_id"], "val_nll"]
    assert last.tolist() == rows["val_nll"].tolist()
    assert cycles.groupby("trial_id").size().loc[rows["trial_id"]].tolist() == rows["members"].tolist()


def test_what_was_said(done: tuple[Path, str]) -> None:
    rows, lines = trials(done[0]), done[1].splitlines()
    assert lines[0] == (f"tuned: 0 of 4 trials ended, 2 networks each, from 4 trainings begun; results in {done[0]}")
    for number, (line, row) in enumerate(zip(lines[1:5], rows.itertuples(), strict=True), 1):
        assert line.startswith(
            f"tuned: trial {number}/4: lr1 {row.lr1}, start {row.start} · val nll {row.val_nll:.4g}, error "
            f"{row.val_error:.3g} · {row.members} members, {row.epochs_used:.4g} epochs · complete · "
        )
    best = rows["val_nll"].idxmin()
    assert lines[5] == "tuned: 4 of 4 trials complete, 0 stopped early"
    assert lines[6].startswith(f"tuned: the best is trial {best + 1}: lr1 {rows['lr1'][best]}")


def test_the_winner_is_compared_with_the_published_setting_and_with_independent_networks(uri: Path) -> None:
    """At every budget, on seeds that no trial used, as an ordinary sweep; once more, nothing is to be done."""
    summary, said = tune(ensemble_study(final=FINAL), uri)
    assert (summary.exit_code, summary.counts) == (0, {"done": 4})
    assert "4 of 4 trials ended" in said
    assert "tuned: comparing it, as sweep tuned-final, on seeds that no trial used" in said
    store, before = mcdist.open_store(uri), started(uri)
    rows, best = store.table("ensembles"), trials(uri).sort_values("val_nll").iloc[0]
    assert store.sweeps() == ["tuned", "tuned-final"]
    fge = rows[rows["method"] == "fge"]
    assert set(zip(fge["lr1"], fge["start"], strict=True)) == {(best["lr1"], best["start"]), (0.05, 4)}
    assert rows.groupby(["method", "lr1"], dropna=False)["budget"].value_counts().unstack().eq(2).all(axis=None)
    assert set(rows["seed"]) == {0, 1}
    assert (rows["epochs_used"] <= rows["budget"] * 5 + 1e-9).all()
    assert not set(store.table("endpoints")["seed"]) & {100, 101}
    assert not any(store.has_weights(i) for i in rows["ensemble_id"]), "predictions are not kept"
    summary, said = tune(ensemble_study(final=FINAL), uri, executor="ray", address="127.0.0.1:1")
    assert (summary.exit_code, summary.counts) == (0, {"done": 4}), "it needs no Ray"
    pd.testing.assert_series_equal(started(uri), before)


def test_the_winner_is_the_first_of_equal_ones_and_none_that_was_stopped(tmp_path: Path) -> None:
    study, store = load_ensemble_study(ensemble_study()), mcdist.open_store(tmp_path / "s", create=True)
    log = EnsembleLog(study, store, [], 4, io.StringIO())
    found = {"a": (0.5, 2), "b": (0.4, 2), "c": (0.4, 2), "d": (0.1, 3)}
    for name, (nll, planned) in found.items():
        log.begin(name, {"lr1": 0.1, "start": 2})
        log.end(name, Ended(name, [{"val_nll": nll, "val_error": 0.0, "epochs_used": 3.0}] * 2, planned), 1.0)
    assert log.winner is log.trials["b"]
    assert log.summary().counts == {"done": 3, "stopped": 1}
    assert not list((tmp_path / "s" / "sweeps").glob("*")), "before it is open nothing is written"


def test_where_the_winner_is_the_published_setting_it_is_compared_once() -> None:
    study = load_ensemble_study(ensemble_study(final={"seeds": 2, "published": {"lr1": 0.3, "cycle": 0.8}}))
    same = compared(study, study.at({"lr1": 0.3, "start": 4}))  # by default the cycles begin after 80 % of 5 epochs
    assert [one.method for one in same.ensembles] == ["fge", "independent"]
    assert len(compared(study, study.at({"lr1": 0.3, "start": 3})).ensembles) == 3


@pytest.mark.parametrize("after", [0, 3])
def test_a_study_that_was_broken_off_goes_on_as_if_it_had_not_been(
    after: int, tmp_path: Path, done: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off with one trial begun, after so many that were complete."""
    left = iter(range(after + 1))  # what trials start from is the first thing that is done

    def breaking(*what: Any) -> Any:
        if next(left, None) is None:
            raise ZeroDivisionError
        return real(*what)

    real, uri = module._do, tmp_path / "store"
    with monkeypatch.context() as patch:
        patch.setattr(module, "_do", breaking)
        with pytest.raises(ZeroDivisionError):
            tune(ensemble_study(), uri)
    before = started(uri)
    summary, said = tune(ensemble_study(), uri)
    assert (summary.exit_code, summary.counts) == (0, {"done": 4})
    assert f"{after} of 4 trials ended" in said
    assert_same_tables(tables(uri), tables(done[0]))
    pd.testing.assert_series_equal(started(uri)[before.index], before)


def test_another_study_shares_what_is_there_at_no_cost(uri: Path) -> None:
    """Other settings are added, and trials of the first study listed as its own."""
    before = started(uri)
    summary, said = tune(ensemble_study(name="other", space={"lr1": {"grid": [0.1, 0.2]}, "start": {"grid": [2]}}), uri)
    assert summary.counts == {"done": 2}
    assert said.count("· shared") == 1
    assert len(started(uri)) == len(before) + 1
    pd.testing.assert_series_equal(started(uri)[before.index], before)
    asked = mcdist.open_store(uri).table("sweep_tasks").groupby("sweep")["task_id"].apply(set)
    assert len(asked["other"] & asked["tuned"]) == 3  # a trial, and what its two networks start from


def test_trials_of_the_same_study_count_as_long_as_what_they_share_is_the_same(uri: Path) -> None:
    store, same = mcdist.open_store(uri), load_ensemble_study(ensemble_study())
    other = load_ensemble_study(ensemble_study(), ["ensemble.lr2=0.02"])
    assert module._kept(same, store) == ([{"lr1": a, "start": b} for a in (0.1, 0.3) for b in (2, 3)], True)
    assert module._kept(other, store) == ([], False)
    assert "4 of 4 trials ended" in tune(ensemble_study(), uri)[1]
    assert "0 of 4 trials ended" in tune(ensemble_study(), uri, changes=["ensemble.lr2=0.02"])[1]
    assert len(trials(uri)) == 8


def test_a_trial_that_fails_is_named_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that diverged would do so again; any other is tried again."""
    real = KINDS["ensemble_trial"]
    for error, again in ((Diverged("on purpose"), 0), (None, 2)):
        uri = tmp_path / f"store{again}"

        def failing(items: Any, bench: Any, error: Any = error) -> Any:
            if items[0].spec.trajectory.lr1 != 0.3:
                return real(items, bench)
            if error is None:
                raise ArithmeticError("on purpose")
            return [error]

        with monkeypatch.context() as patch:
            patch.setitem(KINDS, "ensemble_trial", Kind(failing))
            summary, said = tune(ensemble_study(), uri)
        assert (summary.exit_code, summary.counts) == (1, {"done": 2, "failed": 2})
        assert "trial 3/4: lr1 0.3, start 2 · failed: " in said
        assert "on purpose" in said or "left the finite numbers" in said
        assert len(summary.failed) == 2
        summary, _ = tune(ensemble_study(), uri)
        assert summary.counts == ({"done": 4} if again else {"done": 2, "failed": 2})


def test_without_ray_no_trial_is_stopped_and_that_is_said(tmp_path: Path) -> None:
    study = ensemble_study(search={"method": "grid", "scheduler": "asha", "reduction": 2})
    summary, said = tune(study, tmp_path / "store")
    assert summary.counts == {"done": 4}
    assert "tuned: note: without Ray every trial goes on to its end: none is stopped early" in said


# What the store knows of trials


def test_what_ended_is_committed_once_as_its_task_would_be(uri: Path) -> None:
    """The same rows, whoever writes them; written again, nothing changes; and read back it is what it was."""
    study, store = load_ensemble_study(ensemble_study()), mcdist.open_store(uri)
    setting = {"lr1": 0.1, "start": 2}
    task, before = trial_task(study, study.at(setting), 4), tables(uri)
    ended = Trials.of(store, "tuned").ended(task.id)
    assert ended is not None
    assert (ended.complete, len(ended.cycles), ended.rates) == (True, 4, ())
    write_trial(store, task, ended.cycles, 4, ABOUT)
    write_failure(store, task, "raised", "too late", ABOUT)
    assert_same_tables(tables(uri), before)
    store.forget([task.id])
    write_trial(store, task, ended.cycles, 4, ABOUT)
    assert_same_tables(tables(uri), before)


def test_a_trial_that_was_stopped_counts_in_its_own_study_alone_and_only_where_trials_are_stopped(uri: Path) -> None:
    store, setting = mcdist.open_store(uri), {"lr1": 0.2, "start": 2}
    by_asha = ensemble_study(space={"lr1": {"grid": [0.2]}, "start": {"grid": [2]}})
    by_asha["search"] = {"method": "grid", "scheduler": "asha"}
    study = load_ensemble_study(by_asha)
    cycles = mcdist.open_store(uri).table("trial_cycles").query("cycle <= 2").iloc[:2]
    task = trial_task(study, study.at(setting), 2)
    rows = cycles.drop(columns=["task_id", "pack_id", "trial_id"], errors="ignore").to_dict("records")
    write_trial(store, task, rows, 4, ABOUT)
    assert Trials.of(store, "tuned").of_setting(study, setting, 4) is None, "nobody asked for it"
    store.write_sweep("tuned", store.sweep_spec("tuned"), [task.id])
    ended = Trials.of(store, "tuned").of_setting(study, setting, 4)
    assert ended is not None
    assert (ended.id, ended.state, ended.complete) == (task.id, "stopped", False)
    assert Trials.of(store, "other").of_setting(study, setting, 4) is None
    to_the_end = load_ensemble_study(by_asha | {"search": {"method": "grid"}})
    assert Trials.of(store, "tuned").of_setting(to_the_end, setting, 4) is None
    row = mcdist.open_store(uri).table("trials").set_index("trial_id").loc[task.id]
    assert (row["complete"], row["members"], row["members_planned"]) == (False, 2, 4)


def test_rates_that_did_not_change_are_a_setting_like_any_other() -> None:
    study = load_ensemble_study(population())
    ensemble = study.at({"lr1": 0.1, "lr2": 0.01})
    plain = trial_task(study, ensemble, 3)
    assert trial_task(study, ensemble, 3, [(0.1, 0.01)] * 3).id == plain.id
    changed = trial_task(study, ensemble, 3, [(0.1, 0.01), (0.2, 0.01), (0.1, 0.01)])
    assert changed.id != plain.id
    assert changed.inputs == plain.inputs == tuple(starts_plan(study).tasks)


# Settings


def test_a_grid_is_the_product_after_what_was_begun() -> None:
    study = load_ensemble_study(ensemble_study())
    assert listed_settings(study, []) == [{"lr1": a, "start": b} for a in (0.1, 0.3) for b in (2, 3)]
    kept = {"lr1": 0.3, "start": 2}
    assert listed_settings(study, [kept])[0] == kept
    assert len(listed_settings(study, [kept])) == 4


def random_study(trials: int, seed: int = 0, **space: Any) -> Any:
    space = space or {"lr1": {"log": [0.05, 0.3]}, "start": {"uniform": [2, 4]}}
    search = {"method": "random", "trials": trials, "seed": seed}
    return load_ensemble_study(ensemble_study(space=space, search=search))


def test_random_settings_are_a_function_of_the_seed_different_and_can_be_typed() -> None:
    study = random_study(12)
    settings = listed_settings(study, [])
    assert len(settings) == 12
    assert all(study.holds(setting) for setting in settings)
    assert len({json.dumps(setting) for setting in settings}) == 12
    assert settings == listed_settings(study, [])
    assert settings == listed_settings(study, settings[:5])
    assert settings[:4] == listed_settings(random_study(4), [])
    assert settings[0] != listed_settings(random_study(12, seed=1), [])[0]
    assert all(setting["lr1"] == float(f"{setting['lr1']:.3g}") for setting in settings)


def test_a_small_space_is_used_up_before_anything_comes_twice() -> None:
    settings = listed_settings(random_study(6, lr1={"choice": [0.1, 0.2, 0.3]}, start={"choice": [2, 3]}), [])
    assert len({json.dumps(setting) for setting in settings}) == 6


def test_what_is_drawn_elsewhere_is_rounded_into_its_bounds() -> None:
    study = random_study(2)
    assert setting_of(study, {"lr1": 0.123456, "start": 3}) == {"lr1": 0.123, "start": 3}
    assert setting_of(study, {"lr1": 0.7, "start": 3})["lr1"] == 0.3


def test_a_setting_that_is_asked_for_once_more_is_another_trial() -> None:
    name = trial_name({"lr1": 0.1, "start": 2}, [])
    assert trial_name({"lr1": 0.1, "start": 2.0}, []) == name
    assert len({name, trial_name({"lr1": 0.1, "start": 2}, [name]), trial_name({"lr1": 0.2, "start": 2}, [name])}) == 3


# What is refused

VALLEY = {"problem": {"kind": "valley"}}
SMALL = {"data": {"name": "digits", "train_size": 200}, "model": "mlp"}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no validation data": (
        {"problem": SMALL},
        "problem.data.validation: there is no validation data, by which trials are judged: hold a part out of "
        "training, such as validation: 0.2",
    ),
    "no classes": (VALLEY, "problem: an ensemble averages probabilities: it "),
    "an odd cycle": (
        {"ensemble": {"method": "fge"}, "space": {"cycle": {"choice": [0.8, 0.5]}, "lr1": {"choice": [0.1]}}},
        "space.cycle.choice.1: 0.5 epochs are 5 steps (10 in an epoch): a cycle needs an even number of them, so that "
        "its lowest rate is in the middle; near it are 0.4 (4 steps) or 0.6 (6 steps)",
    ),
    "an odd cycle for all": ({"ensemble": {"method": "fge", "cycle": 0.5}}, "ensemble.cycle: 0.5 epochs are 5 steps"),
    "an odd published cycle": (
        {"final": {"seeds": 2, "published": {"cycle": 0.5}}},
        "final.published.cycle: 0.5 epochs are 5 steps",
    ),
    "more cycles than steps": (
        {"ensemble": {"method": "snapshot"}, "space": {"cycles": {"choice": [2, 51]}}},
        "space.cycles.choice.1: 51 are more than the 50 steps of a run",
    ),
    "a search that needs Ray": (
        {"search": {"method": "optuna", "trials": 2}},
        "search.method: optuna is Ray Tune's: run it without '--executor serial', which does grid and random alone",
    ),
    "a population": (population(), "search.method: pbt is Ray Tune's: run it without '--executor serial'"),
    "no such data": ({"problem": SMALL | {"data": "digit"}}, "unknown data set 'digit'; did you mean 'digits'?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_refused_and_nothing_is_written(case: str, tmp_path: Path) -> None:
    changes, message = WRONG[case]
    with pytest.raises(RequestError, match=r"^study: ") as error:
        tune(ensemble_study(**changes), tmp_path / "store")
    assert message in str(error.value)
    assert not (tmp_path / "store").exists()


@pytest.fixture
def with_others(tmp_path: Path) -> Path:
    store = mcdist.open_store(tmp_path / "others", create=True)
    store.write_sweep("sweep", json.dumps(small_sweep()), [])
    store.write_sweep("noise", json.dumps({"space": {}, "relaxation": {}}), [])
    return tmp_path / "others"


@pytest.mark.parametrize(("name", "what"), [("sweep", "sweep"), ("noise", "study of noise")])
def test_the_name_of_something_else_is_refused(name: str, what: str, with_others: Path) -> None:
    before = sorted(with_others.rglob("*"))
    with pytest.raises(RequestError, match=rf"study: name: .* has a {what} of the name '{name}': give the study an"):
        tune(ensemble_study(name=name), with_others)
    assert sorted(with_others.rglob("*")) == before


def test_without_a_store_it_is_refused() -> None:
    with pytest.raises(RequestError, match="no store: give --store, or a line 'store: FOLDER' in the study"):
        mcdist.tune(ensemble_study(), executor="serial")
