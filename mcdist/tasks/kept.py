"""What is kept of work in its midst: points as named tensors on the CPU, and data that JSON holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcdist.science.points import Points

__all__ = ["Kept", "copied", "moved", "named", "points_named", "under"]


@dataclass(frozen=True)
class Kept:
    """What is needed to go on: tensors on the CPU, none of which shares memory with another, and data for JSON."""

    tensors: dict[str, Tensor]
    data: dict[str, Any]


def copied(tensor: Tensor) -> Tensor:
    """A copy on the CPU."""
    return tensor.detach().to("cpu", copy=True)


def moved(points: Points, device: torch.device) -> Points:
    """A copy of K points on a device."""
    buffers = {name: b.detach().to(device, copy=True) for name, b in points.buffers.items()}
    return Points(points.theta.detach().to(device, copy=True), buffers)


def named(points: Points, head: str = "") -> dict[str, Tensor]:
    """Copies of `<head>theta` and `<head>buffers.<name>`, K-stacked, on the CPU."""
    own = moved(points, torch.device("cpu"))
    return {f"{head}theta": own.theta} | {f"{head}buffers.{name}": b for name, b in own.buffers.items()}


def points_named(tensors: Mapping[str, Tensor], device: torch.device, head: str = "") -> Points:
    """A copy of what `named` named."""
    return moved(Points(tensors[f"{head}theta"], under(tensors, f"{head}buffers.")), device)


def under(tensors: Mapping[str, Tensor], head: str) -> dict[str, Tensor]:
    """Those whose names begin so, by the rest of the name."""
    return {name.removeprefix(head): tensor for name, tensor in tensors.items() if name.startswith(head)}
