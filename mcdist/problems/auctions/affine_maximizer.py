"""Affine maximizers of several bidders, as a problem."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mcdist.problems.auctions.auction import Auction, Sampling
from mcdist.science.auctions import Law, Maximizers, Options, Setting, profiles
from mcdist.science.auctions.feasible import confine_to_simplex
from mcdist.science.layout import Layout
from mcdist.science.streams import Stream

__all__ = ["AffineMaximizer"]

_WEIGHTS = (0.01, 100.0)
"""Between these learned weights stay: only their ratios mean something, and none may reach 0."""


class AffineMaximizer(Auction):
    """M options for m bidders and n items: allocations [M, m, n] >= 0, no more of an item than there is, boosts [M];
    weights of the bidders [m] > 0, fixed or learned from these (weights None: from 1) on. Initial options: see
    `tangents`, of valuations times weights; boosts are minus what is paid.
    """

    def __init__(
        self,
        laws: Sequence[Law],
        options: int,
        *,
        weights: Sequence[float] | None = None,
        learned: bool = False,
        kappa: float = 100.0,
        sampling: Sampling | None = None,
        logits: bool = False,
        start: Sequence[Maximizers] = (),
        setting: Setting | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        m, n = len(laws), laws[0].items
        names, shapes = ("allocations", "boosts"), ((options, m, n), (options,))
        self.learned = learned
        self._weights = torch.tensor([weights or [1.0] * m], dtype=torch.float64, device=device)
        super().__init__(
            laws,
            Layout((*names, "weights"), (*shapes, (m,))) if learned else Layout(names, shapes),
            -2,
            kappa,
            sampling or Sampling(),
            logits=logits,
            start=start,
            setting=setting,
            device=device,
            dtype=dtype,
        )

    def options(self, theta: Tensor) -> Maximizers:
        """See `Auction`."""
        parts = self.layout.views(theta)
        w = parts["weights"] if self.learned else self._weights.to(theta.dtype).expand(len(theta), -1)
        return Maximizers(parts["allocations"], parts["boosts"], w)

    def theta(self, options: Options) -> Tensor:
        """See `Auction`."""
        assert isinstance(options, Maximizers)
        parts = [options.x.flatten(1), options.b, *([options.w] if self.learned else [])]
        return torch.cat(parts, dim=1)

    def drawn(self, stream: Stream, n: int) -> Tensor:
        """See `Auction`: [n, m, items]."""
        return profiles(self.laws, stream, n)

    def random(self, stream: Stream) -> Maximizers:
        """See `Auction`."""
        weights = self._weights.cpu()
        x, paid = self.tangents(stream, weights[0, :, None])
        return Maximizers(x[None], -paid[None], weights)

    def confine(self, theta: Tensor) -> None:
        """See `Problem`."""
        parts = self.layout.views(theta)
        confine_to_simplex(parts["allocations"], -2)
        if self.learned:
            parts["weights"].clamp_(*_WEIGHTS)
