"""Losses by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch
from torch import Tensor

from mcdist.errors import RequestError

__all__ = ["Loss", "resolve_loss"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs [B, C], targets [B]) -> the mean loss over the batch, a scalar."""


def resolve_loss(name: str) -> Loss | None:
    """The loss `package.module:function`; None for cross_entropy, which `Classification` computes itself.

    Raises RequestError where it cannot be imported, or does not give one differentiable number for a batch.
    """
    if name == "cross_entropy":
        return None
    module, _, attribute = name.partition(":")
    try:
        loss: Loss = getattr(
            importlib.import_module(module), attribute
        )  # a full path, given as such by the user
    except (ImportError, AttributeError) as error:
        raise RequestError(f"loss {name!r} cannot be imported: {error}") from error
    try:
        value = loss(torch.zeros(2, 3, requires_grad=True), torch.tensor([0, 1]))
    except Exception as error:
        raise RequestError(f"loss {name!r} fails on outputs [2, 3] and targets [2]: {error}") from error
    if not isinstance(value, Tensor) or value.ndim != 0 or not value.requires_grad:
        raise RequestError(
            f"loss {name!r} must give one differentiable number for a batch; got {value!r:.60}"
        )
    return loss
