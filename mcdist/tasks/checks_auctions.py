"""What a sweep asks of an auction against what the auction is."""

from __future__ import annotations

import math

from mcdist.errors import RequestError
from mcdist.problems.auctions import AffineMaximizer, Auction, RochetNet
from mcdist.science.auctions import large_menu
from mcdist.spec.auctions import AffineMaximizerSpec, RochetNetSpec
from mcdist.spec.paths import PathSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at

__all__ = ["check_auction"]


def check_auction(problem: Auction, said: RochetNetSpec | AffineMaximizerSpec, sweep: SweepSpec) -> None:
    """Raise RequestError for what an auction, built of what is said, cannot do of its sweep."""
    _check_start(said, sweep)
    if problem.logits and any(group.spawn for group in sweep.endpoints):
        raise RequestError(
            f"allocation: {problem.allocation} trains end points by logits, and branches (endpoints.spawn) go on from "
            "allocations, which would be another training; say allocation: projection"
        )
    for i, path in enumerate(sweep.paths):
        with at(f"paths.{i}"):
            _check_path(problem, path)


def _check_start(problem: RochetNetSpec | AffineMaximizerSpec, sweep: SweepSpec) -> None:
    """Raise where a seed has no mechanism to start from."""
    if not problem.start:
        return
    for group in sweep.endpoints:
        if max(group.seeds) >= len(problem.start):
            raise RequestError(
                f"start: {len(problem.start)} mechanisms are for seeds 0 to {len(problem.start) - 1}; the end points "
                f"have the seed {max(group.seeds)}"
            )


def _check_path(problem: Auction, path: PathSpec) -> None:
    """Raise for a path that auctions have not."""
    if path.align.method == "activations":
        raise RequestError("align: activations: an auction has none; its options are matched by align: weights")
    if path.align.structure is not None:
        raise RequestError("align: structure: options are what is matched in auctions: leave it out")
    if path.repair:
        raise RequestError("repair is for networks; an auction has no activations")
    if path.kind in ("three_pieces", "five_pieces"):
        _check_pieces(problem, path)
    if path.kind == "large_menu":
        _check_large(problem, path)


def _check_pieces(problem: Auction, path: PathSpec) -> None:
    """Raise for a path in pieces that no two of these mechanisms have."""
    if isinstance(problem, AffineMaximizer) and problem.learned:
        raise RequestError(
            f"{path.kind} is between affine maximizers of the same weights: these learn weights of their own; say "
            "weights: fixed, or the weights of the bidders"
        )
    if path.kind == "five_pieces" and not math.isfinite(problem.bound):
        raise RequestError(
            "five_pieces closes options by a price above all |v|_1, and these valuations have no bound (a sampler's "
            "can be given as bound); say three_pieces"
        )
    if path.keep is not None and path.keep**2 > problem.size + 1:
        most = math.isqrt(problem.size + 1)
        raise RequestError(
            f"keep: {path.keep} options of each end are {path.keep}^2 = {path.keep**2} pairs, and a menu_size of "
            f"{problem.size} has room for {problem.size + 1}, the default counted; say at most {most}"
        )


def _check_large(problem: Auction, path: PathSpec) -> None:
    """Raise for a large-menu path that is not promised."""
    if not isinstance(problem, RochetNet):
        raise RequestError("large_menu is for one buyer's menus (rochetnet); say three_pieces or five_pieces")
    assert path.eps is not None
    items = problem.laws[0].items
    needed = large_menu(items, path.eps, problem.bound)
    if problem.size < needed:
        raise RequestError(
            f"large_menu with eps {path.eps:g} needs menus of ceil(4 / eps^2)^(2 n) - 1 = {needed} options for n = "
            f"{items} items (eps in units of the greatest |v|_1, {problem.bound:g}); menu_size is {problem.size}"
        )
