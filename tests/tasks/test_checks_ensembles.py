"""Ensembles that the data or the model do not allow are refused where they are, before anything is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.command_line import Command

from mcdist.errors import RequestError
from mcdist.spec import load_spec
from mcdist.spec.yaml_source import write_yaml
from mcdist.tasks.checks_ensembles import check_cycle
from mcdist.tasks.problems import Prepared, build_problem, prepare

DIGITS: dict[str, Any] = {"data": {"name": "digits", "train_size": 100}, "model": "mlp"}
VALLEY: dict[str, Any] = {"kind": "valley", "stiff": 3}
TRAIN: dict[str, Any] = {"epochs": 20, "lr": 0.1, "batch_size": 20}  # 5 steps an epoch
FGE: dict[str, Any] = {"method": "fge"}
CURVE: dict[str, Any] = {"method": "curve", "budgets": 3}
NEURONS = {"name": "mlp", "args": {"hidden": [8]}}


def sweep(*said: dict[str, Any], problem: Any = DIGITS, **train: Any) -> dict[str, Any]:
    endpoints = {"seeds": 3, "train": TRAIN | train}
    return {"name": "s", "problem": problem, "endpoints": endpoints, "ensembles": list(said)}


def prepared(*said: dict[str, Any], **how: Any) -> Prepared:
    return prepare(load_spec(sweep(*said, **how)), "s.yaml")


def refused(*said: dict[str, Any], **how: Any) -> str:
    with pytest.raises(RequestError) as caught:
        prepared(*said, **how)
    return str(caught.value)


# cycles


def test_an_odd_cycle_and_those_near_it() -> None:
    assert refused({"method": "snapshot"}, FGE | {"cycle": 3}) == (
        "s.yaml: ensembles.1: cycle: 3 epochs are 15 steps (5 in an epoch): a cycle needs an even number of them, so "
        "that its lowest rate is in the middle; near it are 2.8 (14 steps) or 3.2 (16 steps)"
    )
    long = FGE | {"cycle": 3, "start": 17, "budgets": [1, 2], "restarts": False}
    assert refused(long).endswith(
        "near it is 2.8 (14 steps)"
    )  # of the three epochs that are left of the smaller budget


@pytest.mark.parametrize("cycle", [2, 0.4, 0.8, 1.2, 3.6, 4])
def test_cycles_of_an_even_number_of_steps(cycle: float) -> None:
    prepared(FGE | {"cycle": cycle})


def test_a_cycle_is_of_so_many_steps_as_the_model_makes_of_the_data() -> None:
    """101 examples, 20 at a time: with BatchNorm the last one goes with those before, without it stands alone."""
    data = {"name": "digits", "train_size": 101}
    plain, normed = ({"data": data, "model": {"name": "mlp", "args": {"batch_norm": norm}}} for norm in (False, True))
    prepared(FGE | {"cycle": 1}, problem=plain)
    assert "1 epochs are 5 steps (5 in an epoch)" in refused(FGE | {"cycle": 1}, problem=normed)


def test_which_problem_of_several_is_said() -> None:
    problems = [DIGITS | {"data": {"name": "digits", "train_size": n}} for n in (120, 100)]
    assert refused(FGE | {"cycle": 1}, problem=problems).startswith("s.yaml: ensembles.0: problem.1: cycle: 1 epochs")


@pytest.mark.parametrize(
    ("cycle", "steps", "left", "near"),
    [
        (1, 7, 4, ["0.85714 (6 steps)", "1.1429 (8 steps)"]),
        (1, 7, 1, ["0.85714 (6 steps)"]),  # a longer one is longer than what is left
        (0.5, 3, 2, ["0.66667 (2 steps)", "1.3333 (4 steps)"]),  # none is shorter than two steps
        (0.001, 391, 40, ["0.0051151 (2 steps)", "0.01023 (4 steps)"]),
        (1e-5, 7, 4, ["0.28571 (2 steps)", "0.57143 (4 steps)"]),
        (1, 1, 1, []),
    ],
)
def test_those_near_a_cycle_are_possible(cycle: float, steps: int, left: int, near: list[str]) -> None:
    with pytest.raises(RequestError) as caught:
        check_cycle(cycle, steps, left)
    said = str(caught.value)
    assert re.findall(r"[\d.]+ \(\d+ steps\)", said) == near
    assert near or said.endswith("the 1 epochs that are left have no two steps")


@given(st.integers(1, 5000), st.floats(1e-3, 1e3))
def test_those_near_a_cycle_are_taken_as_typed_and_stand_on_both_sides_of_it(steps: int, cycle: float) -> None:
    try:
        check_cycle(cycle, steps)
    except RequestError as error:
        found = re.findall(r"([\d.e+-]+) \((\d+) steps\)", str(error))
        assert len(found) == 2
        for text, whole in found:
            check_cycle(float(text), steps)
            assert round(float(text) * steps) == int(whole)
        below, above = (int(whole) for _, whole in found)
        assert above - below == 2
        assert max(cycle * steps, 2) == pytest.approx((below + above) / 2, abs=1 + 1e-3)
    else:
        assert round(cycle * steps) % 2 == 0
        assert cycle * steps == pytest.approx(round(cycle * steps), abs=1e-3 + 1e-9)


@given(st.integers(1, 400), st.integers(1, 400))
def test_any_even_number_of_steps_may_be_given_as_a_decimal(half: int, steps: int) -> None:
    check_cycle(2 * half / steps, steps)
    check_cycle(float(f"{2 * half / steps:.7g}"), steps)
    with pytest.raises(RequestError, match=f"are {2 * half + 1} steps"):
        check_cycle((2 * half + 1) / steps, steps)


@pytest.mark.parametrize("budgets", [1, [2, 1]])
def test_more_cosines_than_steps(budgets: Any) -> None:
    long = {"method": "snapshot", "budgets": budgets, "restarts": False}
    prepared(long | {"cycles": 100})
    assert refused(long | {"cycles": 101}) == "s.yaml: ensembles.0: cycles: 101 are more than the 100 steps of a run"


# problems


def test_a_valley_has_no_classes() -> None:
    for said in (FGE, {"method": "independent"}):
        assert refused(said, problem=VALLEY) == (
            "s.yaml: ensembles.0: an ensemble averages probabilities: it needs the likelihood of labels; a valley is a "
            "loss alone"
        )


def test_a_loss_of_the_users_own_gives_no_probabilities() -> None:
    own = DIGITS | {"loss": "torch.nn.functional:multi_margin_loss"}
    assert refused(FGE, problem=[DIGITS, own]).startswith(
        "s.yaml: ensembles.0: problem.1: an ensemble averages probabilities: it is of cross_entropy alone: "
        "torch.nn.functional:multi_margin_loss is no likelihood"
    )


# curves


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            {"kind": "bezier"},
            "s.yaml: ensembles.0: path: a path of kind 'bezier' needs train: {epochs: ..., lr: ...} for its bends",
        ),
        (
            {"kind": "chain", "train": TRAIN, "repair": True},
            "s.yaml: ensembles.0: path: repair is for straight lines; a path of kind 'chain' is trained",
        ),
        (
            {"kind": "bezier", "train": TRAIN, "align": {"method": "activations", "samples": 101}},
            "s.yaml: problem: ensembles.0.path: align: samples: 101 are more than the 100 training examples",
        ),
        (
            {
                "kind": "bezier",
                "train": TRAIN,
                "align": {"method": "weights", "structure": {"groups": {"a": [["0.x", 0]]}}},
            },
            "s.yaml: problem: ensembles.0.path: ",
        ),
    ],
)
def test_curves_that_cannot_be(path: dict[str, Any], said: str) -> None:
    """Whatever the paths of the sweep are like."""
    assert refused(CURVE | {"path": path}).startswith(said)


def test_a_curve_that_can() -> None:
    prepared(
        CURVE | {"path": {"kind": "bezier", "train": TRAIN, "align": "weights"}}, problem=DIGITS | {"model": NEURONS}
    )


# what is known of a problem before any work

MODELS: list[Any] = [
    "mlp",
    {"name": "mlp", "args": {"batch_norm": True}},
    "support.models:Mine",
]


@pytest.mark.parametrize("train_size", [2, 21, 60])
@pytest.mark.parametrize("model", MODELS, ids=["plain", "normed", "own"])
def test_steps_of_an_epoch_are_the_minibatches_of_the_problem(model: Any, train_size: int) -> None:
    data: dict[str, Any] = {"name": "digits", "train_size": train_size}
    found = prepare(load_spec(sweep(problem={"data": data, "model": model})))
    problem = build_problem(found.spec.problem[0], lambda key: found.datasets[key], torch.device("cpu"))
    for size in (1, 2, 4, 5, 19, 20, 21, 59, 60, 61, 1000):
        assert found.facts[0].steps(size) == len(problem.batch_sizes(size)), size
    assert found.facts[0].splits == problem.splits == ("train", "test")


def test_splits() -> None:
    found = prepare(load_spec(sweep(problem=DIGITS | {"data": {"name": "digits", "validation": 0.1}})))
    assert found.facts[0].splits == ("train", "val", "test")
    assert prepare(load_spec(sweep(problem=VALLEY))).facts[0].splits == ()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (FGE | {"cycle": 1}, "ensembles.0: cycle: 1 epochs are 5 steps"),
        ({"method": "snapshot", "cycles": 101}, "ensembles.0: cycles: 101 are more than the 100 steps of a run"),
        (CURVE | {"path": {"kind": "bezier"}}, "ensembles.0: path: a path of kind 'bezier' needs train"),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_exit_2_one_message_and_nothing_written(
    mcdist: Command, tmp_path: Path, command: str, said: dict[str, Any], reason: str
) -> None:
    file, store = tmp_path / "s.yaml", tmp_path / "store"
    file.write_text(write_yaml(sweep(said)))
    how = ["--executor", "serial"] if command == "run" else []
    code, out, err = mcdist(command, file, "--store", store, *how)
    assert code == 2
    assert reason in " ".join(err.split())
    assert "Traceback" not in out + err
    assert not store.exists()
