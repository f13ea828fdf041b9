"""Menus, maximizers and valuations of all sizes, and what they do by the definitions, one buyer at a time."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from mcdist.science.auctions import Maximizers, Menus

seeds = st.integers(0, 10_000)
grids = st.sampled_from([None, 4])
"""Multiples of 1/4 are exact in every sum and product below, and tie all the time; None: any numbers."""


def uniform(seed: int, *shape: int, grid: int | None = None, top: float = 1.0) -> Tensor:
    """Uniform on [0, top], or on the multiples of 1/grid there; float64."""
    g = torch.Generator().manual_seed(seed)
    if grid is None:
        return top * torch.rand(shape, dtype=torch.float64, generator=g)
    return torch.randint(0, round(top * grid) + 1, shape, generator=g).double() / grid


def menus(seed: int, K: int = 2, M: int = 6, n: int = 2, grid: int | None = None) -> Menus:
    """Prices up to n / 2, so that some options are taken and some are not."""
    return Menus(uniform(seed, K, M, n, grid=grid), uniform(seed + 1, K, M, grid=grid, top=n / 2))


def menu(*options: tuple[tuple[float, ...], float]) -> Menus:
    """One menu of (allocation, price)."""
    x, p = zip(*options, strict=True)
    return Menus(torch.tensor([x], dtype=torch.float64), torch.tensor([p], dtype=torch.float64))


def maximizers(
    seed: int, K: int = 2, M: int = 6, m: int = 2, n: int = 2, grid: int | None = None, top: float = 0.5, w: bool = True
) -> Maximizers:
    """Boosts from -1/2 to top - 1/2 ...; w: weights of 1 or 2, else all 1."""
    x = uniform(seed, K, M, m, n, grid=grid)
    x = x / x.sum(2, keepdim=True).clamp(min=1.0) if grid is None else torch.where(x.sum(2, keepdim=True) > 1.0, 0.0, x)
    b = uniform(seed + 1, K, M, grid=grid, top=1.0) - 1.0 + top
    weights = 1.0 + uniform(seed + 2, K, m, grid=1) if w else torch.ones(K, m, dtype=torch.float64)
    return Maximizers(x, b, weights)


def few_open(options: Menus | Maximizers, seed: int, bound: float) -> Menus | Maximizers:
    """All options but three closed: 0-reducible, as long as there are at least 15."""
    chosen = torch.randperm(options.size, generator=torch.Generator().manual_seed(seed))[:3] + 1
    return options.closed(torch.cat([torch.zeros(1, dtype=torch.long), chosen]), bound)


def buyer(x: Tensor, p: Tensor, v: Tensor) -> tuple[int, float, float]:
    """Option, price, utility of one buyer v [n] at one menu [M, n], [M], with no tolerance: exact on a grid."""
    options = [(0.0, 0.0)] + [(float(v @ x[k] - p[k]), float(p[k])) for k in range(len(p))]
    best = max(u for u, _ in options)
    dearest = max(price for u, price in options if u == best)
    return options.index((best, dearest)), dearest, best


def auction(x: Tensor, b: Tensor, w: Tensor, v: Tensor) -> tuple[list[int], list[float], list[float]]:
    """Options that matter, payments, utilities of bidders v [m, n] at one affine maximizer; exact on a grid."""
    M, m = x.shape[:2]

    def welfare(k: int, left_out: int | None = None) -> float:
        if k == 0:
            return 0.0
        return float(b[k - 1]) + sum(float(w[i] * (v[i] @ x[k - 1, i])) for i in range(m) if i != left_out)

    def payments(k: int) -> list[float]:
        best = [max(welfare(l, i) for l in range(M + 1)) for i in range(m)]  # noqa: E741
        return [(best[i] - welfare(k, i)) / float(w[i]) for i in range(m)]

    best = max(welfare(k) for k in range(M + 1))
    k = max((k for k in range(M + 1) if welfare(k) == best), key=lambda k: sum(payments(k)))  # the first of equals
    without = [max(range(M + 1), key=lambda l: welfare(l, i)) for i in range(m)]  # noqa: E741
    paid = payments(k)
    got = [0.0 if k == 0 else float(v[i] @ x[k - 1, i]) for i in range(m)]
    return [k, *without], paid, [g - p for g, p in zip(got, paid, strict=True)]
