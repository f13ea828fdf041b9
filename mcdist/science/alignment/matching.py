"""The result of a matching, and what every method of matching needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mcdist.errors import RequestError, TaskError
from mcdist.science.alignment.permute import apply
from mcdist.science.alignment.structure import Structure

__all__ = ["Matching", "assign", "check_pair"]


@dataclass(frozen=True)
class Matching:
    """Permutations of b's hidden units that match a's: `apply(b, structure, permutations)` is the aligned b.

    before, after: the objective of the method, greater is better, without and with the permutations. trace: the
    objective from the start on, after every group that was improved. sweeps: passes over all groups (1 where each is
    solved once and for all). method: "weights" or "activations".
    """

    structure: Structure
    permutations: dict[str, Tensor]
    before: float
    after: float
    trace: tuple[float, ...]
    sweeps: int
    method: str

    @property
    def moved(self) -> int:
        """Units that are not where they were."""
        return sum(int((p != torch.arange(len(p))).sum()) for p in self.permutations.values())

    def apply(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state_dict (b's) with its hidden units permuted."""
        return apply(state, self.structure, self.permutations)


def assign(gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """The permutation p that maximises sum_i gain[i, p(i)]."""
    _, columns = linear_sum_assignment(gain, maximize=True)
    return np.asarray(columns, dtype=np.int64)


def check_pair(a: Mapping[str, Tensor], b: Mapping[str, Tensor], structure: Structure) -> None:
    """Raises RequestError where the two are not states of one network with this structure."""
    structure.check(a, "weights a")
    structure.check(b, "weights b")
    only = [f"{name!r} (a alone)" for name in a if name not in b]
    only += [f"{name!r} (b alone)" for name in b if name not in a]
    if only:
        raise RequestError(f"weights a and b are of different networks: {', '.join(only[:5])}")
    for name, tensor in a.items():
        if tensor.shape != b[name].shape:
            raise RequestError(
                f"weights a and b are of different networks: {name!r} is {list(tensor.shape)} and {list(b[name].shape)}"
            )
        if not bool(torch.isfinite(tensor).all() and torch.isfinite(b[name]).all()):
            raise TaskError(f"weights cannot be matched: {name!r} has numbers that are not finite")
