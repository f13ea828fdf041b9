"""A pack is K separate runs: who else is in it, and in which order, changes rounding only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from mcdist.science.motion import CurveBends, FreePoints
from mcdist.science.optimizers import Adam, AdamW, Optimizer, Sgd, per_point
from mcdist.science.paths import FAMILIES, on_chord
from mcdist.science.problem import Problem
from mcdist.science.schedules import Cosine
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, train

from .examples import Traced, convolved, dropped, normed, plain, problem, starts

STEP = 1e-10  # in float64: a step's rounding is near 1e-16, and a handful of steps amplify it little
SEEDS = [0, 1, 2, 3, 4]
LR, MOMENTUM, DECAY = [0.05, 0.1, 0.02, 0.2, 0.1], [0.9, 0.5, 0.0, 0.8, 0.9], [0.0, 1e-2, 5e-4, 0.1, 0.0]

Make = Callable[[], nn.Module]
Choose = Callable[[list[int]], Optimizer]


def sgd(members: list[int], nesterov: bool = False) -> Optimizer:
    momentum = per_point([MOMENTUM[k] for k in members], torch.zeros((), dtype=torch.float64))
    return Sgd(momentum, nesterov)


OPTIMIZERS: dict[str, Choose] = {
    "sgd": sgd,
    "nesterov": partial(sgd, nesterov=True),
    "adam": lambda members: Adam(),
    "adamw": lambda members: AdamW(),
}


def recipe(members: list[int], optimizer: Choose) -> Recipe:
    like = torch.zeros((), dtype=torch.float64)
    lr, decay = (per_point([values[k] for k in members], like) for values in (LR, DECAY))
    return Recipe(3, 8, optimizer(members), lr, decay, Cosine())


def run_points(of: Problem, members: list[int], optimizer: Choose) -> Tensor:
    """All weights on the way of these members in one pack: [steps + 1, K, 1, P]."""
    points, streams = starts(of, [SEEDS[k] for k in members])
    motion = Traced(FreePoints(points.theta))
    train(of, motion, points.buffers, recipe(members, optimizer), streams)
    return motion.visited()


def run_curves(of: Problem, members: list[int], optimizer: Choose) -> Tensor:
    """All bends on the way of these members in one pack: [steps + 1, K, 2, P]."""
    a, _ = starts(of, [SEEDS[k] for k in members])
    b, _ = starts(of, [SEEDS[k] + 100 for k in members])
    streams = [Stream.of("curve", SEEDS[k]) for k in members]
    motion = Traced(CurveBends(FAMILIES["bezier"], on_chord(a.theta, b.theta, 2), streams, draws=2))
    train(of, motion, a.buffers, recipe(members, optimizer), streams)
    return motion.visited()


@pytest.mark.parametrize("make", [plain, normed, dropped])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("run", [run_points, run_curves])
def test_each_step_of_a_pack_is_the_step_alone(run: Callable[..., Tensor], optimizer: str, make: Make) -> None:
    of = problem(make)
    together = run(of, list(range(5)), OPTIMIZERS[optimizer])
    assert together.isfinite().all()
    assert (together[-1] - together[0]).abs().amax((1, 2)).min() > 1e-3, "a test in which nothing moves shows nothing"
    for k in range(5):
        alone = run(of, [k], OPTIMIZERS[optimizer])
        assert (together[:, k] - alone[:, 0]).abs().max() < STEP


@pytest.mark.parametrize("run", [run_points, run_curves])
def test_order_and_membership_do_not_matter(run: Callable[..., Tensor]) -> None:
    of = problem(normed)
    whole = run(of, [0, 1, 2, 3, 4], sgd)
    for members in ([4, 2, 0, 3, 1], [3, 1]):
        assert (run(of, members, sgd) - whole[:, members]).abs().max() < STEP


def test_convolutions_in_a_pack() -> None:
    of = problem(convolved)
    together = run_points(of, [0, 1, 2], sgd)
    assert (together[:, 1:2] - run_points(of, [1], sgd)).abs().max() < STEP


def test_batchnorm_statistics_of_a_pack_move_as_alone() -> None:
    of = problem(normed)
    packed, streams = starts(of, SEEDS)
    train(of, FreePoints(packed.theta), packed.buffers, recipe(list(range(5)), sgd), streams)
    for k, seed in enumerate(SEEDS):
        alone, stream = starts(of, [seed])
        train(of, FreePoints(alone.theta), alone.buffers, recipe([k], sgd), stream)
        for name, buffer in alone.buffers.items():
            assert (packed.buffers[name][k : k + 1] - buffer).abs().max() < STEP, name
