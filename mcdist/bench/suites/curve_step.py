"""What a step on a curve costs beyond a plain training step of the same network."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mcdist.bench.plain import PlainNetwork, sgd_batches
from mcdist.bench.problems import image_problem
from mcdist.bench.row import Row, at_most, compared
from mcdist.bench.stepping import Stepping
from mcdist.bench.suite import Suite
from mcdist.bench.timing import interleaved, stopwatch
from mcdist.execute.memory import keep_freed_memory
from mcdist.problems.models import build_model

__all__ = ["CURVE_STEP"]

BATCH = 128
NETWORKS = {"ConvNet 2.4M": ("convnet", 1), "ResNet-20": ("resnet20", 3)}
"""Name -> model and steps per round."""


def rows(repeats: int) -> Iterator[Row]:
    """A row per network: both contenders on the same images, in the same memory format.

    Both keep the memory that they free, as a worker does: without that, which of two loops has to fault its activations
    in again at every step is chance (measured: 9 % between two loops that do the same).
    """
    keep_freed_memory()
    for name, (model, steps) in NETWORKS.items():
        yield step_row(name, model, steps, repeats)


def step_row(name: str, model: str, steps: int, repeats: int, size: int = 32, batch: int = BATCH) -> Row:
    """A Bezier step of mcdist over a plain SGD step."""
    problem = image_problem(model, train=10 * batch, size=size)
    curve = Stepping(problem, 1, batch, curves=True, weight_decay=5e-4)
    network = build_model(model, {}, (3, size, size), 10)
    plain = PlainNetwork(network, 0.01, 5e-4)
    # the images as bytes, scaled batch by batch, as mcdist holds them
    x = torch.randint(0, 256, (10 * batch, 3, size, size), dtype=torch.uint8)
    y = torch.randint(0, 10, (10 * batch,))

    def plain_steps() -> None:
        plain.train(((b.float() / 255 - 0.5) / 0.25, t) for b, t in sgd_batches(x, y, batch, steps))

    contenders = {"Bezier step": stopwatch(lambda: curve.run(steps)), "plain SGD step": stopwatch(plain_steps)}
    taken = interleaved(contenders, repeats, warm_up=1)
    return compared(f"{name}, batch {batch}", taken, "Bezier step", "plain SGD step", aim=at_most(1.05))


CURVE_STEP = Suite("a step on a Bezier curve / a plain SGD step of the same network", repeats=9, rows=rows)
