"""From places in a sweep to the models that describe them."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Iterator
from typing import Any

from mcdist.spec.base import SpecModel
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.yaml_source import Keys

__all__ = ["model_at", "models_in"]


def model_at(keys: Keys, data: Any = None, root: type[SpecModel] = SweepSpec) -> type[SpecModel] | None:
    """The model of the mapping at `keys` of a sweep, None where there is none; positions, grids and names that users
    choose (`{align: Model, ...}`) are passed over.

    data: the sweep as data. Where models of several kinds are possible, it says which; the first if it does not.
    """
    model: type[SpecModel] | None = root
    named = False
    for at, key in enumerate(keys, 1):
        if named:
            named = False
        elif isinstance(key, str) and key != "grid" and model is not None:
            field = model.model_fields.get(key)
            named = field is not None and typing.get_origin(field.annotation) is dict
            possible = [] if field is None else list(models_in(field.annotation))
            model = next((m for m in possible if _is_of_kind(m, _inside(data, keys[:at], keys[at:]))), None)
            model = model or next(iter(possible), None)
    return model


def _inside(data: Any, keys: Keys, rest: Keys) -> Any:
    """What stands at `keys`, and at the positions of a list that `rest` begins with."""
    positions = itertools.takewhile(lambda key: not isinstance(key, str), rest)
    for key in (*keys, *positions):
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


def _is_of_kind(model: type[SpecModel], value: Any) -> bool:
    kind = model.model_fields.get("kind")
    said = value.get("kind") if isinstance(value, dict) else None
    return kind is not None and said is not None and said in typing.get_args(kind.annotation)


def models_in(annotation: Any) -> Iterator[type[SpecModel]]:
    """The models inside `Model`, `Model | None`, `tuple[Model, ...]` and the like."""
    is_class = typing.get_origin(annotation) is None and isinstance(annotation, type)
    if is_class and issubclass(annotation, SpecModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from models_in(inner)
