"""Planes in weight space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Plane", "through"]

_FLAT = 1e-6  # of the longest side: what three float32 vectors on a line may be apart by rounding


@dataclass(frozen=True)
class Plane:
    """theta(x, y) = origin + x e_x + y e_y, with e_x, e_y [P] orthonormal, float64; corners: (x, y) of three points."""

    origin: Tensor
    e_x: Tensor
    e_y: Tensor
    corners: tuple[tuple[float, float], ...]
    dtype: torch.dtype

    def at(self, places: Tensor) -> Tensor:
        """theta [N, P] at (x, y) [N, 2], in the type of the points that span the plane."""
        places = places.to(self.origin)
        return (self.origin + places[:, :1] * self.e_x + places[:, 1:] * self.e_y).to(self.dtype)

    def grid(self, points: int, margin: float) -> tuple[Tensor, Tensor]:
        """Equally spaced x [points] and y [points] around the corners, with a margin of so many times their extent."""
        xs, ys = zip(*self.corners, strict=True)
        room = margin * max(max(xs) - min(xs), max(ys) - min(ys))
        x = torch.linspace(min(xs) - room, max(xs) + room, points, dtype=torch.float64)
        return x, torch.linspace(min(ys) - room, max(ys) + room, points, dtype=torch.float64)

    def marks(self, theta: Tensor) -> list[dict[str, float]]:
        """Coordinates x, y of the projections of theta [N, P], and their distances from the plane."""
        away = theta.double() - self.origin
        x, y = away @ self.e_x, away @ self.e_y
        distance = (away - x[:, None] * self.e_x - y[:, None] * self.e_y).norm(dim=1)
        return [
            {"x": a, "y": b, "distance": d} for a, b, d in zip(x.tolist(), y.tolist(), distance.tolist(), strict=True)
        ]


def through(a: Tensor, b: Tensor, c: Tensor) -> Plane:
    """The plane through three points [P]: a at the origin, b on the axis of x, c above it (Gram-Schmidt).

    e_x = (b - a) / |b - a|, e_y ~ (c - a) - <c - a, e_x> e_x (Garipov et al. 2018, section 3.3). Raises ValueError for
    points on one line, which span no plane.
    """
    origin, along, third = a.double(), b.double() - a.double(), c.double() - a.double()
    longest = max(float(along.norm()), float(third.norm()), float((third - along).norm()))
    width = float(along.norm())
    if width <= _FLAT * longest or longest == 0.0:
        raise ValueError("three points on one line span no plane: the first two are the same")
    e_x = along / width
    up = third - (third @ e_x) * e_x
    up -= (up @ e_x) * e_x  # once more: the first subtraction leaves rounding of the size of |c - a|
    height = float(up.norm())
    if height <= _FLAT * longest:
        raise ValueError(
            f"three points on one line span no plane: the third is {height:.3g} off it, at a length of {longest:.3g}"
        )
    return Plane(origin, e_x, up / height, ((0.0, 0.0), (width, 0.0), (float(third @ e_x), height)), a.dtype)
