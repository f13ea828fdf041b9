"""Options to begin with, each of which is the best for somebody."""

from __future__ import annotations

import torch
from torch import Tensor

from mcdist.science.auctions.options import ELEMENTS

__all__ = ["tangents"]


def tangents(v: Tensor, prices: Tensor, axis: int | None) -> tuple[Tensor, Tensor]:
    """Allocations x [M, ...] and payments p [M] of random valuations v [M, ...], at random prices V [N, ...].

    A valuation buys what it gains from: each entry for which v >= V, or, where entries along `axis` (from the last)
    share a unit, of these the one with the most v - V. x^k is what v^k gets on average, p^k what it pays. So

        v^k . x^k - p^k = U(v^k),  x^k = grad U(v^k),  U(v) = E[what v gains at prices V]  (convex):

    options are tangents of one convex function, and v^k likes none better than option k (nor the default: U >= 0).
    Where options are drawn and prices begin at 0, all but the largest are taken by nobody, and learn nothing.

    One of N + 1 parts of everything is given away, in equal parts (convex all the same): no entry is exactly 0 or 1.
    """
    shared = 2 if axis is None else v.shape[axis] + 1
    given = 1.0 / (len(prices) + 1)
    found = [_bought(some, prices, axis) for some in v.split(max(1, ELEMENTS // prices.numel()))]
    x, paid = (torch.cat(parts) for parts in zip(*found, strict=True))
    return torch.lerp(x, torch.full_like(x, 1.0 / shared), given), paid * (1.0 - given)


def _bought(v: Tensor, prices: Tensor, axis: int | None) -> tuple[Tensor, Tensor]:
    gains = v[:, None] - prices
    bought = gains >= 0.0
    if axis is not None:
        # of equals the first
        bought &= torch.zeros_like(bought).scatter_(axis, gains.argmax(axis, keepdim=True), value=True)
    got = bought.to(v.dtype)
    return got.mean(1), (got * prices).flatten(2).sum(-1).mean(1)
