"""Losses by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap

from mcdist.errors import RequestError
from mcdist.problems.elsewhere import imported

__all__ = ["Loss", "resolve_loss"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs [B, C], targets [B]) -> the mean loss over the batch, a scalar."""


def resolve_loss(name: str, n_classes: int) -> Loss | None:
    """The loss `package.module:function`; None for cross_entropy, which `Classification` computes itself.

    Raises RequestError where it cannot be imported, torch.func cannot follow it, or it does not give one
    differentiable number for a batch of `n_classes` outputs per example.
    """
    if name == "cross_entropy":
        return None
    loss: Loss = imported(name, f"loss {name!r}", "cross_entropy, or package.module:function")
    outputs = torch.zeros(2, 2, n_classes, requires_grad=True)  # of two points, for two examples
    try:
        value = vmap(loss)(outputs, torch.zeros(2, 2, dtype=torch.int64))
    except Exception as error:  # code that is not ours
        shapes = f"outputs [2, {n_classes}] and targets [2]"
        raise RequestError(f"loss {name!r} fails on {shapes}: {type(error).__name__}: {error}") from error
    if not isinstance(value, Tensor) or value.shape != (2,) or not value.requires_grad:
        got = f"a tensor {list(value.shape[1:])}" if isinstance(value, Tensor) else type(value).__name__
        raise RequestError(f"loss {name!r} must give one differentiable number for a batch; got {got}")
    return loss
