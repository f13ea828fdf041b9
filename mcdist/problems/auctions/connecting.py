"""Paths that are made of two mechanisms, and what they promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mcdist.errors import RequestError
from mcdist.science.auctions import Pieces, choose, five_pieces, judge, large_menu_pieces, three_pieces
from mcdist.science.auctions.logits import allocations, logits
from mcdist.science.auctions.rochet import Menus
from mcdist.science.points import Points
from mcdist.science.problem import Made

if TYPE_CHECKING:
    from mcdist.problems.auctions.auction import Auction

__all__ = ["connected"]

_SEGMENTS = 60  # of the chain that stands for the line in logits: its corners are positions of most profiles


def connected(problem: Auction, kind: str, a: Points, b: Points, keep: int | None, eps: float | None) -> Made:
    """See `Problem.connect`."""
    if kind == "logits":
        return _in_logits(problem, a, b)
    one, other = problem.options(a.theta), problem.options(b.theta)
    pieces: Pieces[Any]
    if kind == "large_menu":
        if not isinstance(one, Menus) or not isinstance(other, Menus) or eps is None:
            raise RequestError("it is for menus of one buyer, and with an eps")
        pieces = large_menu_pieces(one, other, eps, problem.bound)
    else:
        make = {"three_pieces": three_pieces, "five_pieces": five_pieces}[kind]
        kept = []
        for options in (one, other):
            outcome = options.outcome(problem.fit)
            kept.append(judge(outcome, choose(outcome, problem.size, keep)))
        pieces = make(one, other, (kept[0], kept[1]), problem.bound)
    controls = problem.theta(pieces.corners)
    controls[0], controls[-1] = a.theta[0], b.theta[0]
    columns = {"pieces": len(pieces), "kept_a": pieces.sizes[0], "kept_b": pieces.sizes[1], "eps_promised": pieces.eps}
    return Made(controls, columns)


def _in_logits(problem: Auction, a: Points, b: Points) -> Made:
    """The line in logits of allocations, prices and the rest themselves: a chain of `_SEGMENTS` pieces on it."""
    t = torch.linspace(0.0, 1.0, _SEGMENTS + 1, dtype=a.theta.dtype, device=a.theta.device)[:, None]
    controls = torch.lerp(a.theta, b.theta, t)
    many, shape = problem.layout.sizes[0], problem.layout.shapes[0]
    near, far = (logits(p.theta[:, :many].unflatten(1, shape), problem.axis).flatten(1) for p in (a, b))
    z = torch.lerp(near, far, t).unflatten(1, shape)
    controls[:, :many] = allocations(z, problem.axis).flatten(1)
    controls[0], controls[-1] = a.theta[0], b.theta[0]
    return Made(controls)
