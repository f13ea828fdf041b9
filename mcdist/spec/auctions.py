"""Auctions: who values what, and how the mechanism that sells it is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.spec.base import Flag, Int, Real, Seed, SpecModel, wrong
from mcdist.spec.valuations import ValuationSpec, digest, in_words

__all__ = ["AffineMaximizerSpec", "AuctionSpec", "MaximizerSpec", "MenuSpec", "RochetNetSpec"]

Share = Annotated[Real, Field(ge=0.0, le=1.0)]
"""How much of an item: from none to all of it."""

_ROUNDING = 1e-12  # shares written as decimals may be over their sum by so much


class MenuSpec(SpecModel):
    """A menu given as data: option k gives allocations[k] [items] for prices[k]."""

    allocations: tuple[tuple[Share, ...], ...] = Field(min_length=1, description="of each item, option by option")
    prices: tuple[Annotated[Real, Field(ge=0.0)], ...] = Field(min_length=1, description="of the options")

    @model_validator(mode="after")
    def _possible(self) -> MenuSpec:
        _as_many(len(self.allocations), len(self.prices), "prices")
        for k, row in enumerate(self.allocations):
            _as_wide(len(row), len(self.allocations[0]), "items", "allocations", k)
        return self


class MaximizerSpec(SpecModel):
    """An affine maximizer given as data: option k gives bidder i allocations[k][i] [items], with boosts[k]."""

    allocations: tuple[tuple[tuple[Share, ...], ...], ...] = Field(
        min_length=1, description="of each item to each bidder, option by option"
    )
    boosts: tuple[Real, ...] = Field(min_length=1, description="of the options")

    @model_validator(mode="after")
    def _possible(self) -> MaximizerSpec:
        _as_many(len(self.allocations), len(self.boosts), "boosts")
        bidders = len(self.allocations[0])
        for k, option in enumerate(self.allocations):
            _as_wide(len(option), bidders, "bidders", "allocations", k)
            for i, row in enumerate(option):
                _as_wide(len(row), len(self.allocations[0][0]), "items", "allocations", k, i)
            for j, shares in enumerate(zip(*option, strict=True)):
                if sum(shares) > 1.0 + _ROUNDING:
                    said = f"all bidders together get no more than 1 of an item; got {sum(shares):g} of item {j}"
                    raise wrong(said, "allocations", k)
        return self


class AuctionSpec(SpecModel):
    """What the two kinds of mechanisms have in common.

    Trained on a surrogate, softmax(kappa value) in place of argmax, on valuations drawn afresh at each step; judged by
    the hard choice, in float64, on one sample that all points of a setting share.
    """

    setting: str | None = Field(None, description="a setting of the literature by name, in place of valuation")
    menu_size: Int = Field(64, ge=1, description="options M, besides the default")
    kappa: Real = Field(100.0, gt=0.0, description="sharpness of the softmax in the surrogate")
    iterations: Int = Field(
        100, ge=1, description="steps of an epoch: valuations are fresh, so that an epoch has no end"
    )
    samples: Int = Field(131_072, ge=2, description="valuations, held out, on which revenue is measured")
    fit_samples: Int = Field(
        16_384, ge=2, description="valuations on which options are chosen, and the surrogate is measured"
    )
    sample_seed: Seed = Field(0, description="seed of both samples")
    dtype: Literal["float32", "float64"] = Field("float64", description="of points while they are trained")

    @property
    def weight_decay(self) -> float:
        """See `ProblemSpec`: none."""
        return 0.0

    def examples(self, batch_size: int) -> int:
        """See `ProblemSpec`."""
        return self.iterations * batch_size


class RochetNetSpec(AuctionSpec):
    """One buyer's menu: options (x [items] in [0, 1], price >= 0), and the default, nothing for nothing."""

    kind: Literal["rochetnet"] = Field(description="rochetnet")
    valuation: tuple[ValuationSpec, ...] = Field((), description="of the buyer")
    unit_demand: Flag | None = Field(None, description="nobody wants more than one item; null: as the setting says")
    allocation: Literal["projection", "sigmoid"] | None = Field(
        None,
        description="what end points are trained by: allocations kept feasible, or their logits; null: sigmoid where "
        "demand is for a unit, projection elsewhere",
    )
    start: tuple[MenuSpec, ...] = Field((), description="menus that training starts from, that of seed i the i-th")

    @field_validator("valuation", "start", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return _as_list(value)

    @model_validator(mode="after")
    def _consistent(self) -> RochetNetSpec:
        _one_of(self.setting, self.valuation)
        _fits(self.start, self.menu_size)
        if len(self.valuation) > 1:
            raise wrong(
                "a menu is of one buyer: one valuation, not a list of more (affine_maximizer has bidders)", "valuation"
            )
        if self.unit_demand is False and self.setting is None:
            object.__setattr__(self, "unit_demand", None)  # as it is without a setting
        return self

    def columns(self) -> dict[str, str | None]:
        """See `ProblemSpec`."""
        demand = {True: ", unit demand", False: ", additive", None: ""}[self.unit_demand]
        return _columns(self, _setting(self.setting, self.valuation) + demand)


class AffineMaximizerSpec(AuctionSpec):
    """An affine maximizer of m bidders: options (x [m, items], boost), weights of the bidders, and the default.

    Bidders who say the same valuation each are so many of one, and weights of 1 are the fixed ones.
    """

    kind: Literal["affine_maximizer"] = Field(description="affine_maximizer")
    valuation: tuple[ValuationSpec, ...] = Field((), description="one for all bidders, or one for each")
    bidders: Int | None = Field(None, ge=1, description="how many; as the setting says, or the valuations do")
    weights: Literal["fixed", "learned"] | tuple[Annotated[Real, Field(gt=0.0)], ...] = Field(
        "fixed", description="of the bidders: all 1, learned from 1 on, or these"
    )
    allocation: Literal["projection", "softmax"] = Field(
        "softmax", description="what end points are trained by: allocations kept feasible, or their logits"
    )
    start: tuple[MaximizerSpec, ...] = Field((), description="mechanisms that training starts from, by seed")

    @field_validator("valuation", "start", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return _as_list(value)

    @model_validator(mode="after")
    def _consistent(self) -> AffineMaximizerSpec:
        _one_of(self.setting, self.valuation)
        _fits(self.start, self.menu_size)
        self._count()
        if isinstance(self.weights, tuple) and self.bidders is not None:
            if len(self.weights) != self.bidders:
                raise wrong(f"{len(self.weights)} weights for {self.bidders} bidders", "weights")
            if set(self.weights) == {1.0}:
                object.__setattr__(self, "weights", "fixed")
        return self

    def _count(self) -> None:
        """Fill in `bidders` where there are valuations; raise where these say something else."""
        laws = self.valuation
        if len(laws) > 1 and self.bidders not in (None, len(laws)):
            raise wrong(f"{len(laws)} valuations are of {len(laws)} bidders, not of {self.bidders}", "bidders")
        if len(laws) == 1 and self.bidders is None:
            raise wrong("one valuation says nothing of how many bidders have it: say bidders")
        for i, law in enumerate(laws):
            if law.items != laws[0].items:
                raise wrong(f"bidders value the same items: {law.items}, and the first {laws[0].items}", "valuation", i)
        if laws:
            object.__setattr__(self, "bidders", self.bidders or len(laws))
            object.__setattr__(self, "valuation", laws[:1] if all(law == laws[0] for law in laws) else laws)

    def columns(self) -> dict[str, str | None]:
        """See `ProblemSpec`."""
        many = "" if self.bidders is None else f"{self.bidders} bidders "
        weights = "" if self.weights == "fixed" else f", weights {in_words(self.weights)}"
        return _columns(self, many + _setting(self.setting, self.valuation) + weights)


def _setting(name: str | None, valuation: Sequence[ValuationSpec]) -> str:
    """Who values what, in a few words."""
    return name or " | ".join(law.label() for law in valuation)


def _columns(spec: RochetNetSpec | AffineMaximizerSpec, setting: str) -> dict[str, str | None]:
    """The names of an auction: its setting is its data, its kind its model; what else is not as usual, in the label."""
    unusual = ("kappa", "iterations", "samples", "fit_samples", "sample_seed", "dtype", "allocation")
    said = [
        f"{name} {in_words(value)}"
        for name in unusual
        if (value := getattr(spec, name)) != type(spec).model_fields[name].default
    ]
    started = [f"start #{digest(spec.start)}"] if spec.start else []
    label = ", ".join([f"{setting}/{spec.kind} {spec.menu_size}", *said, *started])
    return {"problem": label, "dataset": setting, "model": spec.kind}


def _as_list(value: Any) -> Any:
    """One mapping or name in place of a list of them."""
    return [value] if isinstance(value, (dict, str)) else value


def _as_many(options: int, numbers: int, name: str) -> None:
    if options != numbers:
        raise wrong(f"{numbers} {name} for {options} options", name)


def _as_wide(found: int, wanted: int, what: str, *at: str | int) -> None:
    if found != wanted or not found:
        raise wrong(f"must be of {wanted or 'at least one of the'} {what}, as the first; got {found}", *at)


def _one_of(setting: str | None, valuation: tuple[ValuationSpec, ...]) -> None:
    if setting is None and not valuation:
        raise wrong("say what is sold to whom: a setting by name, or a valuation")
    if setting is not None and valuation:
        raise wrong("a setting by name has its valuations: say one or the other", "valuation")


def _fits(start: Sequence[MenuSpec | MaximizerSpec], size: int) -> None:
    for i, menu in enumerate(start):
        if len(menu.allocations) > size:
            raise wrong(f"{len(menu.allocations)} options are more than menu_size, {size}", "start", i, "allocations")
