"""Landscapes whose minima and saddles are known, and what to ask of chains on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.optimize import root
from torch import Tensor

from mcdist.science.points import Points
from mcdist.science.problem import Problem, gradient
from mcdist.science.streams import Stream

from .examples import Quadratic


class MuellerBrown(Quadratic):
    """The surface of Mueller & Brown 1979: V = sum_i A_i exp(a_i dx^2 + b_i dx dy + c_i dy^2), in the plane."""

    A, a, b, c, x, y = torch.tensor(
        [
            [-200.0, -100.0, -170.0, 15.0],
            [-1.0, -1.0, -6.5, 0.7],
            [0.0, 0.0, 11.0, 0.6],
            [-10.0, -10.0, -6.5, 0.7],
            [1.0, 0.0, -0.5, -1.0],
            [0.0, 0.5, 1.5, 1.0],
        ],
        dtype=torch.float64,
    )

    def __init__(self) -> None:
        super().__init__(torch.zeros(2, dtype=torch.float64))

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        dx, dy = points.theta[:, :1] - self.x, points.theta[:, 1:] - self.y
        loss = (self.A * (self.a * dx**2 + self.b * dx * dy + self.c * dy**2).exp()).sum(1)
        return loss, torch.zeros_like(loss)


class Valley(Quadratic):
    """(u0^2 - 1)^2 + h/2 (u1 - bend (1 - u0^2))^2 + sum of h/2 ui^2, in turned coordinates u = R w.

    Minima of 0 at u = (+-1, 0, 0, ...); the one saddle between them is at (0, bend, 0, ...): 1. noise: each minibatch
    adds a random linear term to the loss, the same for points of the same stream.
    """

    def __init__(self, P: int = 30, h: float = 20.0, bend: float = 1.0, noise: float = 0.0) -> None:
        super().__init__(torch.zeros(P, dtype=torch.float64))
        self.turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(0).standard_normal((P, P)))[0])
        self.h, self.bend, self.noise = h, bend, noise

    def at(self, *u: float) -> Tensor:
        """w of the given first coordinates; the others are 0."""
        full = torch.zeros(len(self.turn), dtype=torch.float64)
        full[: len(u)] = torch.tensor(u)
        return full @ self.turn

    def batches(self, streams: Sequence[Stream], epoch: int, batch_size: int) -> Iterator[Any]:
        draws = [s.child(epoch).generator().standard_normal((5, len(self.turn))) for s in streams]
        yield from self.noise * torch.from_numpy(np.stack(draws, axis=1))

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        u = points.theta @ self.turn.T
        stiff = u[:, 1:].clone()
        stiff[:, 0] -= self.bend * (1 - u[:, 0] ** 2)
        loss = (u[:, 0] ** 2 - 1) ** 2 + 0.5 * self.h * stiff.square().sum(1)
        return loss if batch is None else loss + (batch * u).sum(1), torch.zeros_like(loss)


def stationary(of: Problem, guess: Sequence[float]) -> tuple[Tensor, float]:
    """Where the gradient is zero near a guess, and the loss there."""

    def grad(theta: np.ndarray) -> np.ndarray:
        return gradient(of, Points(torch.from_numpy(theta)[None], {}), None)[2][0].numpy()

    found = root(grad, np.array(guess), tol=1e-12)
    assert found.success
    theta = torch.from_numpy(found.x)
    return theta, float(of.loss(Points(theta[None], {}), None)[0])


def highest(of: Problem, controls: Tensor, per_segment: int = 200) -> float:
    """The greatest loss on a chain, looked at far more closely than the search does."""
    u = torch.linspace(0.0, 1.0, per_segment + 1, dtype=torch.float64)[:, None]
    places = torch.cat([torch.lerp(p, q, u) for p, q in pairwise(controls)])
    return float(of.loss(Points(places, {}), None)[0].max())


def distance(controls: Tensor, point: Tensor) -> float:
    """From a point to a chain."""
    start, along = controls[:-1], controls.diff(dim=0)
    u = ((point - start) * along).sum(1) / along.square().sum(1)
    return float((start + u.clamp(0, 1)[:, None] * along - point).norm(dim=1).min())


def pairs(a: Sequence[Tensor], b: Sequence[Tensor]) -> tuple[Points, Points, list[Stream]]:
    return (
        Points(torch.stack(list(a)), {}),
        Points(torch.stack(list(b)), {}),
        [Stream.of("neb", k) for k in range(len(a))],
    )
