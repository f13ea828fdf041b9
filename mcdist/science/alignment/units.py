"""Which hidden unit each channel of a value belongs to, and which units may change places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIXED", "ZERO", "Labels", "Units", "blocks", "exchangeable"]

Labels = NDArray[np.int64]
"""For each entry along the channel axis of a value the unit to which it belongs."""

ZERO = 0
"""The label of a channel that is zero whatever the weights are: padding."""

FIXED = 1
"""The label of what no permutation moves: inputs, outputs, constant channels."""


class Units:
    """Units as classes of labels that must move together (union and find)."""

    def __init__(self) -> None:
        self._parent = [ZERO, FIXED]

    def fresh(self, n: int) -> Labels:
        """n new units."""
        start = len(self._parent)
        self._parent.extend(range(start, start + n))
        return np.arange(start, start + n)

    def find(self, labels: Labels) -> Labels:
        """The labels with every class named by one of its members; FIXED for what is fixed."""
        return np.array([self._root(int(x)) for x in labels], dtype=np.int64)

    def unite(self, a: Labels, b: Labels) -> Labels:
        """The entries of two values, position by position, are the same units from now on; none may be ZERO."""
        for x, y in zip(a.tolist(), b.tolist(), strict=True):
            low, high = sorted((self._root(x), self._root(y)))
            self._parent[high] = low  # so that FIXED, the lowest, is always a root
        return self.find(a)

    def _root(self, x: int) -> int:
        while self._parent[x] != x:
            self._parent[x] = self._parent[self._parent[x]]
            x = self._parent[x]
        return x


def exchangeable(values: Iterable[Labels]) -> list[list[int]]:
    """Groups of units that lie in the same values, each as often: those may change places.

    Any operation on some channels alone (a slice, a layer that reads them, an addition) makes a value in which the
    others are not, and so tells them apart. Units in the order in which they appear.
    """
    signatures: dict[int, list[tuple[int, int]]] = {}
    for index, labels in enumerate(values):
        units, first, counts = np.unique(labels, return_index=True, return_counts=True)
        for k in np.argsort(first):
            if units[k] not in (ZERO, FIXED):
                signatures.setdefault(int(units[k]), []).append((index, int(counts[k])))
    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for unit, signature in signatures.items():
        groups.setdefault(tuple(signature), []).append(unit)
    return list(groups.values())


def blocks(labels: Labels, groups: Sequence[Sequence[int]], of: dict[int, int]) -> list[tuple[int, int, int]] | None:
    """The labels as whole groups in order, each unit's entries together: (group, offset, repeat) of each.

    of: the group of each unit. None where they are not of that form.
    """
    found, at = [], 0
    while at < len(labels):
        unit = int(labels[at])
        if unit in (ZERO, FIXED):
            at += 1
            continue
        members = np.array(groups[of[unit]])
        run = np.flatnonzero(labels[at:] != unit)
        repeat = int(run[0]) if len(run) else len(labels) - at
        end = at + len(members) * repeat
        if not np.array_equal(labels[at:end], np.repeat(members, repeat)):
            return None
        found.append((of[unit], at, repeat))
        at = end
    return found
