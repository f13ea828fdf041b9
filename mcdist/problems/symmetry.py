"""The permutation structure of a network, found out or given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mcdist.science.alignment import Structure, check_repairable, derive, verify
from mcdist.science.stacked import StackedModule

__all__ = ["check_repair", "structure_of"]


def structure_of(module: nn.Module, example: Tensor, given: Mapping[str, Any] | None = None) -> Structure:
    """The structure of a module: derived from its forward, or `given` as data and then tried on random weights.

    example: inputs [B, ...], whose shape alone counts. Raises RequestError for a module from which it cannot be
    derived, and for data that do not fit the module or change its function.
    """
    if given is None:
        return derive(module, example)
    structure = Structure.from_spec(given, module.state_dict())
    verify(module, structure, example)
    return structure


def check_repair(module: nn.Module, example: Tensor, structure: Structure) -> None:
    """Raise RequestError for a module whose activation statistics cannot be put right between two points."""
    check_repairable(StackedModule(module, example.device, example.dtype), structure)
