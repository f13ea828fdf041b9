"""The one training loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mcdist.science.motion import Motion
from mcdist.science.optimizers import Optimizer, PerPoint
from mcdist.science.points import Points
from mcdist.science.problem import Problem, gradient
from mcdist.science.schedules import Schedule
from mcdist.science.streams import Stream

__all__ = ["Epoch", "Recipe", "Trained", "train"]


@dataclass(frozen=True)
class Recipe:
    """How to train; `lr` and `weight_decay` may differ between the K points."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    lr: PerPoint
    weight_decay: PerPoint
    schedule: Schedule
    precision: torch.dtype | None = None


@dataclass(frozen=True)
class Epoch:
    """What one epoch looked like: the learning rates, mean minibatch loss and error of the K points."""

    epoch: int
    lr: list[float]
    loss: list[float]
    error: list[float]


@dataclass
class Trained:
    """The record of a training: epochs, and for each point the step at which its loss stopped being finite."""

    history: list[Epoch] = field(default_factory=list)
    diverged: list[int | None] = field(default_factory=list)


def train(
    problem: Problem, motion: Motion, buffers: dict[str, Tensor], recipe: Recipe, streams: Sequence[Stream]
) -> Trained:
    """Minimise the loss seen by `motion` in place; `buffers` (K-stacked) move along.

    Each step: loss and gradient g at the place theta [K, P]; g += weight_decay * theta (at the place: on phi(t) for a
    curve, not on its bends); state -= step(pull(g)). Decoupled decay pulls lr * weight_decay * theta instead.
    A point whose loss is not finite, or whose weights are not at the end, is named in `diverged`; it goes on, and
    harms no other.
    """
    K = len(streams)
    sizes = torch.tensor(problem.batch_sizes(recipe.batch_size), dtype=torch.float64)
    weights = (sizes / sizes.sum())[:, None].to(problem.device, problem.dtype)
    done = Trained(diverged=[None] * K)
    for epoch in range(recipe.epochs):
        lr = recipe.lr * recipe.schedule.at(epoch, recipe.epochs)
        # collected on the device, read once per epoch: a training step never waits for the host
        losses = torch.empty(len(sizes), K, device=problem.device, dtype=problem.dtype)
        errors = torch.empty_like(losses)
        motion.begin_epoch(epoch, len(sizes))
        for step, batch in enumerate(problem.batches(streams, epoch, recipe.batch_size)):
            losses[step], errors[step] = _step(problem, motion, buffers, recipe, lr, step, batch)
        _note_divergence(done, losses.isfinite(), epoch * len(sizes))
        loss, error = (losses * weights).sum(0).tolist(), (errors * weights).sum(0).tolist()
        done.history.append(Epoch(epoch + 1, _numbers(lr, K), loss, error))
        if None not in done.diverged:
            break
    # the last step's harm is seen by no loss
    last = recipe.epochs * len(sizes) - 1
    _note_divergence(done, motion.state.isfinite().flatten(1).all(1)[None], last)
    return done


def _step(
    problem: Problem,
    motion: Motion,
    buffers: dict[str, Tensor],
    recipe: Recipe,
    lr: PerPoint,
    step: int,
    batch: object,
) -> tuple[Tensor, Tensor]:
    """One update; loss [K] and error [K], averaged over the places of the step."""
    decays = isinstance(recipe.weight_decay, Tensor) or recipe.weight_decay != 0.0
    losses, errors, pulls, decay = [], [], [], []
    for draw in range(motion.draws):
        theta = motion.place(step, draw)
        loss, error, grad = gradient(problem, Points(theta, buffers), batch, recipe.precision)
        if decays and recipe.optimizer.decoupled:
            decay.append(motion.pull(step, draw, theta))
        elif decays:
            grad = grad + _column(recipe.weight_decay) * theta
        losses.append(loss)
        errors.append(error)
        pulls.append(motion.pull(step, draw, grad))
    if decay:
        motion.state.sub_(lr * recipe.weight_decay * _mean(decay))
    recipe.optimizer.step(motion.state, _mean(pulls), lr)
    return _mean(losses), _mean(errors)


def _mean(terms: list[Tensor]) -> Tensor:
    return terms[0] if len(terms) == 1 else torch.stack(terms).mean(0)


def _column(value: PerPoint) -> PerPoint:
    """A per-point number [K, 1, 1] as [K, 1], to go with theta [K, P]."""
    return value[:, 0] if isinstance(value, Tensor) else value


def _numbers(value: PerPoint, K: int) -> list[float]:
    return [float(v) for v in value.flatten().tolist()] if isinstance(value, Tensor) else [value] * K


def _note_divergence(done: Trained, finite: Tensor, first_step: int) -> None:
    """Record the first step at which each point was not finite: [steps, K], from `first_step` on."""
    first = finite.int().argmin(0).tolist()
    for k, fine in enumerate(finite.all(0).tolist()):
        if not fine and done.diverged[k] is None:
            done.diverged[k] = first_step + first[k]
