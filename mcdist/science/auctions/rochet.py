"""Menus of one buyer: RochetNet (Duetting et al., "Optimal Auctions through Deep Learning")."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcdist.science.auctions.options import TIE, Options, Outcome, alone, parts

__all__ = ["Menus"]

_OVER = 1.0625  # closed options are this much dearer than what anyone would pay: far from any tie


@dataclass(frozen=True)
class Menus(Options):
    """K menus of M options for n items: allocations x [K, M, n] in [0, 1], prices p [K, M] >= 0.

    u_k(v) = v . x^k - p^k, and u_0 = 0 of the default. The buyer takes an argmax over all M + 1; of several (utilities
    that differ by no more than `TIE` |v|_1) the dearest, of these the first. Valuations v: [N, n], or [K, N, n] with a
    sample for each menu.
    """

    x: Tensor
    p: Tensor

    def rows(self) -> Tensor:
        """See `Options`: [K, M, n + 1], the price last."""
        return torch.cat([self.x, self.p[..., None]], dim=-1)

    def of(self, rows: Tensor) -> Menus:
        """See `Options`."""
        return Menus(rows[..., :-1], rows[..., -1])

    def utilities(self, v: Tensor) -> Tensor:
        """u [K, N, M + 1], the default first; differentiable."""
        u = torch.matmul(v, self.x.mT) - self.p[:, None, :]
        return torch.nn.functional.pad(u, (1, 0))

    def outcome(self, v: Tensor) -> Outcome:
        """See `Options`: taken [K, N, 1], payments and utilities [K, N, 1]."""
        found = [self[k]._outcome(k, v) for k in range(len(self))]
        return Outcome(*(torch.stack(tensors)[..., None] for tensors in zip(*found, strict=True)))

    def _outcome(self, k: int, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Option taken, price and utility, each [N], of this one menu, whose place in the stack is k."""
        rows = torch.nn.functional.pad(self.rows()[0].detach().double(), (0, 0, 1, 0))  # the default first
        x, prices = rows[:, :-1], rows[:, -1]
        found = []
        for some in parts(v, k, len(prices), 1):
            u = torch.addmm(-prices, some, x.T)
            best = u.amax(1)
            least = best - TIE * some.abs().sum(1)
            taken, tied = alone(u, least)
            if len(tied):
                # ties to the higher price; max gives the first of equal prices
                near = u[tied] >= least[tied, None]
                taken[tied] = torch.where(near, prices, -torch.inf).max(1).indices
            found.append((taken, torch.where(best.isnan(), best, prices[taken]), best))  # of no numbers no price
        taken, price, best = (torch.cat(tensors) for tensors in zip(*found, strict=True))
        return taken, price, best

    def surrogate(self, v: Tensor, kappa: float) -> Tensor:
        """See `Options`: E[sum_k p_k softmax_k(kappa u)]."""
        chances = torch.softmax(kappa * self.utilities(v), dim=-1)
        return torch.matmul(chances[..., 1:], self.p[..., None])[..., 0].mean(-1)

    def closed(self, kept: Tensor, bound: float) -> Menus:
        """See `Options`: prices raised above max |v|_1."""
        others = torch.ones(self.size + 1, dtype=torch.bool, device=self.p.device)
        others[kept] = False
        return Menus(self.x, torch.where(others[1:], self.p.clamp(min=_OVER * bound), self.p))

    def excess(self, unit_demand: bool = False) -> Tensor:
        """See `Options`: of x_j < 0, x_j > 1, and sum_j x_j > 1 where demand is for a unit."""
        over = torch.maximum(-self.x, self.x - 1.0).amax((1, 2))
        if unit_demand:
            over = torch.maximum(over, self.x.sum(-1).amax(1) - 1.0)
        return over.clamp(min=0.0)
