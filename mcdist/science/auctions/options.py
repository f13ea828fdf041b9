"""Lists of options, stacked: what a buyer's menu and an affine maximizer have in common.

A list holds M options and, besides them, the default: nothing for nothing, which is always there and never a parameter.
Wherever options are counted or pointed at, 0 is the default and k = 1 .. M is row k - 1 of the parameters.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mcdist.errors import RequestError

__all__ = ["ELEMENTS", "TIE", "Options", "Outcome", "alone", "parts"]

TIE = 2.0**-40
"""Values that differ by no more than this times their scale (of a buyer: |v|_1) are equal: rounding parts no tie."""

ELEMENTS = 1 << 20
"""Numbers per table of options by valuations that is held at once where there may be any number: 8 MiB."""

_NEAR = 16  # a CPU has so many times fewer of them at once, that a table stays near the core

Self = TypeVar("Self", bound="Options")


@dataclass(frozen=True)
class Outcome:
    """What K mechanisms do on N valuations (of m bidders; a menu has one buyer), by the hard choice, in float64.

    taken: [K, N, S] the options that matter, 0 the default: first the one taken, then, for an affine maximizer, those
    that would be taken without bidder 1 .. m. What is paid stays as it is for as long as these do. payments: [K, N, m].
    utilities: [K, N, m], v_i . x_i - payment.
    """

    taken: Tensor
    payments: Tensor
    utilities: Tensor

    @property
    def revenue(self) -> Tensor:
        """[K, N], what is paid by all bidders together."""
        return self.payments.sum(-1)

    def mean(self) -> Tensor:
        """[K], expected revenue."""
        return self.revenue.mean(-1)

    def stderr(self) -> Tensor:
        """[K], its standard error: the standard deviation (N - 1 degrees of freedom) over sqrt N."""
        return self.revenue.std(-1) / math.sqrt(self.revenue.shape[1])

    def __getitem__(self, k: int) -> Outcome:
        """The outcome of mechanism k alone, still stacked (K = 1)."""
        part = slice(k, k + 1 or None)
        return Outcome(self.taken[part], self.payments[part], self.utilities[part])


class Options(ABC):
    """K lists of M options, the default not counted; x: allocations [K, M, ...]."""

    x: Tensor

    @abstractmethod
    def rows(self) -> Tensor:
        """[K, M, F]: an option as numbers, its allocation and then its price or boost; the default would be zeros."""

    @abstractmethod
    def of(self: Self, rows: Tensor) -> Self:
        """Other options [K', M', F] of the same kind of mechanism, numbers kept bit for bit; the inverse of `rows`."""

    @abstractmethod
    def outcome(self, v: Tensor) -> Outcome:
        """What happens on the valuations v, of one sample for all K or of K samples; float64, with the tie rule."""

    @abstractmethod
    def surrogate(self, v: Tensor, kappa: float) -> Tensor:
        """[K], mean revenue with softmax_k(kappa value_k), the default included, in place of argmax; differentiable."""

    @abstractmethod
    def closed(self: Self, kept: Tensor, bound: float) -> Self:
        """The options outside `kept` (indices, 0 the default) made so bad that no valuation takes them.

        bound: what no valuation is above (of a buyer: |v|_1; of bidders: sum_i w_i |v_i|_1).
        """

    @abstractmethod
    def excess(self, unit_demand: bool = False) -> Tensor:
        """[K], by how much an allocation is infeasible at most; 0 where all are feasible.

        unit_demand: whether nobody may have more than one item, sum_j x_j <= 1.
        """

    @property
    def size(self) -> int:
        """M."""
        return self.x.shape[1]

    def __len__(self) -> int:
        """K."""
        return self.x.shape[0]

    def __getitem__(self: Self, index: slice | int) -> Self:
        """The lists of a slice, or the one at an index, still stacked (K = 1)."""
        return self.of(self.rows()[slice(index, index + 1 or None) if isinstance(index, int) else index])

    def pick(self: Self, index: Tensor) -> Self:
        """Of one list (K = 1): the options at `index` [M'] (0 the default, any order, any number of times)."""
        with_default = torch.nn.functional.pad(self.rows(), (0, 0, 1, 0))
        return self.of(with_default[:, index])

    def check(self, unit_demand: bool = False) -> None:
        """Raises RequestError for options that are none: no numbers, no rows, or more of an item than there is."""
        rows = self.rows()
        if rows.shape[1] == 0:
            raise RequestError("a menu of 0 options: give it at least 1 besides the default")
        if not bool(torch.isfinite(rows).all()):
            raise RequestError("options have numbers that are not finite")
        excess = self.excess(unit_demand)
        if float(excess.max()) > TIE:  # a mean of feasible allocations may be over by rounding
            limit = "at most 1 item" if unit_demand else "between 0 and 1 of each item"
            raise RequestError(
                f"menu {int(excess.argmax())} has an allocation that is infeasible by {float(excess.max()):.3g}: "
                f"an option gives each {limit}, and all bidders together no more than there is"
            )


def parts(v: Tensor, k: int, width: int, lead: int) -> Iterator[Tensor]:
    """The valuations of mechanism k, so many at a time that a table of `width` numbers for each is not too large.

    v: [N, ...] or [K, N, ...], of which `lead` axes are those of one valuation.
    """
    own = v[k] if v.dim() > lead + 1 else v
    held = ELEMENTS if v.is_cuda else ELEMENTS // _NEAR
    return iter(own.double().split(max(1, held // width)))


def alone(table: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """[N], for each row of a table [N, M] the index of its one entry that is no less than least [N]; and the rows, [R],
    that have none or several, of which the indices say nothing.

    What is to be known of rows with one such entry is then looked up there, with no further table: nearly all, where
    values are continuous.
    """
    rows, columns = table.shape
    if table.is_cuda:
        found = (table >= least[:, None]).flatten().nonzero()[:, 0]
    else:
        # a third of the time that torch takes for it
        found = torch.from_numpy(np.flatnonzero(table.numpy() >= least.numpy()[:, None]))
    row, index = found // columns, found % columns
    several = (torch.bincount(row, minlength=rows) != 1).nonzero()[:, 0]
    return torch.zeros(rows, dtype=torch.int64, device=table.device).scatter_(0, row, index), several
