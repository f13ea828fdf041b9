"""How the parameters of a network lie in one flat vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the parameters, in the order in which they lie in a flat vector of length P."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, parameters: Mapping[str, Tensor]) -> Layout:
        """The layout of named tensors, in their order."""
        return cls(tuple(parameters), tuple(tuple(p.shape) for p in parameters.values()))

    @cached_property
    def sizes(self) -> list[int]:
        """Numbers of elements."""
        return [torch.Size(shape).numel() for shape in self.shapes]

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return sum(self.sizes)

    def flatten(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """[P] from named tensors."""
        return torch.cat([parameters[name].reshape(-1) for name in self.names])

    def views(self, theta: Tensor) -> dict[str, Tensor]:
        """Named views of `theta`: [..., P] gives shapes [..., *shape].

        One split; its backward is one concatenation.
        """
        lead = theta.shape[:-1]
        pieces: Sequence[Tensor] = theta.split(self.sizes, dim=-1)
        return {
            name: piece.reshape((*lead, *shape))
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }
