"""Every built-in model: its derived structure has every hidden unit, and leaves the function alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mcdist.problems.models import MODELS, build_model
from mcdist.science.alignment import Structure, apply, derive, random

from .networks import inputs, outputs, random_state
from .test_permute import rng

EXPECTED = {  # groups, units
    "mlp": (2, 64 + 64),
    "convnet": (9, 2 * (64 + 128 + 256 + 256) + 256),
    "resnet20": (3 + 9, 64 + 3 * (16 + 32 + 64)),
    "resnet56": (3 + 27, 64 + 9 * (16 + 32 + 64)),
    "resnet110": (3 + 54, 64 + 18 * (16 + 32 + 64)),
    "preresnet110": (3 + 54, 64 + 18 * (16 + 32 + 64)),
    "preresnet164": (4 + 108, 16 + 64 + 128 + 256 + 18 * 2 * (16 + 32 + 64)),
    "vgg16": (15, 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * 512),
    "vgg16_bn": (15, 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * 512),
    "vgg19": (18, 2 * 64 + 2 * 128 + 4 * 256 + 8 * 512 + 2 * 512),
    "vgg19_bn": (18, 2 * 64 + 2 * 128 + 4 * 256 + 8 * 512 + 2 * 512),
    "wide_resnet28x10": (4 + 12, 16 + (4 + 1) * (160 + 320 + 640)),
    "wide_resnet16x4": (4 + 6, 16 + (2 + 1) * (64 + 128 + 256)),
}
SLOW = {"preresnet164", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "wide_resnet28x10"}


def uncovered(network: nn.Module, structure: Structure) -> set[tuple[str, int]]:
    """Axes of weights and of BatchNorm that have entries in no group."""
    found = set()
    for name, tensor in network.state_dict().items():
        for axis in range(min(tensor.dim(), 2)):
            segments = structure.tensors.get(name, {}).get(axis, [])
            if sum(group.size * place.repeat for place, group in segments) < tensor.shape[axis]:
                found.add((name, axis))
    return found


@pytest.mark.parametrize("name", [pytest.param(m, marks=[pytest.mark.long] if m in SLOW else []) for m in MODELS])
def test_model(name: str) -> None:
    shape = (1, 8, 8) if name == "mlp" else (3, 16, 16)
    network = build_model(name, {}, shape, 10).double()
    structure = derive(network, torch.zeros(1, *shape))
    assert (len(structure.groups), structure.units) == EXPECTED[name]
    weights = [n for n, t in network.state_dict().items() if t.dim() >= 2]
    last = weights[-1].rpartition(".")[0]
    assert uncovered(network, structure) == {(weights[0], 1), (weights[-1], 0), (f"{last}.bias", 0)}
    state, x = random_state(network), inputs(shape, n=2)
    before = outputs(network, state, x)
    after = outputs(network, apply(state, structure, random(structure, rng(0))), x)
    assert (after - before).abs().max() <= 1e-10 * before.abs().max()
