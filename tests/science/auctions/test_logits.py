"""Allocations by their logits: always feasible, every one of them reached, and moved by the chain rule."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mcdist.science.auctions.logits import LogitPoints, allocations, logits
from science.auctions.examples import seeds, uniform

CLOSE = 1e-12

AXES = pytest.mark.parametrize(("shape", "axis"), [((5, 2), None), ((5, 3), -1), ((5, 2, 3), -2)])


def inside(seed: int, shape: tuple[int, ...], axis: int | None, K: int = 2) -> Tensor:
    """Allocations well inside what is feasible, and a number for each option after them: theta [K, P]."""
    x = 0.02 + 0.9 * uniform(seed, K, *shape)
    if axis is not None:
        x = x / (x.sum(axis, keepdim=True) + 0.1)
    return torch.cat([x.flatten(1), uniform(seed + 1, K, shape[0])], dim=1)


@AXES
def test_one_is_the_inverse_of_the_other(shape: tuple[int, ...], axis: int | None) -> None:
    x = inside(3, shape, axis)[:, : math.prod(shape)].unflatten(1, shape)
    assert torch.allclose(allocations(logits(x, axis), axis), x, atol=CLOSE)


@given(seed=seeds, scale=st.sampled_from([1.0, 30.0, 1000.0]), axis=st.sampled_from([None, -1, -2]))
def test_all_logits_give_something_feasible(seed: int, scale: float, axis: int | None) -> None:
    x = allocations(scale * (2.0 * uniform(seed, 4, 3, 2) - 1.0), axis)
    assert ((x >= 0.0) & (x <= 1.0)).all()
    if axis is not None:
        assert (x.sum(axis) <= 1.0 + CLOSE).all()


@pytest.mark.parametrize("axis", [None, -1])
def test_corners_are_reached_but_for_what_a_chance_is_at_least(axis: int | None) -> None:
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert torch.allclose(allocations(logits(corners, axis), axis), corners, atol=3e-12, rtol=0.0)


@AXES
def test_gradients_are_those_of_autograd(shape: tuple[int, ...], axis: int | None) -> None:
    theta = inside(5, shape, axis)
    motion = LogitPoints(theta, shape, axis)
    z = motion.held.clone().requires_grad_()
    many = math.prod(shape)
    x = allocations(z[:, :many].unflatten(1, shape), axis).flatten(1)
    pushed = uniform(6, *theta.shape) - 0.5
    (expected,) = torch.autograd.grad((torch.cat([x, z[:, many:]], dim=1) * pushed).sum(), z)
    here = motion.where(0)[0]
    assert torch.allclose(motion.place(here), theta, atol=CLOSE)
    assert torch.allclose(motion.pull(here, pushed)[:, 0], expected, atol=CLOSE)


def test_the_rest_is_confined_and_given_points_are_left_alone() -> None:
    """Logits are free; prices are not."""
    theta = inside(7, (5, 2), None)
    before = theta.clone()
    motion = LogitPoints(theta, (5, 2), None)
    motion.state.sub_(10.0)

    def confine(points: Tensor) -> None:
        points[..., 10:].clamp_(min=0.0)
        points[..., :10].clamp_(0.0, 1.0)

    motion.confine(confine)
    found = motion.place(motion.where(0)[0])
    assert (found[:, 10:] == 0.0).all()
    assert torch.allclose(found[:, :10], torch.sigmoid(torch.logit(before[:, :10]) - 10.0), atol=CLOSE)
    assert torch.equal(theta, before)
