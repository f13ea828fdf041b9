"""What is said of an end point of an auction: tables `menus` and `menu_options`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcdist.science.points import Points
from mcdist.science.problem import Rows

if TYPE_CHECKING:
    from mcdist.problems.auctions.auction import Auction

__all__ = ["described"]


def described(problem: Auction, point: Points, said: Mapping[str, Any]) -> Rows:
    """The rows of one settled point (K = 1). said: its row of table `endpoints`, but for what was measured."""
    return {}
