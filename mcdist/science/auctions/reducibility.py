"""Few options that do the work of all: reducibility, active options, pruning (Hertrich, Tao & Vegh 2023).

A list of M options is eps-reducible if some K' with the default, |K'| <= sqrt(M + 1), holds all the options that matter
for a valuation (see `Outcome.taken`) with probability >= 1 - eps. Of an affine maximizer with m bidders the definition
asks for 1 - eps / m. K' is chosen on one sample and judged on another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions.options import Options, Outcome

__all__ = ["Kept", "capacity", "choose", "judge", "matter", "prune", "shares"]

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_CANDIDATES = 64  # sets that are tried for what they would save, the most frequent ones


@dataclass(frozen=True)
class Kept:
    """A set K' of options and what it misses on a sample of valuations.

    index: K', sorted, the default 0 among them. lost: share of the valuations for which an option outside K' matters.
    dropped: revenue from those valuations, E[revenue 1(lost)], which bounds what is lost with the other options;
    dropped <= lost x max |v|_1, for each bidder. bidders: m.
    """

    index: Tensor
    lost: float
    dropped: float
    bidders: int

    @property
    def eps(self) -> float:
        """The least eps of which the options are eps-reducible by this K': m times what is lost (1 for a menu)."""
        return self.bidders * self.lost


def capacity(options: int) -> int:
    """floor(sqrt(M + 1)): the greatest |K'| of M options, the default counted."""
    return math.isqrt(options + 1)


def shares(outcome: Outcome, options: int) -> Tensor:
    """[K, M + 1], the share of the valuations that take each option, the default first."""
    taken = outcome.taken[..., 0]
    return torch.stack([torch.bincount(row, minlength=options + 1) for row in taken]).double() / taken.shape[1]


def matter(outcome: Outcome, options: int) -> Tensor:
    """[K, M + 1], whether an option matters for any valuation: the active options. The default always does."""
    found = torch.zeros(len(outcome.taken), options + 1, dtype=torch.bool, device=outcome.taken.device)
    found.scatter_(1, outcome.taken.flatten(1), True)
    found[:, 0] = True
    return found


def prune(options: Options, outcome: Outcome) -> Options:
    """One list (K = 1) without the options that do not matter on the sample: nothing changes for its valuations.

    Where no option matters but the default, the first one stays.
    """
    index = matter(outcome, options.size)[0].nonzero()[1:, 0]
    return options.pick(index if len(index) else torch.ones_like(outcome.taken[0, :1, 0]))


def choose(outcome: Outcome, options: int, size: int | None = None) -> Tensor:
    """K' of one list (K = 1) of M options: at most `size` (`capacity` if not given), sorted, with the default.

    It is to lose as few of the sample's valuations as can be. For a menu that is the options most taken (of equals the
    first), which is exact. For several bidders, where a valuation is lost with any of 1 + m options, it is the better
    of two ways: give up options one by one, each time the one with which the fewest are lost; or, from the default on,
    take in what saves the most for each option. Options that save none are never in it.
    """
    room = capacity(options) if size is None else size
    if room < 1:
        raise RequestError(f"a set of options that are kept has room for at least the default, not for {room}")
    sets, counts = _distinct(outcome.taken[0].cpu().numpy())
    nothing = np.arange(options + 1) == 0
    found = _grown(_shrunk(sets, counts, options, room), sets, counts, room)
    if sets.shape[1] > 1:
        other = _grown(nothing, sets, counts, room)
        found = max(found, other, key=lambda kept: _saved(kept, sets, counts))  # the first of equals
    return torch.from_numpy(np.flatnonzero(found)).to(outcome.taken.device)


def judge(outcome: Outcome, index: Tensor) -> Kept:
    """What K' misses on the sample of this outcome (K = 1)."""
    lost = ~torch.isin(outcome.taken[0], index).all(-1)
    dropped = torch.where(lost, outcome.revenue[0], 0.0).mean()
    return Kept(index, float(lost.double().mean()), float(dropped), outcome.payments.shape[-1])


def _distinct(taken: Ints) -> tuple[Ints, Ints]:
    """The sets of options that matter together, [D, S], and how many valuations each has; an option that is there
    twice leaves one place to the default, which is always kept."""
    rows = np.sort(taken, axis=1)
    rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = 0
    return np.unique(rows, axis=0, return_counts=True)


def _saved(kept: Flags, sets: Ints, counts: Ints) -> int:
    """Valuations of which all options that matter are kept [M + 1]."""
    return int(counts[kept[sets].all(1)].sum())


def _shrunk(sets: Ints, counts: Ints, options: int, room: int) -> Flags:
    """Options [M + 1] that are left when one after the other is given up until there is room."""
    cost = np.zeros(options + 1, dtype=np.int64)  # valuations lost with an option that are not lost yet
    for column in sets.T:
        np.add.at(cost, column, np.where(column > 0, counts, 0))
    kept = cost > 0
    while kept.sum() + 1 > room:
        # of equals the last
        worst = options - int(np.where(kept, cost, np.iinfo(np.int64).max)[::-1].argmin())
        lost = (sets == worst).any(1)
        for column in sets[lost].T:
            np.subtract.at(cost, column, np.where(column > 0, counts[lost], 0))
        sets, counts, kept = sets[~lost], counts[~lost], cost > 0
    kept[0] = True
    return kept


def _grown(kept: Flags, sets: Ints, counts: Ints, room: int) -> Flags:
    """Options [M + 1] with those of sets added, as long as there is room, most valuations saved per option first."""
    while True:
        missing = (~kept[sets]).sum(1)
        fits = np.flatnonzero((missing > 0) & (missing <= room - kept.sum()))
        best, most = kept, 0.0
        for candidate in sets[fits[np.argsort(-counts[fits], kind="stable")[:_CANDIDATES]]]:
            more = kept.copy()
            more[candidate] = True
            gain = (_saved(more, sets, counts) - _saved(kept, sets, counts)) / (more.sum() - kept.sum())
            if gain > most:
                best, most = more, gain
        if best is kept:
            return kept
        kept = best
