"""A family of paths that are linear in their control points."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

__all__ = ["NEAR", "PathFamily", "gauss_legendre", "on_chord"]

NEAR = 2.0**-40
"""Positions that differ by no more, in pieces, are the same: those of a grid are where they belong but for rounding."""


class PathFamily(ABC):
    """phi(t) = sum_j c_j(t) theta_j, t in [0, 1], phi(0) = theta_0, phi(1) = theta_{n+1}: n bends between two ends.

    A member gives the coefficients and their derivatives; everything else (evaluation, training, length,
    reparametrisation) follows from them.
    """

    trained: bool = True
    """Whether it has bends to train."""

    made: bool = False
    """Whether its control points are made of the ends by the problem (`Problem.connect`)."""

    pieces: int | None = None
    """How many pieces it has, where each means something."""

    straight: bool = False
    """Whether it is a line."""

    @abstractmethod
    def coefficients(self, t: Tensor, M: int) -> Tensor:
        """c_j(t): [..., M] from t [...], M = n + 2 control points; sums to 1."""

    @abstractmethod
    def velocities(self, t: Tensor, M: int) -> Tensor:
        """d c_j / dt: [..., M] from t [...]; sums to 0. At a kink, the one-sided value from the right (left at 1)."""

    def breaks(self, M: int) -> Tensor:
        """t at which the path may have a kink, the ends 0 and 1 included, float64."""
        return torch.tensor([0.0, 1.0], dtype=torch.float64)

    def piece(self, t: Tensor, M: int) -> Tensor | None:
        """The number [T], from 1, of the piece to which positions t [T] belong; None where pieces mean nothing."""
        return None

    def quadrature(self, M: int, pieces: int = 8, nodes: int = 8) -> tuple[Tensor, Tensor]:
        """Gauss-Legendre nodes u [Q] and weights [Q] for integrals over t, float64, no kink inside a piece."""
        grid = torch.linspace(0.0, 1.0, pieces + 1, dtype=torch.float64)
        return gauss_legendre(torch.unique(torch.cat([self.breaks(M), grid])), nodes)

    def at(self, controls: Tensor, t: Tensor) -> Tensor:
        """phi(t): [T, P] from control points [M, P] and t [T]; t = 0 and t = 1 give the ends bit for bit.

        t may be of any type and on any device: the coefficients are computed in float64 from it and rounded once, to
        the type of the control points, which is that of the result.
        """
        t = t.to(controls.device, torch.float64)
        theta = self.coefficients(t, controls.shape[0]).to(controls.dtype) @ controls
        theta[t == 0.0] = controls[0]
        theta[t == 1.0] = controls[-1]
        return theta


def gauss_legendre(knots: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights for the integral from the first knot to the last, flat: `nodes` of them between neighbours."""
    x, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(nodes))
    half = (knots[1:] - knots[:-1])[:, None] / 2
    return ((knots[:-1, None] + knots[1:, None]) / 2 + half * x).flatten(), (half * w).flatten()


def on_chord(a: Tensor, b: Tensor, bends: int) -> Tensor:
    """Control points [K, bends + 2, P] at equal distances on the straight lines from a [K, P] to b [K, P]."""
    u = torch.linspace(0.0, 1.0, bends + 2, dtype=a.dtype, device=a.device)[None, :, None]
    controls = (1.0 - u) * a[:, None] + u * b[:, None]
    controls[:, 0], controls[:, -1] = a, b
    return controls
