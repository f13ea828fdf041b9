"""Paths that are made of their ends, rather than trained."""

from __future__ import annotations

from torch import Tensor

from mcdist.science.paths.chain import Chain
from mcdist.science.paths.family import NEAR

__all__ = ["Made"]


class Made(Chain):
    """A polygonal chain whose corners the problem makes of the two ends (`Problem.connect`), equal t per piece.

    pieces: how many there are, where each means something; None where they stand for a smooth curve.
    """

    trained = False
    made = True

    def __init__(self, pieces: int | None = None) -> None:
        self.pieces = pieces

    def piece(self, t: Tensor, M: int) -> Tensor | None:
        """See `PathFamily`: a corner belongs to the piece that it begins, the last one to the last piece."""
        if self.pieces is None:
            return None
        return ((M - 1) * t.double() + NEAR).floor().long().clamp(0, M - 2) + 1
