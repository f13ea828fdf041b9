"""Weight matching: planted permutations are found, the objective never falls, ends that do not fit are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from mcdist.errors import RequestError, TaskError
from mcdist.science.alignment import Structure, apply, derive, inverse, random, weight_matching

from .networks import ZOO, Tied, made, mlp, random_state
from .test_permute import rng, same


def product(a: dict[str, Tensor], b: dict[str, Tensor], names: list[str]) -> float:
    return sum(float((a[name].double() * b[name].double()).sum()) for name in names)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_permutation_is_found(name: str, seed: int) -> None:
    network, structure = made(name)
    a = random_state(network, seed)
    planted = random(structure, rng(seed))
    found = weight_matching(a, apply(a, structure, planted), structure, rng(seed + 10))
    assert same(found.permutations, inverse(planted))
    assert same(found.apply(apply(a, structure, planted)), a)
    assert found.moved == sum(int((p != torch.arange(len(p))).sum()) for p in planted.values())


@pytest.mark.parametrize("name", ZOO)
def test_the_objective_never_falls_and_is_what_it_says(name: str) -> None:
    """<a, P b> over the parameters, running statistics apart; at the end no group alone can be better."""
    network, structure = made(name)
    a, b = random_state(network, 1), random_state(network, 2)
    found = weight_matching(a, b, structure, rng(3))
    counted = [n for n, _ in network.named_parameters() if n in structure.shapes]
    assert (np.diff(found.trace) > 0).all()
    assert len(found.trace) > len(structure.groups)
    assert found.before == found.trace[0] == pytest.approx(product(a, b, counted), rel=1e-12)
    assert found.after == found.trace[-1] == pytest.approx(product(a, found.apply(b), counted), rel=1e-12)
    again = weight_matching(a, found.apply(b), structure, rng(4))
    assert (again.moved, again.sweeps, again.trace) == (0, 1, (again.before,))


def test_one_group_is_solved_exactly() -> None:
    network = mlp(hidden=[9])
    structure = derive(network, torch.zeros(1, 1, 4, 4))
    a, b = random_state(network, 1), random_state(network, 2)
    gain = a["1.weight"] @ b["1.weight"].T + torch.outer(a["1.bias"], b["1.bias"]) + a["3.weight"].T @ b["3.weight"]
    rows, columns = linear_sum_assignment(gain.numpy(), maximize=True)
    found = weight_matching(a, b, structure, rng(0))
    assert found.permutations["1"].tolist() == columns.tolist()
    assert found.after - gain.numpy()[rows, columns].sum() == pytest.approx(0, abs=1e-5)


def test_units_with_blocks() -> None:
    network = nn.Sequential(nn.Conv2d(2, 7, 3), nn.ReLU(), nn.Flatten(), nn.Linear(28, 3)).double()
    structure = derive(network, torch.zeros(1, 2, 4, 4))
    a = random_state(network)
    planted = random(structure, rng(1))
    found = weight_matching(a, apply(a, structure, planted), structure, rng(2))
    assert same(found.permutations, inverse(planted))


def test_a_group_on_two_axes_of_a_tensor() -> None:
    """The problem is quadratic then; the objective still never falls, and says the truth."""
    structure = derive(Tied(), torch.zeros(1, 4))
    for seed in range(5):
        a, b = random_state(Tied().double(), seed), random_state(Tied().double(), seed + 100)
        found = weight_matching(a, b, structure, rng(seed))
        assert (np.diff(found.trace) > 0).all()
        assert found.after == pytest.approx(product(a, found.apply(b), list(structure.shapes)), rel=1e-12)


def test_more_restarts_are_no_worse_and_the_rng_decides() -> None:
    network, structure = made("convnet")
    a, b = random_state(network, 1), random_state(network, 2)
    one, more = (weight_matching(a, b, structure, rng(5), restarts=n) for n in (1, 4))
    assert more.after >= one.after
    assert same(one.permutations, weight_matching(a, b, structure, rng(5)).permutations)
    assert more.after > min(weight_matching(a, b, structure, rng(k)).after for k in range(4))


def test_what_counts_can_be_said() -> None:
    network = mlp()
    structure = derive(network, torch.zeros(1, 1, 4, 4))
    a, b = random_state(network, 1), random_state(network, 2)
    found = weight_matching(a, b, structure, rng(0), names=["1.weight"])
    assert found.after == pytest.approx(product(a, found.apply(b), ["1.weight"]))
    assert torch.equal(found.permutations["3"], torch.arange(10))


def test_running_statistics_are_permuted_but_do_not_count() -> None:
    network, structure = made("mlp with BatchNorm")
    a, b = random_state(network, 1), random_state(network, 2)
    scaled = {n: 1e6 * t if n.endswith(("mean", "var")) else t for n, t in b.items()}
    one, two = (weight_matching(a, s, structure, rng(0)) for s in (b, scaled))
    assert one.after == two.after
    p = one.permutations["1"]
    assert torch.equal(one.apply(b)["2.running_var"], b["2.running_var"][p])


def test_ends_that_do_not_fit() -> None:
    network, structure = made("mlp")
    a = random_state(network)
    with pytest.raises(RequestError, match=r"weights b: do not fit .* is \[9(, 16)?\], not \[12"):
        weight_matching(a, random_state(mlp(hidden=[9, 10])), structure, rng(0))
    with pytest.raises(RequestError, match="weights b: do not fit the permutation structure: there is no tensor"):
        weight_matching(a, random_state(mlp(batch_norm=True)), structure, rng(0))
    longer = {**a, "7.weight": torch.zeros(3)}
    with pytest.raises(RequestError, match=r"of different networks: '7.weight' \(b alone\)"):
        weight_matching(a, longer, structure, rng(0))
    with pytest.raises(RequestError, match=r"of different networks: '5.bias' is \[5\] and \[6\]"):
        weight_matching(a, {**a, "5.bias": torch.zeros(6)}, structure, rng(0))
    with pytest.raises(TaskError, match=r"'1.bias' has numbers that are not finite"):
        weight_matching(a, {**a, "1.bias": a["1.bias"] / 0}, structure, rng(0))
    with pytest.raises(RequestError, match="restarts is 0"):
        weight_matching(a, a, structure, rng(0), restarts=0)


def test_without_groups_nothing_moves() -> None:
    found = weight_matching({"w": torch.zeros(2)}, {"w": torch.ones(2)}, Structure((), {}), rng(0))
    assert (found.permutations, found.before, found.after, found.moved) == ({}, 0, 0, 0)
