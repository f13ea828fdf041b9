"""Length of a path, and position on it by arclength."""

from __future__ import annotations

import torch
from torch import Tensor

from mcdist.science.paths.family import PathFamily, gauss_legendre

__all__ = ["arclength", "fraction", "gram"]

_NODES = 24  # Gauss-Legendre nodes per piece
_PIECES = 32  # at least so many pieces: a curve that nearly stops inside one errs by that one's small length alone


def gram(controls: Tensor) -> Tensor:
    """<theta_i - theta_0, theta_j - theta_0>: [M, M], float64, from control points [M, P].

    Velocities sum to 0, so |phi'(t)|^2 = c'(t)^T G c'(t) with this G: lengths cost nothing that grows with P once it
    is known. Differences to theta_0 are taken first, since weights far from the origin would cancel.
    """
    controls = controls.double()
    offsets = controls - controls[:1]
    return (offsets @ offsets.T).cpu()


def arclength(family: PathFamily, controls: Tensor, t: Tensor) -> Tensor:
    """Length of the path from 0 to t: [T], float64, for increasing t [T] and control points [M, P].

    int_0^t |phi'(u)| du by Gauss-Legendre quadrature on every interval between neighbouring t, kinks and a grid.
    """
    G, M = gram(controls), controls.shape[0]
    t = t.double().cpu()
    grid = torch.linspace(0.0, 1.0, _PIECES + 1, dtype=torch.float64)
    knots = torch.unique(torch.cat([t, family.breaks(M), grid]))
    u, weights = gauss_legendre(knots, _NODES)
    c = family.velocities(u, M)
    speed = torch.einsum("...i,ij,...j->...", c, G, c).clamp(min=0.0).sqrt()
    pieces = (speed * weights).unflatten(0, (-1, _NODES)).sum(1)
    total = torch.cat([torch.zeros(1, dtype=torch.float64), pieces.cumsum(0)])
    return total[torch.searchsorted(knots, t)]


def fraction(family: PathFamily, controls: Tensor, t: Tensor) -> Tensor:
    """s(t): [T], float64, the length of the path from 0 to t over the whole; s = t on a path of length 0.

    For increasing t [T] that ends with 1, and control points [M, P].
    """
    reached = arclength(family, controls, t)
    return reached / reached[-1] if reached[-1] > 0 else t.double().cpu()
