"""Paths between two mechanisms that are made rather than trained, with what they promise (Hertrich, Tao & Vegh 2023).

All are piecewise straight in allocations and prices (boosts). The heart of each is that a list of (k, l)-options, every
pair of an option k of one list and l of another, mixed as (1 - t) a_k + t b_l, does at each t what both lists do at
once: max_kl [(1 - t) u_k + t u_l] = (1 - t) max_k u_k + t max_l u_l. So payments are linear in t, for each valuation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

import torch
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions.affine import Maximizers
from mcdist.science.auctions.options import Options
from mcdist.science.auctions.reducibility import Kept
from mcdist.science.auctions.rochet import Menus

__all__ = ["Pieces", "five_pieces", "large_maximizer", "large_menu", "large_menu_pieces", "pairing", "three_pieces"]

O = TypeVar("O", bound=Options)  # noqa: E741


@dataclass(frozen=True)
class Pieces(Generic[O]):
    """A piecewise straight path, an equal share of t in [0, 1] for each piece.

    corners: pieces + 1 lists, the ends bit for bit what was to be connected. sizes: |K1|, |K2|. eps: revenue along
    the path is at least the lesser of the ends' less eps, as promised; sharp: the same from the revenue that the
    options which are given up had on the sample, rather than from the share of valuations.
    """

    corners: O
    sizes: tuple[int, int]
    eps: float
    sharp: float

    def __len__(self) -> int:
        """The number of pieces."""
        return len(self.corners) - 1

    @property
    def middle(self) -> int:
        """The piece (from 0) on which payments are linear in t, valuation by valuation."""
        return len(self) // 2

    def piece(self, t: Tensor) -> Tensor:
        """The piece [T] (from 0) to which positions t [T] belong; a corner belongs to the piece that it begins."""
        return (t.double() * len(self)).floor().long().clamp(0, len(self) - 1)

    def at(self, t: Tensor) -> O:
        """The lists at positions t [T]."""
        rows, piece = self.corners.rows(), self.piece(t).to(self.corners.x.device)
        along = (t.double().to(rows.device) * len(self) - piece).to(rows)
        # lerp is exact at both ends, and between equal ends
        return self.corners.of(torch.lerp(rows[piece], rows[piece + 1], along[:, None, None]))

    def grid(self, intervals: int) -> Tensor:
        """Positions t with so many equal intervals on each piece: all corners, [pieces x intervals + 1]."""
        steps = torch.arange(len(self) * intervals + 1, dtype=torch.float64)
        return steps / (len(self) * intervals)


def pairing(options: int, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """phi: 0 .. M -> K1 x K2, onto, as (phi1, phi2), [M + 1] each; phi1(k) = k on K1, phi2(k) = k on K2.

    The default goes to (0, 0); an index of both to (k, k), of K1 alone to (k, 0), of K2 alone to (0, k); these pairs
    are all different. The other indices, which are M + 1 - |K1 u K2|, go onto the pairs that are left, which are
    |K1||K2| - |K1 u K2|: there are enough of them if and only if |K1||K2| <= M + 1. Those to spare go to (0, 0).
    first, second: K1, K2, indices with 0 among them. Raises RequestError where they are too many.
    """
    pairs = len(first) * len(second)
    if pairs > options + 1:
        raise RequestError(
            f"a path through pairs of {len(first)} and {len(second)} options needs {pairs} of them, the default "
            f"counted; a menu of {options} has {options + 1}: it needs {pairs - 1}, or fewer options kept"
        )
    phi1 = torch.zeros(options + 1, dtype=torch.long, device=first.device)
    phi2 = torch.zeros_like(phi1)
    phi1[first], phi2[second] = first, second
    held = {*first.tolist(), *second.tolist()}
    used = {(int(phi1[k]), int(phi2[k])) for k in held}
    left = [(k, l) for k in first.tolist() for l in second.tolist() if (k, l) not in used]  # noqa: E741
    for index, (k, l) in zip((i for i in range(options + 1) if i not in held), left, strict=False):  # noqa: E741
        phi1[index], phi2[index] = k, l
    return phi1, phi2


def three_pieces(a: O, b: O, kept: tuple[Kept, Kept], bound: float = 1.0) -> Pieces[O]:
    """a -> a[phi1] -> b[phi2] -> b, with phi the `pairing` of the options kept of each; a, b: K = 1.

    The piece between is linear for each valuation. Where nothing is lost with the other options (both 0-reducible) the
    first and the last are flat. Where something is, the promise holds all the same: on those two an option kept stays,
    the others become means u_k (1 - s) + u_phi(k) s of what was no better, so that whoever takes a kept option goes on
    with it, or with one as good and dearer. bound: the greatest |v|_1, of each bidder.
    """
    _check_pair(a, b)
    return Pieces(a.of(torch.cat(_joined(a, b, kept))), _sizes(kept), *_promise(kept, bound))


def five_pieces(a: O, b: O, kept: tuple[Kept, Kept], bound: float = 1.0) -> Pieces[O]:
    """a -> a with the other options closed -> three pieces -> b with its others closed -> b.

    bound: the greatest |v|_1, for affine maximizers of each bidder; prices are raised above it, boosts lowered below
    -sum_i w_i times it. Must be finite.
    """
    _check_pair(a, b)
    if not 0.0 < bound < math.inf:
        raise RequestError(f"options are closed by a price above all |v|_1: these are not bounded by {bound}")
    near, far = (end.closed(of.index, _bound(end, bound)) for end, of in zip((a, b), kept, strict=True))
    rows = [a.rows(), *_joined(near, far, kept), b.rows()]
    return Pieces(a.of(torch.cat(rows)), _sizes(kept), *_promise(kept, bound))


def large_menu(items: int, eps: float, bound: float = 1.0) -> int:
    """M that is large enough for `large_menu_pieces`: M + 1 = ceil(4 / eps^2)^(2 n), with eps in units of the bound."""
    return int(_levels(eps, bound) ** (2 * items)) - 1


def large_maximizer(items: int, bidders: int, eps: float, bound: float = 1.0) -> int:
    """M for which any two affine maximizers with w = 1 are eps-connected: M + 1 = ceil(16 m^3 / eps^2)^(2 n m).

    Out of reach in practice (2 bidders, 2 items, eps 1/4: 2048^8), so that no path is made that way.
    """
    return int(math.ceil(16 * bidders**3 / _share(eps, bound) ** 2) ** (2 * items * bidders)) - 1


def large_menu_pieces(a: Menus, b: Menus, eps: float, bound: float = 1.0) -> Pieces[Menus]:
    """a -> a rounded -> three pieces -> b rounded -> b: for any two menus of at least `large_menu` options.

    With e = eps^2 / 4, allocations are rounded down to multiples of e, and prices cut by sqrt e = eps / 2 of them. On
    the first piece every buyer goes on paying at least p - eps: for one that goes from k to k' when a share s of both
    is done, s (p' - p) sqrt e >= s v . (d' - d) >= -s e, with roundings d, d' in [0, e]^n. Of options with the same
    rounded allocation only the cheapest is then taken, so that those (and the default) are enough.

    eps: in the units of revenue, eps <= bound; e is made of eps / bound. bound: the greatest |v|_1.
    """
    _check_pair(a, b)
    items, levels = a.x.shape[2], _levels(eps, bound)
    needed = large_menu(items, eps, bound)
    if a.size < needed:
        raise RequestError(
            f"a path through rounded menus with eps {eps:g} needs ceil(4 / eps^2)^(2 n) - 1 = {needed} options for "
            f"{items} items (values up to {bound:g}); the menus have {a.size}"
        )
    (near, first), (far, second) = (_rounded(end, float(_share(eps, bound)) ** 2 / 4.0, levels) for end in (a, b))
    kept = Kept(first, 0.0, 0.0, 1), Kept(second, 0.0, 0.0, 1)
    rows = [a.rows(), *_joined(near, far, kept), b.rows()]
    return Pieces(a.of(torch.cat(rows)), _sizes(kept), eps, eps)


def _joined(a: O, b: O, kept: tuple[Kept, Kept]) -> list[Tensor]:
    """Rows [1, M, F] of the corners a, a[phi1], b[phi2], b."""
    phi1, phi2 = pairing(a.size, kept[0].index, kept[1].index)
    return [a.rows(), a.pick(phi1[1:]).rows(), b.pick(phi2[1:]).rows(), b.rows()]


def _rounded(menu: Menus, e: float, levels: int) -> tuple[Menus, Tensor]:
    """A menu rounded to multiples 0 .. levels - 1 of e, prices cut by sqrt e of them; and the options then enough.

    An allocation of 1 belongs to the last level: it would otherwise make one more where 1 / e is whole.
    """
    cell = (menu.x / e).floor().clamp(0, levels - 1)
    cheapest = {(0.0,) * menu.x.shape[2]: 0}  # the default: nothing is cheaper
    for k in torch.argsort(menu.p[0], stable=True).tolist():
        cheapest.setdefault(tuple(cell[0, k].tolist()), k + 1)
    index = torch.tensor(sorted(cheapest.values()), device=menu.x.device)
    return Menus(cell * e, menu.p * (1.0 - math.sqrt(e))), index


def _share(eps: float, bound: float) -> Fraction:
    """eps in units of the bound, as the decimal numbers that they are written as: 4 / 0.2^2 is 100."""
    if not 0.0 < bound < math.inf:
        raise RequestError(f"a promise of eps needs valuations with bounded |v|_1, not by {bound}")
    if not 0.0 < eps <= bound:
        raise RequestError(f"eps must be above 0 and at most {bound:g}, the greatest |v|_1; got {eps:g}")
    return Fraction(str(eps)) / Fraction(str(bound))


def _levels(eps: float, bound: float) -> int:
    """ceil(4 / eps^2), the multiples of e = eps^2 / 4 in [0, 1)."""
    return math.ceil(4 / _share(eps, bound) ** 2)


def _bound(options: Options, bound: float) -> float:
    """What no option can be worth: |v|_1 of the buyer, sum_i w_i |v_i|_1 of bidders."""
    return bound * float(options.w.sum()) if isinstance(options, Maximizers) else bound


def _sizes(kept: tuple[Kept, Kept]) -> tuple[int, int]:
    return len(kept[0].index), len(kept[1].index)


def _promise(kept: tuple[Kept, Kept], bound: float) -> tuple[float, float]:
    """eps and the sharper one: see `Pieces`."""
    return bound * max(of.eps for of in kept), max(of.dropped for of in kept)


def _check_pair(a: Options, b: Options) -> None:
    """Raises RequestError where the two are not one list each, of one shape and with the same weights."""
    if len(a) != 1 or len(b) != 1 or type(a) is not type(b) or a.x.shape != b.x.shape:
        raise RequestError(
            f"a path in pieces joins two lists of one shape, not {list(a.x.shape)} and {list(b.x.shape)} "
            f"[1, options, (bidders,) items]"
        )
    if isinstance(a, Maximizers) and isinstance(b, Maximizers) and not torch.equal(a.w, b.w):
        raise RequestError(
            f"a path in pieces joins affine maximizers of the same weights, not {a.w[0].tolist()} and {b.w[0].tolist()}"
        )
