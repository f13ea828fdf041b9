"""One training step, set up as a whole training would, to be timed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mcdist.science.acceleration import Step, accelerated
from mcdist.science.motion import Motion
from mcdist.science.optimizers import PerPoint
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe
from mcdist.science.update import Update
from mcdist.tasks.work import Bench, Trial

__all__ = ["WrongProgram", "training_trial"]

_ROUNDING = 0.05  # of the greatest movement: far above rounding, in bfloat16 too, far below a mistake


class WrongProgram(Exception):
    """A program moves what it should move elsewhere than the step it was made of."""


def training_trial(
    problem: Problem,
    motion: Motion,
    buffers: dict[str, Tensor],
    recipe: Recipe,
    streams: Sequence[Stream],
    bench: Bench,
) -> Trial:
    """A step of the training that these arguments of `train` stand for, on its first minibatch, again and again.

    Raises WrongProgram where a program and the step itself disagree by more than rounding could explain.
    """
    sizes = problem.batch_sizes(recipe.batch_size)
    update = Update(problem, motion, buffers, recipe.optimizer, recipe.weight_decay, recipe.precision)
    motion.begin_epoch(0, len(sizes))
    batch, where = next(problem.batches(streams, 0, recipe.batch_size)), motion.where(0)
    lr = recipe.lr * 1e-3  # the weights stay where numbers are ordinary ones, however often the step is made
    step: Step = update
    if bench.accelerate is not None:
        step = accelerated(update, bench.accelerate, batch, where, lr)
        _compare(update, step, batch, where, lr)
    return Trial(
        lambda: step(batch, where, lr),
        recipe.epochs * sum(sizes) / sizes[0],
        stacked=problem.stacks(training=True),
        images=problem.images,
    )


def _compare(update: Update, step: Step, batch: Any, where: Sequence[Tensor], lr: PerPoint) -> None:
    """Make one step either way from where things are, and put everything back."""
    before = [t.clone() for t in update.tensors()]
    ends = []
    for way in (update, step):
        way(batch, where, lr)
        ends.append([t.clone() for t in update.tensors()])
        for tensor, saved in zip(update.tensors(), before, strict=True):
            tensor.copy_(saved)
    for start, plain, program in zip(before, *ends, strict=True):
        moved = (plain.double() - start.double()).abs().max()
        apart = (plain.double() - program.double()).abs().max()
        least = torch.finfo(torch.float32).eps * plain.double().abs().max()
        if not apart <= _ROUNDING * moved + least:
            raise WrongProgram(
                f"a program moves by {float(apart):.3g} apart from its step, which moves {float(moved):.3g}"
            )
