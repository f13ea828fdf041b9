"""A faster way to make the same step: traced once, and then run by whatever can run a graph of tensor operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from mcdist.science.optimizers import PerPoint
from mcdist.science.tracing import Accelerate, tensors_in, trace
from mcdist.science.update import Update

__all__ = ["Step", "accelerated"]

Step = Callable[[Any, Sequence[Tensor], PerPoint], tuple[Tensor, Tensor]]
"""(batch, where, lr) -> loss [K], error [K]; moves what moves."""


def accelerated(update: Update, accelerate: Accelerate, batch: Any, where: Sequence[Tensor], lr: PerPoint) -> Step:
    """The step of an update as `accelerate` makes it, for batches of the same shape; the update itself where it cannot.

    Numbers that may change from step to step (the rate) must be tensors here, or the trace would hold on to them.
    """
    if not _traceable(batch):
        return update
    rate = _as_tensor(lr, update)
    own = update.tensors()
    # a trace makes the step it follows: of copies, which are then let go
    traced = trace(update.functional, ([t.clone() for t in own], batch, tuple(where), rate))
    run = accelerate(traced, [*tensors_in((own, batch, tuple(where), rate)), *traced.captured])
    if run is None:
        return update

    def step(batch: Any, where: Sequence[Tensor], lr: PerPoint) -> tuple[Tensor, Tensor]:
        varying = tensors_in((batch, tuple(where), _as_tensor(lr, update)))
        loss, error = run(*own, *varying, *traced.captured)
        return loss, error

    return step


def _traceable(batch: Any) -> bool:
    """Seeds of a module's own random numbers (Dropout) are no tensors: a trace would repeat the same numbers."""
    return all(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(batch) if leaf is not None)


def _as_tensor(lr: PerPoint, update: Update) -> Tensor:
    if isinstance(lr, Tensor):
        return lr
    return torch.tensor(lr, dtype=update.motion.held.dtype, device=update.motion.held.device)
