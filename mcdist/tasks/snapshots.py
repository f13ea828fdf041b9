"""What is kept of a training in its midst, so that it can be gone on with: weights, buffers, the optimizer's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mcdist.science.points import Points
from mcdist.science.problem import Problem

__all__ = ["resumed", "snapshot"]

_MEMORY = "optimizer."


def snapshot(problem: Problem, points: Points, memory: Mapping[str, Tensor], k: int, epoch: int) -> dict[str, Tensor]:
    """Point k of a pack after an epoch, on the CPU: `epoch_3.<name>` of its state, `epoch_3.optimizer.<name>`.

    memory: the optimizer's, as of `Trained`, [K, 1, P] each, of which [1, P] is kept; or a count of steps, which is the
    same for all points.
    """
    own = {name: tensor if tensor.dim() == 0 else tensor[k] for name, tensor in memory.items()}
    parts = problem.state(points, k) | {_MEMORY + name: tensor.cpu() for name, tensor in own.items()}
    return {f"epoch_{epoch}.{name}": tensor for name, tensor in parts.items()}


def resumed(problem: Problem, kept: Sequence[Mapping[str, Tensor]], epoch: int) -> tuple[Points, dict[str, Tensor]]:
    """K points, and the optimizer's memory of them, from what `snapshot` gave of each."""
    parts = [_after(tensors, epoch) for tensors in kept]
    states = [{name: t for name, t in part.items() if not name.startswith(_MEMORY)} for part in parts]
    points = Points.stack([problem.point(state) for state in states])
    names = dict.fromkeys(name for part in parts for name in part if name.startswith(_MEMORY))
    # trained without momentum, a point may or may not have been in company with some: a velocity of 0 will do
    nothing = torch.zeros_like(points.theta[:1], device="cpu")
    memory = {}
    for name in names:
        each = [part.get(name, nothing) for part in parts]
        tensor = each[0] if each[0].dim() == 0 else torch.stack(each)
        memory[name.removeprefix(_MEMORY)] = tensor.to(points.theta.device)
    return points, memory


def _after(tensors: Mapping[str, Tensor], epoch: int) -> dict[str, Tensor]:
    head = f"epoch_{epoch}."
    return {name.removeprefix(head): tensor for name, tensor in tensors.items() if name.startswith(head)}
