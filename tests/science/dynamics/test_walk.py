"""Points under noisy steps: against loops of torch.optim on plain modules, and where theory knows the noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.problems.classification import Classification
from mcdist.science.dynamics.walk import Dynamics, Walk, together
from mcdist.science.optimizers import Adam, AdamW, Optimizer, Sgd
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from science.examples import Quadratic, normed, plain, problem, starts

N = 22  # examples
OWN, MORE = 0.03, 0.05  # weight decay of the problem, and on top of it
CLOSE = 1e-10

CASES: dict[str, tuple[Callable[[], Optimizer], partial[Any], float]] = {
    # ours, torch's, momentum
    "sgd": (Sgd, partial(torch.optim.SGD), 0.0),
    "momentum": (lambda: Sgd(0.9), partial(torch.optim.SGD, momentum=0.9), 0.9),
    "nesterov": (lambda: Sgd(0.9, nesterov=True), partial(torch.optim.SGD, momentum=0.9, nesterov=True), 0.9),
    "adam": (lambda: Adam((0.8, 0.9), 1e-3), partial(torch.optim.Adam, betas=(0.8, 0.9), eps=1e-3), 0.0),
    "adamw": (lambda: AdamW((0.8, 0.9), 1e-3), partial(torch.optim.AdamW, betas=(0.8, 0.9), eps=1e-3), 0.0),
}
every_optimizer = pytest.mark.parametrize("name", CASES)


def dynamics(name: str = "sgd", **how: Any) -> Dynamics:
    ours, _, momentum = CASES[name]
    said: dict[str, Any] = {"lr": 0.1, "batch_size": 4, "weight_decay": MORE} | how
    return Dynamics(optimizer=ours, momentum=momentum, **said)


def begun(of: Classification, how: Dynamics, seeds: range = range(3)) -> Walk:
    points, streams = starts(of, seeds)
    return Walk(of, points, how, streams, torch.zeros(len(seeds)) if how.noise == "isotropic" else None)


def rows_of(stream: Stream, size: int, *, independent: bool = False) -> Iterator[Tensor]:
    """The examples of every minibatch, as the stream draws them; short last ones left out."""
    epoch = 0
    while True:
        draw = stream.child("order", epoch).generator()
        order = torch.from_numpy(draw.integers(0, N, N) if independent else draw.permutation(N))
        yield from (rows for rows in order.split(size) if len(rows) == size)
        epoch += 1


def plain_run(
    of: Classification, name: str, how: Dynamics, seed: int, steps: int, batches: Iterator[Tensor]
) -> tuple[Tensor, list[float]]:
    """Weights after, and the loss before each of `steps` of torch's optimiser on a plain module."""
    module = of.fresh_module()
    module.load_state_dict(of.state(starts(of, [seed])[0], 0))
    module.train()
    inputs, targets = of.data_of("train")
    parameters: list[nn.Parameter] = list(module.parameters())
    optimizer = CASES[name][1](parameters, lr=how.lr, weight_decay=how.weight_decay)
    losses = []
    for _, rows in zip(range(steps), batches, strict=False):
        optimizer.zero_grad()
        loss = F.cross_entropy(module(inputs[rows]), targets[rows])
        (loss + 0.5 * of.weight_decay * sum(p.square().sum() for p in parameters)).backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return torch.cat([p.detach().flatten() for p in parameters]), losses


@every_optimizer
@pytest.mark.parametrize("make", [plain, normed])
@pytest.mark.parametrize("independent", [False, True], ids=["shuffled", "independent"])
def test_it_is_torchs_optimiser_on_the_same_minibatches(
    name: str, make: Callable[[], nn.Module], independent: bool
) -> None:
    """Thirteen steps in three pieces, beyond two epochs, with both weight decays."""
    of, how = problem(make, weight_decay=OWN), dynamics(name, independent=independent)
    walk = begun(of, how)
    losses = [walk.advance(steps) for steps in (1, 7, 5)]
    for k in range(3):
        batches = rows_of(Stream.of("test", k), 4, independent=independent)
        theta, seen = plain_run(of, name, how, k, 13, batches)
        assert (walk.points.theta[k] - theta).abs().max() < CLOSE
        expected = [seen[0], sum(seen[1:8]) / 7, sum(seen[8:]) / 5]
        assert [float(loss[k]) for loss in losses] == pytest.approx(expected, abs=CLOSE)


@every_optimizer
def test_without_noise_every_step_sees_all_examples(name: str) -> None:
    """Computed eight examples at a time."""
    of, how = problem(plain, weight_decay=OWN), dynamics(name, noise="none")
    walk = begun(of, how)
    loss = walk.advance(4)
    for k in range(3):
        theta, seen = plain_run(of, name, how, k, 4, iter([torch.arange(N)] * 4))
        assert (walk.points.theta[k] - theta).abs().max() < CLOSE
        assert float(loss[k]) == pytest.approx(sum(seen) / 4, abs=CLOSE)


@every_optimizer
def test_isotropic_noise_of_temperature_0_is_none(name: str) -> None:
    of = problem(plain)
    cold, calm = (begun(of, dynamics(name, noise=noise)) for noise in ("isotropic", "none"))
    cold.advance(5)
    calm.advance(5)
    assert torch.equal(cold.points.theta, calm.points.theta)


@pytest.mark.parametrize("how", [dynamics("momentum"), dynamics("adam"), dynamics(noise="isotropic")])
def test_a_pack_changes_rounding_alone(how: Dynamics) -> None:
    of = problem(normed, eval_batch=N)
    points, streams = starts(of, range(3))
    heat = torch.tensor([0.1, 0.2, 0.3])
    pack = Walk(of, points, how, streams, heat)
    pack.advance(8)
    for k in range(3):
        alone = Walk(of, points[k], how, streams[k : k + 1], heat[k : k + 1])
        alone.advance(8)
        assert (alone.points.theta[0] - pack.points.theta[k]).abs().max() < CLOSE


@pytest.mark.parametrize(
    "how",
    [dynamics("momentum"), dynamics("adam"), dynamics(noise="isotropic"), dynamics(noise="none")],
    ids=["momentum", "adam", "isotropic", "none"],
)
@pytest.mark.parametrize("at", [1, 5, 7], ids=["amid an epoch", "at its end", "in the next"])
def test_who_stays_sees_what_it_would_have_seen(how: Dynamics, at: int) -> None:
    """Two of five stay, in another order, then one of these."""
    of = problem(normed, eval_batch=N)
    points, streams = starts(of, range(5))
    heat = torch.full((5,), 0.1)
    everyone, fewer = (Walk(of, points, how, streams, heat) for _ in range(2))
    everyone.advance(13)
    fewer.advance(at)
    fewer.keep(torch.tensor([3, 1]))
    fewer.advance(2)
    fewer.keep(torch.tensor([0]))
    fewer.advance(13 - at - 2)
    assert len(fewer) == 1
    assert (fewer.points.theta[0] - everyone.points.theta[3]).abs().max() < CLOSE
    for name, buffer in everyone.points.buffers.items():
        torch.testing.assert_close(fewer.points.buffers[name][0], buffer[3], rtol=0, atol=CLOSE)


def test_the_points_given_stay_where_they_are() -> None:
    of = problem(normed)
    points, streams = starts(of, range(2))
    before = Points.stack([points])
    Walk(of, points, dynamics(), streams).advance(3)
    assert torch.equal(points.theta, before.theta)
    assert all(torch.equal(points.buffers[name], b) for name, b in before.buffers.items())


