"""Auctions as problems, small ones, and their points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mcdist.problems.auctions import AffineMaximizer, Auction, RochetNet, Sampling
from mcdist.science.auctions import SETTINGS, Law, box
from mcdist.science.points import Points
from mcdist.science.streams import Stream

SAMPLING = Sampling(iterations=6, held_out=500, fit=200, seed=3)
BUYER = box([0.0, 0.0], [1.0, 2.0])

KINDS = ("additive", "sigmoid", "unit demand", "unit sigmoid", "bidders", "softmax", "learned")
"""Each kind of mechanism under each way of training it."""


def auction(kind: str = "additive", options: int = 7, law: Law = BUYER, **more: Any) -> Auction:
    more = {"kappa": 10.0, "sampling": SAMPLING, "logits": kind in ("sigmoid", "unit sigmoid", "softmax")} | more
    if kind in ("additive", "sigmoid", "unit demand", "unit sigmoid"):
        return RochetNet(law, options, unit_demand=kind.startswith("unit"), **more)
    weights = {"bidders": (1.0, 2.0)}.get(kind)
    return AffineMaximizer(
        (law, SETTINGS["uniform_2"].law), options, weights=weights, learned=kind == "learned", **more
    )


def streams(*seeds: int) -> list[Stream]:
    return [Stream.of("endpoint", seed) for seed in seeds]


def starts(of: Auction, *seeds: int) -> Points:
    return Points.stack([of.initial(stream, start=seed) for stream, seed in zip(streams(*seeds), seeds, strict=True)])


def scattered(of: Auction, K: int, seed: int = 0) -> Points:
    """Points that are led back from outside of what is feasible."""
    g = torch.Generator().manual_seed(seed)
    theta = 3.0 * torch.rand(K, of.layout.size, dtype=torch.float64, generator=g) - 1.0
    of.confine(theta)
    return Points(theta.to(of.dtype), {})


def over(of: Auction, theta: Tensor) -> float:
    """By how much points are infeasible at most: allocations, prices, weights."""
    options = of.options(theta)
    excess = float(options.excess(getattr(of, "unit_demand", False)).max())
    parts = of.layout.views(theta)
    signs = [-float(parts[name].min()) for name in ("prices", "weights") if name in parts]
    return max(excess, 0.0, *signs)
