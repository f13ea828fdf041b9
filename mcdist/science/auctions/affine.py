"""Affine maximizer auctions: m bidders, n items, a list of allocations with boosts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcdist.science.auctions.options import TIE, Options, Outcome, alone, parts

__all__ = ["Maximizers"]

_OVER = 1.0625  # closed options are this much worse than what any bidders could make up for


@dataclass(frozen=True)
class Maximizers(Options):
    """K affine maximizers: allocations x [K, M, m, n], boosts b [K, M], weights of the bidders w [K, m] > 0.

        W(v, k) = sum_i w_i v_i . x_i^k + b^k,    W_-i(v, k) = W(v, k) - w_i v_i . x_i^k,    both 0 for the default;
        k(v) = argmax_k W(v, k),    payment p_i = (max_k W_-i(v, k) - W_-i(v, k(v))) / w_i >= 0,
        utility u_i = (max_k W(v, k) - max_k W_-i(v, k)) / w_i >= 0.

    Of several argmaxes (W within `TIE` of its scale, sum_i w_i |v_i|_1 + max b) the one with the highest total payment
    is taken, of these the first. Valuations v: [N, m, n], or [K, N, m, n] with a sample for each.
    """

    x: Tensor
    b: Tensor
    w: Tensor

    def rows(self) -> Tensor:
        """See `Options`: [K, M, m n + 1], the boost last; weights are no part of an option."""
        return torch.cat([self.x.flatten(2), self.b[..., None]], dim=-1)

    def of(self, rows: Tensor) -> Maximizers:
        """See `Options`; the weights are those of the first of these lists."""
        x = rows[..., :-1].unflatten(-1, self.x.shape[2:])
        return Maximizers(x, rows[..., -1], self.w[:1].expand(len(rows), -1))

    def __getitem__(self, index: slice | int) -> Maximizers:
        """See `Options`."""
        part = slice(index, index + 1 or None) if isinstance(index, int) else index
        return Maximizers(self.x[part], self.b[part], self.w[part])

    def welfare(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """W [K, N, M + 1] and W_-i [K, m, N, M + 1], the default first; differentiable."""
        terms = torch.matmul(v.transpose(-3, -2), self.x.permute(0, 2, 3, 1)) * self.w[:, :, None, None]
        total = terms.sum(1) + self.b[:, None, :]
        pad = torch.nn.functional.pad
        return pad(total, (1, 0)), pad(total[:, None] - terms, (1, 0))

    def outcome(self, v: Tensor) -> Outcome:
        """See `Options`: taken [K, N, 1 + m], payments and utilities [K, N, m]."""
        found = [self[k]._outcome(k, v) for k in range(len(self))]
        return Outcome(*(torch.stack(tensors) for tensors in zip(*found, strict=True)))

    def _outcome(self, k: int, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Options that matter [N, 1 + m], payments and utilities [N, m] of this one, whose place in the stack is k."""
        bidders = self.x.shape[2]
        one = Maximizers(self.x.detach().double(), self.b.detach().double(), self.w.detach().double())
        found = [one._part(some) for some in parts(v, k, (self.size + 1) * (bidders + 1), 2)]
        taken, payments, utilities = (torch.cat(tensors) for tensors in zip(*found, strict=True))
        return taken, payments, utilities

    def _part(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `_outcome`, of a few valuations at once."""
        w = self.w[0]
        total, without = self._tables(v)  # [N, M + 1], [m, N, M + 1]
        best, best_without = total.amax(-1), without.amax(-1)
        slack = TIE * ((v.abs().sum(-1) * w).sum(-1) + self.b.amax().clamp(min=0.0))
        taken, tied = alone(total, best - slack)
        if len(tied):
            pays = ((best_without[:, tied, None] - without[:, tied]) / w[:, None, None]).sum(0)
            near = total[tied] >= (best - slack)[tied, None]
            taken[tied] = _first(torch.where(near, pays, -torch.inf), slack[tied] / w.amin())
        flat, least = without.flatten(0, 1), (best_without - slack).flatten()
        others, tied = alone(flat, least)
        others[tied] = (flat[tied] >= least[tied, None]).to(torch.uint8).argmax(-1)  # the first
        here = without.gather(2, taken.expand(len(w), -1)[..., None])[..., 0]
        payments, utilities = (best_without - here) / w[:, None], (best - best_without) / w[:, None]
        return torch.cat([taken[None], others.view(len(w), -1)]).T, payments.T, utilities.T

    def _tables(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """`welfare` of the one mechanism, [N, M + 1] and [m, N, M + 1], with fewer tables; not differentiable."""
        x = torch.nn.functional.pad(self.x[0], (0, 0, 0, 0, 1, 0)).permute(1, 2, 0)  # the default first
        terms = torch.bmm(v.transpose(0, 1) * self.w[0, :, None, None], x)
        total = terms.sum(0).add_(torch.nn.functional.pad(self.b[0], (1, 0)))
        return total, terms.neg_().add_(total)

    def surrogate(self, v: Tensor, kappa: float) -> Tensor:
        """See `Options`: softmax over W for what is taken, over each W_-i for what would be without bidder i."""
        total, without = self.welfare(v)
        chances, chances_without = (torch.softmax(kappa * table, dim=-1) for table in (total, without))
        pays = ((chances_without - chances[:, None]) * without).sum(-1) / self.w[..., None]
        return pays.sum(1).mean(-1)

    def closed(self, kept: Tensor, bound: float) -> Maximizers:
        """See `Options`: boosts lowered below -max sum_i w_i |v_i|_1, so that W and every W_-i are below 0."""
        others = torch.ones(self.size + 1, dtype=torch.bool, device=self.b.device)
        others[kept] = False
        return Maximizers(self.x, torch.where(others[1:], self.b.clamp(max=-_OVER * bound), self.b), self.w)

    def excess(self, unit_demand: bool = False) -> Tensor:
        """See `Options`: of x_ij < 0, sum_i x_ij > 1, and sum_j x_ij > 1 where demand is for a unit."""
        over = torch.maximum((-self.x).amax((1, 2, 3)), self.x.sum(2).amax((1, 2)) - 1.0)
        if unit_demand:
            over = torch.maximum(over, self.x.sum(3).amax((1, 2)) - 1.0)
        return over.clamp(min=0.0)


def _first(values: Tensor, slack: Tensor) -> Tensor:
    """The first index [...] at which values [..., M] are within slack [...] of their greatest."""
    return (values >= (values.amax(-1) - slack)[..., None]).to(torch.uint8).argmax(-1)
