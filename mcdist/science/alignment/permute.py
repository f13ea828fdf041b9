"""Permutations of hidden units: applied to a state_dict, inverted, composed, drawn.

A permutation p of a group is a LongTensor [n]; the unit at i of the permuted network is unit p(i) of the old one,

    (P T)[..., i, ...] = T[..., p(i), ...]   on every axis where the group lies,

so rows of the layers that write the units, columns of those that read them, and what BatchNorm keeps for each move
together, and the function of the network stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.alignment.structure import Group, Place, Structure

__all__ = ["Permutations", "apply", "compose", "identity", "inverse", "permuted", "random"]

Permutations = Mapping[str, Tensor]
"""For each group a LongTensor [n]."""


def apply(state: Mapping[str, Tensor], structure: Structure, permutations: Permutations) -> dict[str, Tensor]:
    """The state_dict with its hidden units permuted, buffers too; tensors in which nothing moves are the same objects.

    Groups that `permutations` does not name stay. Raises RequestError where the state or the permutations do not fit
    the structure.
    """
    structure.check(state)
    check(structure, permutations)
    return {name: permuted(name, tensor, structure, permutations) for name, tensor in state.items()}


def permuted(name: str, tensor: Tensor, structure: Structure, permutations: Permutations) -> Tensor:
    """One tensor of the permuted state_dict; nothing is checked."""
    for axis, segments in structure.tensors.get(name, {}).items():
        moved = [(place, group) for place, group in segments if group.name in permutations]
        if moved:
            index = _index(tensor.shape[axis], moved, permutations)
            tensor = tensor.index_select(axis, index.to(tensor.device))
    return tensor


def identity(structure: Structure) -> dict[str, Tensor]:
    """p(i) = i for every group."""
    return {name: torch.arange(size) for name, size in structure.sizes.items()}


def inverse(permutations: Permutations) -> dict[str, Tensor]:
    """q with q(p(i)) = i: apply(apply(state, p), q) = state."""
    return {name: torch.argsort(p) for name, p in permutations.items()}


def compose(first: Permutations, then: Permutations) -> dict[str, Tensor]:
    """r(i) = p(q(i)): apply(state, r) = apply(apply(state, p), q). A group that one of them lacks stays in it."""
    both = {name: p[then[name]] for name, p in first.items() if name in then}
    return {**first, **then, **both}


def random(structure: Structure, rng: np.random.Generator) -> dict[str, Tensor]:
    """A permutation of every group, uniform and independent."""
    return {name: torch.from_numpy(rng.permutation(size)) for name, size in structure.sizes.items()}


def check(structure: Structure, permutations: Permutations) -> None:
    """Raises RequestError for what are no permutations of the structure's groups."""
    for name, p in permutations.items():
        if name not in structure.sizes:
            raise RequestError(f"permutations: the structure has no group {name!r}")
        size = structure.sizes[name]
        if tuple(p.shape) != (size,) or not torch.equal(p.sort().values.cpu(), torch.arange(size)):
            raise RequestError(f"permutations: that of group {name!r} is no permutation of 0 .. {size - 1}")


def _index(length: int, segments: list[tuple[Place, Group]], permutations: Permutations) -> Tensor:
    """For each entry of an axis, the entry that comes to lie there."""
    index = torch.arange(length)
    for place, group in segments:
        p = permutations[group.name].cpu()
        block = p[:, None] * place.repeat + torch.arange(place.repeat)
        index[place.offset : place.offset + group.size * place.repeat] = place.offset + block.reshape(-1)
    return index
