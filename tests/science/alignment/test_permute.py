"""Permutations of hidden units: laws, and that the function stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.science.alignment import Structure, apply, compose, identity, inverse, random, verify

from .networks import ZOO, inputs, made, outputs, random_state

STATE = {"a": torch.arange(18.0).reshape(6, 3), "b": torch.arange(24.0).reshape(2, 12), "c": torch.arange(4.0)}
STRUCTURE = Structure.from_spec(
    {
        "groups": {
            "h": [["a", 0], ["b", 1, {"repeat": 2}]],
            "k": [["c", 0, {"offset": 1}]],
            "one": {"size": 1, "axes": [["c", 0]]},
        }
    },
    STATE,
)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


SEEDS = st.integers(0, 2**32)


def test_convention() -> None:
    """New unit i is old unit p(i), with its whole block."""
    p = torch.tensor([2, 0, 1, 5, 4, 3])
    moved = apply(STATE, STRUCTURE, {"h": p})
    assert torch.equal(moved["a"], STATE["a"][p])
    assert moved["b"][0].tolist() == [4, 5, 0, 1, 2, 3, 10, 11, 8, 9, 6, 7]
    assert moved["c"] is STATE["c"]
    k = torch.tensor([1, 2, 0])
    assert apply(STATE, STRUCTURE, {"k": k})["c"].tolist() == [0, 2, 3, 1]


@given(SEEDS)
def test_inverse(seed: int) -> None:
    p = random(STRUCTURE, rng(seed))
    assert same(apply(apply(STATE, STRUCTURE, p), STRUCTURE, inverse(p)), STATE)
    assert same(compose(p, inverse(p)), identity(STRUCTURE))
    assert same(inverse(inverse(p)), p)


@given(SEEDS, SEEDS, SEEDS)
def test_compose(first: int, second: int, third: int) -> None:
    p, q, r = (random(STRUCTURE, rng(seed)) for seed in (first, second, third))
    one_by_one = apply(apply(STATE, STRUCTURE, p), STRUCTURE, q)
    assert same(apply(STATE, STRUCTURE, compose(p, q)), one_by_one)
    assert same(compose(compose(p, q), r), compose(p, compose(q, r)))
    assert same(inverse(compose(p, q)), compose(inverse(q), inverse(p)))
    assert same(compose(p, identity(STRUCTURE)), p)


def test_composition_of_different_groups() -> None:
    p = random(STRUCTURE, rng(0))
    assert same(compose({"h": p["h"]}, {"k": p["k"]}), {"h": p["h"], "k": p["k"]})


@pytest.mark.parametrize("name", ZOO)
def test_the_function_stays(name: str) -> None:
    network, structure = made(name)
    state, x = random_state(network), inputs(ZOO[name][1])
    moved = apply(state, structure, random(structure, rng(5)))
    assert not torch.equal(moved[next(iter(moved))], state[next(iter(state))])
    before = outputs(network, state, x)
    assert (outputs(network, moved, x) - before).abs().max() <= 1e-10 * before.abs().max()


@pytest.mark.parametrize(
    ("permutations", "message"),
    [
        ({"g": torch.arange(6)}, "no group 'g'"),
        ({"h": torch.arange(5)}, "'h' is no permutation of 0 .. 5"),
        ({"h": torch.tensor([0, 1, 2, 3, 4, 4])}, "'h' is no permutation of 0 .. 5"),
    ],
)
def test_mistakes(permutations: dict[str, Tensor], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        apply(STATE, STRUCTURE, permutations)


def test_a_wrong_structure_is_found_out() -> None:
    """A column forgotten, and a layer's output permuted, change the function."""
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    for places in ([["0.weight", 0], ["0.bias", 0]], [["0.weight", 0], ["2.weight", 1]], [["2.weight", 0]]):
        structure = Structure.from_spec({"groups": {"h": places}}, network.state_dict())
        with pytest.raises(RequestError, match="changes the function of Sequential"):
            verify(network, structure, torch.zeros(1, 4))
