"""Paths that are made of their ends, rather than trained."""

from __future__ import annotations

from torch import Tensor

from mcdist.science.paths.chain import Chain

__all__ = ["Made"]


class Made(Chain):
    """A polygonal chain whose corners the problem makes of the two ends (`Problem.connect`), equal t per piece.

    numbered: whether its pieces mean something each, rather than stand for a smooth curve.
    """

    trained = False
    made = True

    def __init__(self, *, numbered: bool = True) -> None:
        self.numbered = numbered

    def piece(self, t: Tensor, M: int) -> Tensor | None:
        """See `PathFamily`: from 1; a corner belongs to the piece that it begins, the last one to the last piece."""
        if not self.numbered:
            return None
        return ((M - 1) * t.double()).floor().long().clamp(0, M - 2) + 1
