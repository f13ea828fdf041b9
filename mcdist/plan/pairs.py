"""Which end points are connected."""

from __future__ import annotations

import hashlib
import itertools
import math
import random

from mcdist.spec.sections import PairsSpec

__all__ = ["choose_pairs"]


def choose_pairs(spec: PairsSpec, n: int) -> list[tuple[int, int]]:
    """Pairs of positions (i, j) among n end points, in a fixed order.

    all: i < j; chain: (0, 1), (1, 2), ...; random: so many different pairs i < j out of all, by the pairs' own seed,
    the pairs of a smaller number among those of a larger; list: as given.
    """
    if spec.kind == "all":
        return list(itertools.combinations(range(n), 2))
    if spec.kind == "chain":
        return [(i, i + 1) for i in range(n - 1)]
    if spec.kind == "random":
        ranks = _draw(spec.random or 0, n * (n - 1) // 2, f"pairs/{spec.seed}/{n}")
        return sorted(_pair(rank) for rank in ranks)
    return list(spec.pairs)


def _draw(k: int, total: int, name: str) -> list[int]:
    """The first k of a random order of range(total): a Fisher-Yates shuffle that holds only what it moved.

    Not `random.sample`: of the module's numbers only `random()` stays the same from one Python to the next, and a
    sweep resumed under a newer one must ask for the same pairs.
    """
    numbers = random.Random(hashlib.sha256(name.encode()).digest())
    moved: dict[int, int] = {}
    drawn = []
    for i in range(k):
        j = i + int(numbers.random() * (total - i))
        drawn.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return drawn


def _pair(rank: int) -> tuple[int, int]:
    """The pair at a rank in the order (0, 1), (0, 2), (1, 2), (0, 3), ...: j (j - 1) / 2 + i for i < j."""
    j = (1 + math.isqrt(1 + 8 * rank)) // 2
    return rank - j * (j - 1) // 2, j
