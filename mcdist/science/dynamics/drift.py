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

__all__ = ["Drift", "drift"]


@dataclass(frozen=True)
class Drift:
    """Displacements from N starts after each of C numbers of steps, in units of weights, float64, on the CPU.

    along: [C, N, R], of R replicas along the direction; across: [C, N, R], their distance from the line. twin_along,
    twin_across: [C, N], of the noise-free twin; twin_loss: [C, N], its mean loss over the steps so far, without weight
    decay. What has left the finite numbers is NaN.
    """

    along: Tensor
    across: Tensor
    twin_along: Tensor
    twin_across: Tensor
    twin_loss: Tensor


def drift(
    problem: Problem,
    starts: Points,
    directions: Tensor,
    how: Dynamics,
    steps: Sequence[int],
    streams: Sequence[Sequence[Stream]],
    temperature: Tensor | None = None,
) -> Drift:
    """Displacements along `directions` (unit vectors [N, P]) of noisy replicas from N starts, and of their twins.

    how: the noisy dynamics; the twin's are the same without noise, so it follows the same objective: the loss of all
    training examples, un-augmented and with BatchNorm in train mode, with the weight decay of both. steps: increasing
    numbers of them. streams: [N][R], a replica's random numbers. temperature: [N], of isotropic noise.
    """
    N, R = len(starts), len(streams[0])
    flat = [stream for own in streams for stream in own]
    noisy = _displacements(problem, starts, directions, how, steps, flat, temperature, R)
    twin = _displacements(problem, starts, directions, replace(how, noise="none"), steps, flat[::R], None, 1)
    along, across, _ = (part.view(len(steps), N, R) for part in noisy)
    return Drift(along, across, *twin)


def _displacements(
    problem: Problem,
    starts: Points,
    directions: Tensor,
    how: Dynamics,
    steps: Sequence[int],
    streams: Sequence[Stream],
    temperature: Tensor | None,
    replicas: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Along the direction, across it, and the mean loss: [C, N * replicas], the replicas of a start side by side."""
    size, parts = together(problem), []
    for first in range(0, len(streams), size):
        own = streams[first : first + size]
        at = torch.arange(first, first + len(own), device=starts.theta.device) // replicas
        here = Points(starts.theta[at], {name: b[at] for name, b in starts.buffers.items()})
        T = None if temperature is None else temperature.to(at.device)[at]
        parts.append(_walked(Walk(problem, here, how, own, T), here.theta, directions[at], steps))
    along, across, loss = (torch.cat(found, dim=1) for found in zip(*parts, strict=True))
    return along, across, loss


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
    return along.masked_fill(gone, nan), across.masked_fill(gone, nan), loss
