"""Auctions: who values what, and how the mechanism that sells it is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.spec.base import Flag, Int, Real, Seed, SpecModel, as_json, wrong

__all__ = ["AffineMaximizerSpec", "AuctionSpec", "MaximizerSpec", "MenuSpec", "RochetNetSpec", "ValuationSpec"]

Numbers = Real | Annotated[tuple[Real, ...], Field(min_length=1)]
"""One number for all items, or a list with one for each."""


class ValuationSpec(SpecModel):
    """What one bidder's values of the items are: a distribution over [0, inf)^items, or a sampler of one's own.

    Items are independent of each other under uniform, beta, exponential and steps; a list in place of a number has one
    entry for each item.
    """

    OPTIONS: ClassVar[dict[str, dict[str, Any]]] = {
        "uniform": {"low": 0.0, "high": 1.0},
        "beta": {"a": None, "b": None},
        "exponential": {"rate": 1.0},
        "steps": {"edges": None, "density": None},
        "triangle": {},
        "atoms": {"points": None, "weights": None},
    }
    """By law, the options it has and their defaults (None: must be said)."""

    SAMPLER: ClassVar[dict[str, Any]] = {"args": {}, "bound": None}
    """The same of `package.module:sampler`."""

    law: str = Field(description="uniform, beta, exponential, steps, triangle, atoms, or package.module:sampler")
    items: Int | None = Field(None, ge=1, description="how many; 1, or as lists, points or the triangle say")
    low: Numbers | None = Field(None, description="uniform: lower bound, 0 if not given")
    high: Numbers | None = Field(None, description="uniform: upper bound, 1 if not given")
    a: Numbers | None = Field(None, description="beta: density ~ x^(a - 1) (1 - x)^(b - 1)")
    b: Numbers | None = Field(None, description="beta")
    rate: Numbers | None = Field(None, description="exponential: density rate exp(-rate x), 1 if not given")
    edges: tuple[Real, ...] | None = Field(None, min_length=2, description="steps: where the density changes")
    density: tuple[Real, ...] | None = Field(
        None, min_length=1, description="steps: between two edges, up to a factor; of every item"
    )
    points: tuple[tuple[Real, ...], ...] | None = Field(None, min_length=1, description="atoms: valuations")
    weights: tuple[Real, ...] | None = Field(
        None, min_length=1, description="atoms: their probabilities, up to a factor"
    )
    args: dict[str, Any] = Field(
        default_factory=dict, description="a sampler's keyword arguments, beside (generator, n)"
    )
    bound: Real | None = Field(
        None, gt=0.0, description="a sampler's greatest |v|_1, for paths that make a promise; null: not known"
    )

    @field_validator("args")
    @classmethod
    def _as_written(cls, value: dict[str, Any]) -> dict[str, Any]:
        return as_json(value)

    @field_validator("law")
    @classmethod
    def _law(cls, value: str) -> str:
        if value not in cls.OPTIONS and value.count(":") != 1:
            raise ValueError(f"must be {', '.join(cls.OPTIONS)}, or package.module:sampler")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ValuationSpec:
        own = self.OPTIONS.get(self.law, self.SAMPLER)
        for name in {*self.SAMPLER, *(name for options in self.OPTIONS.values() for name in options)}:
            if name not in own and getattr(self, name) != type(self).model_fields[name].get_default(
                call_default_factory=True
            ):
                has = f"; it has {', '.join(own)}" if own else "; it has no options"
                raise wrong(f"law {self.law!r} has no {name!r}{has}", name)
        for name, default in own.items():
            if getattr(self, name) is None and default is not None:
                object.__setattr__(self, name, default)
            elif getattr(self, name) is None and self.law in self.OPTIONS:
                raise wrong(f"law {self.law!r} needs it", name)
        self._count()
        return self

    def _count(self) -> None:
        """Fill in `items`; raise where two fields say different numbers of them."""
        said: dict[str, int] = {} if self.items is None else {"items": self.items}
        for name in ("low", "high", "a", "b", "rate"):
            value = getattr(self, name)
            if isinstance(value, tuple):
                said[name] = len(value)
        if self.points is not None:
            said["points"] = len(self.points[0])
        if self.law == "triangle":
            said["triangle"] = 2
        (first, n), *others = said.items() if said else [("items", 1)]
        for name, other in others:
            if other != n:
                raise wrong(
                    f"{first} says {n} items, {name} {other}", name if name in type(self).model_fields else "law"
                )
        object.__setattr__(self, "items", n)

    @model_validator(mode="after")
    def _in_order(self) -> ValuationSpec:
        if self.law == "uniform":
            low, high = (self.each(name) for name in ("low", "high"))
            for a, b in zip(low, high, strict=True):
                if not 0.0 <= a < b:
                    raise wrong(f"bounds must be 0 <= low < high; got low {a:g}, high {b:g}", "low")
        return self

    def each(self, name: str) -> tuple[float, ...]:
        """An option of every item."""
        value, n = getattr(self, name), self.items or 1
        return tuple(value) if isinstance(value, tuple) else (value,) * n


class MenuSpec(SpecModel):
    """A menu given as data: option k gives allocations[k] [items] for prices[k]."""

    allocations: tuple[tuple[Real, ...], ...] = Field(min_length=1, description="of each item, option by option")
    prices: tuple[Annotated[Real, Field(ge=0.0)], ...] = Field(min_length=1, description="of the options")

    @model_validator(mode="after")
    def _as_many(self) -> MenuSpec:
        _as_many(len(self.allocations), len(self.prices), "prices")
        return self


class MaximizerSpec(SpecModel):
    """An affine maximizer given as data: option k gives bidder i allocations[k][i] [items], with boosts[k]."""

    allocations: tuple[tuple[tuple[Real, ...], ...], ...] = Field(
        min_length=1, description="of each item to each bidder, option by option"
    )
    boosts: tuple[Real, ...] = Field(min_length=1, description="of the options")

    @model_validator(mode="after")
    def _as_many(self) -> MaximizerSpec:
        _as_many(len(self.allocations), len(self.boosts), "boosts")
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

    def _said(self) -> str:
        """The setting in a few words."""
        return self.setting or " | ".join(_law_in_words(law) for law in getattr(self, "valuation", ()))


def _law_in_words(law: ValuationSpec) -> str:
    said = [f"{name} {_shown(getattr(law, name))}" for name in law.OPTIONS.get(law.law, law.SAMPLER) if name != "bound"]
    return ", ".join([f"{law.law} x{law.items}", *said])


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f"({' '.join(_shown(v) for v in value)})" if isinstance(value, tuple) else str(value)


class RochetNetSpec(AuctionSpec):
    """One buyer's menu: options (x [items] in [0, 1], price >= 0), and the default, nothing for nothing."""

    kind: Literal["rochetnet"] = Field(description="rochetnet")
    valuation: tuple[ValuationSpec, ...] = Field((), description="of the buyer", max_length=1)
    unit_demand: Flag | None = Field(None, description="nobody wants more than one item; null: as the setting says")
    allocation: Literal["projection", "sigmoid"] = Field(
        "projection", description="what end points are trained by: allocations kept feasible, or their logits"
    )
    start: tuple[MenuSpec, ...] = Field((), description="menus that training starts from, that of seed i the i-th")

    @field_validator("valuation", "start", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _consistent(self) -> RochetNetSpec:
        _one_of(self.setting, self.valuation)
        _fits(self.start, self.menu_size)
        return self

    def columns(self) -> dict[str, str | None]:
        """See `ProblemSpec`."""
        demand = "" if self.unit_demand is None else f", {'unit' if self.unit_demand else 'additive'} demand"
        return _columns(self, self._said() + demand)


class AffineMaximizerSpec(AuctionSpec):
    """An affine maximizer of m bidders: options (x [m, items], boost), weights of the bidders, and the default."""

    kind: Literal["affine_maximizer"] = Field(description="affine_maximizer")
    valuation: tuple[ValuationSpec, ...] = Field((), description="one for all bidders, or one for each")
    bidders: Int | None = Field(None, ge=1, description="how many; as the setting says, or the valuations do")
    weights: Literal["fixed", "learned"] | tuple[Annotated[Real, Field(gt=0.0)], ...] = Field(
        "fixed", description="of the bidders: all 1, learned from 1 on, or these"
    )
    allocation: Literal["projection", "softmax"] = Field(
        "projection", description="what end points are trained by: allocations kept feasible, or their logits"
    )
    start: tuple[MaximizerSpec, ...] = Field((), description="mechanisms that training starts from, by seed")

    @field_validator("valuation", "start", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _consistent(self) -> AffineMaximizerSpec:
        _one_of(self.setting, self.valuation)
        _fits(self.start, self.menu_size)
        laws = len(self.valuation)
        if laws > 1 and self.bidders not in (None, laws):
            raise wrong(f"{laws} valuations are of {laws} bidders, not of {self.bidders}", "bidders")
        if laws == 1 and self.bidders is None:
            raise wrong("is missing: one valuation says nothing of how many bidders have it", "bidders")
        if len({law.items for law in self.valuation}) > 1:
            raise wrong(f"bidders value {[law.items for law in self.valuation]} items: all need the same", "valuation")
        if isinstance(self.weights, tuple) and self.bidders is not None and len(self.weights) != self.bidders:
            raise wrong(f"{len(self.weights)} weights for {self.bidders} bidders", "weights")
        return self

    def columns(self) -> dict[str, str | None]:
        """See `ProblemSpec`."""
        many = "" if self.bidders is None else f"{self.bidders} bidders "
        weights = "" if self.weights == "fixed" else f", weights {_shown(self.weights)}"
        return _columns(self, many + self._said() + weights)


def _columns(spec: RochetNetSpec | AffineMaximizerSpec, setting: str) -> dict[str, str | None]:
    """The names of an auction: its setting is its data, its kind its model; what else is not as usual, in the label."""
    unusual = ("kappa", "iterations", "samples", "fit_samples", "sample_seed", "dtype", "allocation")
    said = [
        f"{name} {_shown(value)}"
        for name in unusual
        if (value := getattr(spec, name)) != type(spec).model_fields[name].default
    ]
    started = ["given start"] if spec.start else []
    label = ", ".join([f"{setting}/{spec.kind} {spec.menu_size}", *said, *started])
    return {"problem": label, "dataset": setting, "model": spec.kind}


def _as_many(options: int, numbers: int, name: str) -> None:
    if options != numbers:
        raise wrong(f"{numbers} {name} for {options} options", name)


def _one_of(setting: str | None, valuation: tuple[ValuationSpec, ...]) -> None:
    if (setting is None) == (not valuation):
        raise wrong("say either a setting by name or a valuation", "setting")


def _fits(start: Sequence[MenuSpec | MaximizerSpec], size: int) -> None:
    for i, menu in enumerate(start):
        if len(menu.allocations) > size:
            raise wrong(f"{len(menu.allocations)} options are more than menu_size, {size}", "start", i, "allocations")
