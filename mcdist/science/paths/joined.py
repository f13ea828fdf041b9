"""One path after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mcdist.science.paths.family import NEAR, PathFamily

__all__ = ["Joined"]


class Joined(PathFamily):
    """L paths of one family, the next beginning where the last one ends; each takes 1 / L of t.

    phi(t) = phi_l(L t - l) for l <= L t <= l + 1, l = 0 .. L - 1. sizes: control points of each leg, ends included; the
    point between two legs is shared, so that there are sum(sizes) - L + 1 control points.
    """

    def __init__(self, family: PathFamily, sizes: Sequence[int]) -> None:
        self.family, self.sizes = family, tuple(sizes)
        self.trained, self.made = family.trained, family.made
        self.pieces = None if family.pieces is None else family.pieces * len(self.sizes)

    @property
    def size(self) -> int:
        """M, the number of control points."""
        return sum(self.sizes) - len(self.sizes) + 1

    def coefficients(self, t: Tensor, M: int) -> Tensor:
        """See `PathFamily`."""
        return self._by_leg(t, M, self.family.coefficients)

    def velocities(self, t: Tensor, M: int) -> Tensor:
        """See `PathFamily`: L times those of the leg."""
        return len(self.sizes) * self._by_leg(t, M, self.family.velocities)

    def breaks(self, M: int) -> Tensor:
        """See `PathFamily`: those of the legs, and where they meet."""
        L = len(self.sizes)
        found: Tensor = torch.unique(torch.cat([(self.family.breaks(m) + leg) / L for leg, m in enumerate(self.sizes)]))
        return found

    def piece(self, t: Tensor, M: int) -> Tensor | None:
        """See `PathFamily`: counted on from leg to leg; where two meet it is the first of the second."""
        if self.pieces is None:
            return None
        L = len(self.sizes)
        leg = (t.double() * L + NEAR).floor().long().clamp(0, L - 1)
        found, before = torch.zeros_like(leg), 0
        for at, m in enumerate(self.sizes):
            own = self.family.piece((t.double() * L - at).clamp(0.0, 1.0), m)
            assert own is not None
            found = torch.where(leg == at, own + before, found)
            before += m - 1
        return found

    def _by_leg(self, t: Tensor, M: int, of_leg: Callable[[Tensor, int], Tensor]) -> Tensor:
        if self.size != M:
            raise ValueError(f"legs of {self.sizes} control points have {self.size} in all, not {M}")
        L = len(self.sizes)
        leg = (t * L).floor().clamp(0, L - 1)
        found = torch.zeros(*t.shape, M, dtype=t.dtype, device=t.device)
        start = 0
        for at, m in enumerate(self.sizes):
            own = of_leg((t * L - at).clamp(0.0, 1.0), m)
            found[..., start : start + m] += own * (leg == at)[..., None]
            start += m - 1
        return found
