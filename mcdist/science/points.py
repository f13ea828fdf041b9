"""Points in weight space, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ELEMENTS", "Points"]

ELEMENTS = 1 << 27
"""Parameters of the points that are held at once where there may be any number: 512 MiB in float32."""


@dataclass(frozen=True)
class Points:
    """K points of one problem.

    theta: [K, P] parameters. buffers: name -> [K, ...], what a network carries beside its parameters (BatchNorm
    statistics, frozen parameters).
    """

    theta: Tensor
    buffers: dict[str, Tensor]

    def __len__(self) -> int:
        return self.theta.shape[0]

    def __getitem__(self, index: slice | int) -> Points:
        """The points of a slice, or the one point at an index (still stacked, K = 1); views."""
        part = slice(index, index + 1 or None) if isinstance(index, int) else index
        return Points(self.theta[part], {name: b[part] for name, b in self.buffers.items()})

    def at(self, theta: Tensor) -> Points:
        """Other parameters [T, P] with the buffers of the first point repeated T times."""
        T = theta.shape[0]
        return Points(theta, {name: b[:1].expand(T, *b.shape[1:]).clone() for name, b in self.buffers.items()})

    @classmethod
    def stack(cls, points: Sequence[Points]) -> Points:
        """All points of several sets, in order."""
        names = points[0].buffers
        return cls(
            torch.cat([p.theta for p in points]),
            {name: torch.cat([p.buffers[name] for p in points]) for name in names},
        )
