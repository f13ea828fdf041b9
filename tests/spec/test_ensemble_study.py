"""What a study of ensembles may say, and what is said of one that is wrong: where, what was got, what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from mcdist.errors import RequestError
from mcdist.spec import (
    EnsembleSpec,
    EnsembleStudySpec,
    StudySpec,
    any_study_schema,
    dump_ensemble_study,
    load_any_study,
    load_ensemble_study,
    load_spec,
)

STUDY = """\
name: tuned
store: results/x
problem: {data: {name: digits, validation: 0.2}, model: mlp}
endpoints:
  seeds: [100, 101]
  train: {epochs: 40, lr: 0.1, batch_size: 32}
ensemble: {method: fge}
space:
  lr1: {log: [0.03, 0.3]}
  lr2: {log: [0.001, 0.02]}
  cycle: {choice: [2, 4]}
  start: {uniform: [24, 32]}
search: {method: random, trials: 16, scheduler: asha, grace: 2}
final:
  seeds: 15
  budgets: [1, 2]
"""
FIELDS = "cycle, lr1, lr2, start"
PBT = {"method": "pbt", "trials": 4}
RATES = {"lr1": {"log": [0.03, 0.3]}, "lr2": {"log": [0.001, 0.02]}}


def edited(old: str, new: str) -> str:
    assert STUDY.count(old) == 1, old
    return STUDY.replace(old, new)


def data(**changes: Any) -> dict[str, Any]:
    return dict(yaml.safe_load(STUDY)) | changes


def complaint(folder: Path, text: str) -> str:
    file = folder / "s.yaml"
    file.write_text(text)
    with pytest.raises(RequestError) as error:
        load_any_study(file)
    return str(error.value).replace(str(file), "s.yaml")


def test_what_is_said_is_what_is_meant(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(STUDY)
    study = load_any_study(tmp_path / "s.yaml", ["search.trials=5", "problem.model.args={hidden: [8]}"])
    assert isinstance(study, EnsembleStudySpec)
    assert (study.search.trials, study.search.reduction, study.search.concurrent) == (5, 3.0, None)
    setting = {"lr1": 0.1, "lr2": 0.01, "cycle": 4, "start": 30}
    assert study.at(setting) == EnsembleSpec(method="fge", lr1=0.1, lr2=0.01, cycle=4.0, start=30)
    assert study.problem.model_dump()["model"]["args"] == {"hidden": [8]}


def test_a_resolved_study_with_its_settings_is_read_back(tmp_path: Path) -> None:
    study = load_ensemble_study(data())
    settings: list[dict[str, Any]] = [{"lr1": 0.2, "lr2": 0.002, "cycle": 2, "start": 24}]
    (tmp_path / "s.yaml").write_text(dump_ensemble_study(study, settings, ["a note"]))
    again = load_any_study(tmp_path / "s.yaml")
    assert isinstance(again, EnsembleStudySpec)
    assert again.settings == tuple(settings)
    assert again.model_copy(update={"settings": ()}) == study


@pytest.mark.parametrize(
    ("space", "ensemble", "starts"),
    [
        ({"start": {"uniform": [24, 27]}}, {}, [24, 25, 26, 27]),
        ({"start": {"choice": [32, 24]}}, {}, [24, 32]),
        ({}, {"start": 20}, [20]),
        ({}, {}, [32]),
    ],
)
def test_trials_may_start_at_every_epoch_that_the_space_holds(
    space: dict[str, Any], ensemble: dict[str, Any], starts: list[int]
) -> None:
    study = load_ensemble_study(data(space=space | RATES, ensemble={"method": "fge", **ensemble}))
    assert study.starts == starts


def test_snapshots_start_from_the_seeds() -> None:
    space = {"lr1": {"log": [0.03, 0.3]}, "cycles": {"uniform": [2, 5]}}
    study = load_ensemble_study(data(space=space, ensemble={"method": "snapshot"}))
    assert study.starts == [0]
    assert study.at({"lr1": 0.1, "cycles": 3}).cycles == 3


def test_the_final_run_is_on_seeds_that_no_trial_used() -> None:
    study = load_ensemble_study(data(endpoints={"seeds": [0, 2], "train": {"epochs": 40, "lr": 0.1}}))
    assert study.final is not None
    fresh = study.final.fresh(study.endpoints.seeds)
    assert len(fresh) == 15
    assert fresh == [1, *range(3, 17)]
    given = load_ensemble_study(data(final={"seeds": [7, 9], "budgets": 2}))
    assert given.final is not None
    assert given.final.fresh(given.endpoints.seeds) == [7, 9]


WRONG = {
    "a highest rate below the lowest": (
        ("[0.001, 0.02]", "[0.001, 0.05]"),
        "s.yaml:9: space.lr1.log.0: the highest rate must be at least the lowest: got lr1 0.03, lr2 0.05",
    ),
    "a fixed rate above a searched one": (
        ("{method: fge}\nspace:\n  lr1: {log: [0.03, 0.3]}", "{method: fge, lr1: 0.01}\nspace:"),
        "s.yaml:7: ensemble.lr1: the highest rate must be at least the lowest: got lr1 0.01, lr2 0.02",
    ),
    "a cycle longer than what is left": (
        ("choice: [2, 4]", "choice: [2, 10]"),
        "s.yaml:11: space.cycle.choice.1: a cycle of 10 epochs is longer than the 8 that are left of 40 when cycles "
        "start after 32; say a shorter cycle, or an earlier start",
    ),
    "a start after the end": (
        ("uniform: [24, 32]", "uniform: [24, 44]"),
        "s.yaml:12: space.start.uniform.1: 44 is after the end of the usual training, which has 40 epochs",
    ),
    "a start at the end": (
        ("uniform: [24, 32]", "uniform: [24, 40]"),
        "s.yaml:12: space.start.uniform.1: nothing is left of 40 epochs for cycles that start after 40; say an earlier "
        "start",
    ),
    "a cycle between two bounds": (
        ("choice: [2, 4]", "uniform: [2, 4]"),
        "s.yaml:11: space.cycle.uniform: a cycle is an even number of steps: give a list of them, choice: [...]",
    ),
    "half an epoch to start at": (
        ("uniform: [24, 32]", "uniform: [24, 31.5]"),
        "s.yaml:12: space.start.uniform.1: start is an integer; got 31.5",
    ),
    "unknown setting": (
        ("  lr1: {log", "  lr3: {log"),
        f"s.yaml:9: space.lr3: unknown setting 'lr3'; did you mean 'lr2'? allowed: {FIELDS}",
    ),
    "a setting of another method": (
        ("cycle: {choice: [2, 4]}", "cycles: {choice: [2, 4]}"),
        "s.yaml:11: space.cycles: a trial of method 'fge' has no 'cycles'; it has lr1, lr2, cycle, start",
    ),
    "budgets of a trial": (
        ("{method: fge}", "{method: fge, budgets: 2}"),
        "s.yaml:7: ensemble.budgets: every trial is given the epochs of one network; budgets are for final",
    ),
    "unknown method": (
        ("{method: fge}", "{method: fgs}"),
        "s.yaml:7: ensemble.method: must say the method, fge or snapshot; got 'fgs'",
    ),
    "no method": (("{method: fge}", "{lr1: 0.1}"), "s.yaml:7: ensemble: must say the method, fge or snapshot"),
    "fixed and searched": (
        ("{method: fge}", "{method: fge, cycle: 2}"),
        "s.yaml:11: space.cycle: cycle is fixed in ensemble already: say it in one of both places",
    ),
    "unknown form": (
        ("  lr1: {log", "  lr1: {lgo"),
        "s.yaml:9: space.lr1.lgo: unknown form of a range 'lgo'; did you mean 'log'? allowed: choice, grid, log, "
        "uniform",
    ),
    "unknown search": (
        ("method: random", "method: radnom"),
        "s.yaml:13: search.method: must be 'grid', 'random', 'optuna' or 'pbt'; got 'radnom' (did you mean 'random'?)",
    ),
    "unknown scheduler": (
        ("scheduler: asha", "scheduler: ashe"),
        "s.yaml:13: search.scheduler: must be 'asha' or 'none'; got 'ashe' (did you mean 'asha'?)",
    ),
    "unknown key": (
        ("final:", "finale:"),
        "s.yaml:14: finale: unknown key 'finale'; did you mean 'final'? allowed: endpoints, ensemble, final, name, "
        "problem, resources, search, settings, space, store",
    ),
    "unknown key inside": (
        ("  budgets:", "  budget:"),
        "s.yaml:16: final.budget: unknown key 'budget'; did you mean 'budgets'? allowed: budgets, published, seeds",
    ),
    "a grid of a range": (
        ("{method: random, trials: 16, scheduler: asha, grace: 2}", "{method: grid}"),
        "s.yaml:9: space.lr1.log: method 'grid' tries listed values: give grid: [...]",
    ),
    "trials are not said": (
        ("trials: 16, ", ""),
        "s.yaml:13: search: method 'random' needs a number of trials, from 1",
    ),
    "a grace of nothing": (
        ("scheduler: asha", "scheduler: none"),
        "s.yaml:13: search.grace: nothing is stopped early; grace is for scheduler: asha",
    ),
    "a grace beyond the end": (
        ("grace: 2", "grace: 17"),
        "s.yaml:13: search.grace: 17 epochs are more than the 16 that are left of 40 after the earliest start, 24",
    ),
    "pbt over cycles": (
        ("{method: random, trials: 16, scheduler: asha, grace: 2}", "{method: pbt, trials: 4}"),
        "s.yaml:11: space.cycle: pbt changes rates on the way, and cycle is the same in all of a population: say it in "
        "ensemble",
    ),
    "networks that are split": (
        ("  seeds: [100, 101]", "  seeds: [100, 101]\n  spawn: [3]"),
        "s.yaml:6: endpoints.spawn: a trial's networks are trained from seeds, not split",
    ),
    "more budget than networks": (
        ("seeds: 15", "seeds: 1"),
        "s.yaml:16: final.budgets: a budget of 2 takes 2 networks for each ensemble, and there are 1 end points",
    ),
    "seeds of trials at the end": (
        ("seeds: 15", "seeds: [1, 100]"),
        "s.yaml:15: final.seeds.1: the trials use the seed 100: give others to the final run",
    ),
    "a published setting that is none": (
        ("seeds: 15", "seeds: 15\n  published: {lr1: 0.001}"),
        "s.yaml:16: final.published.lr1: the highest rate must be at least the lowest: got lr1 0.001, lr2 0.01",
    ),
    "an unknown published setting": (
        ("seeds: 15", "seeds: 15\n  published: {cicle: 2}"),
        f"s.yaml:16: final.published.cicle: unknown setting 'cicle'; did you mean 'cycle'? allowed: {FIELDS}",
    ),
    "a published setting of one's own space": (
        ("seeds: 15", "seeds: 15\n  published: {cycle: 9}"),
        "s.yaml:16: final.published.cycle: a cycle of 9 epochs is longer than the 8 that are left of 40 when cycles "
        "start after 32; say a shorter cycle, or an earlier start",
    ),
    "both studies": (
        ("{method: fge}", "{method: fge}\nrelaxation: {time: 1}"),
        "s.yaml: has both 'ensemble' and 'relaxation': a study tries one of them; leave one out",
    ),
    "a setting outside": (
        ("final:", "settings: [{lr1: 1, lr2: 0.01, cycle: 2, start: 24}]\nfinal:"),
        "s.yaml:14: settings.0: must have a value in its range for each of lr1, lr2, cycle, start",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case: str, tmp_path: Path) -> None:
    (old, new), said = WRONG[case]
    assert complaint(tmp_path, edited(old, new)) == said


WRONG_POPULATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "of one": ({"search": PBT | {"trials": 1}}, "search.trials: a population is of at least 2"),
    "and a scheduler": (
        {"search": PBT | {"scheduler": "asha"}},
        "search.scheduler: pbt decides itself which trials go on: leave the scheduler out",
    ),
    "few at a time": (
        {"search": PBT | {"concurrent": 2}},
        "search.concurrent: the trials of a population take turns: as many run as there is room for (resources.cpus)",
    ),
    "of snapshots": (
        {"ensemble": {"method": "snapshot"}, "space": {"lr1": RATES["lr1"]}},
        "search: pbt is for method fge, whose cycles can have rates of their own; got 'snapshot'",
    ),
}


@pytest.mark.parametrize("case", WRONG_POPULATIONS)
def test_a_wrong_population(case: str) -> None:
    changes, said = WRONG_POPULATIONS[case]
    with pytest.raises(RequestError) as error:
        load_ensemble_study(data(**{"search": PBT, "space": RATES} | changes))
    assert str(error.value) == f"spec: {said}"


def test_the_schema_takes_what_the_loader_takes_and_sees_plain_mistakes(repository: Path) -> None:
    schema = Draft202012Validator(any_study_schema())
    Draft202012Validator.check_schema(any_study_schema())
    resolved = dump_ensemble_study(load_ensemble_study(data()), [{"lr1": 0.1, "lr2": 0.01, "cycle": 2, "start": 25}])
    for text in (STUDY, resolved, edited("[100, 101]", "3"), edited("[1, 2]", "2")):
        schema.validate(yaml.safe_load(text))
    for job in ("fge-tune", "noise-tune"):
        schema.validate(yaml.safe_load((repository / "jobs" / f"{job}.yaml").read_text()))
    seen = ("unknown setting", "budgets of a trial", "unknown method", "no method", "unknown form", "unknown search",
            "unknown scheduler", "unknown key", "unknown key inside", "an unknown published setting",
            "both studies")  # fmt: skip
    for case in seen:
        assert not schema.is_valid(yaml.safe_load(edited(*WRONG[case][0]))), case


def test_each_kind_of_file_is_told_from_the_others(repository: Path) -> None:
    """By its keys; the message says which command is meant."""
    jobs = repository / "jobs"
    assert isinstance(load_any_study(jobs / "noise-tune.yaml"), StudySpec)
    assert isinstance(load_any_study(jobs / "fge-tune.yaml"), EnsembleStudySpec)
    for job in ("digits.yaml", "digits-ensembles.yaml"):
        with pytest.raises(RequestError, match=rf"{job}: is a sweep.*'mcdist run'"):
            load_any_study(jobs / job)
    with pytest.raises(RequestError, match=r"fge-tune.yaml: is a study.*'mcdist tune'"):
        load_spec(jobs / "fge-tune.yaml")
    with pytest.raises(RequestError, match="unknown key 'ensembles'; did you mean 'ensemble'"):
        load_any_study({key if key != "ensemble" else "ensembles": value for key, value in data().items()})
