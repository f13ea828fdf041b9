"""Ensembles: what they say, what is filled in, and what a user is told of those that are wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdist import cli
from mcdist.errors import RequestError
from mcdist.spec import SweepSpec, dump_spec, load_spec
from mcdist.spec.ensembles import METHOD_OPTIONS, EnsembleSpec
from spec.examples import ENSEMBLES, complaint, ensembles

KEYS = "budgets, cycle, cycles, looks, lr1, lr2, method, path, points, predictions, restarts, start"
HEAD = """\
name: test
problem: {data: digits, model: mlp}
endpoints:
  seeds: 6
  train: {epochs: 20, lr: 0.1}
"""
CURVE = "path: {kind: bezier, train: {epochs: 20, lr: 0.1}}"
TRIANGLES = "start, lr1, lr2, cycle"


def loaded(text: str, head: str = HEAD) -> SweepSpec:
    return load_spec(yaml.safe_load(f"{head}ensembles: {text}"))


def one(text: str, head: str = HEAD) -> EnsembleSpec:
    (ensemble,) = loaded(text, head).ensembles
    return ensemble


# what is written (one ensemble) -> what is said of it, after "ensembles"
ONE = {
    "{method: fgr}": ".method: must be 'independent', 'snapshot', 'fge', 'swa' or 'curve'; got 'fgr' "
    "(did you mean 'fge'?)",
    "{method: snapshots}": ".method: must be 'independent', 'snapshot', 'fge', 'swa' or 'curve'; got 'snapshots' "
    "(did you mean 'snapshot'?)",
    "{}": ".method: is missing",
    "fge": ": must be a mapping; got 'fge'",
    "{method: fge, budget: 2}": f".budget: unknown key 'budget'; did you mean 'budgets'? allowed: {KEYS}",
    # options of other methods
    "{method: fge, cycles: 4}": f".cycles: method 'fge' has no 'cycles'; it has {TRIANGLES}",
    "{method: swa, points: 4}": f".points: method 'swa' has no 'points'; it has {TRIANGLES}",
    "{method: fge, path: {kind: bezier}}": f".path: method 'fge' has no 'path'; it has {TRIANGLES}",
    "{method: snapshot, start: 3}": ".start: method 'snapshot' has no 'start'; it has lr1, cycles",
    "{method: snapshot, lr2: 0.1}": ".lr2: method 'snapshot' has no 'lr2'; it has lr1, cycles",
    "{method: snapshot, cycle: 2}": ".cycle: method 'snapshot' has no 'cycle'; it has lr1, cycles",
    "{method: independent, lr1: 0.1}": ".lr1: method 'independent' has no 'lr1'; it has no options",
    "{method: independent, restarts: false}": ".restarts: method 'independent' has no runs that could be longer",
    "{method: independent, looks: 2}": ".looks: method 'independent' has no cycles to look at",
    f"{{method: curve, budgets: 3, {CURVE}, start: 1}}": ".start: method 'curve' has no 'start'; it has points, path",
    f"{{method: curve, budgets: 3, {CURVE}, looks: 2}}": ".looks: method 'curve' has no cycles to look at",
    f"{{method: curve, budgets: 3, {CURVE}, restarts: false}}": ".restarts: method 'curve' has no runs that could be "
    "longer",
    # budgets
    "{method: fge, budgets: 0}": ".budgets: must be multiples of B from 1 to 1000; got 0",
    "{method: fge, budgets: [1, 1001]}": ".budgets.1: must be multiples of B from 1 to 1000; got 1001",
    "{method: fge, budgets: [2, 1, 2]}": ".budgets.2: the budget 2 is here twice",
    "{method: fge, budgets: []}": ".budgets: must be a whole multiple of B, or a list of them that is not empty; "
    "got []",
    "{method: fge, budgets: 1.5}": ".budgets: must be a whole multiple of B, or a list of them that is not empty; "
    "got 1.5",
    "{method: fge, budgets: true}": ".budgets: must be a whole multiple of B, or a list of them that is not empty; "
    "got true",
    "{method: fge, budgets: [1, 1.5]}": ".budgets.1: must be an integer; got 1.5",
    "{method: independent, budgets: [7, 3]}": ".budgets: a budget of 7 takes 7 networks for each ensemble, and there "
    "are 6 end points",
    "{method: swa, budgets: 9}": ".budgets: a budget of 9 takes 9 networks for each ensemble, and there are 6 end "
    "points",
    # rates
    "{method: fge, lr1: 0.01, lr2: 0.05}": ".lr1: the highest rate must be at least the lowest: got lr1 0.01, lr2 0.05",
    "{method: swa, lr1: 0.001}": ".lr1: the highest rate must be at least the lowest: got lr1 0.001, lr2 0.01",
    "{method: fge, lr2: 0.1}": ": the highest rate must be at least the lowest: got lr1 0.05, lr2 0.1",
    "{method: fge, lr1: 0}": ".lr1: must be greater than 0; got 0",
    "{method: snapshot, lr1: fast}": ".lr1: must be a number; got 'fast'",
    "{method: fge, lr2: {grid: [0.01, 0]}}": ".lr2.grid.1: must be greater than 0; got 0",
    # cycles and where they start
    "{method: fge, cycle: 0}": ".cycle: must be greater than 0; got 0",
    "{method: snapshot, cycles: 0}": ".cycles: must be greater than or equal to 1; got 0",
    "{method: snapshot, cycles: 2.5}": ".cycles: must be an integer; got 2.5",
    "{method: fge, looks: 0}": ".looks: must be greater than or equal to 1; got 0",
    "{method: fge, start: 0.8}": ".start: must be an integer; got 0.8",
    "{method: fge, start: -1}": ".start: must be greater than or equal to 0; got -1",
    "{method: fge, start: 21}": ".start: 21 is after the end of the usual training, which has 20 epochs",
    "{method: fge, start: 21, budgets: 2, restarts: false}": ".start: 21 is after the end of the usual training, which "
    "has 20 epochs",
    "{method: fge, start: 20}": ".start: nothing is left of 20 epochs for cycles that start after 20; say an earlier "
    "start",
    "{method: fge, start: 20, budgets: [1, 2], restarts: false}": ".start: nothing is left of 20 epochs for cycles "
    "that start after 20; say an earlier start",
    "{method: fge, cycle: 5}": ".cycle: a cycle of 5 epochs is longer than the 4 that are left of 20 when cycles start "
    "after 16; say a shorter cycle, or an earlier start",
    "{method: swa, start: 19}": ": a cycle of 2 epochs is longer than the 1 that are left of 20 when cycles start "
    "after 19; say a shorter cycle, or an earlier start",
    "{method: fge, cycle: 20.5, budgets: 2, restarts: false}": ".cycle: a cycle of 20.5 epochs is longer than the 20 "
    "that are left of 40 when cycles start after 20; say a shorter cycle, or an earlier start",
    # curves
    "{method: curve}": ": method 'curve' needs path: {kind: bezier, train: {...}}",
    "{method: curve, path: bezier}": ".path: must be a mapping; got 'bezier'",
    "{method: curve, budgets: 3, path: {kind: linear}}": ".path.kind: must be a curve that is trained for so many "
    "epochs, bezier or chain; got 'linear'",
    "{method: curve, budgets: 3, path: {kind: autoneb}}": ".path.kind: must be a curve that is trained for so many "
    "epochs, bezier or chain; got 'autoneb'",
    "{method: curve, budgets: 3, path: {kind: bezier, ends: free, train: {epochs: 1, lr: 1}}}": ".path.ends: must have "
    "the two networks for its ends, ends: fixed",
    f"{{method: curve, {CURVE}}}": ": 1 x 20 epochs are less than the 60 that two end points and the curve take; "
    "possible from 3 on",
    f"{{method: curve, budgets: [3, 2], {CURVE}}}": ".budgets: 2 x 20 epochs are less than the 60 that two end points "
    "and the curve take; possible from 3 on",
    "{method: curve, budgets: 3, path: {kind: chain, draws: 2, train: {epochs: 11, lr: 0.1}}}": ".budgets: 3 x 20 "
    "epochs are less than the 62 that two end points and the curve take; possible from 4 on",
    f"{{method: curve, budgets: 3, points: 1, {CURVE}}}": ".points: must be greater than or equal to 2; got 1",
}


@pytest.mark.parametrize("text", ONE)
def test_one_thing_that_is_wrong(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, f"{HEAD}ensembles: {text}\n") == f"s.yaml:6: ensembles{ONE[text]}"


def test_in_a_list_the_place_is_that_of_the_entry(tmp_path: Path) -> None:
    listed = f"{HEAD}ensembles:\n  - {{method: fge}}\n  - method: swa\n    cycle: 9\n"
    assert complaint(tmp_path, listed).startswith("s.yaml:9: ensembles.1.cycle: a cycle of 9 epochs is longer")
    gridded = f"{HEAD}ensembles:\n  - {{method: fge}}\n  - method: swa\n    cycle: {{grid: [1, 2, 9]}}\n"
    assert complaint(tmp_path, gridded).startswith("s.yaml:9: ensembles.1.cycle.grid.2: a cycle of 9 epochs is longer")
    twice = f"{HEAD}ensembles:\n  - {{method: fge}}\n  - {{method: fge, budgets: 1, lr1: 0.05, start: null}}\n"
    assert complaint(tmp_path, twice) == "s.yaml:8: ensembles.1: comes to the same as a setting before it"


def test_every_wrong_thing_is_said_in_one_go(tmp_path: Path) -> None:
    text = "ensembles:\n  - {method: fge, lr1: 0, cycle: x}\n  - {method: bag}\n  - {method: snapshot, start: 3}\n"
    assert complaint(tmp_path, HEAD + text).splitlines() == [
        "s.yaml:7: ensembles.0.lr1: must be greater than 0; got 0",
        "s.yaml:7: ensembles.0.cycle: must be a number; got 'x'",
        "s.yaml:8: ensembles.1.method: must be 'independent', 'snapshot', 'fge', 'swa' or 'curve'; got 'bag'",
        "s.yaml:9: ensembles.2.start: method 'snapshot' has no 'start'; it has lr1, cycles",
    ]


def test_every_setting_of_end_points_must_have_room(tmp_path: Path) -> None:
    """Also where only the second one has too few epochs or too few seeds."""
    epochs = HEAD.replace("epochs: 20", "epochs: {grid: [20, 5]}")
    assert complaint(tmp_path, f"{epochs}ensembles: {{method: fge}}\n") == (
        "s.yaml:6: ensembles: a cycle of 2 epochs is longer than the 1 that are left of 5 when cycles start after 4; "
        "say a shorter cycle, or an earlier start"
    )
    seeds = HEAD.replace("seeds: 6", "seeds: {grid: [6, 2]}")
    assert complaint(tmp_path, f"{seeds}ensembles: {{method: independent, budgets: [2, 3]}}\n").endswith(
        "a budget of 3 takes 3 networks for each ensemble, and there are 2 end points"
    )


def test_end_points_that_are_wrong_are_what_is_said(tmp_path: Path) -> None:
    text = HEAD.replace("epochs: 20", "epochs: -1") + "ensembles: {method: fge, cycle: 9}\n"
    assert complaint(tmp_path, text) == "s.yaml:5: endpoints.train.epochs: must be greater than or equal to 0; got -1"


@pytest.mark.parametrize("train", ["none", "{epochs: 0, lr: 0.1}"])
def test_ensembles_are_of_trained_networks(tmp_path: Path, train: str) -> None:
    head, _, _ = HEAD.partition("  train:")
    assert complaint(tmp_path, f"{head}  train: {train}\nensembles: {{method: snapshot}}\n").endswith(
        "ensembles: ensembles are of trained networks, and these have train: none"
    )


def test_branches_make_no_ensembles_but_may_stand_beside_networks_that_do(tmp_path: Path) -> None:
    branches = "{seeds: 2, spawn: [1], train: {epochs: 5, lr: 0.1}}"
    alone = HEAD[: HEAD.index("endpoints:")] + f"endpoints: {branches}\nensembles: {{method: fge}}\n"
    assert complaint(tmp_path, alone) == (
        "s.yaml:4: ensembles: ensembles are of networks trained from seeds, not of branches (endpoints.spawn)"
    )
    beside = alone.replace(branches, f"[{branches}, {{seeds: 2, train: {{epochs: 20, lr: 0.1}}}}]")
    assert load_spec(yaml.safe_load(beside)).ensembles == (EnsembleSpec(method="fge"),)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_published_rates_are_not_taken_for_other_optimizers(tmp_path: Path, optimizer: str) -> None:
    """At 0.05 Adam forgets the network that the cycles start from."""
    head = HEAD.replace("lr: 0.1", f"lr: 0.001, optimizer: {optimizer}")
    said = f"are for sgd, and the end points are trained by {optimizer}: say"
    assert complaint(tmp_path, f"{head}ensembles: {{method: fge}}\n") == (
        f"s.yaml:6: ensembles: the published rates, 0.05 and 0.01, {said} lr1 and lr2"
    )
    assert complaint(tmp_path, f"{head}ensembles: {{method: swa, lr1: 0.02}}\n").endswith(f"{said} lr2")
    assert one("{method: fge, lr1: 0.001, lr2: 0.0001}", head).lr1 == 0.001
    assert one("{method: snapshot}", head).lr1 is None  # that of the end points


@pytest.mark.parametrize("command", ["plan", "run"])
def test_exit_2_one_message_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    file, store = tmp_path / "s.yaml", tmp_path / "store"
    file.write_text(f"{HEAD}ensembles: {{method: fge, lr1: 0.01, lr2: 0.05}}\n")
    monkeypatch.setattr(sys, "argv", ["mcdist", command, str(file), "--store", str(store)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert stop.value.code == 2
    assert "s.yaml:6: ensembles.lr1: the highest rate must be at least the lowest" in " ".join(err.split())
    assert "Traceback" not in out + err
    assert not store.exists()


# what is filled in

FILLED = {
    "independent": {},
    "snapshot": {"cycles": 5},
    "fge": {"lr1": 0.05, "lr2": 0.01, "cycle": 2.0},
    "swa": {"lr1": 0.05, "lr2": 0.01, "cycle": 2.0},
    "curve": {"points": 5},
}


@pytest.mark.parametrize("method", FILLED)
def test_the_options_of_a_method_are_filled_in_and_those_of_others_are_not(method: str) -> None:
    more = f"budgets: 3, {CURVE}" if method == "curve" else "budgets: [1]"
    said = one(f"{{method: {method}, {more}}}").model_dump()
    options = {name: said[name] for name in ("start", "lr1", "lr2", "cycle", "cycles", "points")}
    assert options == dict.fromkeys(options) | FILLED[method]
    written = "".join(f", {name}: {value}" for name, value in FILLED[method].items())
    assert one(f"{{method: {method}, {more}{written}}}") == one(f"{{method: {method}, {more}}}")


def test_every_method_has_defaults() -> None:
    assert set(METHOD_OPTIONS) == set(FILLED)


def test_budgets_are_in_order_however_they_are_given() -> None:
    assert one("{method: fge, budgets: [3, 1, 2]}").budgets == (1, 2, 3)
    assert one("{method: fge, budgets: 2}").budgets == (2,)
    assert one("{method: fge}").budgets == (1,)
    assert [e.budgets for e in loaded("{method: fge, budgets: {grid: [2, [1, 3]]}}").ensembles] == [(2,), (1, 3)]


@pytest.mark.parametrize(
    ("text", "budget", "networks", "epochs", "begins"),
    [
        ("{method: independent, budgets: 3}", 3, 3, 20, None),
        ("{method: snapshot}", 1, 1, 20, 0),
        ("{method: snapshot, budgets: 3}", 3, 3, 20, 0),
        ("{method: snapshot, budgets: 3, restarts: false}", 3, 1, 60, 0),
        ("{method: fge}", 1, 1, 20, 16),
        ("{method: fge, budgets: 3}", 3, 3, 20, 16),
        ("{method: fge, budgets: [1, 3], restarts: false}", 1, 1, 20, 16),
        ("{method: fge, budgets: [1, 3], restarts: false}", 3, 1, 60, 20),
        ("{method: swa, budgets: 3, restarts: false, start: 7}", 3, 1, 60, 7),
        ("{method: swa, start: 0}", 1, 1, 20, 0),
        (f"{{method: curve, budgets: 5, {CURVE}}}", 5, 2, 20, None),
    ],
)
def test_networks_epochs_and_start_of_a_budget(
    text: str, budget: int, networks: int, epochs: int, begins: int | None
) -> None:
    """A budget is so many runs of B epochs, or one run of so many times B; cycles start at 80 % of B, or at B."""
    ensemble = one(text)
    assert ensemble.networks(budget) == networks
    assert ensemble.run_epochs(20, budget) == epochs
    if begins is not None:
        assert ensemble.begins(20, budget) == begins


def test_the_highest_rate_may_be_the_lowest() -> None:
    """The published rate of VGG-16 is constant."""
    assert one("{method: fge, lr1: 0.01, lr2: 0.01}").lr2 == 0.01


# written and read back


def test_a_sweep_with_every_method_is_read_back() -> None:
    spec = load_spec(yaml.safe_load(ENSEMBLES))
    assert [e.method for e in spec.ensembles] == [
        "independent",
        *["snapshot"] * 4,
        "fge",
        "swa",
        "fge",
        "swa",
        "fge",
        "fge",
        *["curve"] * 3,
    ]
    again = load_spec(yaml.safe_load(dump_spec(spec)))
    assert again == spec
    assert dump_spec(again) == dump_spec(spec)


@settings(max_examples=40)
@given(ensembles, st.integers(11, 13))
def test_what_is_written_is_read_back(said: dict[str, Any], seeds: int) -> None:
    train = {"epochs": 9, "lr": 0.1}
    head = {"name": "x", "problem": {"data": "digits", "model": "mlp"}, "endpoints": {"seeds": seeds, "train": train}}
    spec = load_spec({**head, "ensembles": said})
    assert load_spec(yaml.safe_load(dump_spec(spec))).ensembles == spec.ensembles
    (ensemble,) = spec.ensembles
    for name, value in said.items():
        if name not in ("budgets", "path"):
            assert getattr(ensemble, name) == value


def test_what_is_said_is_not_forgotten_for_a_budget_that_is_too_great() -> None:
    with pytest.raises(RequestError, match="there are 6 end points"):
        loaded("{method: fge, budgets: {grid: [1, 7]}}")
