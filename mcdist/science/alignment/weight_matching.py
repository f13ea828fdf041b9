"""Matching of hidden units by their weights: Git Re-Basin (Ainsworth, Hayase, Srinivasa 2022), algorithm 1."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.alignment.matching import Matching, assign, check_pair
from mcdist.science.alignment.permute import permuted
from mcdist.science.alignment.structure import Group, Place, Structure

__all__ = ["weight_matching"]

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
_SWEEPS = 1000  # never reached: every improvement is one of finitely many assignments
_TOLERANCE = 1e-12  # of the greatest possible objective: less is rounding


def weight_matching(
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    structure: Structure,
    rng: np.random.Generator,
    *,
    restarts: int = 1,
    names: Collection[str] | None = None,
) -> Matching:
    """Permutations P of b's hidden units that make the weights most alike,

        max_P <a, P b>,   the same as   min_P |a - P b|^2,

    by coordinate descent: groups in random order (anew in every sweep), for each the best permutation given those of
    the others, a linear assignment problem; until a whole sweep improves nothing. It starts at the identity and ends in
    a local maximum; of several `restarts` (other orders) the best is kept. The objective never falls: where a group
    lies on two axes of one tensor, so that the problem is not linear, a solution that would lower it is not taken.

    names: the tensors that count (parameters, as a rule); if not given, all floating tensors on which the structure
    acts but BatchNorm's running statistics. Everything is computed in float64 on the CPU. Raises RequestError where
    the states do not fit the structure or each other, TaskError for weights that are not finite.
    """
    if restarts < 1:
        raise RequestError(f"restarts is {restarts}, allowed: 1 or more")
    check_pair(a, b, structure)
    counted = _counted(a, structure, names)
    first, second = ({n: s[n].detach().to("cpu", torch.float64) for n in counted} for s in (a, b))
    found = [_Descent(first, second, structure).run(rng) for _ in range(restarts)]
    return max(found, key=lambda matching: matching.after)


def _counted(state: Mapping[str, Tensor], structure: Structure, names: Collection[str] | None) -> list[str]:
    """The tensors that count; those on which nothing acts add a constant."""
    floating = [name for name in structure.shapes if state[name].is_floating_point()]
    if names is None:
        return [name for name in floating if name.rpartition(".")[2] not in _BUFFERS]
    return [name for name in floating if name in names]


class _Descent:
    """One run of coordinate descent."""

    def __init__(self, a: Mapping[str, Tensor], b: Mapping[str, Tensor], structure: Structure) -> None:
        self._a, self._b, self._structure = a, b, structure
        self._p = {name: torch.arange(size) for name, size in structure.sizes.items()}
        self._products = {name: self._product(name) for name in a}
        self._scale = sum(float(a[name].norm() * b[name].norm()) for name in a)
        self._settled: set[str] = set()  # groups solved since the last change beside them: again would be the same

    def run(self, rng: np.random.Generator) -> Matching:
        """Sweeps until nothing improves."""
        trace = [self._objective()]
        sweeps = 0
        for _ in range(_SWEEPS):
            sweeps += 1
            improved = False
            for index in rng.permutation(len(self._structure.groups)):
                group = self._structure.groups[index]
                if group.name in self._settled:
                    continue
                self._settled.add(group.name)
                if self._improve(group):
                    improved = True
                    self._settled -= self._beside(group)
                    trace.append(self._objective())
            if not improved:
                break
        return Matching(self._structure, self._p, trace[0], trace[-1], tuple(trace), sweeps, "weights")

    def _beside(self, group: Group) -> set[str]:
        """The groups with another axis of a tensor in common; a group itself, where it lies on two axes of one."""
        found = set()
        for place in group.places:
            for axis, segments in self._structure.tensors[place.tensor].items():
                if axis != place.axis and place.tensor in self._a:
                    found |= {other.name for _, other in segments}
        return found

    def _improve(self, group: Group) -> bool:
        """The best permutation of one group given the others; whether it is better than the present one."""
        old = self._p[group.name]
        before = {place.tensor: self._products[place.tensor] for place in group.places if place.tensor in self._a}
        self._p[group.name] = torch.from_numpy(assign(self._gain(group)))
        after = {name: self._product(name) for name in before}
        better = sum(after[name] - before[name] for name in before) > _TOLERANCE * self._scale
        if better:
            self._products.update(after)
        else:
            self._p[group.name] = old
        return better

    def _gain(self, group: Group) -> NDArray[np.float64]:
        """[n, n]: what <a, P b> gets from unit j of b at the place of unit i of a."""
        gain = torch.zeros(group.size, group.size, dtype=torch.float64)
        for place in group.places:
            if place.tensor in self._a:
                a = _rows(self._a[place.tensor], place, group)
                b = permuted(place.tensor, self._b[place.tensor], self._structure, self._p, but=place.axis)
                gain += a @ _rows(b, place, group).T
        return gain.numpy()

    def _product(self, name: str) -> float:
        return float((self._a[name] * permuted(name, self._b[name], self._structure, self._p)).sum())

    def _objective(self) -> float:
        return sum(self._products.values())


def _rows(tensor: Tensor, place: Place, group: Group) -> Tensor:
    """[n, rest]: for each unit of the group everything that belongs to it at a place."""
    part = tensor.narrow(place.axis, place.offset, group.size * place.repeat).movedim(place.axis, 0)
    return part.reshape(group.size, -1)
