"""What a data set is: raw arrays, and the constants that turn them into network inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Dataset", "Source", "Split"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Split:
    """Examples and their labels.

    inputs  [N, C, H, W] or [N, D], raw as stored: uint8, float32 or float64
    targets [N], int64, in 0 .. n_classes - 1
    """

    inputs: Array
    targets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, index: npt.NDArray[np.int64]) -> Split:
        """The examples at `index`, copied, in ascending order of their row whatever the order of `index`."""
        kept = np.sort(index)
        return Split(self.inputs[kept], self.targets[kept])


@dataclass(frozen=True, eq=False)
class Source:
    """A data set as its loader finds it, before any part is held out.

    key   what the random draws are named by; it names the content, never a place
    test  None where no official test split exists
    mean, std  None where they are to be computed from the training part that remains
    """

    name: str
    key: str
    train: Split
    test: Split | None
    n_classes: int
    divisor: float
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    note: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, divided. Network input = (raw / divisor - mean) / std.

    mean, std  in units of raw / divisor: one number per channel (axis 1) of images, one for flat features
    note       scaling and split in words, enough to recompute both
    """

    name: str
    train: Split
    validation: Split | None
    test: Split
    n_classes: int
    divisor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: (D,) or (C, H, W)."""
        return tuple(self.train.inputs.shape[1:])
