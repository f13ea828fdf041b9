"""Paths that are made of two mechanisms, and what they promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mcdist.errors import RequestError
from mcdist.problems.auctions.promises import followed, keeps, promised
from mcdist.science.auctions import (
    Kept,
    Menus,
    Options,
    Pieces,
    choose,
    five_pieces,
    judge,
    large_menu_pieces,
    three_pieces,
)
from mcdist.science.auctions.logits import allocations, logits
from mcdist.science.points import Points
from mcdist.science.problem import Made

if TYPE_CHECKING:
    from mcdist.problems.auctions.auction import Auction

__all__ = ["connected"]

_SEGMENTS = 60  # of the chain that stands for the line in logits: its corners are positions of most profiles


def connected(problem: Auction, kind: str, a: Points, b: Points, keep: int | None, eps: float | None) -> Made:
    """See `Problem.connect`.

    Options to be kept are chosen on the fit sample, which the promise is made on; whether it is kept is measured on the
    valuations held out.
    """
    if kind == "logits":
        return _in_logits(problem, a, b)
    one, other = problem.options(a.theta), problem.options(b.theta)
    if kind == "large_menu":
        return _made(problem, _large(problem, one, other, eps), None, None)
    make = {"three_pieces": three_pieces, "five_pieces": five_pieces}[kind]
    kept, measured = [], []
    for options in (one, other):
        outcome = options.outcome(problem.fit)
        kept.append(judge(outcome, choose(outcome, problem.size, keep)))
        measured.append(judge(options.outcome(problem.held_out), kept[-1].index))
    path: Pieces[Any] = make(one, other, (kept[0], kept[1]), problem.bound)
    return _made(problem, path, (kept[0], kept[1]), (measured[0], measured[1]))


def _large(problem: Auction, a: Options, b: Options, eps: float | None) -> Pieces[Menus]:
    if not isinstance(a, Menus) or not isinstance(b, Menus) or eps is None:
        raise RequestError("it is for menus of one buyer, and with an eps")
    return large_menu_pieces(a, b, eps, problem.bound)


def _made(
    problem: Auction, path: Pieces[Any], kept: tuple[Kept, Kept] | None, measured: tuple[Kept, Kept] | None
) -> Made:
    """The path with what is said of it. Corners are numbers of the ends, in their own type: nothing is rounded."""
    promise, found = promised(path, kept, measured, problem.bound), followed(path, problem.held_out)
    columns = {"pieces": len(path), "kept_a": path.sizes[0], "kept_b": path.sizes[1]}
    return Made(problem.theta(path.corners), columns | promise | found | {"promise_kept": keeps(promise, found)})


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
