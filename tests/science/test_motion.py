"""The gradient rule of curves: c_j(t) times the gradient at phi(t) is what autograd finds through the combination."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mcdist.science.motion import ArclengthBends, CurveBends, FreePoints
from mcdist.science.paths import FAMILIES
from mcdist.science.paths.family import gauss_legendre
from mcdist.science.points import Points
from mcdist.science.problem import gradient
from mcdist.science.streams import Stream

from .examples import convolved, normed, plain, problem, starts

# Both ways do the same float64 operations, up to the order of a few sums: some 10 roundings of 1e-16.
TOLERANCE = 1e-12

K, STEPS, BATCH = 3, 3, 8
TRAINED = [name for name, family in FAMILIES.items() if family.trained]


def relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def random_controls(P: int, M: int) -> Tensor:
    return 0.5 * torch.randn(K, M, P, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("make", [plain, normed, convolved])
@pytest.mark.parametrize("bends", [1, 3])
@pytest.mark.parametrize("free_ends", [False, True])
@pytest.mark.parametrize("kind", TRAINED)
def test_the_pull_is_the_gradient_through_the_combination(
    kind: str, free_ends: bool, bends: int, make: Callable[[], nn.Module]
) -> None:
    of = problem(make)
    points, streams = starts(of, range(K))
    controls = random_controls(of.layout.size, bends + 2)
    motion = CurveBends(FAMILIES[kind], controls, streams, free_ends=free_ends, draws=2)
    motion.begin_epoch(0, STEPS)
    for step, batch in enumerate(of.batches(streams, 0, BATCH)):
        for draw, where in enumerate(motion.where(step)):
            _, _, grad = gradient(of, Points(motion.place(where), points.buffers), batch)
            pulled = motion.pull(where, grad)

            leaf = controls.clone().requires_grad_()
            t = torch.stack([positions(stream)[step, draw] for stream in streams])
            c = FAMILIES[kind].coefficients(t, bends + 2)
            loss, _ = of.loss(Points(torch.einsum("km,kmp->kp", c, leaf), points.buffers), batch)
            (through,) = torch.autograd.grad(loss.sum(), leaf)
            assert relative(pulled, through if free_ends else through[:, 1:-1]) < TOLERANCE


def positions(stream: Stream) -> Tensor:
    """The t of epoch 0, as the names of the streams promise them."""
    return torch.from_numpy(stream.child("t", 0).generator().random((STEPS, 2)))


@pytest.mark.parametrize("kind", TRAINED)
def test_fixed_ends_never_move(kind: str) -> None:
    controls = random_controls(4, 5)
    ends = controls[:, [0, -1]].clone()
    motion = CurveBends(FAMILIES[kind], controls, [Stream.of(k) for k in range(K)])
    motion.state.add_(1.0)
    assert torch.equal(controls[:, [0, -1]], ends)


def test_moving_the_state_moves_the_control_points() -> None:
    controls = torch.zeros(1, 3, 2)
    CurveBends(FAMILIES["bezier"], controls, [Stream.of(0)]).state.fill_(5.0)
    assert controls[0, :, 0].tolist() == [0.0, 5.0, 0.0]


def test_every_epoch_and_every_curve_has_its_own_t() -> None:
    # on the line from 0 to 1 with the bend in the middle, the place is t itself
    controls = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64).reshape(1, 3, 1).repeat(2, 1, 1)
    motion = CurveBends(FAMILIES["bezier"], controls, [Stream.of("a"), Stream.of("b")])
    seen = []
    for epoch in range(2):
        motion.begin_epoch(epoch, 200)
        seen.append(torch.cat([motion.place(*motion.where(step)) for step in range(200)], dim=1))
    t = torch.stack(seen)
    assert len(t.unique()) == t.numel()
    assert float(t.min()) >= 0.0
    assert float(t.max()) < 1.0
    assert abs(float(t.mean()) - 0.5) < 4 * (1 / 12 / t.numel()) ** 0.5  # uniform: mean 1/2, variance 1/12


def test_free_points_are_moved_by_their_own_gradient() -> None:
    theta = torch.randn(3, 4)
    motion = FreePoints(theta)
    grad = torch.randn(3, 4)
    (here,) = motion.where(0)
    assert torch.equal(motion.place(here), theta)
    assert torch.equal(motion.pull(here, grad)[:, 0], grad)
    motion.state.zero_()
    assert torch.equal(theta, torch.zeros(3, 4))


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("free_ends", [False, True])
def test_the_pull_by_arclength_is_the_gradient_of_the_exact_objective(kind: str, free_ends: bool) -> None:
    """F = int |phi'| L(phi) / int |phi'| for a smooth loss, differentiated by autograd through a quadrature of 400
    nodes, against the mean of the pulls at those nodes. Both are exact to the motion's own quadrature of the length
    (64 nodes and more): 1e-6 for a curve that does not stop.
    """
    controls = random_controls(4, 4)
    controls[:, :, 0] += 2 * torch.arange(4)  # no turning on the spot
    family, M = FAMILIES[kind], 4
    u, weights = gauss_legendre(torch.unique(torch.cat([family.breaks(M), torch.linspace(0, 1, 41).double()])), 10)
    c, v = family.coefficients(u, M), family.velocities(u, M)

    leaf = controls.clone().requires_grad_()
    speed = torch.einsum("qm,kmp->kqp", v, leaf).norm(dim=2)
    loss = bowl(torch.einsum("qm,kmp->kqp", c, leaf))
    ((speed * loss) @ weights / (speed @ weights)).sum().backward()

    motion = ArclengthBends(family, controls, [Stream.of(k) for k in range(K)], free_ends=free_ends)
    pulled = torch.zeros_like(motion.state)
    for node in range(len(u)):
        where = torch.stack([c[node], v[node]]).expand(K, -1, -1)
        theta = motion.place(where).clone().requires_grad_()
        value = bowl(theta)
        (grad,) = torch.autograd.grad(value.sum(), theta)
        pulled += weights[node] * motion.pull(where, grad, value.detach())
    expected = leaf.grad if free_ends else leaf.grad[:, 1:-1]
    assert relative(pulled, expected) < 1e-6


def bowl(theta: Tensor) -> Tensor:
    """A loss [...] of points [..., P] that no symmetry makes simple."""
    return (theta.square().sum(-1) + theta.prod(-1)).sin() + theta.square().sum(-1) / 3


def test_by_arclength_the_draws_are_those_of_uniform_t() -> None:
    streams = [Stream.of(k) for k in range(K)]
    one = CurveBends(FAMILIES["bezier"], random_controls(4, 3), streams)
    other = ArclengthBends(FAMILIES["bezier"], random_controls(4, 3), streams)
    for motion in (one, other):
        motion.begin_epoch(0, STEPS)
    for step in range(STEPS):
        assert torch.equal(one.place(*one.where(step)), other.place(*other.where(step)))
