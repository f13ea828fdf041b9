"""Standard normal numbers for K points, each point's from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mcdist.science.streams import Stream

__all__ = ["Normals"]

_STEPS, _NUMBERS = 16, 4096  # drawn at a time for a point: a call costs as much as thousands of numbers


class Normals:
    """A vector [K, P] for each step. Row k comes from streams[k] alone, whatever other rows there are or have been.

    What small points need for several steps is drawn at once; how many steps depends on P alone.
    """

    def __init__(self, streams: Sequence[Stream], like: Tensor) -> None:
        """like: [K, P], whose type and device the numbers have."""
        self._generators = [torch.Generator(like.device).manual_seed(s.child("noise").seed()) for s in streams]
        self._ahead = max(1, min(_STEPS, _NUMBERS // like.shape[1]))
        self._drawn = like.new_empty(like.shape[0], 0, like.shape[1])
        self._used = 0

    def next(self) -> Tensor:
        """The vectors of the next step, [K, P]."""
        K, there, P = self._drawn.shape
        if self._used == there:
            self._drawn = self._drawn.new_empty(K, self._ahead, P)
            for row, generator in zip(self._drawn, self._generators, strict=True):
                row.normal_(generator=generator)
            self._used = 0
        self._used += 1
        return self._drawn[:, self._used - 1]

    def keep(self, index: Tensor) -> None:
        """Go on with these rows [k] alone, in this order."""
        self._generators = [self._generators[k] for k in index.tolist()]
        self._drawn = self._drawn[index]
