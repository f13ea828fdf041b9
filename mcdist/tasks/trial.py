"""One training step, set up as a whole training would, to be timed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mcdist.science.acceleration import accelerated
from mcdist.science.motion import Motion
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe
from mcdist.science.update import Update
from mcdist.tasks.work import Bench, Trial

__all__ = ["training_trial"]


def training_trial(
    problem: Problem,
    motion: Motion,
    buffers: dict[str, Tensor],
    recipe: Recipe,
    streams: Sequence[Stream],
    bench: Bench,
) -> Trial:
    """A step of the training that these arguments of `train` stand for, on its first minibatch, again and again."""
    sizes = problem.batch_sizes(recipe.batch_size)
    update = Update(problem, motion, buffers, recipe.optimizer, recipe.weight_decay, recipe.precision)
    motion.begin_epoch(0, len(sizes))
    batch, where = next(problem.batches(streams, 0, recipe.batch_size)), motion.where(0)
    lr = recipe.lr * 1e-3  # the weights stay where numbers are ordinary ones, however often the step is made
    step = update if bench.accelerate is None else accelerated(update, bench.accelerate, batch, where, lr)
    return Trial(
        lambda: step(batch, where, lr),
        recipe.epochs * sum(sizes) / sizes[0],
        stacked=problem.stacks(training=True),
        images=problem.images,
    )
