"""The optimisers of stacked points against torch.optim, step by step, one torch optimiser per point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from mcdist.science.motion import FreePoints
from mcdist.science.optimizers import OPTIMIZERS, Adam, AdamW, Optimizer, Sgd, per_point
from mcdist.science.schedules import Constant
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, train

from .examples import Quadratic, Traced

K, P = 3, 4
EXACT = 1e-13  # a few float64 roundings
MINIMUM = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)


@dataclass(frozen=True)
class Case:
    """An optimiser, and torch's with the settings of point k."""

    ours: Callable[[], Optimizer]
    theirs: partial[Any]
    momentum: Sequence[float] = (0.0,) * K
    weight_decay: Sequence[float] = (0.0,) * K

    def theirs_of(self, k: int, weights: Tensor, lr: float) -> Any:
        options = {"momentum": self.momentum[k]} if self.theirs.func is torch.optim.SGD else {}
        return self.theirs([weights], lr=lr, weight_decay=self.weight_decay[k], **options)


LIKE = torch.zeros((), dtype=torch.float64)
SGD = partial(torch.optim.SGD)
NESTEROV = partial(torch.optim.SGD, nesterov=True)
MIXED, SAME = (0.9, 0.5, 0.7), (0.9,) * K
DECAYS, DECAY = (0.0, 0.1, 0.01), (0.05,) * K

CASES = {
    "sgd": Case(Sgd, SGD),
    "sgd, decay": Case(Sgd, SGD, weight_decay=DECAY),
    "momentum": Case(lambda: Sgd(0.9), SGD, SAME),
    "momentum, decay": Case(lambda: Sgd(0.9), SGD, SAME, DECAY),
    "momentum and decay of each": Case(lambda: Sgd(per_point(MIXED, LIKE)), SGD, MIXED, DECAYS),
    "nesterov": Case(lambda: Sgd(0.9, nesterov=True), NESTEROV, SAME, DECAY),
    "nesterov of each": Case(lambda: Sgd(per_point(MIXED, LIKE), nesterov=True), NESTEROV, MIXED, DECAYS),
    "adam": Case(Adam, partial(torch.optim.Adam)),
    "adam, decay": Case(Adam, partial(torch.optim.Adam), weight_decay=DECAYS),
    "adam, betas": Case(lambda: Adam((0.8, 0.9), 1e-3), partial(torch.optim.Adam, betas=(0.8, 0.9), eps=1e-3)),
    "adamw": Case(AdamW, partial(torch.optim.AdamW)),
    "adamw, decay": Case(AdamW, partial(torch.optim.AdamW), weight_decay=DECAYS),
    "adamw, one decay": Case(AdamW, partial(torch.optim.AdamW), weight_decay=DECAY),
}


@pytest.mark.parametrize("lr", [(0.1,) * K, (0.1, 0.02, 0.3)], ids=["one rate", "a rate each"])
@pytest.mark.parametrize("name", CASES)
def test_every_step_is_torchs(name: str, lr: tuple[float, ...]) -> None:
    """Through the training loop, since weight decay is its business."""
    case, of = CASES[name], Quadratic(MINIMUM)
    streams = [Stream.of(name, k) for k in range(K)]
    start = torch.cat([of.initial(stream).theta for stream in streams])
    motion = Traced(FreePoints(start.clone()))
    recipe = Recipe(4, 1, case.ours(), per_point(lr, LIKE), per_point(case.weight_decay, LIKE), Constant())
    train(of, motion, {}, recipe, streams)
    ours = motion.visited()[:, :, 0]
    assert len(ours) == 21
    for k in range(K):
        weights = start[k].clone().requires_grad_()
        optimizer = case.theirs_of(k, weights, lr[k])
        for step, here in enumerate(ours[:, k]):
            assert (here - weights).abs().max() < EXACT, f"point {k} before step {step}"
            optimizer.zero_grad()
            (0.5 * (weights - MINIMUM).square().sum()).backward()
            optimizer.step()


def test_every_optimizer_is_compared() -> None:
    assert {type(case.ours()) for case in CASES.values()} == set(OPTIMIZERS.values())


def test_equal_numbers_become_one() -> None:
    """The fast path: a Python number costs no tensor operation."""
    assert per_point([0.1, 0.1], LIKE) == 0.1
    differing = per_point([0.1, 0.2], LIKE)
    assert isinstance(differing, Tensor)
    assert differing.shape == (2, 1, 1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_leaves_the_gradient_as_it_is(optimizer: str) -> None:
    state, grad = torch.ones(1, 1, 2), torch.ones(1, 1, 2)
    rule = OPTIMIZERS[optimizer]()
    rule.begin(state)
    for _ in range(3):
        rule.step(state, grad, 0.1)
    assert grad.tolist() == [[[1.0, 1.0]]]
