"""Problem kinds `rochetnet` and `affine_maximizer`: auctions."""

from __future__ import annotations

from typing import Any

import torch

from mcdist.problems.auctions import Auction
from mcdist.problems.data import Dataset
from mcdist.science.problem import Problem
from mcdist.spec.auctions import AffineMaximizerSpec, RochetNetSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at
from mcdist.tasks.checks_auctions import check_auction
from mcdist.tasks.problem_kinds.auction_problems import build_auction, resolved
from mcdist.tasks.problem_kinds.kind import Datasets, Facts, Need, ProblemKind

__all__ = ["AFFINE_MAXIMIZER", "ROCHETNET"]

_LACKS: dict[Need, str] = {
    "outputs": "needs outputs of a network; an auction is a loss alone",
    "likelihood": "needs the likelihood of labels; an auction is a loss alone",
}
_NOISY = "valuations are drawn afresh at each step, and no gradient is that of all there could be"


def _prepare(
    problem: Any, sweep: SweepSpec, datasets: dict[str, Dataset], where: str
) -> tuple[RochetNetSpec | AffineMaximizerSpec, Facts]:
    with at(where):
        auction = build_auction(problem, torch.device("cpu"))
        check_auction(auction, problem, sweep)
    said = resolved(problem)
    return said, _facts(said, auction)


def _facts(said: RochetNetSpec | AffineMaximizerSpec, auction: Auction) -> Facts:
    m, n = len(auction.laws), auction.laws[0].items
    who = f"{m} bidders" if isinstance(said, AffineMaximizerSpec) else "1 buyer"
    return Facts(
        n_params=auction.layout.size,
        train=said.fit_samples,
        evaluated=said.fit_samples + said.samples,
        convolutional=False,
        note=f"{said.columns()['dataset']}: {who}, {n} item{'s' if n > 1 else ''}, valuations drawn afresh",
        lacks=_LACKS,
        noisy=lambda: _NOISY,
        steps=lambda batch_size: said.iterations,
        splits=("train", "test"),
        unlimited=True,
    )


def _build(problem: Any, datasets: Datasets, device: torch.device, channels_last: bool) -> Problem:
    return build_auction(problem, device)


ROCHETNET = ProblemKind(_prepare, _build)
AFFINE_MAXIMIZER = ProblemKind(_prepare, _build)
