"""What a path that is made of two mechanisms promises, and what it does on valuations held out."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from mcdist.science.auctions import Kept, Options, Pieces
from mcdist.science.auctions.options import TIE

__all__ = ["INTERVALS", "followed", "keeps", "promised"]

INTERVALS = 8
"""Equal parts of each piece, at whose ends a path is measured: all corners are among them."""

_SAME = 1e-9  # payments that differ by no more, of all values together, are the same


def promised(
    path: Pieces[Any], kept: tuple[Kept, Kept] | None, measured: tuple[Kept, Kept] | None, bound: float
) -> dict[str, Any]:
    """What is promised: columns `eps_promised`, `eps_sharp`, `eps_measured` of table `paths`.

    kept: K1 and K2 on the sample on which they were chosen; measured: the same sets on another; None of a path whose
    promise follows from no sample. bound: the greatest |v|_1 of a bidder. Where there is none, no share of valuations
    bounds what they pay: the promise is then the sharper one, the revenue from those that are lost.
    """
    if kept is None or measured is None:
        return {"eps_promised": path.eps, "eps_sharp": path.sharp, "eps_measured": path.eps}
    if not math.isfinite(bound):
        return {
            "eps_promised": path.sharp,
            "eps_sharp": path.sharp,
            "eps_measured": max(of.dropped for of in measured),
        }
    return {
        "eps_promised": path.eps,
        "eps_sharp": path.sharp,
        "eps_measured": bound * max(of.eps for of in measured),
    }


def followed(path: Pieces[Any], v: Tensor) -> dict[str, Any]:
    """What a path does on valuations v: columns `shortfall` .. `shortfall_t`, `middle_deviation`, `outer_changed`.

    Measured at `INTERVALS` + 1 positions of each piece, in float64 whatever the type of its corners. Shortfall is the
    lesser revenue of the ends less the least on the path (0 where that is rounding), its standard error that of the
    mean of the difference, valuation by valuation (N - 1 degrees of freedom).
    """
    scale = max(1.0, float(v.abs().flatten(1).sum(1).max()))
    exact = Pieces(path.corners.of(path.corners.rows().double()), path.sizes, path.eps, path.sharp)
    t = exact.grid(INTERVALS)

    def payments(i: int) -> Tensor:
        at: Options = exact.at(t[i : i + 1])
        return at.outcome(v).payments[0]  # [N, m]

    corners = [payments(INTERVALS * j) for j in range(len(exact) + 1)]
    least, where = min((float(paid.sum(-1).mean()), INTERVALS * j) for j, paid in enumerate(corners))
    deviation, changed = 0.0, torch.zeros(len(v), dtype=torch.bool, device=v.device)
    for piece, (near, far) in enumerate(itertools.pairwise(corners)):
        for step in range(1, INTERVALS):
            paid = payments(i := INTERVALS * piece + step)
            least, where = min((least, where), (float(paid.sum(-1).mean()), i))
            if piece == exact.middle:
                line = torch.lerp(near, far, step / INTERVALS)
                deviation = max(deviation, float((paid - line).abs().max()))
            elif abs(piece - exact.middle) == 1:
                changed |= _differ(paid, near, scale)
        if abs(piece - exact.middle) == 1:
            changed |= _differ(far, near, scale)
    end = min(corners[0], corners[-1], key=lambda paid: float(paid.sum(-1).mean()))
    shortfall = float(end.sum(-1).mean()) - least
    fall = (end - payments(where)).sum(-1)
    return {
        "shortfall": shortfall if shortfall > TIE * scale else 0.0,
        "shortfall_stderr": float(fall.std()) / math.sqrt(len(v)),
        "shortfall_t": float(t[where]),
        "middle_deviation": deviation,
        "outer_changed": float(changed.double().mean()),
    }


def keeps(promise: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether no more is lost than was promised, but for 3 standard errors, and rounding."""
    allowed = 3.0 * found["shortfall_stderr"] + TIE * promise["eps_promised"]
    return bool(found["shortfall"] - promise["eps_promised"] <= allowed)


def _differ(paid: Tensor, other: Tensor, scale: float) -> Tensor:
    """[N], whether any bidder's payment is another."""
    return (paid - other).abs().amax(-1) > _SAME * scale
