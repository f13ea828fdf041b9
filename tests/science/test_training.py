"""The training loop on losses whose optimum is known: records, divergence, weight decay, precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcdist.science.motion import CurveBends, FreePoints
from mcdist.science.optimizers import AdamW, Sgd, per_point
from mcdist.science.paths import FAMILIES, on_chord
from mcdist.science.schedules import Constant, Cosine, Piecewise
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, Trained, train

from .examples import Quadratic, Traced, noise, normed, plain, problem, starts

MINIMUM = torch.tensor([1.0, -2.0], dtype=torch.float64)
FLAT = Quadratic(MINIMUM, curvature=0.0)
LIKE = torch.zeros((), dtype=torch.float64)


def sgd(lr: float | Tensor, decay: float | Tensor = 0.0, epochs: int = 2, momentum: float = 0.0) -> Recipe:
    return Recipe(epochs, 1, Sgd(momentum), lr, decay, Constant())


def of(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def streams_of(K: int) -> list[Stream]:
    return [Stream.of("training", k) for k in range(K)]


def test_gradient_descent_on_a_quadratic_is_geometric() -> None:
    """Each step takes the distance from the minimum times 1 - lr."""
    theta = of([3.0, 3.0])
    start = theta.clone()
    train(Quadratic(MINIMUM), FreePoints(theta), {}, sgd(0.1), streams_of(1))
    assert torch.allclose(theta - MINIMUM, 0.9**10 * (start - MINIMUM), rtol=1e-13, atol=0)


def test_the_history_is_the_mean_over_each_epochs_steps() -> None:
    theta = of([2.0, -2.0], [1.0, 0.0])  # at distances 1 and 2 from the minimum
    lr = per_point([0.1, 0.2], LIKE)
    recipe = Recipe(3, 1, Sgd(), lr, 0.0, Piecewise())
    history = train(Quadratic(MINIMUM), FreePoints(theta), {}, recipe, streams_of(2)).history
    assert [e.epoch for e in history] == [1, 2, 3]
    rates = [[base * Piecewise().at(e, 3) for base in (0.1, 0.2)] for e in range(3)]
    assert [e.lr for e in history] == [pytest.approx(r, rel=1e-14) for r in rates]
    for k, distance in enumerate((1.0, 2.0)):
        for epoch, record in enumerate(history):
            losses = []
            for _ in range(5):
                losses.append(0.5 * distance**2)
                distance *= 1 - rates[epoch][k]
            assert record.loss[k] == pytest.approx(sum(losses) / 5, rel=1e-13)
            assert record.error[k] == 0.25


def test_the_history_weights_minibatches_by_their_examples() -> None:
    """With a rate of 0 the epoch's mean is that of the whole training split, a short last batch or not."""
    classification = problem(data=noise(n_train=22))
    points, streams = starts(classification, [0, 1])
    expected = classification.evaluate(points)
    recipe = Recipe(1, 8, Sgd(), 0.0, 0.0, Constant())
    (epoch,) = train(classification, FreePoints(points.theta), points.buffers, recipe, streams).history
    assert epoch.loss == pytest.approx(expected["train_loss"].tolist(), rel=1e-13)
    assert epoch.error == pytest.approx(expected["train_error"].tolist(), rel=1e-13)


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("draws", [1, 64])
def test_the_bend_of_a_quadratic_loss_goes_where_it_must(decay: float, draws: int) -> None:
    """With L = |w - m|^2 / 2 and decay d, theta = m' + (3/4)(2 m' - a - b), m' = m / (1 + d).

    From E[c_1 (phi - m')] = 0 with E[c_1^2] = 2/15, E[c_0 c_1] = E[c_1 c_2] = 1/10. Decay of the bend instead of phi(t)
    would give another point. What remains is the noise of t: the mean of all draws, weighted by the falling rate.
    """
    a, b = of([2.0, 0.0]), of([0.0, 1.0])
    controls = on_chord(a, b, 1)
    motion = CurveBends(FAMILIES["bezier"], controls, streams_of(1), draws=draws)
    epochs = 12 if draws > 1 else 300
    recipe = Recipe(epochs, 1, Sgd(), 2.0 if draws > 1 else 0.5, decay, Cosine())
    train(Quadratic(MINIMUM), motion, {}, recipe, streams_of(1))
    m = MINIMUM / (1 + decay)
    expected = m + 0.75 * (2 * m - a - b)
    assert torch.allclose(controls[:, 1], expected, rtol=0, atol=0.1)
    assert torch.equal(controls[:, 0], a)
    assert torch.equal(controls[:, 2], b)


