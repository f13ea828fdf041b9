"""Polygonal chains."""

from __future__ import annotations

import torch
from torch import Tensor

from mcdist.science.paths.family import NEAR, PathFamily

__all__ = ["Chain"]


class Chain(PathFamily):
    """Piecewise linear through theta_0 .. theta_{n+1}, equal t per segment (Garipov et al. 2018, eq. 3)."""

    def coefficients(self, t: Tensor, M: int) -> Tensor:
        """See `PathFamily`: hat functions, c_j(t) = max(0, 1 - |(M - 1) t - j|)."""
        j = torch.arange(M, dtype=t.dtype, device=t.device)
        return (1.0 - ((M - 1) * t[..., None] - j).abs()).clamp(min=0.0)

    def velocities(self, t: Tensor, M: int) -> Tensor:
        """See `PathFamily`."""
        segment = ((M - 1) * t + NEAR).floor().clamp(max=M - 2).long()
        ends = torch.nn.functional.one_hot(segment, M), torch.nn.functional.one_hot(segment + 1, M)
        return (M - 1) * (ends[1] - ends[0]).to(t.dtype)

    def breaks(self, M: int) -> Tensor:
        """See `PathFamily`."""
        return torch.linspace(0.0, 1.0, M, dtype=torch.float64)
