"""Valuation laws by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mcdist.problems.auctions.sampler import Sampled
from mcdist.science.auctions import Atoms, Beta, Exponential, Items, Law, Steps, Triangle, Uniform

__all__ = ["LAWS", "law_of"]

Options = Mapping[str, Any]


def _each(make: Callable[..., Any], *names: str) -> Callable[[int, Options], Law]:
    """Items of one law each, its options given item by item."""
    return lambda items, options: Items(tuple(make(*(options[n][j] for n in names)) for j in range(items)))


LAWS: dict[str, Callable[[int, Options], Law]] = {
    "uniform": _each(Uniform, "low", "high"),
    "beta": _each(Beta, "a", "b"),
    "exponential": _each(Exponential, "rate"),
    "steps": lambda items, options: Items((Steps(options["edges"], options["density"]),) * items),
    "triangle": lambda items, options: Triangle(),
    "atoms": lambda items, options: Atoms(options["points"], options["weights"]),
}
"""Laws by name: of items, and options. A new one: a line here, and its options in `ValuationSpec`."""


def law_of(name: str, items: int, options: Options) -> Law:
    """The law of a name; one that has a colon is a sampler, package.module:sampler. Raises RequestError."""
    if name in LAWS:
        return LAWS[name](items, options)
    return Sampled(name, items, options.get("bound"), dict(options.get("args", {})))
