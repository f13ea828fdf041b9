"""The straight line."""

from __future__ import annotations

import torch
from torch import Tensor

from mcdist.science.paths.family import PathFamily

__all__ = ["Linear"]


class Linear(PathFamily):
    """phi(t) = (1 - t) theta_0 + t theta_1."""

    trained = False
    straight = True

    def coefficients(self, t: Tensor, M: int) -> Tensor:
        """See `PathFamily`."""
        return torch.stack([1.0 - t, t], dim=-1)

    def velocities(self, t: Tensor, M: int) -> Tensor:
        """See `PathFamily`."""
        return torch.stack([-torch.ones_like(t), torch.ones_like(t)], dim=-1)