def test_free_ends_of_a_curve_reach_the_minimum() -> None:
    """There the gradient is 0 at every t, so nothing is left of the noise."""
    controls = on_chord(of([2.0, 0.0]), of([0.0, 1.0]), 1)
    motion = CurveBends(FAMILIES["bezier"], controls, streams_of(1), free_ends=True, draws=4)
    train(Quadratic(MINIMUM), motion, {}, sgd(2.0, epochs=100), streams_of(1))
    assert torch.allclose(controls, MINIMUM.expand_as(controls), rtol=0, atol=1e-9)


@pytest.mark.parametrize("decoupled", [False, True])
def test_weight_decay_acts_on_the_place_not_on_the_bends(decoupled: bool) -> None:
    """On a flat loss one step takes lr d c_j(t) phi(t) off bend j, coupled or not; decay of bends is lr d theta_j."""
    a, b, lr, decay = of([2.0, 0.0]), of([0.0, 1.0]), 0.1, 0.3
    controls = on_chord(a, b, 2)
    start, streams = controls.clone(), streams_of(1)
    motion = Traced(CurveBends(FAMILIES["bezier"], controls, streams))
    optimizer = AdamW() if decoupled else Sgd()
    train(FLAT, motion, {}, Recipe(1, 1, optimizer, lr, decay, Constant()), streams)
    t = torch.from_numpy(streams[0].child("t", 0).generator().random((5, 1)))[0]
    c = FAMILIES["bezier"].coefficients(t, 4)[0]
    place = c @ start[0]
    expected = start[0, 1:3] - lr * decay * c[1:3, None] * place
    assert torch.allclose(motion.visited()[1, 0], expected, rtol=0, atol=1e-15)


def diverging() -> tuple[Tensor, Trained]:
    """Three points; the loss of the middle one grows by 1e40 with every step, until it is not finite."""
    theta = of([3.0, 3.0], [3.0, 3.0], [0.0, 5.0])
    lr = per_point([0.1, -1e20, 0.2], LIKE)
    return theta, train(Quadratic(MINIMUM), FreePoints(theta), {}, sgd(lr, epochs=3, momentum=0.5), streams_of(3))


def test_divergence_is_named_at_its_step() -> None:
    """The loss is 14.5 e^40s at step s, more than 1.8e308 from s = 8 on (momentum adds little to 1e20)."""
    _, trained = diverging()
    assert trained.diverged == [None, 8, None]
    assert len(trained.history) == 3, "the others go on"


def test_divergence_harms_no_other() -> None:
    theta, _ = diverging()
    alone = of([3.0, 3.0], [0.0, 5.0])
    recipe = sgd(per_point([0.1, 0.2], LIKE), epochs=3, momentum=0.5)
    train(Quadratic(MINIMUM), FreePoints(alone), {}, recipe, streams_of(2))
    assert torch.equal(theta[[0, 2]], alone)


