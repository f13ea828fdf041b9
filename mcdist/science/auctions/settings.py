"""Settings of the literature by name, with what is known of their best revenue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from mcdist.science.auctions.marginals import Beta, Uniform
from mcdist.science.auctions.rochet import Menus
from mcdist.science.auctions.valuations import Items, Law, Triangle

__all__ = ["SETTINGS", "Setting"]

_TWO_ITEMS = "Manelli & Vincent 2006"
_SINGLE = "Myerson 1981"
_UNIT = "Thirumulanathan, Sundaresan & Narahari 2019"
_TRIANGLE = "Haghpanah & Hartline 2021"
_INFINITE = "Daskalakis, Deckelbaum & Tzamos 2017"
_JACKET = "Giannakopoulos & Koutsoupias 2018, straight-jacket auction"


@dataclass(frozen=True)
class Setting:
    """Bidders and items, and what their auctions earn.

    law: of each bidder's valuation, independent of the others'. unit_demand: nobody gets more than one item. revenue:
    the optimum, by any truthful mechanism, where it is known, to `digits` decimals (None: exact); source: who says so.
    menu: the optimal options (allocation, price), where they are finitely many. baselines: revenues of simple auctions
    by name.
    """

    law: Law
    bidders: int = 1
    unit_demand: bool = False
    revenue: float | None = None
    digits: int | None = None
    source: str | None = None
    menu: tuple[tuple[tuple[float, ...], float], ...] = ()
    baselines: Mapping[str, float] = field(default_factory=dict)

    def optimum(self) -> Menus | None:
        """The optimal menu (K = 1), float64, where it is known and finite."""
        if not self.menu:
            return None
        x, p = zip(*self.menu, strict=True)
        return Menus(torch.tensor([x], dtype=torch.float64), torch.tensor([p], dtype=torch.float64))


def _uniform(items: int, low: float = 0.0, high: float = 1.0) -> Items:
    return Items((Uniform(low, high),) * items)


def _bidders(bidders: int, items: int, vcg: float, myerson: float) -> Setting:
    """Bidders with values uniform on [0, 1]: for more than one item the optimum is not known."""
    return Setting(_uniform(items), bidders, baselines={"vcg": items * vcg, "myerson_by_item": items * myerson})


_BUNDLE = (4.0 - math.sqrt(2.0)) / 3.0
_HALVES = (8.0 + math.sqrt(22.0)) / 6.0
_REST = 2.0 * _HALVES - 4.0  # v1 + v2 - 4 of those who buy nothing is below it
_THIRD = 1.0 / math.sqrt(3.0)

SETTINGS: dict[str, Setting] = {
    "uniform_1": Setting(_uniform(1), revenue=0.25, source=_SINGLE, menu=(((1.0,), 0.5),)),
    "uniform_2": Setting(
        _uniform(2),
        revenue=(12.0 + 2.0 * math.sqrt(2.0)) / 27.0,
        source=_TWO_ITEMS,
        menu=(((1.0, 0.0), 2.0 / 3.0), ((0.0, 1.0), 2.0 / 3.0), ((1.0, 1.0), _BUNDLE)),
        baselines={"items_apart": 0.5, "bundle": 2.0 / 3.0 * math.sqrt(2.0 / 3.0)},
    ),
    "unit_demand_2_3": Setting(
        _uniform(2, 2.0, 3.0),
        unit_demand=True,
        # half of each to all but s^2 / 2 of the buyers, an item for 1/6 more to 4/9 of them
        revenue=_HALVES * (1.0 - _REST**2 / 2.0) + 2.0 / 27.0,
        source=_UNIT,
        menu=(((0.5, 0.5), _HALVES), ((1.0, 0.0), _HALVES + 1.0 / 6.0), ((0.0, 1.0), _HALVES + 1.0 / 6.0)),
    ),
    "triangle": Setting(Triangle(), revenue=2.0 * _THIRD / 3.0, source=_TRIANGLE, menu=(((1.0, 1.0), _THIRD),)),
    "beta_1_2": Setting(Items((Beta(1.0, 2.0),) * 2), revenue=0.3311, digits=4, source=_INFINITE),
    "uniform_3": Setting(_uniform(3), revenue=0.875, digits=3, source=_JACKET),
    "uniform_4": Setting(_uniform(4), revenue=1.219, digits=3, source=_JACKET),
    "uniform_5": Setting(_uniform(5), revenue=1.576, digits=3, source=_JACKET),
    "uniform_6": Setting(_uniform(6), revenue=1.943, digits=3, source=_JACKET),
    "bidders_2_items_2": _bidders(2, 2, 1.0 / 3.0, 5.0 / 12.0),
    "bidders_2_items_5": _bidders(2, 5, 1.0 / 3.0, 5.0 / 12.0),
    "bidders_3_items_10": _bidders(3, 10, 1.0 / 2.0, 17.0 / 32.0),
}
