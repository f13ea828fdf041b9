"""Resources: what is said of how the work is computed, and what is no answer to that."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_line import Command

from mcdist import cli
from mcdist.errors import RequestError
from mcdist.spec import dump_spec, load_spec
from mcdist.spec.resources import ResourcesSpec
from spec.examples import GOOD

SWITCHES = ("compile", "cuda_graphs", "channels_last")

every_switch = pytest.mark.parametrize("name", SWITCHES)


def loaded(tmp_path: Path, resources: str) -> ResourcesSpec:
    file = tmp_path / "s.yaml"
    file.write_text(f"{GOOD}resources:\n  {resources}\n")
    return load_spec(file).resources


@every_switch
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("auto", "auto"),
        ("on", "on"),
        ("off", "off"),
        ("'on'", "on"),
        ('"off"', "off"),
        ("true", "on"),
        ("false", "off"),
        ("yes", "on"),
        ("no", "off"),
    ],
)
def test_a_switch_is_auto_on_or_off_as_yaml_has_it(name: str, written: str, meant: str, tmp_path: Path) -> None:
    """A bare on and a bare off are true and false to YAML 1.1."""
    assert getattr(loaded(tmp_path, f"{name}: {written}"), name) == meant


def test_what_is_not_said_is_open(tmp_path: Path) -> None:
    resources = loaded(tmp_path, "workers: 2")
    assert [getattr(resources, name) for name in SWITCHES] == ["auto"] * 3
    assert resources.pack == "auto"


@every_switch
@pytest.mark.parametrize(
    ("written", "got", "hint"),
    [
        ("onn", "'onn'", " (did you mean 'on'?)"),
        ("atuo", "'atuo'", " (did you mean 'auto'?)"),
        ("inductor", "'inductor'", ""),
        ("1", "1", ""),
        ("0.5", "0.5", ""),
        ("null", "null", ""),
        ("[on]", "[true]", ""),
        ("{mode: fast}", '{"mode": "fast"}', ""),
        ("On!", "'On!'", ""),
    ],
)
def test_anything_else_is_one_message_of_where_what_and_what_is_allowed(
    name: str, written: str, got: str, hint: str, tmp_path: Path
) -> None:
    line = GOOD.count("\n") + 2
    with pytest.raises(RequestError) as caught:
        loaded(tmp_path, f"{name}: {written}")
    said = str(caught.value).replace(f"{tmp_path}/", "")
    assert said == f"s.yaml:{line}: resources.{name}: must be 'auto', 'on' or 'off'; got {got}{hint}"


@every_switch
def test_no_grid_of_a_switch(name: str, tmp_path: Path) -> None:
    """How the work is computed is no part of what it is."""
    with pytest.raises(RequestError, match=rf"resources\.{name}: no grid is possible here"):
        loaded(tmp_path, f"{name}: {{grid: [on, off]}}")


def test_a_switch_that_there_is_not_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"resources\.compiled: unknown key 'compiled'; did you mean 'compile'\?"):
        loaded(tmp_path, "compiled: on")


@pytest.mark.parametrize("values", [*itertools.product(("auto", "on", "off"), repeat=3)])
def test_what_is_written_is_read_back(values: tuple[str, ...], tmp_path: Path) -> None:
    """By YAML 1.1 too, to which a bare on is no text."""
    data = yaml.safe_load(GOOD) | {"resources": dict(zip(SWITCHES, values, strict=True))}
    text = dump_spec(load_spec(data), [])
    (tmp_path / "s.yaml").write_text(text)
    for again in (load_spec(tmp_path / "s.yaml"), load_spec(yaml.safe_load(text))):
        assert again == load_spec(data)
        assert tuple(getattr(again.resources, name) for name in SWITCHES) == values


@every_switch
@pytest.mark.parametrize(("change", "meant"), [("on", "on"), ("off", "off"), ("auto", "auto"), ("true", "on")])
def test_set_says_it_as_a_file_does(name: str, change: str, meant: str) -> None:
    spec = load_spec(yaml.safe_load(GOOD), [f"resources.{name}={change}"])
    assert getattr(spec.resources, name) == meant


@every_switch
@pytest.mark.parametrize("value", [True, False])
def test_in_python_true_and_false_are_on_and_off(name: str, value: bool) -> None:
    spec = load_spec(yaml.safe_load(GOOD) | {"resources": {name: value}})
    assert getattr(spec.resources, name) == ("on" if value else "off")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_wrong_switch_is_exit_2_and_nothing_is_written(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"{GOOD}resources: {{compile: fast}}\n")
    words: list[Any] = ["mcdist", command, file, "--store", tmp_path / "store"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    line = GOOD.count("\n") + 1
    assert err == f"error: {file}:{line}: resources.compile: must be 'auto', 'on' or 'off'; got 'fast'\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.yaml"]


def test_workers_for_some_kinds_of_task_have_what_they_say_and_else_what_all_have(tmp_path: Path) -> None:
    tasks = "tasks: {align: {gpus: 0, cpus: 4, threads: 4}, profile: {gpus: 0.5}, join: {gpus: 0.5, workers: auto}}"
    (file := tmp_path / "s.yaml").write_text(f"{GOOD}resources: {{threads: 2, workers: 8, cpus: 2, {tasks}}}\n")
    said = load_spec(file).resources
    common, align, shared = said.crews()
    assert [kinds for kinds, _ in said.crews()] == [(), ("align",), ("profile", "join")]
    assert (common[1].workers, common[1].gpus, common[1].cpus, common[1].threads) == (8, "auto", 2, 2)
    assert (align[1].workers, align[1].gpus, align[1].cpus, align[1].threads) == ("auto", 0, 4, 4)
    assert (shared[1].workers, shared[1].gpus, shared[1].cpus, shared[1].threads) == ("auto", 0.5, 2, 2)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("{aling: {gpus: 0}}", r"resources\.tasks: unknown kind of task 'aling'.*did you mean 'align'"),
        ("{align: {gpu: 0}}", r"resources\.tasks\.align\.gpu: .*'gpu'.*did you mean 'gpus'"),
        ("{align: {gpus: 1.5}}", r"resources\.tasks\.align\.gpus: .*a share of one GPU"),
        ("{align: {workers: 0}}", r"resources\.tasks\.align\.workers: must be auto or at least 1"),
        ("[align]", r"resources\.tasks: must be a mapping"),
    ],
)
def test_what_is_wrong_with_workers_for_some_kinds_is_said(
    mcdist: Command, tmp_path: Path, tasks: str, message: str
) -> None:
    (file := tmp_path / "s.yaml").write_text(f"{GOOD}resources: {{tasks: {tasks}}}\n")
    code, _, said = mcdist("plan", file)
    assert code == 2
    assert re.search(message, " ".join(said.split())), said
