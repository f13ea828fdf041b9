"""The piecewise-linear curve that stands for a path, and the nearest point of it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mcdist.errors import TaskError
from mcdist.science.paths.arclength import arclength, gram
from mcdist.science.paths.family import PathFamily

__all__ = ["Polyline"]

_GRID = 1024  # positions at least, between which t is interpolated for a given arclength
_INSIDE = (0.25, 0.5, 0.75)  # where a piece is asked whether its velocity changes
_STRAIGHT = 1e-9  # changes of coefficients that are rounding


class Polyline:
    """Vertices p_0 .. p_S, each a combination of control points: p_i = sum_j C_ij theta_j.

    The nearest point on segment i of a point theta, with d_i = p_{i+1} - p_i, is p_i + a d_i,

        a = clip(<theta - p_i, d_i> / |d_i|^2, 0, 1);

    of all segments the one of the least distance wins, the first one on ties. All that this needs of theta are its
    inner products with the control points [M], so that K points cost one product [K, P] x [P, M], however many
    segments there are. The coordinate is s, the length from end a to there over the total `length`.

    controls: [M, P]. coefficients: C [S + 1, M], float64. t: [S + 1], increasing, the curve parameter of every vertex.
    Raises TaskError where the total length is 0.
    """

    length: float

    def __init__(self, controls: Tensor, coefficients: Tensor, t: Tensor) -> None:
        self._controls, self._origin = controls, controls[0].double()
        self._offsets = controls.double() - self._origin
        self._vertices = coefficients.to(controls.device, torch.float64)
        self._steps = self._vertices.diff(dim=0)
        self._gram = gram(controls).to(controls.device)
        self._square, self._foot = self._segments()
        reached = torch.cat([self._square.new_zeros(1), self._square.sqrt().cumsum(0)])
        self.length = float(reached[-1])
        if not 0.0 < self.length < float("inf"):
            raise TaskError(f"a path of length {self.length:g} has no position along it: its points are all the same")
        self._s = (reached / reached[-1]).contiguous()
        self._t = t.to(controls.device, torch.float64)

    @classmethod
    def of(cls, family: PathFamily, controls: Tensor, segments: int) -> Polyline:
        """The polyline of a path with these control points [M, P].

        Where the path is straight between its kinks, that is the path itself; each smooth piece of another one (of
        joined paths: each leg) is cut into `segments` of the same arclength.
        """
        M = controls.shape[0]
        breaks = family.breaks(M)
        if _straight(family, breaks, M):
            t = breaks
        else:
            t = torch.cat([breaks[:1], *(_cuts(family, controls, *piece, segments) for piece in _pairs(breaks))])
        return cls(controls, family.coefficients(t, M), t)

    def nearest(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """s [K] of the nearest points to theta [K, P], and the distances from them [K], float64."""
        s, residual, _ = self.project(theta)
        return s, residual

    def project(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """s [K] of the nearest points to theta [K, P], the distances from them [K], and theta less these points [K, P];
        float64.

        NaN where theta is not finite.
        """
        away = theta.to(torch.float64, copy=True).sub_(
            self._origin
        )  # in place from here: memory is what this waits for
        segment, a = self._nearest_segment(away @ self._offsets.T)
        away.addmm_(self._coefficients(segment, a), self._offsets, alpha=-1.0)
        start, end = self._s[segment], self._s[segment + 1]
        s = torch.where(a == 1.0, end, start + a * (end - start))  # of a vertex, its own to the bit
        return s, torch.linalg.vector_norm(away, dim=1), away

    def at(self, s: Tensor) -> Tensor:
        """The points [T, P] at s [T], of the control points' type; s = 0 and s = 1 give the ends bit for bit."""
        s = s.to(self._s)
        segment = self._segment(s)
        width = self._s[segment + 1] - self._s[segment]
        coefficients = self._coefficients(segment, ((s - self._s[segment]) / width).clamp(0.0, 1.0))
        theta = torch.addmm(self._origin, coefficients, self._offsets).to(self._controls.dtype)
        theta[s == 0.0] = self._controls[0]
        theta[s == 1.0] = self._controls[-1]
        return theta

    def tangents(self, s: Tensor) -> Tensor:
        """Unit tangents [T, P] at s [T] in the direction of s, float64; at a vertex that of the segment behind it."""
        segment = self._segment(s.to(self._s))
        return (self._steps[segment] / self._square[segment].sqrt()[:, None]) @ self._offsets

    def t(self, s: Tensor) -> Tensor:
        """The curve parameter t [T] at s [T], float64, on the CPU: linear on each segment."""
        found = np.interp(s.double().cpu().numpy(), self._s.cpu().numpy(), self._t.cpu().numpy())
        return torch.from_numpy(np.atleast_1d(found))

    def _segments(self) -> tuple[Tensor, Tensor]:
        """|d_i|^2 and <p_i - theta_0, d_i>, [S] each; segment by segment, so that a short one is not lost in rounding
        (and S vectors of length P are never held).
        """
        found = []
        for start, step in zip(self._vertices, self._steps, strict=False):
            d = step @ self._offsets
            found.append(torch.stack([d @ d, (start @ self._offsets) @ d]))
        square, foot = torch.stack(found, dim=1)
        return square, foot

    def _nearest_segment(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        """Segment [K] and a [K] of the nearest point, from <theta - theta_0, theta_j - theta_0> [K, M]."""
        C, D, G = self._vertices[:-1], self._steps, self._gram
        ahead = inner @ D.T - self._foot
        a = torch.where(self._square > 0.0, ahead / self._square, ahead.clamp(0.0, 0.0)).clamp(0.0, 1.0)
        far = ((C @ G) * C).sum(1) - 2.0 * inner @ C.T - a * (2.0 * ahead - a * self._square)
        rows = torch.arange(len(inner), device=inner.device)
        # the same distances again, as seen from the best place so far: near a vertex its two segments differ by less
        # than what rounding leaves of distances from theta_0
        places = C + a[..., None] * D
        best = places[rows, far.argmin(1)]
        away = places - best[:, None]
        segment = ((away @ G) * away - 2.0 * away * (inner - best @ G)[:, None]).sum(2).argmin(1)
        return segment, a[rows, segment]

    def _coefficients(self, segment: Tensor, a: Tensor) -> Tensor:
        return self._vertices[segment] + a[:, None] * self._steps[segment]

    def _segment(self, s: Tensor) -> Tensor:
        """The segment [T] that begins at s [T] or before, and ends behind it; never one of length 0."""
        last = int(self._square.nonzero()[-1])
        return (torch.searchsorted(self._s, s.contiguous(), right=True) - 1).clamp(0, last)


def _pairs(breaks: Tensor) -> list[tuple[float, float]]:
    return list(zip(breaks[:-1].tolist(), breaks[1:].tolist(), strict=True))


def _straight(family: PathFamily, breaks: Tensor, M: int) -> bool:
    """Whether the path is straight between its kinks, wherever its control points are."""
    inside = torch.tensor(_INSIDE, dtype=torch.float64)
    velocities = family.velocities(torch.lerp(breaks[:-1, None], breaks[1:, None], inside), M)  # [pieces, 3, M]
    return bool((velocities - velocities[:, :1]).abs().max() <= _STRAIGHT * velocities.abs().max())


def _cuts(family: PathFamily, controls: Tensor, start: float, end: float, segments: int) -> Tensor:
    """t [segments] behind `start`, `end` the last one, that cut the piece into parts of the same length."""
    grid = torch.linspace(start, end, max(_GRID, 16 * segments) + 1, dtype=torch.float64)
    reached = arclength(family, controls, grid)
    wanted = torch.linspace(float(reached[0]), float(reached[-1]), segments + 1, dtype=torch.float64)[1:-1]
    cuts = np.interp(wanted.numpy(), reached.numpy(), grid.numpy())
    return torch.cat([torch.from_numpy(cuts), grid[-1:]])
