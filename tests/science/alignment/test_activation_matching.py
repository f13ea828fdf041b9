"""Activation matching: planted permutations are found, correlations are what they say, dead units do no harm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.science.alignment import Structure, activation_matching, apply, derive, inverse, random

from .networks import ZOO, Functional, inputs, made, mlp, random_state
from .test_permute import rng, same


@pytest.mark.parametrize("name", ZOO)
def test_a_planted_permutation_is_found(name: str) -> None:
    network, structure = made(name)
    a = random_state(network)
    planted = random(structure, rng(1))
    x = inputs(ZOO[name][1], n=40)
    found = activation_matching(network, a, apply(a, structure, planted), structure, x.split(16))
    assert same(found.permutations, inverse(planted))
    assert same(found.apply(apply(a, structure, planted)), a)
    assert found.after > found.before


def correlation(a: Tensor, b: Tensor) -> np.ndarray:
    n = a.shape[1]
    return np.corrcoef(a.T.numpy(), b.T.numpy())[:n, n:]


def test_correlations_are_numpys_however_the_data_come() -> None:
    """Before the nonlinearity; the first layer's depend on it alone."""
    network = mlp().double()
    structure = derive(network, torch.zeros(1, 1, 4, 4))
    a, b, x = random_state(network, 1), random_state(network, 2), inputs((1, 4, 4), n=50) + 100
    rows = [x.flatten(1) @ s["1.weight"].T + s["1.bias"] for s in (a, b)]
    gain = correlation(*rows)
    second = [torch.relu(r) @ s["3.weight"].T + s["3.bias"] for r, s in zip(rows, (a, b), strict=True)]
    _, columns = linear_sum_assignment(gain, maximize=True)
    for parts in ([50], [20, 29, 1]):
        found = activation_matching(network, a, b, structure, x.split(parts))
        assert found.permutations["1"].tolist() == columns.tolist()
        both = np.trace(gain) + np.trace(correlation(*second))
        assert found.before == pytest.approx(both, abs=1e-9)
        assert found.trace == (found.before, found.after)


def test_a_batch_norm_speaks_for_the_layer_before_it() -> None:
    """A scale below 0 turns the sign of what the next layer sees."""
    network = mlp(batch_norm=True).double()
    structure = derive(network, torch.zeros(1, 1, 4, 4))
    a = random_state(network)
    a["2.weight"][::2] *= -1
    turned = {**a, "1.weight": -a["1.weight"], "1.bias": -a["1.bias"]}
    turned |= {"2.running_mean": -a["2.running_mean"], "2.weight": -a["2.weight"]}
    planted = random(structure, rng(1))
    found = activation_matching(network, a, apply(turned, structure, planted), structure, [inputs((1, 4, 4), n=40)])
    assert same(found.permutations, inverse(planted))


def test_scales_do_not_matter() -> None:
    network = mlp().double()
    structure = derive(network, torch.zeros(1, 1, 4, 4))
    a, x = random_state(network), inputs((1, 4, 4), n=40)
    planted = random(structure, rng(1))
    factor = torch.linspace(0.1, 10, 12, dtype=torch.float64)
    b = {**a, "1.weight": a["1.weight"] * factor[:, None], "1.bias": a["1.bias"] * factor}
    b["3.weight"] = a["3.weight"] / factor
    found = activation_matching(network, a, apply(b, structure, planted), structure, [x])
    assert same(found.permutations, inverse(planted))


def test_dead_units_take_what_is_left() -> None:
    network = mlp().double()
    structure = derive(network, torch.zeros(1, 1, 4, 4))
    a = random_state(network)
    a["1.weight"][[2, 5]] = 0  # constant outputs, 0.3 or so
    planted = random(structure, rng(1))
    found = activation_matching(network, a, apply(a, structure, planted), structure, [inputs((1, 4, 4), n=40)])
    assert np.isfinite(found.after)
    alive = [i for i in range(12) if i not in (2, 5)]
    assert torch.equal(found.permutations["1"][alive], inverse(planted)["1"][alive])
    assert torch.equal(found.permutations["3"], inverse(planted)["3"])


def test_nonlinearities_in_place_come_after() -> None:
    plain, in_place = (
        nn.Sequential(nn.Linear(4, 9), nn.ReLU(inplace=i), nn.Linear(9, 2)).double() for i in (False, True)
    )
    structure = derive(plain, torch.zeros(1, 4))
    a, b = random_state(plain, 1), random_state(plain, 2)
    one, two = (activation_matching(n, a, b, structure, [inputs((4,), n=30)]) for n in (plain, in_place))
    assert one.trace == two.trace


def test_blocks_and_streams() -> None:
    """Several layers write the stream, one of them two channels for each unit."""
    network = Functional().double()
    whole = derive(network, torch.zeros(1, 2, 6, 6))
    structure = Structure(tuple(group for group in whole.groups if group.name == "first"), whole.shapes)
    a = random_state(network)
    planted = random(structure, rng(2))
    found = activation_matching(network, a, apply(a, structure, planted), structure, [inputs((2, 6, 6), n=20)])
    assert same(found.permutations, inverse(planted))
    assert found.after == pytest.approx(3 * 6)  # correlations of 1 in three layers


def test_refusals() -> None:
    network = Functional().double()
    structure = derive(network, torch.zeros(1, 2, 6, 6))
    a, x = random_state(network), inputs((2, 6, 6))
    with pytest.raises(RequestError, match="no linear layer or convolution writes group 'weight'"):
        activation_matching(network, a, a, structure, [x])
    with pytest.raises(RequestError, match="no examples"):
        activation_matching(mlp(), mlp().state_dict(), mlp().state_dict(), derive(mlp(), torch.zeros(1, 1, 4, 4)), [])


def test_the_module_keeps_its_weights_and_mode() -> None:
    network, structure = made("convnet with BatchNorm")
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    activation_matching(network, random_state(network, 1), random_state(network, 2), structure, [inputs((3, 8, 8))])
    assert same(dict(network.state_dict()), before)
    assert all(module.training for module in network.modules())
