"""What a study may say, and what is said of one that is wrong: where, what was got, what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from mcdist.errors import RequestError
from mcdist.spec import RelaxationSpec, dump_study, load_spec, load_study, study_schema
from mcdist.spec.study import SEARCHED

STUDY = """\
name: noise
store: results/x
sweep: digits
problem: 1
kinds: [bezier]
relaxation:
  starts: [0.3, 0.7]
  time: 100
  momentum: 0.9
space:
  lr: {log: [0.01, 0.5]}
  batch_size: {choice: [2, 8, 32]}
search: {method: optuna, trials: 16, concurrent: 2, seed: 3, startup: 4}
resources: {cpus: 1}
"""
ALLOWED = ", ".join(sorted(SEARCHED))
FORMS = "{log: [lowest, highest]}, {uniform: [lowest, highest]}, {choice: [...]} or {grid: [...]}"


def edited(old: str, new: str) -> str:
    assert STUDY.count(old) == 1, old
    return STUDY.replace(old, new)


def complaint(folder: Path, text: str) -> str:
    file = folder / "s.yaml"
    file.write_text(text)
    with pytest.raises(RequestError) as error:
        load_study(file)
    return str(error.value).replace(str(file), "s.yaml")


def test_what_is_said_is_what_is_meant(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(STUDY)
    study = load_study(tmp_path / "s.yaml", ["search.trials=5", "relaxation.time=50"])
    assert (study.search.trials, study.search.method, study.search.seed) == (5, "optuna", 3)
    at = study.at({"lr": 0.1, "batch_size": 8})
    assert at == RelaxationSpec(
        lr=0.1, batch_size=8, starts=(0.3, 0.7), time=50.0, momentum=0.9, kinds=("bezier",), replicas=8
    )


def test_a_resolved_study_with_its_settings_is_read_back(tmp_path: Path) -> None:
    study = load_study(yaml.safe_load(STUDY))
    settings: list[dict[str, Any]] = [{"lr": 0.02, "batch_size": 2}, {"lr": 0.5, "batch_size": 32}]
    (tmp_path / "s.yaml").write_text(dump_study(study, settings, ["a note"]))
    again = load_study(tmp_path / "s.yaml")
    assert again.settings == tuple(settings)
    assert again.model_copy(update={"settings": ()}) == study


WRONG = {
    "unknown parameter": (
        ("  lr: {log", "  lrr: {log"),
        f"s.yaml:11: space.lrr: unknown setting 'lrr'; did you mean 'lr'? allowed: {ALLOWED}",
    ),
    "no scalar": (
        ("  lr: {log: [0.01, 0.5]}", "  betas: {choice: [1]}"),
        f"s.yaml:11: space.betas: unknown setting 'betas'; allowed: {ALLOWED}",
    ),
    "unknown form": (
        ("{log: [0.01, 0.5]}", "{lgo: [0.01, 0.5]}"),
        "s.yaml:11: space.lr.lgo: unknown form of a range 'lgo'; did you mean 'log'? allowed: choice, grid, log, "
        "uniform",
    ),
    "a plain value": (("{log: [0.01, 0.5]}", "0.1"), f"s.yaml:11: space.lr: must be one of {FORMS}; got 0.1"),
    "two forms": (
        ("{log: [0.01, 0.5]}", "{log: [1, 2], choice: [1]}"),
        f's.yaml:11: space.lr: must be one of {FORMS}; got {{"log": [1, 2], "choice": [1]}}',
    ),
    "reversed bounds": (
        ("[0.01, 0.5]", "[0.5, 0.01]"),
        "s.yaml:11: space.lr.log: must be two bounds, the lower first; got [0.5, 0.01]",
    ),
    "equal bounds": (
        ("[0.01, 0.5]", "[0.5, 0.5]"),
        "s.yaml:11: space.lr.log: must be two bounds, the lower first; got [0.5, 0.5]",
    ),
    "three bounds": (
        ("[0.01, 0.5]", "[1, 2, 3]"),
        "s.yaml:11: space.lr.log: must be two bounds, the lower first; got [1, 2, 3]",
    ),
    "a logarithm of 0": (
        ("[0.01, 0.5]", "[0, 0.5]"),
        "s.yaml:11: space.lr.log.0: must be above 0 for a logarithm; got 0",
    ),
    "text as a bound": (("[0.01, 0.5]", "[a, 0.5]"), "s.yaml:11: space.lr.log.0: must be a number; got 'a'"),
    "an impossible bound": (
        ("{log: [0.01, 0.5]}", "{uniform: [-0.1, 0.5]}"),
        "s.yaml:11: space.lr.uniform.0: must be greater than 0; got -0.1",
    ),
    "an impossible value": (
        ("[2, 8, 32]", "[2, 0]"),
        "s.yaml:12: space.batch_size.choice.1: must be greater than or equal to 1; got 0",
    ),
    "project 0": (
        ("  batch_size: {choice: [2, 8, 32]}", "  project: {choice: [15, null, 0]}"),
        "s.yaml:12: space.project.choice.2: must be greater than or equal to 1; got 0",
    ),
    "two values that do not go together": (
        (
            "  batch_size: {choice: [2, 8, 32]}",
            "  noise: {choice: [minibatch, isotropic]}\n  sampling: {choice: [independent]}",
        ),
        "s.yaml:13: space.sampling.choice.0: noise 'isotropic' draws no minibatches; sampling is for minibatch",
    ),
    "an integer between fractions": (
        ("{choice: [2, 8, 32]}", "{log: [2, 8.5]}"),
        "s.yaml:12: space.batch_size.log.1: batch_size is an integer; got 8.5",
    ),
    "bounds of what is no number": (
        ("  batch_size: {choice: [2, 8, 32]}", "  optimizer: {uniform: [1, 2]}"),
        "s.yaml:12: space.optimizer.uniform: optimizer is no number: give choice: [...]",
    ),
    "no values": (("[2, 8, 32]", "[]"), "s.yaml:12: space.batch_size.choice: must have at least one value; got []"),
    "a value twice": (("[2, 8, 32]", "[2, 8, 2]"), "s.yaml:12: space.batch_size.choice.2: 2 is here twice"),
    "nothing to search": (
        ("  lr: {log: [0.01, 0.5]}\n  batch_size: {choice: [2, 8, 32]}", "  {}"),
        "s.yaml:10: space: must have at least one setting to search",
    ),
    "fixed and searched": (
        ("  time: 100", "  time: 100\n  lr: 0.1"),
        "s.yaml:12: space.lr: lr is fixed in relaxation already: say it in one of both places",
    ),
    "neither fixed nor searched": (("  time: 100\n", ""), "s.yaml:6: relaxation.time: is missing"),
    "unknown key of the relaxation": (
        ("  time: 100", "  time: 100\n  replica: 3"),
        "s.yaml:9: relaxation.replica: unknown key 'replica'; did you mean 'replicas'? allowed: "
        + ", ".join(sorted(RelaxationSpec.model_fields)),
    ),
    "a start outside": (
        ("[0.3, 0.7]", "[0.3, 1.0]"),
        "s.yaml:7: relaxation.starts.1: must be inside the path, in (0, 1); got 1",
    ),
    "a grid in the relaxation": (
        ("time: 100", "time: {grid: [1, 2]}"),
        's.yaml:8: relaxation.time: must be a number; got {"grid": [1, 2]}',
    ),
    "kinds twice": (
        ("  time: 100", "  time: 100\n  kinds: [bezier]"),
        "s.yaml:9: relaxation.kinds: the kinds of paths are said once, for the whole study",
    ),
    "a grid of a range": (
        ("{method: optuna, trials: 16, concurrent: 2, seed: 3, startup: 4}", "{method: grid}"),
        "s.yaml:11: space.lr.log: method 'grid' tries listed values: give grid: [...]",
    ),
    "no trials": (("trials: 16", "trials: 0"), "s.yaml:13: search.trials: must be greater than or equal to 1; got 0"),
    "trials are not said": (
        ("trials: 16, ", ""),
        "s.yaml:13: search: method 'optuna' needs a number of trials, from 1",
    ),
    "trials of a grid": (
        ("{method: optuna, trials: 16, concurrent: 2, seed: 3, startup: 4}", "{method: grid, trials: 4}"),
        "s.yaml:13: search.trials: method 'grid' tries every combination; trials is for random and optuna",
    ),
    "startup of what does not adapt": (
        ("method: optuna", "method: random"),
        "s.yaml:13: search.startup: method 'random' does not adapt; startup is for optuna",
    ),
    "more trials than settings": (
        ("{log: [0.01, 0.5]}", "{choice: [0.1, 0.2]}"),
        "s.yaml:13: search.trials: 16 are more than the 6 different settings of the space",
    ),
    "none at a time": (
        ("concurrent: 2", "concurrent: 0"),
        "s.yaml:13: search.concurrent: must be greater than or equal to 1; got 0",
    ),
    "a search that does not exist": (
        ("method: optuna", "method: optua"),
        "s.yaml:13: search.method: must be 'grid', 'random' or 'optuna'; got 'optua' (did you mean 'optuna'?)",
    ),
    "no noise level to search": (
        ("  lr: {log: [0.01, 0.5]}\n  batch_size: {choice: [2, 8, 32]}", "  project: {uniform: [1, 50]}"),
        "s.yaml:10: space: optuna looks where the time changes most with the noise level: search lr, batch_size, "
        "momentum, temperature",
    ),
    "no noise": (
        ("  time: 100", "  time: 100\n  noise: none"),
        "s.yaml:9: relaxation.noise: without noise there is no noise level for optuna to search",
    ),
    "a name that is no file": (
        ("name: noise", "name: a/b"),
        "s.yaml:1: name: must be made of letters, digits, '.', '_', '-', a letter or digit first; got 'a/b'",
    ),
    "no sweep": (("sweep: digits\n", ""), "s.yaml:1: sweep: is missing"),
    "a negative position": (
        ("problem: 1", "problem: -1"),
        "s.yaml:4: problem: must be greater than or equal to 0; got -1",
    ),
    "unknown key": (
        ("search: {", "serach: {"),
        "s.yaml:1: search: is missing\ns.yaml:13: serach: unknown key 'serach'; did you mean 'search'? allowed: kinds, "
        "name, problem, relaxation, resources, search, settings, space, store, sweep",
    ),
    "unknown resource": (
        ("{cpus: 1}", "{cpu: 1}"),
        "s.yaml:14: resources.cpu: unknown key 'cpu'; did you mean 'cpus'? allowed: autoscaling, channels_last, "
        "compile, cpus, cuda_graphs, gpus, pack, retries, tasks, threads, workers",
    ),
    "a setting outside": (
        ("resources: {cpus: 1}", "settings: [{lr: 0.1, batch_size: 2}, {lr: 1, batch_size: 2}]"),
        "s.yaml:14: settings.1: must have a value in its range for each of lr, batch_size",
    ),
    "half a setting": (
        ("resources: {cpus: 1}", "settings: [{lr: 0.1}]"),
        "s.yaml:14: settings.0: must have a value in its range for each of lr, batch_size",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case: str, tmp_path: Path) -> None:
    (old, new), said = WRONG[case]
    assert complaint(tmp_path, edited(old, new)) == said


def test_no_mapping(tmp_path: Path) -> None:
    assert complaint(tmp_path, "[1]").startswith("s.yaml:1: a study is a mapping (name: ..., sweep: ..., space: ...)")


SIZES = {
    "{choice: [1, 2, 4]}": 3,
    "{uniform: [1, 4]}": 4,
    "{log: [2, 64]}": 63,
}


@pytest.mark.parametrize("text", SIZES)
def test_a_space_of_integers_and_lists_has_a_size(text: str) -> None:
    study = load_study(
        yaml.safe_load(STUDY) | {"space": {"lr": {"grid": [1, 2]}, "batch_size": yaml.safe_load(text)}},
        ["search.trials=5"],
    )
    assert study.size == 2 * SIZES[text]


def test_the_schema_takes_what_the_loader_takes_and_sees_plain_mistakes() -> None:
    schema = Draft202012Validator(study_schema())
    Draft202012Validator.check_schema(study_schema())
    study = load_study(yaml.safe_load(STUDY))
    for text in (STUDY, dump_study(study, [{"lr": 0.1, "batch_size": 2}]), edited("[0.3, 0.7]", "9")):
        schema.validate(yaml.safe_load(text))
    seen = ("unknown parameter", "unknown form", "a plain value", "two forms", "three bounds", "text as a bound",
            "no values", "nothing to search", "unknown key of the relaxation", "no trials", "none at a time",
            "no sweep", "a search that does not exist", "unknown key", "unknown resource",
            "a name that is no file")  # fmt: skip
    for case in seen:
        assert not schema.is_valid(yaml.safe_load(edited(*WRONG[case][0]))), case


def test_a_study_is_no_sweep_and_a_sweep_no_study(repository: Path) -> None:
    """The message says which command is meant."""
    jobs = repository / "jobs"
    with pytest.raises(RequestError, match=r"noise-tune.yaml: is a study.*'mcdist tune'"):
        load_spec(jobs / "noise-tune.yaml")
    with pytest.raises(RequestError, match=r"digits.yaml: is a sweep.*'mcdist run'"):
        load_study(jobs / "digits.yaml")
