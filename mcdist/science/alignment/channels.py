"""What is known of a network's values while its channels are followed: units of values, and of axes of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcdist.science.alignment.units import FIXED, ZERO, Labels, Units

__all__ = ["Call", "Channels", "Refusal", "Weight", "Weights", "solid", "value_of"]


class Refusal(Exception):
    """Why the units cannot be followed through an operation."""


@dataclass(frozen=True)
class Channels:
    """A value of the network [B, C, ...] and the units of its channels [C]."""

    shape: tuple[int, ...]
    units: Labels


@dataclass(frozen=True)
class Weight:
    """A tensor of the state_dict, taken by the forward itself."""

    name: str


@dataclass(frozen=True)
class Call:
    """One operation: its arguments, values replaced by `Channels`, and the shape of its result."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    shape: tuple[int, ...] | None

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    @property
    def value(self) -> Channels:
        """The value on which it works; everything else is numbers."""
        rest = [*self.args[1:], *(value for name, value in self.kwargs.items() if name != "input")]
        if any(isinstance(x, (Channels, Weight)) for x in rest):
            raise Refusal("a weight or a second activation where numbers are understood")
        return value_of(self.argument(0, "input"))


class Weights:
    """Whose units lie on which axes of which tensors, as far as the walk has come."""

    def __init__(self, same: Mapping[str, str]) -> None:
        self.units = Units()
        self.axes: dict[tuple[str, int], Labels] = {}
        self._same = same

    def reads(self, tensor: str, axis: int, labels: Labels) -> Labels:
        """A value's channels meet this axis: theirs are its units, from an earlier use too (shared weights)."""
        key = (self._named(tensor), axis)
        labels = solid(labels)
        if key in self.axes:
            labels = self.units.unite(self.axes[key], labels)
        self.axes[key] = labels
        return labels

    def writes(self, tensor: str, n: int) -> Labels:
        """The units that axis 0 of a tensor makes: new ones, at its first use."""
        key = (self._named(tensor), 0)
        if key not in self.axes:
            self.axes[key] = self.units.fresh(n)
        return self.axes[key]

    def _named(self, tensor: str) -> str:
        if tensor not in self._same:
            raise Refusal(f"{tensor!r} is not in the state_dict (weights computed from others?)")
        return self._same[tensor]


def value_of(x: Any) -> Channels:
    """A value of the network. Raises Refusal for anything else."""
    if isinstance(x, Channels):
        return x
    raise Refusal("its input is a weight or a constant, no activation")


def solid(labels: Labels) -> Labels:
    """What is zero no longer is."""
    return np.where(labels == ZERO, FIXED, labels)
