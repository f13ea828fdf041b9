"""Convex polygons, and intervals as those of one dimension: corners [V, n] in order, n = 1 or 2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["hull", "measure", "split"]

Array = NDArray[np.float64]


def measure(corners: Array) -> float:
    """Length or area; 0 of what is empty."""
    if len(corners) == 0:
        return 0.0
    if corners.shape[1] == 1:
        return float(corners.max() - corners.min())
    x, y = (corners - corners[0]).T
    return 0.5 * abs(float(x @ np.roll(y, -1) - np.roll(x, -1) @ y))


def split(corners: Array, height: Array) -> tuple[Array, Array]:
    """The parts at which a linear function is >= 0 and <= 0, by its values [V] at the corners (Sutherland & Hodgman).

    Both share the corners on the line to the bit, so that they overlap nowhere and leave nothing out.
    """
    above: list[Array] = []
    below: list[Array] = []
    for i, (h, corner) in enumerate(zip(height, corners, strict=True)):
        before = height[i - 1]
        if min(h, before) < 0.0 < max(h, before):
            crossing = _crossing(corners[i - 1], before, corner, h)
            above.append(crossing)
            below.append(crossing)
        if h >= 0.0:
            above.append(corner)
        if h <= 0.0:
            below.append(corner)
    empty = corners[:0]
    return (np.stack(above) if above else empty), (np.stack(below) if below else empty)


def _crossing(a: Array, height_a: float, b: Array, height_b: float) -> Array:
    """Where between a and b the height is 0."""
    share = height_a / (height_a - height_b)
    return np.asarray(a + share * (b - a))


def hull(points: Array) -> Array:
    """The convex hull of points [N, n], its corners counterclockwise and without those on a side (monotone chain)."""
    if points.shape[1] == 1:
        return np.array([[points.min()], [points.max()]])
    places = np.unique(points, axis=0)
    flat = 1e-12 * max(float(np.ptp(places, axis=0).max()), np.finfo(float).tiny) ** 2
    corners = _chain(places)[:-1] + _chain(places[::-1])[:-1] or [places[0]]
    return np.array(_without_flat(corners, flat))


def _chain(places: Array) -> list[Array]:
    """The right side of the hull as seen along sorted places."""
    chain: list[Array] = []
    for place in places:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], place) <= 0.0:
            chain.pop()
        chain.append(place)
    return chain


def _without_flat(corners: list[Array], flat: float) -> list[Array]:
    """The corners of a convex polygon but for those with a turn of an area up to `flat`.

    Only once the hull is known: in the chain a place that is another but for rounding takes a true corner with it.
    """
    kept = list(corners)
    for corner in corners:
        k = next(i for i, other in enumerate(kept) if other is corner)
        if len(kept) > 2 and _turn(kept[k - 1], corner, kept[(k + 1) % len(kept)]) <= flat:
            del kept[k]
    return kept


def _turn(a: Array, b: Array, c: Array) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
