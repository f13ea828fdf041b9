"""Mean drift by paired replicas: against a plain loop, and where theory knows it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcdist.problems.classification import Classification
from mcdist.science.dynamics import walk
from mcdist.science.dynamics.drift import Displacements, replicas, twins
from mcdist.science.dynamics.temperature import measured_temperature, nominal_temperature
from mcdist.science.dynamics.walk import Dynamics
from mcdist.science.optimizers import Sgd
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from science.examples import Quadratic, normed, plain, problem, starts


def sgd(lr: float = 0.1, momentum: float = 0.0, **how: object) -> Dynamics:
    return Dynamics(lr=lr, momentum=momentum, optimizer=lambda: Sgd(momentum=momentum), **how)  # type: ignore[arg-type]


def directions(points: Points, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(points.theta.shape, generator=draw, dtype=torch.float64), dim=1)


def streams_of(n: int, R: int) -> list[list[Stream]]:
    return [[Stream.of("replica", k, r) for r in range(R)] for k in range(n)]


def plain_run(of: Classification, point: Points, how: Dynamics, steps: int, stream: Stream | None) -> Tensor:
    """Weights after so many steps of torch.optim.SGD on a plain module; on all examples where there is no stream."""
    module = copy.deepcopy(of.fresh_module())
    module.load_state_dict(of.state(point, 0))
    module.train()
    inputs, targets = of.data_of("train")
    optimizer = torch.optim.SGD(
        module.parameters(), lr=how.lr, momentum=how.momentum, weight_decay=how.weight_decay + of.weight_decay
    )
    made, epoch = 0, 0
    while made < steps:
        order = torch.arange(len(targets))
        if stream is not None:
            order = torch.from_numpy(stream.child("order", epoch).generator().permutation(len(targets)))
        size = len(targets) if stream is None else how.batch_size
        for rows in order.split(size):
            if len(rows) < size or made == steps:
                continue
            optimizer.zero_grad()
            F.cross_entropy(module(inputs[rows]), targets[rows]).backward()
            optimizer.step()
            made += 1
        epoch += 1
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("make", [plain, normed])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_drifts_of_plain_runs(make: object, momentum: float) -> None:
    """Six steps of batches of 4 (22 examples: a short last one is left out) beside plain modules: to 1e-10."""
    of = problem(make, weight_decay=0.01, eval_batch=22)  # type: ignore[arg-type]
    points, _ = starts(of, [0, 1])
    tau, streams = directions(points), streams_of(2, 3)
    how = sgd(momentum=momentum, batch_size=4, weight_decay=0.02)
    found = replicas(of, points, tau, how, [2, 6], streams)
    silent = twins(of, points, tau, how, [2, 6])
    for c, steps in enumerate((2, 6)):
        for k in range(2):
            start = points.theta[k]
            twin = plain_run(of, points[k], how, steps, None) - start
            assert float(silent.along[c, k, 0]) == pytest.approx(float(twin @ tau[k]), abs=1e-10)
            assert float(silent.across[c, k, 0]) == pytest.approx(
                float((twin - (twin @ tau[k]) * tau[k]).norm()), abs=1e-10
            )
            for r in range(3):
                moved = plain_run(of, points[k], how, steps, streams[k][r]) - start
                along = float(moved @ tau[k])
                assert float(found.along[c, k, r]) == pytest.approx(along, abs=1e-10)
                assert float(found.across[c, k, r]) == pytest.approx(float((moved - along * tau[k]).norm()), abs=1e-10)


def test_the_twins_loss_is_that_of_all_examples_on_its_way() -> None:
    of = problem(plain, weight_decay=0.5)
    points, _ = starts(of, [0])
    how = sgd(batch_size=4)
    found = twins(of, points, directions(points), how, [1, 3])
    places = [points.theta[0], plain_run(of, points[0], how, 1, None), plain_run(of, points[0], how, 2, None)]
    losses = [float(of.evaluate(points.at(p[None]))["train_loss"][0]) for p in places]
    assert found.loss[:, 0, 0].tolist() == pytest.approx([losses[0], sum(losses) / 3], abs=1e-12)


def test_what_is_in_a_pack_changes_rounding_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    of = problem(plain)
    points, _ = starts(of, [0, 1, 2])
    tau, streams, how = directions(points), streams_of(3, 4), sgd(batch_size=4)
    together = replicas(of, points, tau, how, [5], streams)
    alone = [replicas(of, points[k], tau[k : k + 1], how, [5], streams[k : k + 1]) for k in range(3)]
    torch.testing.assert_close(torch.cat([d.along for d in alone], 1), together.along, rtol=0, atol=1e-10)
    silent, lone = twins(of, points, tau, how, [5]), [twins(of, points[k], tau[k : k + 1], how, [5]) for k in range(3)]
    torch.testing.assert_close(torch.cat([d.across for d in lone], 1), silent.across, rtol=0, atol=1e-10)
    monkeypatch.setattr(walk, "_TOGETHER", 3 * of.layout.size)  # groups of three of the twelve replicas
    parted = replicas(of, points, tau, how, [5], streams)
    torch.testing.assert_close(parted.along, together.along, rtol=0, atol=1e-10)


def test_without_noise_there_is_no_drift_of_noise() -> None:
    of = Quadratic(torch.ones(4, dtype=torch.float64))
    points, _ = starts(of, [0])
    cold = torch.zeros(1, dtype=torch.float64)
    how = sgd(noise="isotropic")
    found = replicas(Whole(of), points, directions(points), how, [10], streams_of(1, 3), cold)
    assert torch.equal(found.along[0, 0], twins(Whole(of), points, directions(points), how, [10]).along[0, 0].expand(3))


class Whole(Quadratic):
    """The quadratic with its gradient at hand."""

    def __init__(self, of: Quadratic) -> None:
        super().__init__(of.minimum, of.curvature)

    def whole_gradient(self, points: Points) -> tuple[Tensor, Tensor]:
        loss, _, grad = self.gradient(points, None)
        return loss, grad


def test_a_quadratic_loss_has_no_entropic_drift_and_the_spread_of_theory() -> None:
    """Ornstein-Uhlenbeck in discrete time: variance 2 T eta sum_i (1 - eta h)^(2 i); the mean follows the twin."""
    h, eta, T, R = 2.0, 0.05, 0.3, 4000
    of = Whole(Quadratic(torch.zeros(3, dtype=torch.float64), h))
    points, _ = starts(of, [0])
    steps = [1, 20]
    how, heat = sgd(eta, noise="isotropic"), torch.tensor([T])
    found = replicas(of, points, directions(points), how, steps, streams_of(1, R), heat)
    silent = twins(of, points, directions(points), how, steps)
    for c, n in enumerate(steps):
        along = found.along[c, 0]
        variance = 2 * T * eta * sum((1 - eta * h) ** (2 * i) for i in range(n))
        assert abs(float(along.mean() - silent.along[c, 0, 0])) < 4 * (variance / R) ** 0.5
        assert abs(float(along.var()) / variance - 1) < 4 * (2 / R) ** 0.5
        squares = found.across[c, 0].square() - silent.across[c, 0, 0] ** 2  # two directions are across
        assert abs(float(squares.mean()) - 2 * variance) < 5 * float(squares.std()) / R**0.5


def test_a_replica_that_leaves_the_finite_numbers_harms_no_other() -> None:
    of = problem(plain)
    points, _ = starts(of, [0, 1])
    broken = Points(points.theta.clone(), points.buffers)
    broken.theta[0] = float("nan")
    how, tau, streams = sgd(batch_size=4), directions(points), streams_of(2, 2)
    whole, harmed = (replicas(of, p, tau, how, [3], streams) for p in (points, broken))
    assert harmed.along[0, 0].isnan().all()
    assert harmed.loss[0, 0].isnan().all()
    torch.testing.assert_close(harmed.along[0, 1], whole.along[0, 1], rtol=0, atol=1e-10)


def test_temperatures() -> None:
    """T = eta tr Sigma / (2 B P), eta the effective rate."""
    how = sgd(0.1, momentum=0.9, batch_size=5)
    assert nominal_temperature(how) == pytest.approx(0.2)
    assert nominal_temperature(replace(how, noise="none")) == 0.0
    trace = torch.tensor([3.0, 6.0], dtype=torch.float64)
    assert measured_temperature(how, trace, 10).tolist() == pytest.approx([0.03, 0.06])


def test_shapes() -> None:
    of = problem(plain)
    points, _ = starts(of, [0, 1, 2])
    tau, how = directions(points), sgd(batch_size=4)
    noisy = replicas(of, points, tau, how, [1, 2], streams_of(3, 5))
    silent = twins(of, points, tau, how, [1, 2])
    for found, R in ((noisy, 5), (silent, 1)):
        assert isinstance(found, Displacements)
        assert found.along.shape == found.across.shape == found.loss.shape == (2, 3, R)
