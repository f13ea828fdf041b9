"""From places in a sweep to the models that describe them."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from mcdist.spec.base import SpecModel
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.yaml_source import Keys

__all__ = ["model_at", "models_in"]


def model_at(keys: Keys) -> type[SpecModel] | None:
    """The model of the mapping at `keys` of a sweep, None where there is none; positions and grids are passed over."""
    model: type[SpecModel] | None = SweepSpec
    for key in keys:
        if isinstance(key, str) and key != "grid" and model is not None:
            field = model.model_fields.get(key)
            model = None if field is None else next(models_in(field.annotation), None)
    return model


def models_in(annotation: Any) -> Iterator[type[SpecModel]]:
    """The models inside `Model`, `Model | None`, `tuple[Model, ...]` and the like."""
    is_class = typing.get_origin(annotation) is None and isinstance(annotation, type)
    if is_class and issubclass(annotation, SpecModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from models_in(inner)
