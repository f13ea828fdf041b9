"""Training step by step: rates of its own, from the midst of an epoch to the midst of another, looked at on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from support.tracing import AsTraced
from torch import Tensor

from mcdist.science.cycles import Cosine, CyclicRate, Triangle
from mcdist.science.motion import FreePoints
from mcdist.science.optimizers import Adam, AdamW, Optimizer, Sgd, per_point
from mcdist.science.points import Points
from mcdist.science.schedules import Constant
from mcdist.science.schedules import Cosine as CosineSchedule
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.science.training import Recipe, Trained, Window, train

from .examples import Quadratic, Traced, dropped, normed, plain, problem, starts

LIKE = torch.zeros((), dtype=torch.float64)
MINIMUM = torch.tensor([1.0, -2.0], dtype=torch.float64)
STEPS = 3  # of an epoch: 22 examples, 8 at a time, six in the last
LAST = 14

MAKERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": Sgd,
    "momentum": lambda: Sgd(0.9),
    "momenta": lambda: Sgd(per_point([0.9, 0.5, 0.0], LIKE)),
    "nesterov": lambda: Sgd(0.9, nesterov=True),
    "adam": Adam,
    "adamw": AdamW,
}
RATES: dict[str, CyclicRate] = {
    "triangle": Triangle(4, (0.1,) * 3, (0.01,) * 3),
    "triangles": Triangle(4, (0.1, 0.05, 0.2), (0.01, 0.05, 0.02)),
    "cosine": Cosine(LAST, 3, (0.1,) * 3),
}

Looks = list[tuple[int, list[float]]]


def in_windows(
    cuts: Sequence[int],
    optimizer: str = "momentum",
    network: Callable[[], torch.nn.Module] = normed,
    rate: str = "triangle",
    accelerate: Accelerate | None = None,
    at: Sequence[int] = (),
    start: int = 2,
) -> tuple[Points, list[Trained], Looks]:
    """Steps 1, ..., 14 from epoch 2 on, cut after these; nothing but points and memory goes from part to part."""
    classification = problem(network)
    points, streams = starts(classification, [0, 1, 2])
    parts: list[Trained] = []
    seen: Looks = []
    for first, last in zip([0, *cuts], [*cuts, LAST], strict=True):
        # rate, schedule and number of epochs of the recipe are not to matter
        recipe = Recipe(1, 8, MAKERS[optimizer](), 1e9, 0.01, CosineSchedule())
        memory = {name: t.clone() for name, t in parts[-1].memory.items()} if parts else None
        window = Window(RATES[rate], first, last, at, lambda i, loss: seen.append((i, loss.tolist())))
        motion, buffers = FreePoints(points.theta), points.buffers
        parts.append(
            train(
                classification,
                motion,
                buffers,
                recipe,
                streams,
                accelerate,
                first=start,
                memory=memory,
                window=window,
            )
        )
    return points, parts, seen


def assert_same_bits(got: Points, expected: Points) -> None:
    assert torch.equal(got.theta, expected.theta)
    assert got.buffers.keys() == expected.buffers.keys()
    assert all(torch.equal(got.buffers[name], buffer) for name, buffer in expected.buffers.items())


@pytest.mark.parametrize(
    ("cuts", "network", "optimizer", "rate"),
    [
        *(([4, 8, 9], network, optimizer, "triangle") for network in (plain, normed, dropped) for optimizer in MAKERS),
        *((cuts, normed, "momentum", rate) for cuts in ([3, 6], [1, 2], [5], [*range(1, LAST)]) for rate in RATES),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_windows_are_the_whole_to_the_bit(
    cuts: list[int], network: Callable[[], torch.nn.Module], optimizer: str, rate: str
) -> None:
    """Wherever in an epoch they begin and end: weights, statistics, memory."""
    whole, (record,), _ = in_windows([], optimizer, network, rate)
    points, parts, _ = in_windows(cuts, optimizer, network, rate)
    assert_same_bits(points, whole)
    assert parts[-1].memory.keys() == record.memory.keys()
    assert all(torch.equal(parts[-1].memory[name], tensor) for name, tensor in record.memory.items())
    assert [part.history for part in parts] == [[]] * len(parts)
    assert all(part.diverged == [None] * 3 for part in parts)


@pytest.mark.parametrize("network", [plain, normed, dropped])
@pytest.mark.parametrize("start", [0, 2])
def test_by_a_constant_rate_it_is_the_usual_training_to_the_bit(
    network: Callable[[], torch.nn.Module], start: int
) -> None:
    """Epochs 2, 3 and 4 are steps 1 to 9."""
    classification = problem(network)
    ends = []
    for rates in ((0.05,) * 3, (0.05, 0.1, 0.2)):
        for window in (None, Window(Triangle(4, rates, rates), 0, 9)):
            points, streams = starts(classification, [0, 1, 2])
            recipe = Recipe(start + 3, 8, Sgd(0.9), per_point(rates, LIKE), 0.01, Constant())
            motion = FreePoints(points.theta)
            train(classification, motion, points.buffers, recipe, streams, first=start, window=window)
            ends.append(points)
    assert_same_bits(ends[1], ends[0])
    assert_same_bits(ends[3], ends[2])
    assert not torch.equal(ends[2].theta, ends[0].theta)


@pytest.mark.parametrize(
    ("optimizer", "rate", "cuts"),
    [("momenta", "triangles", []), ("momenta", "cosine", [2, 5, 12]), ("adam", "triangle", [2, 5, 12])],
    ids=str,
)
def test_by_programs_it_is_the_same(optimizer: str, rate: str, cuts: list[int]) -> None:
    """Also where a window begins with the short minibatch of an epoch: that makes no program for the full ones."""
    graphs = AsTraced()
    whole, _, _ = in_windows([], optimizer, rate=rate)
    points, _, _ = in_windows(cuts, optimizer, rate=rate, accelerate=graphs)
    assert graphs.calls == 10  # full minibatches of steps 1 to 14
    assert torch.allclose(points.theta, whole.theta, rtol=0, atol=1e-12)


def of_quadratic(rate: CyclicRate, theta: Tensor, first: int, last: int, **said: Any) -> tuple[Trained, Traced]:
    """Plain steps down L = |w - m|^2 / 2; what was visited."""
    K = len(theta)
    recipe, motion = Recipe(1, 1, Sgd(), 0.0, 0.0, Constant()), Traced(FreePoints(theta))
    streams = [Stream.of("training", k) for k in range(K)]
    made = train(Quadratic(MINIMUM), motion, {}, recipe, streams, window=Window(rate, first, last, **said))
    return made, motion


@pytest.mark.parametrize("tensors", [False, True])
def test_the_rate_of_every_step_is_the_published_one(tensors: bool) -> None:
    """Read off the steps: down a quadratic, w' - m = (1 - lr) (w - m). Cycles of 4 steps, epochs of 5."""
    theta = torch.tensor([[3.0, 3.0], [5.0, -7.0]], dtype=torch.float64)
    rate = Triangle(4, (0.3, 0.2), (0.1, 0.05))
    _, motion = of_quadratic(rate, theta, 0, 17, tensors=tensors)
    away = motion.visited()[:, :, 0] - MINIMUM
    used = 1 - away[1:, :, 0] / away[:-1, :, 0]  # [steps, K]
    t = (((torch.arange(1, 18) - 1) % 4 + 1).double() / 4)[:, None]
    lr1, lr2 = torch.tensor([[0.3, 0.2], [0.1, 0.05]], dtype=torch.float64)
    published = torch.where(t <= 0.5, (1 - 2 * t) * lr1 + 2 * t * lr2, (2 - 2 * t) * lr2 + (2 * t - 1) * lr1)
    # the quotient of two numbers near 1 is known to some 1e-16, and there are seventeen steps
    assert torch.allclose(used, published, rtol=0, atol=1e-13)


