"""The toy model of entropic confinement: a curved valley whose free energy is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcdist.science.head import Examples
from mcdist.science.layout import Layout
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate

__all__ = ["Valley"]


class Valley(Problem):
    """V(x, y) = L(y) + g(y) |x|^2 / 2: x of n stiff dimensions, one soft y.

        g(y) = a + (m - a) sin^2(pi y),   L(y) = e sin^2(pi y)   for y in [0, 1];

    beyond, g = a and L = w d^2 / 2 with d the distance to [0, 1]. Both are continuous with their slopes; the curvature
    of L jumps at 0 and 1, and is there that of the inside.

    At temperature T, theta <- theta - eta grad V + sqrt(2 T eta) xi is the Langevin dynamics of V in the limit of small
    eta. x is fast: given y, its n components are normal with variance T / g(y). Without it y feels the free energy

        F(y) = L(y) + (n T / 2) ln g(y),   p(y) ~ exp(-F(y) / T) = exp(-L(y) / T) g(y)^(-n / 2),

    the density being exact for any speed of x, since it is the marginal of exp(-V / T).

    The loss is a function of the weights alone: there are no examples, an epoch is one step of its exact gradient, and
    its error is 0. stiff: n; stiffness: a; middle: m; energy: e; wall: w.
    """

    def __init__(
        self,
        stiff: int = 8,
        stiffness: float = 1.0,
        middle: float = 4.0,
        energy: float = 0.0,
        wall: float = 100.0,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.layout = Layout(("x", "y"), ((stiff,), (1,)))
        self._n, self._a, self._m, self._e, self._w = stiff, stiffness, middle, energy, wall

    def stiffness(self, y: Tensor) -> Tensor:
        """g(y), of any shape."""
        return self._a + (self._m - self._a) * _bump(y)

    def stiffness_slope(self, y: Tensor) -> Tensor:
        """g'(y)."""
        return (self._m - self._a) * _bump_slope(y)

    def floor(self, y: Tensor) -> Tensor:
        """L(y), the least loss at y."""
        return self._e * _bump(y) + 0.5 * self._w * _outside(y).square()

    def floor_slope(self, y: Tensor) -> Tensor:
        """L'(y)."""
        return self._e * _bump_slope(y) + self._w * _outside(y)

    def free_energy(self, y: Tensor, temperature: float) -> Tensor:
        """F(y) = L(y) + (n T / 2) ln g(y), up to a constant."""
        return self.floor(y) + 0.5 * self._n * temperature * self.stiffness(y).log()

    def force(self, y: Tensor, temperature: float) -> Tensor:
        """-F'(y) = -L'(y) - (n T / 2) g'(y) / g(y): the mean force on y once x has settled."""
        entropic = 0.5 * self._n * temperature * self.stiffness_slope(y) / self.stiffness(y)
        return -self.floor_slope(y) - entropic

    def initial(self, stream: Stream, start: int = 0) -> Points:
        """See `Problem`: x ~ N(0, 1), y ~ U(0, 1)."""
        draw = stream.child("init").generator()
        theta = np.append(draw.standard_normal(self._n), draw.random())
        return Points(torch.from_numpy(theta)[None].to(self.device, self.dtype), {})

    def batch_sizes(self, batch_size: int) -> list[int]:
        """See `Problem`: one step, whatever is asked for."""
        return [1]

    def batches(
        self, streams: Sequence[Stream], epoch: int, batch_size: int, *, independent: bool = False
    ) -> Iterator[None]:
        """See `Problem`: there is nothing in a minibatch."""
        yield None

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """See `Problem`: V and 0; autocast changes none of its operations."""
        loss = self._loss(points.theta)
        return loss, torch.zeros_like(loss)

    def gradient(
        self, points: Points, batch: Any, precision: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Problem`: (g x, L' + g' |x|^2 / 2)."""
        loss, grad = self.whole_gradient(points)
        return loss, torch.zeros_like(loss), grad

    def whole_gradient(self, points: Points) -> tuple[Tensor, Tensor]:
        """See `Problem`: `floor`, `stiffness` and their slopes at once, in half the calls."""
        with torch.no_grad():
            theta, rise = points.theta, self._m - self._a
            y, half = theta[:, self._n], 0.5 * theta[:, : self._n].square().sum(1)
            inside = y.clamp(0.0, 1.0)  # for once no slope of it is wanted, so that the faster way will do
            turn, outside = math.pi * inside, y - inside
            bump, steep = turn.sin().square_(), (2.0 * turn).sin_().mul_(math.pi)
            pull = half * rise + self._e  # of the bump on V
            grad = theta * (bump * rise + self._a)[:, None]
            grad[:, self._n] = (steep * pull).add_(outside, alpha=self._w)
            loss = torch.addcmul(half * self._a, bump, pull).addcmul_(outside, outside, value=0.5 * self._w)
            return loss, grad

    def settle(self, points: Points, accelerate: Accelerate | None = None) -> Points:
        """See `Problem`: nothing belongs to the parameters."""
        return points

    def evaluate(
        self, points: Points, accelerate: Accelerate | None = None, splits: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """See `Problem`: train_loss, which is V, unless only other splits are asked for; and l2_norm."""
        with torch.no_grad():
            theta = points.theta.double()
            loss = {"train_loss": self._loss(theta).cpu()} if splits is None or "train" in splits else {}
            return loss | {"l2_norm": theta.norm(dim=1).cpu()}

    def glimpse(self, points: Points, accelerate: Accelerate | None = None) -> float:
        """See `Problem`: all of it."""
        self.evaluate(points)
        return 1.0

    def sample(self, n: int | None, stream: Stream) -> Examples:
        """See `Problem`: one with nothing in it, however many are asked for."""
        return (torch.empty(1, 0, device=self.device, dtype=self.dtype),)

    def value(self, points: Points, examples: Examples) -> Tensor:
        """See `Problem`: V."""
        return self._loss(points.theta)

    def state(self, points: Points, k: int) -> dict[str, Tensor]:
        """See `Problem`: x [n] and y [1]."""
        # copies: tensors that share memory cannot be stored together
        return {name: part.cpu().clone() for name, part in self.layout.views(points.theta[k].detach()).items()}

    def point(self, state: Mapping[str, Tensor]) -> Points:
        """See `Problem`."""
        return Points(self.layout.flatten(state)[None].to(self.device, self.dtype), {})

    def _split(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """x [K, n] and y [K]."""
        return theta[:, : self._n], theta[:, self._n]

    def _loss(self, theta: Tensor) -> Tensor:
        x, y = self._split(theta)
        return self.floor(y) + 0.5 * self.stiffness(y) * x.square().sum(1)


def _bump(y: Tensor) -> Tensor:
    """sin^2(pi y) in [0, 1], 0 beyond."""
    return torch.sin(math.pi * (y - _outside(y))).square()


def _bump_slope(y: Tensor) -> Tensor:
    return math.pi * torch.sin(2.0 * math.pi * (y - _outside(y)))


def _outside(y: Tensor) -> Tensor:
    """How far y lies beyond [0, 1], below it as a negative number; its slope at 0 and at 1 is that inside, 0."""
    return (y - 1.0).relu() - (-y).relu()
