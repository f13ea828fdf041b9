"""Bezier curves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mcdist.science.paths.family import PathFamily

__all__ = ["Bezier"]


class Bezier(PathFamily):
    """phi(t) = sum_j C(d, j) (1 - t)^(d - j) t^j theta_j, degree d = n + 1 for n bends (Garipov et al. 2018, eq. 4).

    The public code's "num_bends 3" counts the ends: it is one bend here.
    """

    def coefficients(self, t: Tensor, M: int) -> Tensor:
        """See `PathFamily`."""
        return _bernstein(t, M - 1)

    def velocities(self, t: Tensor, M: int) -> Tensor:
        """See `PathFamily`: d (B_{j-1, d-1} - B_{j, d-1})."""
        lower = _bernstein(t, M - 2)
        zero = torch.zeros_like(lower[..., :1])
        return (M - 1) * (torch.cat([zero, lower], dim=-1) - torch.cat([lower, zero], dim=-1))


def _bernstein(t: Tensor, degree: int) -> Tensor:
    """B_{j, d}(t), j = 0..d: [..., d + 1] from t [...]."""
    j = torch.arange(degree + 1, dtype=t.dtype, device=t.device)
    binomial = torch.tensor([math.comb(degree, i) for i in range(degree + 1)], dtype=t.dtype, device=t.device)
    return binomial * (1.0 - t[..., None]) ** (degree - j) * t[..., None] ** j
