"""Which end points are connected."""

from __future__ import annotations

import hashlib
import itertools
import random

from mcdist.spec.sections import PairsSpec

__all__ = ["choose_pairs"]


def choose_pairs(spec: PairsSpec, n: int) -> list[tuple[int, int]]:
    """Pairs of positions (i, j) among n end points, in a fixed order.

    all: i < j; chain: (0, 1), (1, 2), ...; random: so many different pairs out of all, by the pairs' own seed; list:
    as given.
    """
    every = list(itertools.combinations(range(n), 2))
    if spec.kind == "all":
        return every
    if spec.kind == "chain":
        return [(i, i + 1) for i in range(n - 1)]
    if spec.kind == "random":
        name = hashlib.sha256(f"pairs/{spec.seed}/{n}".encode()).digest()
        return sorted(random.Random(name).sample(every, spec.random or 0))
    return list(spec.pairs)
