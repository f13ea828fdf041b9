"""The one training loop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from mcdist.science.acceleration import Step, accelerated
from mcdist.science.cycles import CyclicRate
from mcdist.science.motion import Motion
from mcdist.science.optimizers import Optimizer, PerPoint
from mcdist.science.problem import Problem
from mcdist.science.record import Epoch, History, Hook, Looks, Part, Record, Trained
from mcdist.science.schedules import Schedule
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.science.update import Update

__all__ = ["Epoch", "Recipe", "Trained", "Window", "train"]


@dataclass(frozen=True)
class Recipe:
    """How to train; `lr` and `weight_decay` may differ between the K points.

    rates: the K base rates for the record, where `lr` is a tensor of less precision.
    """

    epochs: int
    batch_size: int
    optimizer: Optimizer
    lr: PerPoint
    weight_decay: PerPoint
    schedule: Schedule
    precision: torch.dtype | None = None
    rates: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Window:
    """A part of a training whose rates are set step by step: steps first + 1, ..., last from where its cycles begin.

    at: the steps after which `hook` is called with the steps made and the mean loss [K] (each example counts once)
    since the call before, or since the window began. tensors: rates as tensors, also where all points have the same.
    """

    rate: CyclicRate
    first: int
    last: int
    at: Collection[int] = ()
    hook: Hook = lambda made, loss: None
    tensors: bool = False


def train(
    problem: Problem,
    motion: Motion,
    buffers: dict[str, Tensor],
    recipe: Recipe,
    streams: Sequence[Stream],
    accelerate: Accelerate | None = None,
    *,
    first: int = 0,
    last: int | None = None,
    memory: Mapping[str, Tensor] | None = None,
    window: Window | None = None,
) -> Trained:
    """Minimise the loss seen by `motion` in place (see `Update`); `buffers` (K-stacked) move along.

    A point whose loss is not finite, or whose weights are not at the end, is named in `diverged`; it goes on, and
    harms no other. accelerate: makes the step of full minibatches faster (see `accelerated`).

    first, last: the part [first, last) of the recipe's epochs, all of them if not said. Rates and random numbers are
    those that these epochs have in the whole. memory: the optimizer's after epoch `first`; a fresh one if not given.
    So [0, k), and then [k, epochs) with the memory of the first part, give the bits of the whole. KeyError where
    something that the optimizer remembers is missing.

    window: steps with rates of their own in place of whole epochs with those of the schedule; they are counted from
    epoch `first` on, and may begin and end in the midst of one. Its parts give the bits of the whole in the same way;
    there is no history of it.
    """
    sizes = problem.batch_sizes(recipe.batch_size)
    update = Update(problem, motion, buffers, recipe.optimizer, recipe.weight_decay, recipe.precision)
    if memory is not None:
        for name, tensor in recipe.optimizer.memory.items():
            tensor.copy_(memory[name])
    parts, record = _plan(problem, recipe, sizes, len(streams), first, last, window, motion.state)
    fast: Step | None = None
    for part in parts:
        motion.begin_epoch(part.epoch, len(sizes))
        batches = enumerate(problem.batches(streams, part.epoch, recipe.batch_size))
        for (step, batch), lr in zip(islice(batches, part.begin, part.end), part.rates, strict=True):
            where, full = motion.where(step), sizes[step] == sizes[0]
            if accelerate is not None and fast is None and full:
                fast = accelerated(update, accelerate, batch, where, lr)
            # what was traced has the shape of a full minibatch; a shorter last one goes the plain way
            take = fast if fast is not None and full else update
            record.note(step, take(batch, where, lr))
        if record.end(part):
            break
    # the last step's harm is seen by no loss
    return record.finish(motion.state.isfinite().flatten(1).all(1), dict(recipe.optimizer.memory))


def _plan(
    problem: Problem,
    recipe: Recipe,
    sizes: Sequence[int],
    K: int,
    first: int,
    last: int | None,
    window: Window | None,
    like: Tensor,
) -> tuple[Iterator[Part], Record]:
    """Which steps are to be made, and what records them."""
    if window is None:
        parts = _epochs(recipe, first, recipe.epochs if last is None else last, len(sizes))
        return parts, History(problem, sizes, K, first, lambda epoch: _rates(recipe, epoch, K))
    record = Looks(problem, sizes, K, first, window.first, window.at, window.hook)
    return _parts(window, first, len(sizes), like), record


def _epochs(recipe: Recipe, first: int, last: int, steps: int) -> Iterator[Part]:
    """Whole epochs [first, last), each with its rate."""
    for epoch in range(first, last):
        yield Part(epoch, 0, steps, [recipe.lr * recipe.schedule.at(epoch, recipe.epochs)] * steps)


def _parts(window: Window, start: int, steps: int, like: Tensor) -> Iterator[Part]:
    """The steps of a window, epoch by epoch. start: the epoch at which they begin to be counted."""
    made = window.first
    while made < window.last:
        epochs, begin = divmod(made, steps)
        end = min(steps, begin + window.last - made)
        rates = window.rate.rates(made, made + end - begin, like, tensors=window.tensors)
        yield Part(start + epochs, begin, end, rates)
        made += end - begin


def _rates(recipe: Recipe, epoch: int, K: int) -> list[float]:
    """The rates [K] of an epoch, for the record."""
    multiplier = recipe.schedule.at(epoch, recipe.epochs)
    if recipe.rates is not None:
        return [rate * multiplier for rate in recipe.rates]
    lr = recipe.lr * multiplier
    return [float(v) for v in lr.flatten().tolist()] if isinstance(lr, Tensor) else [lr] * K
