"""RochetNet: one buyer's menu (Duetting et al., "Optimal Auctions through Deep Learning")."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mcdist.problems.auctions.auction import Auction, Sampling
from mcdist.science.auctions import Law, Menus, Options, Setting
from mcdist.science.auctions.feasible import confine_to_simplex, confine_to_unit
from mcdist.science.layout import Layout
from mcdist.science.streams import Stream

__all__ = ["RochetNet"]


class RochetNet(Auction):
    """M options for n items: allocations [M, n] in [0, 1] (each option at most one item, where demand is for a unit)
    and prices [M] >= 0. Initial options: see `tangents`.
    """

    def __init__(
        self,
        law: Law,
        options: int,
        *,
        unit_demand: bool = False,
        kappa: float = 100.0,
        sampling: Sampling | None = None,
        logits: bool = False,
        start: Sequence[Menus] = (),
        setting: Setting | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.unit_demand = unit_demand
        super().__init__(
            (law,),
            Layout(("allocations", "prices"), ((options, law.items), (options,))),
            -1 if unit_demand else None,
            kappa,
            sampling or Sampling(),
            logits=logits,
            start=start,
            setting=setting,
            device=device,
            dtype=dtype,
        )

    def options(self, theta: Tensor) -> Menus:
        """See `Auction`."""
        parts = self.layout.views(theta)
        return Menus(parts["allocations"], parts["prices"])

    def theta(self, options: Options) -> Tensor:
        """See `Auction`."""
        assert isinstance(options, Menus)
        return torch.cat([options.x.flatten(1), options.p], dim=1)

    def drawn(self, stream: Stream, n: int) -> Tensor:
        """See `Auction`: [n, items]."""
        return self.laws[0].sample(stream, n)

    def random(self, stream: Stream) -> Menus:
        """See `Auction`."""
        x, paid = self.tangents(stream)
        return Menus(x[None], paid[None])

    def confine(self, theta: Tensor) -> None:
        """See `Problem`."""
        parts = self.layout.views(theta)
        if self.unit_demand:
            confine_to_simplex(parts["allocations"], -1)
        else:
            confine_to_unit(parts["allocations"])
        parts["prices"].clamp_(min=0.0)
