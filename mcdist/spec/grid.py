"""`{grid: [...]}`: one mapping that stands for the product of several."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from mcdist.errors import RequestError
from mcdist.spec.yaml_source import Keys, Source

__all__ = ["expand", "refuse_grids"]


def expand(value: Any, keys: Keys, source: Source) -> list[Any]:
    """Every choice of one value from each grid in `value`, the last grid varying fastest.

    keys: where `value` is in `source`. Raises RequestError for a grid that is empty, no list, or has keys beside it.
    """
    grids = list(_grids(value, ()))
    choices = []
    for inner in grids:
        grid = _get(value, inner)
        where = f"{source.where(keys + inner)}: {_dotted(keys + inner)}"
        if set(grid) != {"grid"}:
            others = ", ".join(repr(k) for k in grid if k != "grid")
            raise RequestError(f"{where}: a grid stands alone, but there is {others} beside it")
        if not isinstance(grid["grid"], list) or not grid["grid"]:
            raise RequestError(f"{where}: a grid is a list that is not empty; got {grid['grid']!r}")
        choices.append(grid["grid"])
    return [_with(value, dict(zip(grids, choice, strict=True))) for choice in itertools.product(*choices)]


def refuse_grids(value: Any, keys: Keys, source: Source) -> None:
    """Raise RequestError where `value`, in a place that is no axis of the sweep, holds a grid."""
    for inner in _grids(value, ()):
        at = keys + inner
        raise RequestError(
            f"{source.where(at)}: {_dotted(at)}: no grid is possible here; "
            "problem, endpoints, paths and measure take them"
        )


def _grids(value: Any, keys: Keys) -> Iterator[Keys]:
    if isinstance(value, dict):
        if "grid" in value:
            yield keys
        else:
            for key, inner in value.items():
                yield from _grids(inner, (*keys, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _grids(inner, (*keys, i))


def _get(value: Any, keys: Keys) -> Any:
    for key in keys:
        value = value[key]
    return value


def _with(value: Any, chosen: dict[Keys, Any], keys: Keys = ()) -> Any:
    if keys in chosen:
        return chosen[keys]
    if isinstance(value, dict):
        return {k: _with(v, chosen, (*keys, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_with(v, chosen, (*keys, i)) for i, v in enumerate(value)]
    return value


def _dotted(keys: Keys) -> str:
    return ".".join(str(k) for k in keys)
