"""Expected revenue of menus without sampling, and where in the space of valuations each option is taken.

The buyer's utility max_k v . x^k - p^k is a maximum of affine functions of v, so an option is taken on a convex set. A
domain with a mass for each convex part is cut along the lines on which two options are worth the same, until each cell
has one best option at all its corners, hence in all of it. Cells share their corners to the bit: they cover the domain,
whatever options are nearly the same, so that what rounding can change is a sliver times a difference in price.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mcdist.science.auctions.polygons import hull, measure, split
from mcdist.science.auctions.rochet import Menus
from mcdist.science.auctions.valuations import Atoms, Law

__all__ = ["Region", "regions", "revenue"]

Array = NDArray[np.float64]

_SAME = 2.0**-46  # of the largest |v|_1: utilities at corners carry rounding of some 2^-52


@dataclass(frozen=True)
class Region:
    """Where an option is taken: its index (0 the default), the mass of the set and its corners [V, n], n = 1 or 2."""

    option: int
    mass: float
    corners: Array


def revenue(menus: Menus, law: Law) -> Tensor:
    """E[p^k(v)], [K] in float64: for one item, for two with a density that is constant on polygons, and for atoms.

    nan where a menu has numbers that are not finite. Raises RequestError for other laws.
    """
    if isinstance(law, Atoms):
        paid = menus.outcome(torch.tensor(law.points, dtype=torch.float64)).revenue
        return (paid * torch.from_numpy(law.probabilities).to(paid)).sum(1)
    found = []
    for k in range(len(menus)):
        price = np.append(0.0, menus.p[k].detach().double().cpu().numpy())
        if not bool(torch.isfinite(menus[k].rows()).all()):
            found.append(math.nan)  # a training that diverged: there is no best option
            continue
        found.append(sum(mass * price[option] for option, mass, _ in _cells(menus[k], law)))
    return torch.tensor(found, dtype=torch.float64)


def regions(menus: Menus, law: Law) -> list[Region]:
    """The regions of one menu's options (K = 1), of more than no length or area, in order of the options.

    Of options that are the same the first has it all. Raises as `revenue`, and for atoms.
    """
    cells: dict[int, list[tuple[float, Array]]] = {}
    for option, mass, corners in _cells(menus, law):
        if measure(corners) > 0.0:
            cells.setdefault(option, []).append((mass, corners))
    return [
        Region(option, sum(mass for mass, _ in of), hull(np.concatenate([corners for _, corners in of])))
        for option, of in sorted(cells.items())
    ]


def _cells(menus: Menus, law: Law) -> Iterator[tuple[int, float, Array]]:
    """(option, mass, corners) of convex cells in which one option is best; together they make up all domains."""
    rows = np.pad(menus.rows()[0].detach().double().cpu().numpy(), ((1, 0), (0, 0)))
    for domain in law.domains():
        same = _SAME * float(np.abs(domain.corners).sum(1).max())
        waiting = [(domain.corners, int(_utilities(domain.corners.mean(0, keepdims=True), rows).argmax()))]
        while waiting:
            corners, option = waiting.pop()
            utility = _utilities(corners, rows)
            lead = utility - utility[:, option, None]  # [V, M + 1]
            better = int(lead.max(0).argmax())
            if lead[:, better].max() <= same:
                yield option, domain.mass(corners), corners
                continue
            theirs, ours = split(corners, lead[:, better])
            waiting += [(part, of) for part, of in ((theirs, better), (ours, option)) if len(part)]


def _utilities(corners: Array, rows: Array) -> Array:
    """v . x^k - p^k, [V, M + 1]; summed in one order, so that equal options are equal to the bit."""
    total = -np.broadcast_to(rows[:, -1], (len(corners), len(rows)))
    for j in range(corners.shape[1]):
        total = total + corners[:, j, None] * rows[:, j]
    return np.asarray(total)
