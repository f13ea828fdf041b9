"""The nearest allocations that are feasible."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["confine_to_simplex", "confine_to_unit"]


def confine_to_unit(x: Tensor) -> None:
    """x [...] to [0, 1], in place."""
    x.clamp_(0.0, 1.0)


def confine_to_simplex(x: Tensor, axis: int) -> None:
    """Along an axis, x to the nearest point of {x >= 0, sum x <= 1}, in place.

    Where max(x, 0) sums to 1 at most that is max(x, 0); else max(x - tau, 0) with the tau for which it sums to 1
    (Euclidean projection onto the simplex; tau from the sorted entries).
    """
    n = x.shape[axis]
    inside = x.clamp(min=0.0)
    ordered = x.movedim(axis, -1).sort(dim=-1, descending=True).values
    excess = ordered.cumsum(-1) - 1.0
    count = torch.arange(1, n + 1, dtype=x.dtype, device=x.device)
    # the entries that stay above 0 are the greatest ones: as many as exceed the mean excess of those up to them
    stays = (ordered * count > excess).sum(-1, keepdim=True).clamp(min=1)
    tau = (excess.gather(-1, stays - 1) / stays).movedim(-1, axis)
    over = inside.sum(axis, keepdim=True) > 1.0
    x.copy_(torch.where(over, (x - tau).clamp(min=0.0), inside))