def test_the_hook_is_called_after_the_steps_that_were_asked_for() -> None:
    """When it is called the step has been made; the loss is the mean of those before the steps since the last call."""
    theta = torch.tensor([[3.0, 3.0], [5.0, -7.0]], dtype=torch.float64)
    seen: list[tuple[int, Tensor, Tensor]] = []

    def hook(made: int, loss: Tensor) -> None:
        seen.append((made, loss, theta.clone()))

    _, motion = of_quadratic(Triangle(4, (0.3, 0.2), (0.1, 0.1)), theta, 3, 15, at=(0, 3, 4, 7, 14, 15, 16), hook=hook)
    visited = motion.visited()[:, :, 0]  # after step 3, 4, ...
    losses = 0.5 * (visited - MINIMUM).square().sum(2)
    assert [made for made, _, _ in seen] == [4, 7, 14, 15]
    for (made, loss, there), before in zip(seen, (3, 4, 7, 14), strict=True):
        assert torch.equal(there, visited[made - 3])
        assert torch.allclose(loss, losses[before - 3 : made - 3].mean(0), rtol=1e-14)


def test_the_mean_loss_counts_each_example_once() -> None:
    """Of minibatches of 8, 8 and 6 examples; over epochs, and the same in windows that end where it is called."""
    at = [2, 3, 4, 9, LAST]
    _, _, every = in_windows([], at=range(1, LAST + 1))
    loss = torch.tensor([values for _, values in every], dtype=torch.float64)
    weight = torch.tensor([(8.0, 8.0, 6.0)[i % STEPS] for i in range(LAST)], dtype=torch.float64)[:, None]
    _, _, seen = in_windows([], at=at)
    for (made, got), before in zip(seen, (0, *at), strict=False):
        part = slice(before, made)
        expected = (loss[part] * weight[part]).sum(0) / weight[part].sum(0)
        assert torch.allclose(torch.tensor(got, dtype=torch.float64), expected, rtol=1e-13)
    assert [made for made, _ in seen] == at
    assert in_windows([2, 9], at=at)[2] == seen


