"""Mean drift by paired replicas: what noise does at a point, and what the loss does there, apart.

Waiting for noisy runs to arrive somewhere is slow, and mixes two forces. Here R replicas start at one point P with a
direction tau, and make m steps of the noisy dynamics; a noise-free twin makes the same steps on full batches. Then

    drift_noise = mean_r <theta_r - P, tau> - <theta_twin - P, tau>,   drift_full_batch = <theta_twin - P, tau>.

The first is what noise does, the second what the loss does. The measure is local: it means something where the
replicas stay close to the line through P along tau, which `across` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mcdist.science.dynamics.walk import Dynamics, Walk, together
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream

__all__ = ["Displacements", "replicas", "twins"]


@dataclass(frozen=True)
class Displacements:
    """Displacements from N starts of R runs each, after each of C numbers of steps, float64, on the CPU.

    along: [C, N, R], along the direction of the start, in units of weights; across: [C, N, R], the distance from the
    line along it. loss: [C, N, R], the mean loss over the steps so far, without weight decay. What has left the finite
    numbers is NaN.
    """

    along: Tensor
    across: Tensor
    loss: Tensor


def replicas(
    problem: Problem,
    starts: Points,
    directions: Tensor,
    how: Dynamics,
    steps: Sequence[int],
    streams: Sequence[Sequence[Stream]],
    temperature: Tensor | None = None,
) -> Displacements:
    """Noisy runs from N starts along `directions` (unit vectors [N, P]).

    steps: increasing numbers of them. streams: [N][R], the random numbers of every run. temperature: [N], of isotropic
    noise.
    """
    N, R = len(starts), len(streams[0])
    size, parts = together(problem), []
    flat = [stream for own in streams for stream in own]
    for first in range(0, N * R, size):
        own = flat[first : first + size]
        at = torch.arange(first, first + len(own), device=starts.theta.device) // R
        here = Points(starts.theta[at], {name: b[at] for name, b in starts.buffers.items()})
        T = None if temperature is None else temperature.to(at.device)[at]
        parts.append(_walked(Walk(problem, here, how, own, T), here.theta, directions[at], steps))
    return Displacements(*(torch.cat(found, dim=1).view(len(steps), N, R) for found in zip(*parts, strict=True)))


def twins(problem: Problem, starts: Points, directions: Tensor, how: Dynamics, steps: Sequence[int]) -> Displacements:
    """The noise-free twins (R = 1) of runs that move by `how`.

    A twin follows the same objective: the loss of all training examples, un-augmented and with BatchNorm in train mode,
    with the weight decay of both.
    """
    silent = replace(how, noise="none")
    return replicas(problem, starts, directions, silent, steps, [[Stream.of("no noise")]] * len(starts))


def _walked(walk: Walk, origin: Tensor, direction: Tensor, steps: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    found, made, total = [], 0, torch.zeros(len(walk), dtype=torch.float64, device=origin.device)
    for count in steps:
        total += walk.advance(count - made) * (count - made)
        made = count
        moved = walk.points.theta.double() - origin.double()
        along = (moved * direction).sum(1)
        across = (moved - along[:, None] * direction).norm(dim=1)
        found.append(torch.stack([along, across, total / made]))
    along, across, loss = torch.stack(found, dim=1).cpu()
    gone = ~(along.isfinite() & across.isfinite())
    nan = float("nan")
    return along.masked_fill(gone, nan), across.masked_fill(gone, nan), loss.masked_fill(gone, nan)
