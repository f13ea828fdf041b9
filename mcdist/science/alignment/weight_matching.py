"""Matching of hidden units by their weights: Git Re-Basin (Ainsworth, Hayase, Srinivasa 2022), algorithm 1."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.alignment.matching import Matching, assign, check_pair
from mcdist.science.alignment.permute import identity, permuted
from mcdist.science.alignment.structure import Group, Place, Structure

__all__ = ["weight_matching"]

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
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
    """One run of coordinate descent; b is kept as permuted so far, and what is found is permuted further."""

    def __init__(self, a: Mapping[str, Tensor], b: Mapping[str, Tensor], structure: Structure) -> None:
        self._a, self._b, self._structure = a, dict(b), structure
        self._p = identity(structure)
        self._scale = sum(float(a[name].norm() * b[name].norm()) for name in a)
        self._settled: set[str] = set()  # groups solved since the last change beside them: again would be the same

    def run(self, rng: np.random.Generator) -> Matching:
        """Sweeps until nothing improves."""
        trace = [sum(float((x * self._b[name]).sum()) for name, x in self._a.items())]
        sweeps, before = 0, 0
        while len(trace) > before:
            sweeps, before = sweeps + 1, len(trace)
            for index in rng.permutation(len(self._structure.groups)):
                group = self._structure.groups[index]
                if group.name in self._settled:
                    continue
                self._settled.add(group.name)
                more = self._improve(group)
                if more > 0:
                    self._settled -= self._beside(group)
                    trace.append(trace[-1] + more)
        return Matching(self._structure, self._p, trace[0], trace[-1], tuple(trace), sweeps, "weights")

    def _improve(self, group: Group) -> float:
        """Permute one group as is best given the others; by how much that is better than now, 0 if nothing is."""
        gain = self._gain(group)
        q = assign(gain)
        more = float(gain[np.arange(group.size), q].sum() - np.trace(gain))
        moved = {group.name: torch.from_numpy(q)}
        found = {n: permuted(n, self._b[n], self._structure, moved) for n in self._tensors(group)} if more > 0 else {}
        if group.name in self._beside(group):  # the gain is that of the one axis, with the other as it was
            more = sum(float((self._a[n] * (new - self._b[n])).sum()) for n, new in found.items())
        if more <= _TOLERANCE * self._scale:
            return 0.0
        self._b.update(found)
        self._p[group.name] = self._p[group.name][moved[group.name]]
        return more

    def _gain(self, group: Group) -> NDArray[np.float64]:
        """[n, n]: what <a, P b> gets from unit j of b, as permuted so far, at the place of unit i of a."""
        gain = torch.zeros(group.size, group.size, dtype=torch.float64)
        for place in group.places:
            if place.tensor in self._a:
                gain += _rows(self._a[place.tensor], place, group) @ _rows(self._b[place.tensor], place, group).T
        return gain.numpy()

    def _tensors(self, group: Group) -> list[str]:
        return list(dict.fromkeys(place.tensor for place in group.places if place.tensor in self._a))

    def _beside(self, group: Group) -> set[str]:
        """The groups with another axis of a tensor in common; a group itself, where it lies on two axes of one."""
        found = set()
        for place in group.places:
            if place.tensor in self._a:
                for axis, segments in self._structure.tensors[place.tensor].items():
                    found |= {other.name for _, other in segments if axis != place.axis}
        return found


def _rows(tensor: Tensor, place: Place, group: Group) -> Tensor:
    """[n, rest]: for each unit of the group everything that belongs to it at a place."""
    part = tensor.narrow(place.axis, place.offset, group.size * place.repeat).movedim(place.axis, 0)
    return part.reshape(group.size, -1)
