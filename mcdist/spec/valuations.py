"""What a bidder's values of the items are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from mcdist.spec.base import Int, Real, SpecModel, as_json, canonical, wrong

__all__ = ["ValuationSpec", "digest", "in_words"]

Numbers = Real | Annotated[tuple[Real, ...], Field(min_length=1)]
"""One number for all items, or a list with one for each."""

Some = Annotated[Real, Field(ge=0.0)]
"""A number that is not negative."""

_LONGEST = 40  # characters of a list in a label; longer ones are told apart by a hash


class ValuationSpec(SpecModel):
    """What one bidder's values of the items are: a distribution over [0, inf)^items, or a sampler of one's own.

    Items are independent of each other under uniform, beta, exponential and steps; a list in place of a number has one
    entry for each item. The options of its law and the number of items are filled in where they are not given, and a
    list of equal numbers is that number: what says the same has one identity.
    """

    short = "law"

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
    """The same of `package.module:sampler`, which need not say a bound."""

    BY_ITEM: ClassVar[tuple[str, ...]] = ("low", "high", "a", "b", "rate")
    """Options that may be a list with an entry for each item."""

    law: str = Field(description="uniform, beta, exponential, steps, triangle, atoms, or package.module:sampler")
    items: Int | None = Field(None, ge=1, description="how many; 1, or as lists, points or the triangle say")
    low: Numbers | None = Field(None, description="uniform: lower bound; 0 if not given")
    high: Numbers | None = Field(None, description="uniform: upper bound; 1 if not given")
    a: Numbers | None = Field(None, description="beta: density ~ x^(a - 1) (1 - x)^(b - 1)")
    b: Numbers | None = Field(None, description="beta")
    rate: Numbers | None = Field(None, description="exponential: density rate exp(-rate x); 1 if not given")
    edges: tuple[Some, ...] | None = Field(None, min_length=2, description="steps: where the density changes, rising")
    density: tuple[Some, ...] | None = Field(
        None, min_length=1, description="steps: between two edges, up to a factor; of every item"
    )
    points: tuple[Annotated[tuple[Some, ...], Field(min_length=1)], ...] | None = Field(
        None, min_length=1, description="atoms: valuations, each a list of the items' values"
    )
    weights: tuple[Some, ...] | None = Field(
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
            raise ValueError(f"must be {', '.join(map(repr, cls.OPTIONS))}, or package.module:sampler")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ValuationSpec:
        self._fill_in()
        n = self._count()
        self._check()
        object.__setattr__(self, "items", n)
        for name in self.BY_ITEM:
            value = getattr(self, name)
            if isinstance(value, tuple) and len(set(value)) == 1:
                object.__setattr__(self, name, value[0])
        return self

    def _fill_in(self) -> None:
        """Give options their defaults; raise where one is another law's, or is missing."""
        own = self.options_of(self.law)
        fields = type(self).model_fields
        for name in fields.keys() - own - {"law", "items"}:
            if getattr(self, name) != fields[name].get_default(call_default_factory=True):
                has = f"; it has {', '.join(own)}" if own else "; it has no options"
                raise wrong(f"law {self.law!r} has no {name!r}{has}", name)
        if self.law not in self.OPTIONS:
            return
        missing = [name for name, default in own.items() if default is None and getattr(self, name) is None]
        if missing:
            raise wrong(f"law {self.law!r} needs {' and '.join(missing)}")
        for name, default in own.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)

    def _count(self) -> int:
        """How many items there are; raise where two fields say different numbers of them."""
        said: dict[str, int] = {} if self.items is None else {"items": self.items}
        said |= {name: len(getattr(self, name)) for name in self.BY_ITEM if isinstance(getattr(self, name), tuple)}
        if self.points is not None:
            said["points"] = len(self.points[0])
        if self.law == "triangle":
            said["law"] = 2
        (first, n), *others = said.items() if said else [("items", 1)]
        for name, other in others:
            if other != n:
                what = "the triangle has" if name == "law" else f"{name} says"
                raise wrong(f"{first} says {_items(n)}, {what} {other}", name)
        return n

    def _check(self) -> None:
        """Raise for options that make no distribution."""
        positive = {"beta": ("a", "b"), "exponential": ("rate",)}
        for name in positive.get(self.law, ()):
            for value, at in self._said(name):
                if value <= 0.0:
                    raise wrong(f"must be greater than 0; got {value:g}", *at)
        if self.law == "uniform":
            self._check_bounds()
        if self.edges is not None and self.density is not None:
            if len(self.edges) != len(self.density) + 1:
                wanted = f"{len(self.density)} densities are between {len(self.density) + 1} edges"
                raise wrong(f"{wanted}, not {len(self.edges)}", "edges")
            for j in range(1, len(self.edges)):
                if self.edges[j - 1] >= self.edges[j]:
                    raise wrong(f"must rise; got {self.edges[j]:g} after {self.edges[j - 1]:g}", "edges", j)
            _check_mass(self.density, "density")
        if self.points is not None and self.weights is not None:
            n = len(self.points[0])
            for i, point in enumerate(self.points):
                if len(point) != n:
                    raise wrong(f"must have the {_items(n)} of the first point; got {len(point)}", "points", i)
            if len(self.weights) != len(self.points):
                raise wrong(f"{len(self.weights)} weights for {len(self.points)} points", "weights")
            _check_mass(self.weights, "weights")

    def _check_bounds(self) -> None:
        low, high = (list(self._said(name)) for name in ("low", "high"))
        for j in range(max(len(low), len(high))):
            (a, at_low), (b, at_high) = low[j % len(low)], high[j % len(high)]
            if not 0.0 <= a < b:
                where = at_low if "low" in self.model_fields_set else at_high
                raise wrong(f"bounds must be 0 <= low < high; got low {a:g}, high {b:g}", *where)

    def _said(self, name: str) -> Iterator[tuple[float, tuple[str | int, ...]]]:
        """The numbers of an option, and where they stand."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            yield from ((number, (name, j)) for j, number in enumerate(value))
        else:
            yield value, (name,)

    @classmethod
    def options_of(cls, law: str) -> dict[str, Any]:
        """The options of a law, and their defaults."""
        return cls.OPTIONS.get(law, cls.SAMPLER)

    def options(self) -> dict[str, Any]:
        """The options of its law, by name; of `BY_ITEM` a tuple with an entry for each item."""
        n = self.items or 1
        said = {name: getattr(self, name) for name in self.options_of(self.law)}
        return {
            name: (value,) * n if name in self.BY_ITEM and not isinstance(value, tuple) else value
            for name, value in said.items()
        }

    def label(self) -> str:
        """A few words that tell it from others: the law, its items, the options that are not as usual."""
        usual = self.options_of(self.law)
        said = [
            f"{name} {in_words(value)}"
            for name in usual
            if (value := getattr(self, name)) != usual[name] and value is not None
        ]
        return " ".join([self.law, *([f"x{self.items}"] if self.items != 1 else []), *said])


def in_words(value: Any) -> str:
    """A value for a label: all digits of a number, a long list by a hash."""
    if isinstance(value, float):
        value += 0.0  # -0.0 + 0.0 = 0.0
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, tuple) or (isinstance(value, dict) and value):
        inner = [in_words(v) for v in value] if isinstance(value, tuple) else [json.dumps(value, sort_keys=True)]
        text = f"({' '.join(inner)})"
        return text if len(text) <= _LONGEST else f"({len(value)}: #{_hashed(text)})"
    return str(value)


def digest(models: Sequence[SpecModel]) -> str:
    """A short hash that tells such lists of models apart."""
    return _hashed(json.dumps([canonical(model) for model in models], sort_keys=True))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _items(n: int) -> str:
    return f"{n} item{'s' if n != 1 else ''}"


def _check_mass(value: tuple[float, ...], name: str) -> None:
    if not any(value):
        raise wrong("one of them must be greater than 0; got zeros alone", name)
