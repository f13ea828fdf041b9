"""How many workers of each size fit on nodes, beside one another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Node", "Want", "allot"]


@dataclass(frozen=True)
class Node:
    """A node, or `many` of a type that may be started. cpus, gpus: all that it has, whoever uses them; type: its name,
    where it is one that may be started.
    """

    cpus: float
    gpus: float
    many: int = 1
    type: str = ""

    def fits(self, cpus: float, gpus: float) -> int:
        """How many workers it holds that ask for so much."""
        most = min(self.cpus / cpus, self.gpus / gpus if gpus else math.inf)
        # one that says nothing of what it has may hold a worker, but nobody knows of more; 0.3 / 0.1 is less than 3
        return self.many if math.isinf(most) else self.many * int(most + 1e-9)

    def __str__(self) -> str:
        has = "unknown" if math.isinf(self.cpus) else f"{self.cpus:g} CPU, {self.gpus:g} GPU"
        return f"{f'{self.many} x ' if self.many > 1 else ''}{has}{f' ({self.type})' if self.type else ''}"


@dataclass(frozen=True)
class Want:
    """Workers of one size. cpus, gpus: what each asks for; most: as many as are of use."""

    cpus: float
    gpus: float
    most: int = 1_000_000_000

    @property
    def apart(self) -> bool:
        """Whether they are to be kept off nodes with GPUs."""
        return self.gpus == 0


class _Rest:
    """What is left of a node, or of each of several alike."""

    def __init__(self, node: Node) -> None:
        self.node, self._left = node, [[node.cpus, node.gpus, node.many]]

    def take(self, want: Want, most: int) -> int:
        """Give room to at most so many workers; how many it was. Alike nodes are filled one after the other."""
        taken, left = 0, []
        for cpus, gpus, many in self._left:
            each = Node(cpus, gpus).fits(want.cpus, want.gpus) if many else 0
            full, part = divmod(min(most - taken, each * int(many)), each) if each else (0, 0)
            for number, workers in ((full, each), (bool(part), part), (many - full - bool(part), 0)):
                left.append([_less(cpus, workers * want.cpus), _less(gpus, workers * want.gpus), number])
            taken += full * each + part
        self._left = [one for one in left if one[2]]
        return taken


def _less(there: float, used: float) -> float:
    """What is left; of what is unknown nothing, once it is used."""
    return there - used if not used or math.isfinite(there) else 0.0


def allot(nodes: Iterable[Node], wants: Sequence[Want]) -> list[int]:
    """How many workers of each kind find room beside the others; 0 where there is none.

    First one of each, those with GPUs before those without, then as many of each as fit, in the same order. Workers
    without a GPU are kept off nodes with GPUs where any other node can hold one.
    """
    rests = [_Rest(node) for node in nodes]
    places = [_places(rests, want) for want in wants]
    found = [0] * len(wants)
    order = sorted(range(len(wants)), key=lambda i: wants[i].apart)
    for least in (True, False):
        for i in order:
            for rest in places[i]:
                most = min(1, wants[i].most) if least else wants[i].most
                found[i] += rest.take(wants[i], max(0, most - found[i]))
    return found


def _places(rests: list[_Rest], want: Want) -> list[_Rest]:
    holding = [rest for rest in rests if rest.node.fits(want.cpus, want.gpus)]
    without = [rest for rest in holding if not rest.node.gpus]
    return without if want.apart and without else holding
