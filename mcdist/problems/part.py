"""One split of a data set on a device, as a network sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mcdist.problems.data.dataset import Dataset, Split

__all__ = ["Part", "divide"]


def divide(examples: int, size: int, *, normed: bool) -> list[int]:
    """Sizes of the minibatches of so many examples, the last one short where they do not divide.

    normed: with BatchNorm, which makes no statistics of a single example, a last one goes with the minibatch before.
    """
    full, rest = divmod(examples, size)
    if rest == 1 and full and normed:
        return [size] * (full - 1) + [size + 1]
    return [size] * full + ([rest] if rest else [])


class Part:
    """A split on the device. Floating-point inputs are scaled once; bytes stay bytes and are scaled per batch."""

    def __init__(self, split: Split, data: Dataset, device: torch.device, dtype: torch.dtype) -> None:
        self.targets = torch.tensor(split.targets, device=device)
        raw = torch.tensor(split.inputs, device=device)  # copies: shared arrays are read-only
        shape = (-1,) + (1,) * (len(data.input_shape) - 1)
        mean = torch.tensor(data.mean, device=device, dtype=torch.float64).reshape(shape)
        std = torch.tensor(data.std, device=device, dtype=torch.float64).reshape(shape)
        # (raw / divisor - mean) / std, as one multiplication and one addition
        self._scale, self._shift = (1.0 / (data.divisor * std)).to(dtype), (-mean / std).to(dtype)
        self._late = raw.dtype == torch.uint8
        self._dtype = dtype
        self.stored = raw if self._late else raw.to(dtype) * self._scale + self._shift

    def __len__(self) -> int:
        return len(self.targets)

    def scaled(self, inputs: Tensor) -> Tensor:
        """Stored inputs [..., *input_shape] as the network sees them."""
        return inputs.to(self._dtype) * self._scale + self._shift if self._late else inputs

    def chunks(self, sizes: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """The first examples in their order, scaled, in batches of these sizes."""
        start = 0
        for size in sizes:
            at = slice(start, start := start + size)
            yield self.scaled(self.stored[at]), self.targets[at]

    def padded(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """All examples, `size` at a time: inputs, targets, and weights 1, or 0 for what fills up the last batch."""
        for start in range(0, len(self), size):
            row = torch.arange(start, start + size, device=self.targets.device)
            weights = (row < len(self)).to(self._dtype)
            row = row.clamp(max=len(self) - 1)
            yield self.scaled(self.stored[row]), self.targets[row], weights