def seen(of: Classification, how: Dynamics, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The inputs [K, B, ...] of every step."""
    batches: list[Tensor] = []
    gradient = of.gradient

    def spy(points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor, Tensor]:
        batches.append(batch.inputs)
        return gradient(points, batch, precision)

    monkeypatch.setattr(of, "gradient", spy)
    begun(of, how, range(2)).advance(steps)
    return batches


def test_shuffled_epochs_use_every_example_once(monkeypatch: pytest.MonkeyPatch) -> None:
    of = problem(plain)
    batches = seen(of, dynamics(batch_size=2), 22, monkeypatch)
    for epoch in (batches[:11], batches[11:]):
        for k in range(2):
            used = torch.cat([batch[k] for batch in epoch])
            assert len(torch.unique(used, dim=0)) == len(used) == N
    assert not torch.equal(batches[0][0], batches[0][1])
    assert not torch.equal(batches[0], batches[11])


def test_independent_draws_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 22 draws of 22 examples, all different ones would be a chance of 1e-9."""
    batches = seen(problem(plain), dynamics(batch_size=2, independent=True), 11, monkeypatch)
    assert len(torch.unique(torch.cat([batch[0] for batch in batches]), dim=0)) < N


@pytest.mark.parametrize(("make", "size"), [(plain, 4), (plain, 22), (normed, 7)])
def test_all_minibatches_have_the_size_that_was_asked(
    make: Callable[[], nn.Module], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """22 = 5 x 4 + 2, of which 2 are left out; 22 = 3 x 7 + 1, where with BatchNorm the last one has 8."""
    batches = seen(problem(make), dynamics(batch_size=size), 12, monkeypatch)
    assert [batch.shape[1] for batch in batches] == [size] * 12


def test_minibatches_of_more_than_there_is_are_refused() -> None:
    with pytest.raises(RequestError, match=r"batch_size is 23.* 22"):
        begun(problem(plain), dynamics(batch_size=23)).advance(1)


class Bowl(Quadratic):
    """The quadratic with its gradient at hand."""

    def whole_gradient(self, points: Points) -> tuple[Tensor, Tensor]:
        loss, _, grad = self.gradient(points, None)
        return loss, grad


@pytest.mark.parametrize("steps", [1, 4, 20])
def test_isotropic_noise_has_the_variance_of_theory(steps: int) -> None:
    """Ornstein-Uhlenbeck in discrete time: mean x0 q^n, variance 2 T eta (1 - q^2n) / (1 - q^2), q = 1 - eta h.

    40 000 numbers: their variance is known to sqrt(2 / 40 000) = 0.7 %, tested to 4 of these; each point by its own T.
    """
    eta, h, K, P = 0.2, 1.5, 4, 10_000
    bowl = Bowl(torch.zeros(P, dtype=torch.float64), h)
    heat = torch.tensor([0.5, 2.0]).repeat_interleave(K)
    begin = Points(torch.ones(2 * K, P, dtype=torch.float64), {})
    how = Dynamics(lr=eta, optimizer=Sgd, noise="isotropic")
    walk = Walk(bowl, begin, how, [Stream.of("noise", k) for k in range(2 * K)], heat)
    walk.advance(steps)
    q = 1.0 - eta * h
    for T, found in zip((0.5, 2.0), walk.points.theta.chunk(2), strict=True):
        variance = 2.0 * T * eta * (1.0 - q ** (2 * steps)) / (1.0 - q**2)
        assert float((found - q**steps).square().mean()) == pytest.approx(variance, rel=0.03)
        assert float(found.mean()) == pytest.approx(q**steps, abs=4 * (variance / (K * P)) ** 0.5)


def test_momentum_makes_the_effective_time_of_a_step_longer() -> None:
    """Without a gradient what is left is the noise: 2 T eta / (1 - mu) a step."""
    flat = Bowl(torch.zeros(10_000, dtype=torch.float64), 0.0)
    how = Dynamics(lr=0.01, optimizer=lambda: Sgd(0.9), noise="isotropic", momentum=0.9)
    assert how.speed == pytest.approx(0.1)
    begin = Points(torch.zeros(2, 10_000, dtype=torch.float64), {})
    walk = Walk(flat, begin, how, [Stream.of("noise", k) for k in range(2)], torch.full((2,), 3.0))
    walk.advance(10)
    assert float(walk.points.theta.var()) == pytest.approx(2 * 3.0 * 0.1 * 10, rel=0.04)


def test_where_a_point_is_put_between_steps_it_goes_on_from() -> None:
    of, how = problem(plain), dynamics()
    walk = begun(of, how)
    walk.advance(5)
    walk.points.theta[1] = 0.5
    walk.advance(1)
    moved = begun(of, replace(how))
    moved.advance(5)
    moved.points.theta.fill_(0.5)
    moved.advance(1)
    assert (walk.points.theta[1] - moved.points.theta[1]).abs().max() < CLOSE
    assert (walk.points.theta[0] - moved.points.theta[0]).abs().max() > 1e-3


def test_at_least_one_point_goes_at_a_time() -> None:
    of = problem(plain)
    assert together(of) > 1
    of.layout = type("Huge", (), {"size": 1 << 40})()  # type: ignore[assignment]
    assert together(of) == 1
