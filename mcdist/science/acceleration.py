"""A faster way to make the same step: traced once, and then run by whatever can run a graph of tensor operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from mcdist.science.optimizers import PerPoint
from mcdist.science.tracing import Accelerate, Trace, tensors_in, trace
from mcdist.science.update import Update

__all__ = ["Step", "accelerated"]

Step = Callable[[Any, Sequence[Tensor], PerPoint], tuple[Tensor, Tensor]]
"""(batch, where, lr) -> loss [K], error [K]; moves what moves."""


def accelerated(update: Update, accelerate: Accelerate, batch: Any, where: Sequence[Tensor], lr: PerPoint) -> Step:
    """The step of an update as a program, for batches of the same shape; the update itself where there is none.

    Numbers that differ between packs or steps (rates, momenta, decay) are inputs of the program where they are tensors;
    plain numbers are part of it.
    """
    if not _traceable(batch):
        return update
    held, rate = [*update.tensors(), *update.scalars()], _as_tensor(lr, update)

    def follow() -> Trace:
        # a trace makes the step it follows: of copies, which are then let go
        moved = [t.clone() for t in update.tensors()]
        return trace(update.functional, (moved, update.scalars(), batch, tuple(where), rate))

    run = accelerate(f"step {update.form()}", follow, held, tensors_in((batch, tuple(where), rate)))
    if run is None:
        return update

    def step(batch: Any, where: Sequence[Tensor], lr: PerPoint) -> tuple[Tensor, Tensor]:
        loss, error = run(*held, *tensors_in((batch, tuple(where), _as_tensor(lr, update))))
        return loss, error

    return step


def _traceable(batch: Any) -> bool:
    """Seeds of a module's own random numbers (Dropout) are no tensors: a trace would repeat the same numbers."""
    return all(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(batch) if leaf is not None)


def _as_tensor(lr: PerPoint, update: Update) -> Tensor:
    if isinstance(lr, Tensor):
        return lr
    return torch.tensor(lr, dtype=update.motion.held.dtype, device=update.motion.held.device)
