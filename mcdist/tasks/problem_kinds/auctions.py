"""Problem kinds `rochetnet` and `affine_maximizer`: auctions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from mcdist.errors import RequestError, unknown_name
from mcdist.problems.auctions import AffineMaximizer, Auction, RochetNet, Sampling
from mcdist.problems.auctions.laws import law_of
from mcdist.problems.data import Dataset
from mcdist.science.auctions import SETTINGS, Law, Maximizers, Menus, Setting, large_menu
from mcdist.science.problem import Problem
from mcdist.spec.auctions import AffineMaximizerSpec, AuctionSpec, RochetNetSpec, ValuationSpec
from mcdist.spec.paths import PathSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at
from mcdist.tasks.problem_kinds.kind import DTYPES, Datasets, Facts, Need, ProblemKind

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
        built = _built(problem, torch.device("cpu"))
        _check_start(problem, sweep)
        for i, path in enumerate(sweep.paths):
            with at(f"paths.{i}"):
                _check_path(built, path)
    who = "1 buyer" if len(built.laws) == 1 else f"{len(built.laws)} bidders"
    note = f"{problem.columns()['dataset']}: {who}, {built.laws[0].items} items, valuations drawn afresh"
    facts = Facts(
        n_params=built.layout.size,
        train=problem.fit_samples,
        evaluated=problem.fit_samples + problem.samples,
        convolutional=False,
        note=note,
        lacks=_LACKS,
        noisy=lambda: _NOISY,
        steps=lambda batch_size: problem.iterations,
        splits=("train", "test"),
    )
    return problem, facts


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
    _check_pieces(problem, path)
    if path.kind != "large_menu":
        return
    if not isinstance(problem, RochetNet):
        raise RequestError("large_menu is for one buyer's menus (rochetnet); say three_pieces or five_pieces")
    assert path.eps is not None
    needed = large_menu(problem.laws[0].items, path.eps, problem.bound)
    if problem.size < needed:
        raise RequestError(
            f"large_menu with eps {path.eps:g} needs menus of ceil(4 / eps^2)^(2 n) - 1 = {needed} options for n = "
            f"{problem.laws[0].items} items (eps in units of the greatest |v|_1, {problem.bound:g}); menu_size is "
            f"{problem.size}"
        )


def _check_pieces(problem: Auction, path: PathSpec) -> None:
    """Raise for a path in pieces that no two of these mechanisms have."""
    if path.kind in ("three_pieces", "five_pieces") and isinstance(problem, AffineMaximizer) and problem.learned:
        raise RequestError(
            f"{path.kind} is between affine maximizers of the same weights: these learn weights of their own; say "
            "weights: fixed, or the weights of the bidders"
        )
    if path.kind == "five_pieces" and not math.isfinite(problem.bound):
        raise RequestError(
            "five_pieces closes options by a price above all |v|_1, and these valuations have no bound (a sampler's "
            "can be given as bound); say three_pieces"
        )


def _build(problem: Any, datasets: Datasets, device: torch.device, channels_last: bool) -> Problem:
    return _built(problem, device)


def _built(problem: RochetNetSpec | AffineMaximizerSpec, device: torch.device) -> Auction:
    return _rochetnet(problem, device) if isinstance(problem, RochetNetSpec) else _affine(problem, device)


def _rochetnet(problem: RochetNetSpec, device: torch.device) -> RochetNet:
    setting, laws = _laws(problem.setting, problem.valuation)
    if setting is not None and setting.bidders != 1:
        raise RequestError(f"setting: {problem.setting} has {setting.bidders} bidders; that is for affine_maximizer")
    unit = problem.unit_demand if problem.unit_demand is not None else bool(setting and setting.unit_demand)
    if setting is not None and unit != setting.unit_demand:
        setting = None  # what is known of it is of other buyers
    given = []
    for i, menu in enumerate(problem.start):
        with at(f"start.{i}"):
            given.append(_menu(menu.allocations, menu.prices, laws[0], problem.menu_size, unit))
    return RochetNet(
        laws[0],
        problem.menu_size,
        unit_demand=unit,
        logits=problem.allocation != "projection",
        start=given,
        setting=setting,
        **_common(problem, device),
    )


def _affine(problem: AffineMaximizerSpec, device: torch.device) -> AffineMaximizer:
    setting, laws = _laws(problem.setting, problem.valuation)
    if setting is not None and setting.unit_demand:
        raise RequestError(f"setting: {problem.setting} is of unit demand; that is for rochetnet")
    bidders = problem.bidders or (setting.bidders if setting is not None else len(laws))
    if setting is not None and bidders != setting.bidders:
        setting = None
    if len(laws) == 1:
        laws = laws * bidders
    weights = problem.weights if isinstance(problem.weights, tuple) else None
    if weights is not None and len(weights) != bidders:
        raise RequestError(f"weights: {len(weights)} weights for {bidders} bidders")
    given = []
    for i, one in enumerate(problem.start):
        with at(f"start.{i}"):
            given.append(_maximizer(one.allocations, one.boosts, laws, problem.menu_size, weights))
    return AffineMaximizer(
        laws,
        problem.menu_size,
        weights=weights,
        learned=problem.weights == "learned",
        logits=problem.allocation != "projection",
        start=given,
        setting=setting,
        **_common(problem, device),
    )


def _common(problem: AuctionSpec, device: torch.device) -> dict[str, Any]:
    return {
        "kappa": problem.kappa,
        "sampling": Sampling(problem.iterations, problem.samples, problem.fit_samples, problem.sample_seed),
        "device": device,
        "dtype": DTYPES[problem.dtype],
    }


def _laws(name: str | None, valuations: Sequence[ValuationSpec]) -> tuple[Setting | None, list[Law]]:
    """The law of each valuation, or that of a setting by name and what is known of it."""
    if name is None:
        laws = []
        for i, valuation in enumerate(valuations):
            with at(f"valuation.{i}" if len(valuations) > 1 else "valuation"):
                laws.append(_law(valuation))
        return None, laws
    if name not in SETTINGS:
        raise RequestError(unknown_name("setting", name, SETTINGS))
    return SETTINGS[name], [SETTINGS[name].law]


def _law(spec: ValuationSpec) -> Law:
    options: dict[str, Any] = {
        option: spec.each(option) if option in ("low", "high", "a", "b", "rate") else getattr(spec, option)
        for option in spec.OPTIONS.get(spec.law, spec.SAMPLER)
    }
    return law_of(spec.law, spec.items or 1, options)


def _menu(
    allocations: Sequence[Sequence[float]], prices: Sequence[float], law: Law, size: int, unit_demand: bool
) -> Menus:
    """A menu given as data, filled up to `size` with options that are the default again."""
    _check_items({len(row) for row in allocations}, law.items)
    x, p = _padded(allocations, size), _padded(prices, size)
    menu = Menus(x, p)
    menu.check(unit_demand)
    return menu


def _maximizer(
    allocations: Sequence[Sequence[Sequence[float]]],
    boosts: Sequence[float],
    laws: Sequence[Law],
    size: int,
    weights: Sequence[float] | None,
) -> Maximizers:
    if {len(option) for option in allocations} != {len(laws)}:
        raise RequestError(f"allocations are to be given for {len(laws)} bidders")
    _check_items({len(row) for option in allocations for row in option}, laws[0].items)
    w = torch.tensor([weights or [1.0] * len(laws)], dtype=torch.float64)
    found = Maximizers(_padded(allocations, size), _padded(boosts, size), w)
    found.check()
    return found


def _check_items(found: set[int], items: int) -> None:
    if found != {items}:
        raise RequestError(f"allocations are of {', '.join(map(str, sorted(found)))} items; valuations of {items}")


def _padded(numbers: Sequence[Any], size: int) -> torch.Tensor:
    """[1, size, ...] with zeros for what is not said."""
    said = torch.tensor(numbers, dtype=torch.float64)
    return torch.cat([said, said.new_zeros(size - len(said), *said.shape[1:])])[None]


ROCHETNET = ProblemKind(_prepare, _build)
AFFINE_MAXIMIZER = ProblemKind(_prepare, _build)