def test_the_mean_loss_of_an_epoch_is_that_of_the_history() -> None:
    classification = problem(normed)
    points, streams = starts(classification, [0, 1])
    recipe = Recipe(3, 8, Sgd(0.9), 0.05, 0.0, Constant())
    usual = train(classification, FreePoints(points.theta), points.buffers, recipe, streams)
    points, _ = starts(classification, [0, 1])
    seen: list[list[float]] = []
    rate = Triangle(4, (0.05, 0.05), (0.05, 0.05))
    window = Window(rate, 0, 9, (3, 6, 9), lambda made, loss: seen.append(loss.tolist()))
    train(classification, FreePoints(points.theta), points.buffers, recipe, streams, window=window)
    for got, epoch in zip(seen, usual.history, strict=True):
        assert got == pytest.approx(epoch.loss, rel=1e-14)


def test_what_a_hook_does_to_copies_changes_nothing() -> None:
    """A network is settled and judged in the midst of an epoch: the steps after go on as if it were not."""
    undisturbed, _, _ = in_windows([])
    classification = problem(normed)
    points, streams = starts(classification, [0, 1, 2])
    judged: list[dict[str, Tensor]] = []

    def hook(made: int, loss: Tensor) -> None:
        judged.append(classification.evaluate(classification.settle(points)))

    recipe = Recipe(1, 8, Sgd(0.9), 1e9, 0.01, Constant())
    window = Window(RATES["triangle"], 0, LAST, (1, 5, 6, 14), hook)
    train(classification, FreePoints(points.theta), points.buffers, recipe, streams, first=2, window=window)
    assert len(judged) == 4
    assert_same_bits(points, undisturbed)


def test_steps_of_divergence_are_counted_from_the_beginning_of_the_training() -> None:
    """The loss is 14.5 e^40s at step s from the start: more than 1.8e308 from its eighth on. Epochs of 5 steps."""
    theta = torch.full((2, 2), 3.0, dtype=torch.float64)
    recipe = Recipe(1, 1, Sgd(0.5), 0.0, 0.0, Constant())
    streams = [Stream.of("training", k) for k in range(2)]
    rate = Triangle(4, (0.1, -1e20), (0.1, -1e20))
    window = Window(rate, 7, 30)
    trained = train(Quadratic(MINIMUM), FreePoints(theta), {}, recipe, streams, first=4, window=window)
    assert trained.diverged == [None, 4 * 5 + 7 + 8]


def test_a_loss_that_is_not_finite_from_the_first_step_is_named_by_it() -> None:
    """Also where the window begins in the midst of an epoch; 1e200 squared is no number."""
    theta = torch.tensor([[3.0, 3.0], [1e200, 3.0]], dtype=torch.float64)
    trained, _ = of_quadratic(Triangle(4, (0.1, 0.1), (0.1, 0.1)), theta, 7, 13)
    assert trained.diverged == [None, 7]


@pytest.mark.parametrize("tensors", [False, True])
def test_where_tensors_are_wanted_no_rate_is_a_number(tensors: bool) -> None:
    """A rate that is a number would be sent to the device step by step."""
    given: list[bool] = []

    class Noting(Sgd):
        def step(self, state: Tensor, grad: Tensor, lr: float | Tensor) -> None:
            given.append(isinstance(lr, Tensor))
            super().step(state, grad, lr)

    recipe, theta = Recipe(1, 1, Noting(), 0.0, 0.0, Constant()), torch.ones(1, 2, dtype=torch.float64)
    window = Window(Triangle(4, (0.1,), (0.01,)), 0, 7, tensors=tensors)
    train(Quadratic(MINIMUM), FreePoints(theta), {}, recipe, [Stream.of("training", 0)], window=window)
    assert given == [tensors] * 7


def test_it_stops_where_all_have_diverged_and_calls_no_hook_after() -> None:
    theta = torch.full((1, 2), 3.0, dtype=torch.float64)
    seen: list[int] = []
    rate = Triangle(4, (-1e20,), (-1e20,))
    trained, motion = of_quadratic(rate, theta, 3, 50, at=(5, 40), hook=lambda made, loss: seen.append(made))
    assert trained.diverged == [3 + 8]
    assert len(motion.visited()) == 13  # to the end of the epoch, after step 15
    assert seen == [5]


def test_a_window_without_steps_changes_nothing() -> None:
    theta = torch.full((1, 2), 3.0, dtype=torch.float64)
    trained, _ = of_quadratic(Triangle(4, (0.1,), (0.1,)), theta, 3, 3, at=(3,))
    assert (trained.history, trained.diverged) == ([], [None])
    assert torch.equal(theta, torch.full((1, 2), 3.0, dtype=torch.float64))
