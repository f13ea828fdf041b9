"""Structures derived from the traced forward: units are what they should be, and the function stays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mcdist.science.alignment import Structure, apply, derive, random
from mcdist.science.stacked import StackedModule

from .networks import Concatenated, Functional, Tied, convnet, inputs, mlp, outputs, random_state
from .test_permute import rng


def keeps_its_function(network: nn.Module, shape: tuple[int, ...], structure: Structure) -> bool:
    network = network.double()
    state, x = random_state(network), inputs(shape)
    before = outputs(network, state, x)
    after = outputs(network, apply(state, structure, random(structure, rng(3))), x)
    return bool((after - before).abs().max() <= 1e-10 * before.abs().max())


def places(structure: Structure, group: str) -> set[tuple[str, int, int, int]]:
    (found,) = (g for g in structure.groups if g.name == group)
    return {(p.tensor, p.axis, p.offset, p.repeat) for p in found.places}


def test_perceptron() -> None:
    structure = derive(mlp(batch_norm=True), torch.zeros(3, 1, 4, 4))
    assert structure.sizes == {"1": 12, "4": 10}
    norm = {(f"2.{name}", 0, 0, 1) for name in ("weight", "bias", "running_mean", "running_var")}
    assert places(structure, "1") == {("1.weight", 0, 0, 1), ("1.bias", 0, 0, 1), ("4.weight", 1, 0, 1)} | norm


def test_no_hidden_units_no_groups() -> None:
    assert derive(mlp(hidden=[]), torch.zeros(1, 1, 4, 4)).groups == ()


def test_functions_methods_skips_and_blocks() -> None:
    structure = derive(Functional(), torch.zeros(1, 2, 6, 6))
    assert structure.sizes == {"first": 6, "weight": 4}
    assert places(structure, "first") == {
        *(("first.weight", 0, 0, 1), ("first.bias", 0, 0, 1)),
        *(("skip.weight", 0, 0, 1), ("skip.weight", 1, 0, 1), ("skip.bias", 0, 0, 1)),
        *(("depthwise.weight", 0, 0, 2), ("depthwise.bias", 0, 0, 2)),  # two channels of each unit
        ("weight", 1, 0, 8),  # of 2 x 2 positions
    }
    assert keeps_its_function(Functional(), (2, 6, 6), structure)


def test_concatenation_gates_and_parts() -> None:
    structure = derive(Concatenated(), torch.zeros(1, 2, 5, 5))
    assert structure.sizes == {"left": 4, "right": 6, "gated": 4}
    assert ("norm.weight", 0, 4, 1) in places(structure, "right")
    assert {p for p in places(structure, "gated") if p[0] == "gated.weight"} == {
        ("gated.weight", 0, 0, 1),
        ("gated.weight", 0, 4, 1),  # a gate goes with its value
    }
    assert keeps_its_function(Concatenated(), (2, 5, 5), structure)


def test_shared_weights_move_as_one() -> None:
    structure = derive(Tied(), torch.zeros(1, 4))
    assert structure.sizes == {"first": 7}
    for axis in (0, 1):
        assert {(f"{name}.weight", axis, 0, 1) for name in ("again", "same")} <= places(structure, "first")
    state = random_state(Tied().double())
    state["same.weight"] = state["again.weight"]
    moved = apply(state, structure, random(structure, rng(1)))
    assert torch.equal(moved["same.weight"], moved["again.weight"])
    before, after = (outputs(Tied().double(), s, inputs((4,))) for s in (state, moved))
    assert (after - before).abs().max() <= 1e-10 * before.abs().max()


class Split(nn.Module):
    """relu on the first three of eight units alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.last(torch.cat([torch.relu(x[:, :3]), x[:, 3:]], dim=1))


def test_units_treated_differently_are_not_exchanged() -> None:
    structure = derive(Split(), torch.zeros(1, 4))
    assert sorted(structure.sizes.values()) == [3, 5]
    assert keeps_its_function(Split(), (4,), structure)


class Padded(nn.Module):
    """Constant channels appended, which a sigmoid and a norm keep apart from units."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(6), nn.Conv2d(2, 6, 1)
        self.last = nn.Linear(6, 3)
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(self.first(x), (0, 0, 0, 0, 0, 2), value=self.value)
        return self.last((self.norm(padded) + self.second(x)).mean((2, 3)))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_a_norm_makes_of_padding_is_no_unit(value: float) -> None:
    """The last two channels of `second` are added to constants that differ: they stay."""
    structure = derive(Padded(value), torch.zeros(1, 2, 4, 4))
    assert structure.sizes == {"first": 4}
    assert ("last.weight", 1, 0, 1) in places(structure, "first")
    assert keeps_its_function(Padded(value), (2, 4, 4), structure)


def test_normalisation_of_an_example() -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3),
        nn.GroupNorm(1, 6),
        nn.Flatten(),
        nn.Linear(24, 5),
        nn.LayerNorm(5),
        nn.GELU(),
        nn.Linear(5, 2),
    )
    structure = derive(network, torch.zeros(1, 2, 4, 4))
    assert structure.sizes == {"0": 6, "3": 5}
    assert keeps_its_function(network, (2, 4, 4), structure)


def test_the_module_stays_as_it_was() -> None:
    network = convnet(batch_norm=True, dropout=0.2).train()
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    derive(network, torch.zeros(4, 3, 8, 8))
    assert modes == [module.training for module in network.modules()]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_stacked_module_is_derived_alike() -> None:
    expected = derive(convnet(batch_norm=True), torch.zeros(1, 3, 8, 8))
    stacked = StackedModule(convnet(batch_norm=True), torch.device("cpu"), torch.float32)
    assert derive(stacked.module, torch.zeros(1, 3, 8, 8)) == expected


def test_shapes_are_enough() -> None:
    """Modules on the meta device have no numbers."""
    with torch.device("meta"):
        network = convnet(batch_norm=True)
    assert derive(network, torch.zeros(1, 3, 8, 8)) == derive(convnet(batch_norm=True), torch.zeros(1, 3, 8, 8))
