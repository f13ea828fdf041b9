"""The layers of a layout, and sums over each of them."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from mcdist.science.layout import Layout

__all__ = ["Layers"]


class Layers:
    """Modules that have parameters of their own, in order: "0" for 0.weight and 0.bias; "w" for a bare w."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        owners = [name.rpartition(".")[0] or name for name in layout.names]
        self.names: list[str] = list(dict.fromkeys(owners))
        self.of_parameter: list[int] = [self.names.index(owner) for owner in owners]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def sizes(self) -> list[int]:
        """Numbers of parameters."""
        sizes = [0] * len(self)
        for layer, size in zip(self.of_parameter, self._layout.sizes, strict=True):
            sizes[layer] += size
        return sizes

    def sums(self, numbers: Tensor) -> Tensor:
        """Sums over each layer's parameters: [..., P] -> [..., L], float64."""
        parts = torch.stack([part.sum(-1, dtype=torch.float64) for part in numbers.split(self._layout.sizes, -1)], -1)
        return self.gathered(parts)

    def gathered(self, parts: Tensor) -> Tensor:
        """Numbers of single parameters added up: [..., number of parameters] -> [..., L]."""
        index = torch.tensor(self.of_parameter, device=parts.device)
        return parts.new_zeros(*parts.shape[:-1], len(self)).index_add_(-1, index, parts)

    def masks(self, like: Tensor) -> Tensor:
        """[L, P], 1 where a parameter is of the layer, 0 elsewhere."""
        sizes = torch.tensor(self._layout.sizes, device=like.device)
        layer = torch.tensor(self.of_parameter, device=like.device).repeat_interleave(sizes)
        return (layer == torch.arange(len(self), device=like.device)[:, None]).to(like.dtype)
