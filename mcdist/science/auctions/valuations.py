"""Laws of valuations, and samples of them from a named stream."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions.marginals import Marginal, Steps, Uniform
from mcdist.science.auctions.polygons import measure
from mcdist.science.streams import Stream

__all__ = ["Atoms", "Domain", "Items", "Law", "Scaled", "Triangle", "box", "profiles"]

Array = NDArray[np.float64]

_FAR = 745.0  # exp(-745) is the least number that a float64 holds


@dataclass(frozen=True)
class Domain:
    """A convex set of valuations, by its corners [V, n] in order, n <= 2, and how much mass a convex part of it has."""

    corners: Array
    mass: Callable[[Array], float]


class Law(ABC):
    """A distribution of one bidder's valuation v [n] >= 0 of n items."""

    @property
    @abstractmethod
    def items(self) -> int:
        """n."""

    @property
    @abstractmethod
    def bound(self) -> float:
        """sup |v|_1, what nobody's valuation is above; may be infinite."""

    @abstractmethod
    def sample(self, stream: Stream, n: int) -> Tensor:
        """n valuations [n, items], float64."""

    def domains(self) -> list[Domain]:
        """Convex sets that hold all mass and overlap on none; raises RequestError where there is no such list."""
        raise RequestError(f"no exact revenue for {self}: it takes one item, or two with a density in steps; sample it")


class FromUniform(Law):
    """A law whose valuations are a function of uniform numbers."""

    @property
    @abstractmethod
    def randoms(self) -> int:
        """How many uniform numbers make one valuation."""

    @abstractmethod
    def values(self, u: Array) -> Array:
        """Valuations [N, n] from uniform numbers [N, randoms] in [0, 1)."""

    def sample(self, stream: Stream, n: int) -> Tensor:
        """n valuations [n, items], float64. A larger sample of the same stream begins with the smaller one."""
        u = stream.generator().random((n, self.randoms))
        return torch.from_numpy(np.ascontiguousarray(self.values(u), dtype=np.float64))


@dataclass(frozen=True)
class Items(FromUniform):
    """Values of n items, independent of each other."""

    marginals: tuple[Marginal, ...]

    def __post_init__(self) -> None:
        if not self.marginals:
            raise RequestError("valuations of 0 items: give at least 1")

    @property
    def items(self) -> int:
        """See `Law`."""
        return len(self.marginals)

    @property
    def randoms(self) -> int:
        """See `Law`."""
        return self.items

    @property
    def bound(self) -> float:
        """See `Law`."""
        return sum(m.high for m in self.marginals)

    def values(self, u: Array) -> Array:
        """See `Law`."""
        if len(set(self.marginals)) == 1:
            return self.marginals[0].quantile(u)
        return np.stack([m.quantile(u[:, j]) for j, m in enumerate(self.marginals)], axis=1)

    def domains(self) -> list[Domain]:
        """See `Law`: for one item its interval, for two the boxes on which both densities are constant."""
        if self.items == 1:
            (law,) = self.marginals
            # a bounded interval that misses no mass in float64
            high = law.high if math.isfinite(law.high) else float(law.quantile(np.array(1.0 - 2.0**-53))) * 2.0
            corners = np.array([[law.low], [high]])
            return [Domain(corners, lambda part: law.below(part.max()) - law.below(part.min()))]
        sides = [_steps(m) for m in self.marginals]
        if self.items != 2 or not all(sides):
            return super().domains()
        return [_rectangle(a[:2], b[:2], a[2] * b[2]) for a, b in itertools.product(*sides)]


@dataclass(frozen=True)
class Triangle(FromUniform):
    """Uniform on the triangle (0, 0), (1, 0), (0, 1)."""

    items = 2
    randoms = 2
    bound = 1.0

    def values(self, u: Array) -> Array:
        """See `Law`: the square, with what is above the diagonal folded back."""
        return np.where(u.sum(1, keepdims=True) > 1.0, 1.0 - u, u)

    def domains(self) -> list[Domain]:
        """See `Law`."""
        return [Domain(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), lambda part: 2.0 * measure(part))]


@dataclass(frozen=True)
class Atoms(FromUniform):
    """Finitely many valuations, points[i] [n] with probability proportional to weights[i] >= 0."""

    points: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(point) for point in self.points}
        if len(lengths) != 1 or 0 in lengths or len(self.points) != len(self.weights):
            raise RequestError(
                f"valuations given as atoms: {len(self.points)} points of {sorted(lengths)} items and "
                f"{len(self.weights)} weights; all points need the same items, and each a weight"
            )
        points, weights = np.asarray(self.points, dtype=float), np.asarray(self.weights, dtype=float)
        if not (np.isfinite(points).all() and (points >= 0.0).all()):
            raise RequestError("valuations given as atoms: values must be 0 or more")
        if not (np.isfinite(weights).all() and (weights >= 0.0).all() and weights.any()):
            raise RequestError("valuations given as atoms: no weight may be negative, and one must be positive")

    @property
    def items(self) -> int:
        """See `Law`."""
        return len(self.points[0])

    @property
    def bound(self) -> float:
        """See `Law`."""
        return max(sum(point) for point in self.points)

    randoms = 1

    @property
    def probabilities(self) -> Array:
        """Of the points."""
        weights = np.asarray(self.weights, dtype=float)
        return np.asarray(weights / weights.sum())

    def values(self, u: Array) -> Array:
        """See `Law`."""
        last = int(np.flatnonzero(self.probabilities)[-1])  # where the sum of all falls short of 1 by rounding
        at = np.searchsorted(np.cumsum(self.probabilities), u[:, 0], side="right").clip(max=last)
        return np.asarray(np.asarray(self.points, dtype=float)[at])


@dataclass(frozen=True)
class Scaled(Law):
    """factor v, of a v of another law: `Scaled(law, 1 / law.bound)` has |v|_1 <= 1."""

    law: Law
    factor: float

    def __post_init__(self) -> None:
        if not 0.0 < self.factor < math.inf:
            raise RequestError(f"valuations can be scaled by a factor above 0, not by {self.factor}")

    @property
    def items(self) -> int:
        """See `Law`."""
        return self.law.items

    @property
    def bound(self) -> float:
        """See `Law`."""
        return self.factor * self.law.bound

    def sample(self, stream: Stream, n: int) -> Tensor:
        """See `Law`."""
        return self.factor * self.law.sample(stream, n)

    def domains(self) -> list[Domain]:
        """See `Law`."""
        return [
            Domain(self.factor * domain.corners, lambda part, mass=domain.mass: mass(part / self.factor))  # type: ignore[misc]
            for domain in self.law.domains()
        ]


def box(low: Sequence[float], high: Sequence[float]) -> Items:
    """Uniform on low <= v <= high, [n] each."""
    if len(low) != len(high):
        raise RequestError(f"uniform values: {len(low)} lower and {len(high)} upper bounds")
    return Items(tuple(Uniform(float(a), float(b)) for a, b in zip(low, high, strict=True)))


def profiles(laws: Sequence[Law], stream: Stream, n: int) -> Tensor:
    """n valuations of m bidders, [n, m, items], independent of each other; each bidder's has a stream of its own."""
    if len({law.items for law in laws}) != 1:
        raise RequestError(f"bidders value {[law.items for law in laws]} items: all need the same")
    return torch.stack([law.sample(stream.child("bidder", i), n) for i, law in enumerate(laws)], dim=1)


def _steps(marginal: Marginal) -> list[tuple[float, float, float]]:
    """(low, high, mass) of the steps of a piecewise constant density; empty for another one."""
    if isinstance(marginal, Uniform):
        return [(marginal.low, marginal.high, 1.0)]
    if isinstance(marginal, Steps):
        return list(zip(marginal.edges[:-1], marginal.edges[1:], marginal.masses.tolist(), strict=True))
    return []


def _rectangle(x: tuple[float, float], y: tuple[float, float], mass: float) -> Domain:
    """A box with uniform density, so much mass in all."""
    corners = np.array([[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]])
    whole = (x[1] - x[0]) * (y[1] - y[0])
    return Domain(corners, lambda part: mass * measure(part) / whole)
