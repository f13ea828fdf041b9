"""From the specification of an auction to the problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mcdist.errors import RequestError, unknown_name
from mcdist.problems.auctions import AffineMaximizer, Auction, RochetNet, Sampling
from mcdist.problems.auctions.laws import law_of
from mcdist.science.auctions import SETTINGS, Law, Maximizers, Menus, Setting
from mcdist.science.auctions.options import TIE
from mcdist.spec.auctions import AffineMaximizerSpec, AuctionSpec, MaximizerSpec, MenuSpec, RochetNetSpec
from mcdist.spec.valuations import ValuationSpec
from mcdist.tasks.checks import at
from mcdist.tasks.problem_kinds.kind import DTYPES

__all__ = ["build_auction", "resolved"]


def build_auction(problem: RochetNetSpec | AffineMaximizerSpec, device: torch.device) -> Auction:
    """The auction; its samples are drawn when they are asked for. Raises RequestError for one that cannot be."""
    return _rochetnet(problem, device) if isinstance(problem, RochetNetSpec) else _affine(problem, device)


def resolved(problem: RochetNetSpec | AffineMaximizerSpec) -> RochetNetSpec | AffineMaximizerSpec:
    """The specification without what is so anyway: said or not, it is one auction, of one identity."""
    if isinstance(problem, RochetNetSpec):
        usual = "sigmoid" if _unit_demand(problem) else "projection"
        said: dict[str, Any] = {"allocation": None} if problem.allocation == usual else {}
        if problem.setting is not None and problem.unit_demand == _setting(problem.setting).unit_demand:
            said["unit_demand"] = None
        return problem.model_copy(update=said)
    if problem.setting is None:
        return problem
    setting = _setting(problem.setting)
    update: dict[str, Any] = {"bidders": None} if problem.bidders == setting.bidders else {}
    if isinstance(problem.weights, tuple) and set(problem.weights) == {1.0}:
        update["weights"] = "fixed"
    return problem.model_copy(update=update)


def _rochetnet(problem: RochetNetSpec, device: torch.device) -> RochetNet:
    setting, (law, *_) = _laws(problem.setting, problem.valuation)
    if setting is not None and setting.bidders != 1:
        raise RequestError(f"setting: {problem.setting} has {setting.bidders} bidders; that is for affine_maximizer")
    unit = _unit_demand(problem)
    if setting is not None and unit != setting.unit_demand:
        setting = None  # what is known of it is of other buyers
    given = []
    for i, menu in enumerate(problem.start):
        with at(f"start.{i}"):
            given.append(_menu(menu, law.items, problem.menu_size, unit))
    return RochetNet(
        law,
        problem.menu_size,
        unit_demand=unit,
        logits=unit if problem.allocation is None else problem.allocation == "sigmoid",
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
        setting = None  # what is known of it is of other numbers of bidders
    if len(laws) == 1:
        laws = laws * bidders
    weights = problem.weights if isinstance(problem.weights, tuple) else None
    if weights is not None and len(weights) != bidders:
        raise RequestError(f"weights: {len(weights)} weights for {bidders} bidders")
    given = []
    for i, mechanism in enumerate(problem.start):
        with at(f"start.{i}"):
            given.append(_maximizer(mechanism, bidders, laws[0].items, problem.menu_size, weights))
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


def _unit_demand(problem: RochetNetSpec) -> bool:
    if problem.unit_demand is not None:
        return problem.unit_demand
    return problem.setting is not None and _setting(problem.setting).unit_demand


def _common(problem: AuctionSpec, device: torch.device) -> dict[str, Any]:
    return {
        "kappa": problem.kappa,
        "sampling": Sampling(problem.iterations, problem.samples, problem.fit_samples, problem.sample_seed),
        "device": device,
        "dtype": DTYPES[problem.dtype],
    }


def _laws(name: str | None, valuations: Sequence[ValuationSpec]) -> tuple[Setting | None, list[Law]]:
    """The law of each valuation, or that of a setting by name and what is known of it."""
    if name is not None:
        setting = _setting(name)
        return setting, [setting.law]
    laws = []
    for i, valuation in enumerate(valuations):
        with at(f"valuation.{i}" if len(valuations) > 1 else "valuation"):
            laws.append(law_of(valuation.law, valuation.items or 1, valuation.options()))
    return None, laws


def _setting(name: str) -> Setting:
    if name not in SETTINGS:
        raise RequestError(f"setting: {unknown_name('setting', name, SETTINGS)}")
    return SETTINGS[name]


def _menu(given: MenuSpec, items: int, size: int, unit_demand: bool) -> Menus:
    """A menu given as data, filled up to `size` with options that are the default again."""
    _check_items(len(given.allocations[0]), items)
    _check_demand(given.allocations, unit_demand)
    return Menus(_padded(given.allocations, size), _padded(given.prices, size))


def _maximizer(
    given: MaximizerSpec, bidders: int, items: int, size: int, weights: Sequence[float] | None
) -> Maximizers:
    """An affine maximizer given as data, likewise."""
    option = given.allocations[0]
    if len(option) != bidders:
        raise RequestError(f"allocations: to {len(option)} bidders; there are {bidders}")
    _check_items(len(option[0]), items)
    w = torch.tensor([weights or [1.0] * bidders], dtype=torch.float64)
    return Maximizers(_padded(given.allocations, size), _padded(given.boosts, size), w)


def _check_items(found: int, items: int) -> None:
    if found != items:
        raise RequestError(f"allocations: of {found} items; the valuations are of {items}")


def _check_demand(allocations: Sequence[Sequence[float]], unit_demand: bool) -> None:
    for k, row in enumerate(allocations):
        if unit_demand and sum(row) > 1.0 + TIE:
            raise RequestError(f"allocations.{k}: a buyer of unit demand gets at most 1 item; got {sum(row):g}")


def _padded(numbers: Sequence[Any], size: int) -> torch.Tensor:
    """[1, size, ...] with zeros for what is not said."""
    said = torch.tensor(numbers, dtype=torch.float64)
    return torch.cat([said, said.new_zeros(size - len(said), *said.shape[1:])])[None]
