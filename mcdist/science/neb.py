"""Nudged elastic bands: chains of pivots on which the loss pulls across the path alone.

The true gradient would let the pivots slide down to the ends, and springs would cut corners. So the loss moves a pivot
only perpendicular to the path's tangent, and spacing is kept only along the path (Jonsson, Mills & Jacobsen 1998). Here
the springs are infinitely stiff, as in Draxler et al. 2018: the pivots are put back on the polyline at set distances.

Everything takes G paths of M pivots at once, the two ends included: [G, M, P].
"""

from __future__ import annotations

import torch
from torch import Tensor

from mcdist.science.motion import Motion

__all__ = ["Band", "perpendicular", "redistribute", "tangents"]


def redistribute(pivots: Tensor, shares: Tensor | None = None) -> Tensor:
    """The pivots moved along their polyline until segment j takes up `shares[j]` of its length: [G, M, P].

    With l_i the length from pivot 0 to pivot i, pivot j goes to where the polyline has the length
    l_{M-1} (shares_0 + ... + shares_{j-1}). Lengths are those along the given polyline: the chords between the new
    pivots are shorter where it has a corner between them. Both ends stay bit for bit, and so do the pivots of a path
    of length 0.

    pivots: [G, M, P], M >= 2. shares: [G, M - 1], each row summing to 1; equal ones if not given.
    """
    return torch.cat([pivots[:, :1], _inner(pivots, shares), pivots[:, -1:]], dim=1)


def _inner(pivots: Tensor, shares: Tensor | None) -> Tensor:
    """The interior pivots of `redistribute`, [G, M - 2, P]."""
    G, M, _ = pivots.shape
    lengths = torch.linalg.vector_norm(pivots.diff(dim=1), dim=-1).double()
    reached = torch.nn.functional.pad(lengths.cumsum(1), (1, 0))
    if shares is None:
        shares = torch.full_like(lengths, 1.0 / (M - 1))
    goal = shares.double().cumsum(1)[:, :-1] * reached[:, -1:]
    # the segment that holds the goal; the clamp also keeps the index valid where a path is no longer finite
    segment = (torch.searchsorted(reached, goal, right=True) - 1).clamp(0, M - 2)
    length = lengths.gather(1, segment)
    along = torch.where(length == 0.0, 0.0, (goal - reached.gather(1, segment)) / length)
    rows, at = pivots.flatten(0, 1), (segment + M * torch.arange(G, device=pivots.device)[:, None]).flatten()
    inner = rows.index_select(0, at).lerp_(rows.index_select(0, at + 1), along.to(pivots.dtype).view(-1, 1))
    return inner.view(G, M - 2, -1)


def tangents(pivots: Tensor, losses: Tensor) -> Tensor:
    """Unit tangents of the interior pivots: [G, M - 2, P], from the neighbour of higher loss.

    With d+ = theta_{i+1} - theta_i, d- = theta_i - theta_{i-1}, a = L_{i+1} - L_i, b = L_{i-1} - L_i:

        tau ~ w+ d+ + w- d-,     w+ = max(a, 0) + max(-b, 0),     w- = max(b, 0) + max(-a, 0).

    Where the loss rises along the path (a > 0 > b) that is d+ alone, where it falls d- alone. At a minimum (a, b >= 0)
    the weights are (a, b), at a maximum (|b|, |a|): the larger difference goes with the higher neighbour, and the
    tangent is continuous where an extremum comes or goes. That is Henkelman & Jonsson 2000, eqs. 8-11 (their
    Delta V^max and Delta V^min), in one expression. Three equal losses give the central difference d+ + d-.

    A pivot at which the mix vanishes (a path that turns back on itself, or stands still) gets the tangent 0.
    """
    difference = pivots.diff(dim=1)
    tangent = torch.lerp(difference[:, :-1], difference[:, 1:], _forward(losses)[..., None])
    norm = torch.linalg.vector_norm(tangent, dim=-1, keepdim=True)
    return tangent.div_(torch.where(norm == 0.0, 1.0, norm))


def _forward(losses: Tensor) -> Tensor:
    """w+ / (w+ + w-) of `tangents`, [G, M - 2]."""
    a, b = losses[:, 2:] - losses[:, 1:-1], losses[:, :-2] - losses[:, 1:-1]
    ahead, back = a.clamp(min=0.0) - b.clamp(max=0.0), b.clamp(min=0.0) - a.clamp(max=0.0)
    both = ahead + back
    return torch.where(both == 0.0, 0.5, ahead / both)


def perpendicular(grad: Tensor, tangent: Tensor) -> Tensor:
    """g - <g, tau> tau: [..., P], the part of a gradient that is at right angles to a unit tangent."""
    return torch.addcmul(grad, _dot(grad, tangent), tangent, value=-1.0)


def _dot(left: Tensor, right: Tensor) -> Tensor:
    """<left, right>: [..., 1]."""
    return (left * right).sum(-1, keepdim=True)


class Band(Motion):
    """G chains of M pivots, redistributed before the loss is taken; interior pivots move across the chain.

    pivots: [G, M, P], moved in place; the ends never change. The loss is taken at all G M pivots, the ends included:
    the tangents compare losses of the same minibatch. shares: see `redistribute`, [G, M - 1].
    """

    def __init__(self, pivots: Tensor, shares: Tensor) -> None:
        self.held = pivots
        self._where = (shares,)

    @property
    def state(self) -> Tensor:
        """See `Motion`: the interior pivots, [G, M - 2, P]."""
        return self.held[:, 1:-1]

    def form(self) -> str:
        """See `Motion`."""
        return "band"

    def where(self, step: int) -> tuple[Tensor, ...]:
        """See `Motion`: one place, all the pivots; known by the shares of their segments."""
        return self._where

    def place(self, where: Tensor) -> Tensor:
        """See `Motion`: the redistributed pivots, [G M, P]."""
        self.state.copy_(_inner(self.held, where))
        return self.held.flatten(0, 1)

    def pull(self, where: Tensor, grad: Tensor, loss: Tensor | None = None) -> Tensor:
        """See `Motion`: the perpendicular part of the gradient at the interior pivots, [G, M - 2, P]."""
        assert loss is not None
        tangent = tangents(self.held, loss.view(self.held.shape[:2]))
        across = grad.view(self.held.shape)[:, 1:-1]
        return across.addcmul_(_dot(across, tangent), tangent, value=-1.0)  # `perpendicular`, with no copy of it
