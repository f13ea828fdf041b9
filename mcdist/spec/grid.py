"""`{grid: [...]}`: one mapping that stands for the product of several."""

from __future__ import annotations

import itertools
import json
from typing import Any

from mcdist.errors import RequestError
from mcdist.spec.yaml_source import Keys, Source

__all__ = ["AXES", "expand", "refuse_grids"]

AXES: tuple[Keys, ...] = (
    ("problem",),
    ("endpoints",),
    ("paths",),
    ("measure", "profile"),
    ("measure", "curvature"),
    ("measure", "plane"),
    ("measure", "drift"),
    ("relaxations",),
    ("ensembles",),
)
"""Sections that may be one mapping or a list of them, and may hold grids."""


def expand(value: Any, keys: Keys, source: Source) -> list[tuple[Any, dict[Keys, Keys]]]:
    """Every choice of one entry from each grid in `value`, the last grid varying fastest.

    keys: where `value` stands in `source`. With each choice comes where its entries stand: place in the result, place
    in `source`. An entry may hold grids in turn. Raises RequestError for a grid that is empty, no list, has an entry
    twice, or has keys beside it.
    """
    if isinstance(value, dict) and "grid" in value:
        return [
            (one, {(): (*keys, "grid", i)} | origins)
            for i, entry in enumerate(_entries(value, keys, source))
            for one, origins in expand(entry, (*keys, "grid", i), source)
        ]
    if not isinstance(value, (dict, list)):
        return [(value, {})]
    names = list(value) if isinstance(value, dict) else list(range(len(value)))
    choices = []
    for parts in itertools.product(*(expand(value[name], (*keys, name), source) for name in names)):
        ones = [one for one, _ in parts]
        origins = {
            (name, *inner): place
            for name, (_, found) in zip(names, parts, strict=True)
            for inner, place in found.items()
        }
        choices.append((dict(zip(names, ones, strict=True)) if isinstance(value, dict) else ones, origins))
    return choices


def _entries(holder: dict[str, Any], keys: Keys, source: Source) -> list[Any]:
    grid = holder["grid"]
    where = f"{source.where((*keys, 'grid'))}: {'.'.join(map(str, keys))}"
    others = [name for name in holder if name != "grid"]
    if others:
        raise RequestError(f"{where}: a grid stands alone, but there is {', '.join(map(repr, others))} beside it")
    if not isinstance(grid, list) or not grid:
        raise RequestError(f"{where}: a grid is a list that is not empty; got {json.dumps(grid):.60}")
    texts = [json.dumps(entry, sort_keys=True) for entry in grid]
    twice = next((text for i, text in enumerate(texts) if text in texts[:i]), None)
    if twice is not None:
        raise RequestError(f"{where}: {twice:.60} is in the grid twice")
    return grid


def refuse_grids(value: Any, keys: Keys, source: Source) -> None:
    """Raise RequestError where `value`, in a place that is no axis of the sweep, holds a grid."""
    if isinstance(value, dict) and "grid" in value:
        axes = ", ".join(".".join(map(str, axis)) for axis in AXES)
        raise RequestError(
            f"{source.where(keys)}: {'.'.join(map(str, keys))}: no grid is possible here; allowed in: {axes}"
        )
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        refuse_grids(inner, (*keys, key), source)