def test_divergence_of_a_network_harms_no_other() -> None:
    """Through vmap and BatchNorm; rates of 1e200 leave the finite numbers at the second step."""
    classification = problem(normed)
    points, streams = starts(classification, [0, 1, 2])
    recipe = Recipe(2, 8, Sgd(0.9), per_point([0.1, 1e200, 0.1], LIKE), 0.1, Constant())
    trained = train(classification, FreePoints(points.theta), points.buffers, recipe, streams)
    assert [d is None for d in trained.diverged] == [True, False, True]
    others, streams = starts(classification, [0, 2])
    recipe = Recipe(2, 8, Sgd(0.9), 0.1, 0.1, Constant())
    train(classification, FreePoints(others.theta), others.buffers, recipe, streams)
    assert torch.allclose(points.theta[[0, 2]], others.theta, rtol=0, atol=1e-10)
    for name, buffer in others.buffers.items():
        assert torch.allclose(points.buffers[name][[0, 2]].double(), buffer.double(), rtol=0, atol=1e-10)


def test_training_stops_when_all_have_diverged() -> None:
    trained = train(Quadratic(MINIMUM), FreePoints(of([3.0, 3.0])), {}, sgd(-1e20, epochs=50), streams_of(1))
    assert trained.diverged == [8]
    assert len(trained.history) == 2


def test_weights_ruined_by_the_very_last_step_are_noticed() -> None:
    """Its loss, taken before, was fine; no other will be."""
    theta = of([3.0, 3.0])
    trained = train(Quadratic(MINIMUM, 1e300), FreePoints(theta), {}, sgd(0.0), streams_of(1))
    assert trained.diverged == [None]

    class LastStep(Quadratic):
        def batch_sizes(self, batch_size: int) -> list[int]:
            return [1]

        def batches(self, streams: object, epoch: int, batch_size: int):  # type: ignore[no-untyped-def]
            return iter([None])

    trained = train(LastStep(MINIMUM, 1e300), FreePoints(theta), {}, sgd(1e10, epochs=1), streams_of(1))
    assert trained.history[0].loss[0] < float("inf")
    assert trained.diverged == [0]


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_network_with_batchnorm_trains_as_in_plain_torch(seeds: list[int]) -> None:
    """Weights, and the running statistics and counters that move along."""
    classification = problem(normed)
    points, streams = starts(classification, seeds)
    plain_modules = []
    for k, stream in enumerate(streams):
        module = normed().double()
        module.load_state_dict(classification.state(points, k))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        for epoch in range(3):
            for batch in classification.batches([stream], epoch, 8):
                optimizer.zero_grad()
                F.cross_entropy(module(batch.inputs[0]), batch.targets[0]).backward()
                optimizer.step()
        plain_modules.append(module)
    recipe = Recipe(3, 8, Sgd(0.9), 0.1, 0.01, Constant())
    train(classification, FreePoints(points.theta), points.buffers, recipe, streams)
    for k, module in enumerate(plain_modules):
        for key, tensor in classification.state(points, k).items():
            assert torch.allclose(tensor.double(), module.state_dict()[key].double(), rtol=0, atol=1e-10), key


def test_bfloat16_is_close_to_full_precision() -> None:
    """Autocast of the forward alone: eight bits of mantissa, so losses agree to some percent; weights stay float32."""
    classification = problem(normed, dtype=torch.float32)
    losses = []
    for precision in (None, torch.bfloat16):
        points, streams = starts(classification, [0, 1, 2])
        recipe = Recipe(5, 8, Sgd(0.9), 0.1, 0.0, Constant(), precision)
        trained = train(classification, FreePoints(points.theta), points.buffers, recipe, streams)
        assert points.theta.dtype == torch.float32
        losses.append(torch.tensor(trained.history[-1].loss))
    assert not torch.equal(losses[0], losses[1]), "autocast must have done something"
    assert torch.allclose(losses[0], losses[1], rtol=0.05)


def test_one_point_alone_may_use_bfloat16_too() -> None:
    classification = problem(plain, dtype=torch.float32)
    points, streams = starts(classification, [0])
    recipe = Recipe(1, 8, Sgd(), 0.1, 0.0, Constant(), torch.bfloat16)
    assert train(classification, FreePoints(points.theta), points.buffers, recipe, streams).diverged == [None]
