"""Random streams derived by name.

A stream is a name, not a state: `Stream("endpoint", 3).child("order", 7)` always gives the same numbers, whatever ran
before it, beside it, or in the same pack. Two different names give independent streams (SHA-256 of the name seeds a
`numpy.random.SeedSequence`), which `seed + epoch` does not: there, seed 0 at epoch 1 is seed 1 at epoch 0.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

__all__ = ["Stream"]


@dataclass(frozen=True)
class Stream:
    """The random stream of a name, a sequence of strings and integers."""

    name: tuple[str | int, ...]

    @classmethod
    def of(cls, *name: str | int) -> Stream:
        """The stream named by `name`."""
        return cls(tuple(name))

    def child(self, *name: str | int) -> Stream:
        """The stream named by this stream's name followed by `name`."""
        return Stream(self.name + name)

    def generator(self) -> np.random.Generator:
        """A fresh generator at the stream's beginning."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._entropy())))

    def seed(self) -> int:
        """An integer in [0, 2^63) for libraries that want one (`torch.manual_seed`)."""
        return self._entropy() >> (256 - 63)

    def _entropy(self) -> int:
        return int.from_bytes(hashlib.sha256(json.dumps(self.name).encode()).digest(), "big")
