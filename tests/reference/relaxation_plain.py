"""The relaxation of one network on a path in plain PyTorch, without mcdist.

A torch.nn.Module, an optimiser of torch.optim, and a loop over the segments of the path's polyline. The minibatches are
an argument, so that the tests can give this the random numbers of mcdist and compare all that comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters


class Place(NamedTuple):
    """The nearest point of a polyline: the arclength to there over the whole, the point, the unit tangent there (at a
    corner, of the segment behind it).
    """

    s: float
    point: Tensor
    tangent: Tensor


class Look(NamedTuple):
    """What is seen of the network after so many steps; losses: of every minibatch since the look before."""

    step: int
    s: float
    residual: float
    losses: list[float]


def nearest(theta: Tensor, corners: Tensor) -> Place:
    """The point of the polyline through corners [S + 1, P] that is nearest to theta [P]."""
    lengths = (corners[1:] - corners[:-1]).norm(dim=1)
    best, found = float("inf"), None
    for i in range(len(lengths)):
        d = corners[i + 1] - corners[i]
        a = float(((theta - corners[i]) @ d / (d @ d)).clamp(0.0, 1.0))
        point = corners[i] + a * d
        distance = float((theta - point).norm())
        if distance < best:
            s = float((lengths[:i].sum() + a * lengths[i]) / lengths.sum())
            behind = i + 1 if a == 1.0 and i + 1 < len(lengths) else i
            best, found = distance, Place(s, point, (corners[behind + 1] - corners[behind]) / lengths[behind])
    assert found is not None
    return found


def relax(
    model: nn.Module,
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    corners: Tensor,
    start: Tensor,
    batches: Iterator[tuple[Tensor, Tensor]],
    steps: int,
    every: int,
    buffers: str,
    *,
    project: bool = True,
) -> list[Look]:
    """Every look at a network that starts at `start` [P] and is put back on the path after each `every` steps.

    buffers: what becomes of the optimiser's memory then: keep, zero (a fresh optimiser), project (of what points
    somewhere, the part along the path).
    """
    parameters = list(model.parameters())
    vector_to_parameters(start, parameters)
    optimizer = make(parameters)
    looks: list[Look] = []
    losses: list[float] = []
    model.train()
    for step in range(1, steps + 1):
        x, y = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % every and step != steps:
            continue
        theta = parameters_to_vector(parameters).detach()
        place = nearest(theta, corners)
        looks.append(Look(step, place.s, float((theta - place.point).norm()), losses))
        losses = []
        if project:
            vector_to_parameters(place.point.clone(), parameters)
            if buffers == "zero":
                optimizer = make(parameters)
            elif buffers == "project":
                _project(optimizer, parameters, place.tangent)
    return looks


def _project(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], tangent: Tensor) -> None:
    for name in ("momentum_buffer", "exp_avg"):
        memory: list[Any] = [optimizer.state[p].get(name) for p in parameters]
        if any(m is None for m in memory):
            continue
        along = (parameters_to_vector(memory) @ tangent) * tangent
        for m, part in zip(memory, along.split([m.numel() for m in memory]), strict=True):
            m.copy_(part.view_as(m))
