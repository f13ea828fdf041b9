"""Structures given by hand: what they mean, that they equal derived ones, and what is said of mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from mcdist.errors import RequestError
from mcdist.problems.models import build_model
from mcdist.science.alignment import Structure, derive

from .networks import ZOO, Concatenated, Functional, Tied, made


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


GIVEN = {"groups": {"0": [["0.weight", 0], ["0.bias", 0], ["2.weight", 1]]}}


def given(*entries: Any, name: str = "h") -> dict[str, Any]:
    return {"groups": {name: list(entries)}}


def axes(structure: Structure) -> set[tuple[int, frozenset[Any]]]:
    """Groups whatever their names."""
    return {(group.size, frozenset(group.places)) for group in structure.groups}


def test_by_hand_equals_derived() -> None:
    network = perceptron()
    structure = Structure.from_spec(GIVEN, network.state_dict())
    assert axes(structure) == axes(derive(network, torch.zeros(1, 4)))
    assert structure.sizes == {"0": 6}
    assert structure.shapes == {"0.weight": (6, 4), "0.bias": (6,), "2.weight": (3, 6)}


def test_a_flattened_axis_has_blocks() -> None:
    network = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3))
    spec = given(["0.weight", 0], ["0.bias", 0], ["3.weight", 1, {"repeat": 4}])
    assert axes(Structure.from_spec(spec, network.state_dict())) == axes(derive(network, torch.zeros(1, 2, 4, 4)))


def test_an_axis_may_hold_several_groups() -> None:
    """The wider stream of a residual network without projections: the old units, and then new ones."""
    network = build_model("resnet20", {}, (3, 8, 8), 5)
    by_name = {group.name: group for group in derive(network, torch.zeros(1, 3, 8, 8)).groups}
    old, new = by_name["conv"], by_name["stage2.0.conv2[16:32]"]
    places = {(place.tensor, place.axis): place.offset for place in old.places}
    assert places["conv.weight", 0] == places["stage2.0.conv2.weight", 0] == places["linear.weight", 1] == 0
    assert {place.offset for place in new.places} == {16}
    assert ("conv.weight", 0) not in {(place.tensor, place.axis) for place in new.places}
    assert (old.size, new.size, by_name["stage3.0.conv2[32:64]"].size) == (16, 16, 32)


@pytest.mark.parametrize("name", ZOO)
def test_plain_data_and_back(name: str) -> None:
    network, structure = made(name)
    spec = json.loads(json.dumps(structure.to_spec()))
    assert Structure.from_spec(spec, network.state_dict()) == structure


@pytest.mark.parametrize("make", [Functional, Concatenated, Tied])
def test_plain_data_and_back_of_the_unusual(make: type[nn.Module]) -> None:
    network = make()
    shape = (4,) if make is Tied else (2, 6, 6)
    structure = derive(network, torch.zeros(1, *shape))
    assert Structure.from_spec(structure.to_spec(), network.state_dict()) == structure


def test_a_size_that_does_not_follow_is_said() -> None:
    """Rows 2 to 5 may be permuted, row 6 stays."""
    state = {"w": torch.zeros(7, 3)}
    spec = {"groups": {"h": {"size": 4, "axes": [["w", 0, {"offset": 2}]]}}}
    structure = Structure.from_spec(spec, state)
    assert structure.sizes == {"h": 4}
    assert structure.to_spec() == spec


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (given(["0.wieght", 0]), "group 'h': there is no tensor '0.wieght'; did you mean '0.weight'"),
        (given(["0.weight", 2]), "'0.weight' has axes 0 to 1, not 2"),
        (given(["0.weight", -1]), "has axes 0 to 1, not -1"),
        (given(["0.weight", 0], ["2.weight", 0]), "has 6 units on axis 0 of '0.weight', 3 on axis 0 of '2.weight'"),
        (given(["0.weight", 0, {"repeat": 4}]), "6 entries on axis 0 of '0.weight' are no blocks of 4"),
        (given(["0.weight", 0], ["0.weight", 0]), "overlap on axis 0 of '0.weight'"),
        (given(["0.weight", 0, {"ofset": 4}]), r"expected \[tensor, axis\] or"),
        (given("0.weight"), r"expected \[tensor, axis\] or"),
        (given(), r"expected \[\[tensor, axis\], ...\], got \[\]"),
        ({"groups": {"h": {"size": 9, "axes": [["0.weight", 0]]}}}, "reaches to entry 9 on axis 0 of '0.weight'"),
        ({"groups": {"h": {"size": 0, "axes": [["0.weight", 0]]}}}, "expected {size: n, axes"),
        ({"h": [["0.weight", 0]]}, "expected {groups"),
        ([], "expected {groups"),
    ],
)
def test_mistakes(spec: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Structure.from_spec(spec, perceptron().state_dict())


def test_weights_of_another_architecture_do_not_fit() -> None:
    structure = Structure.from_spec(GIVEN, perceptron().state_dict())
    wider = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict()
    with pytest.raises(RequestError, match=r"b: do not fit .*: '0.bias' is \[8\], not \[6\]"):
        structure.check(wider, "b")
    with pytest.raises(RequestError, match=r"there is no tensor '2\.weight'"):
        structure.check({"0.weight": torch.zeros(6, 4), "0.bias": torch.zeros(6)})
