"""Validation errors in words: where, what was got, what is allowed, the nearest name."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mcdist.errors import unknown_name
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.yaml_source import Keys, Source

__all__ = ["explain"]


def explain(error: ValidationError, data: Any, origins: Mapping[Keys, Keys], source: Source) -> str:
    """One line per wrong place. data: what was validated; origins: where its expanded parts came from."""
    places: dict[Keys, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        place = _in_data(detail["loc"], data, missing=detail["type"] == "missing")
        places.setdefault(place, []).append(detail)
    lines: dict[str, None] = {}  # in order, each once: one wrong value in a grid is many wrong settings
    for place, details in places.items():
        outer = any(other[: len(place)] == place and other != place for other in places)
        if outer and all(d["type"] == "too_short" for d in details):
            continue  # said because of the error inside
        keys = _original(place, origins)
        where = ".".join(map(str, keys)) or "the sweep"
        lines[f"{source.where(keys)}: {where}: {_message(details, place)}"] = None
    return "\n".join(lines)


def _in_data(loc: tuple[str | int, ...], data: Any, missing: bool) -> Keys:
    """The location without pydantic's own parts (names of union members), which are no keys of the data."""
    keys: list[str | int] = []
    for n, key in enumerate(loc):
        inside = (isinstance(data, dict) and key in data) or (isinstance(data, list) and isinstance(key, int))
        if inside:
            data = data[key] if not isinstance(data, list) or int(key) < len(data) else None
            keys.append(key)
        elif missing and n == len(loc) - 1:
            keys.append(key)
    return tuple(keys)


def _original(keys: Keys, origins: Mapping[Keys, Keys]) -> Keys:
    for end in range(len(keys), 0, -1):
        if keys[:end] in origins:
            return origins[keys[:end]] + keys[end:]
    return keys


def _message(details: list[ErrorDetails], keys: Keys) -> str:
    first = details[0]
    if first["type"] == "extra_forbidden":
        return unknown_name("key", str(keys[-1]), _fields(keys[:-1]))
    if first["type"] == "missing":
        return "is missing"
    allowed = " or ".join(dict.fromkeys(_allowed(d) for d in details))
    got = first["input"]
    near = difflib.get_close_matches(str(got), re.findall(r"'([^']+)'", allowed), n=1)
    hint = f" (did you mean {near[0]!r}?)" if near and "must be" in allowed else ""
    return allowed if "got" in allowed else f"{allowed}; got {got!r:.80}{hint}"


_ALLOWED = {
    "too_short": "must have at least one entry",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
}


def _allowed(detail: ErrorDetails) -> str:
    """What the value must be."""
    if detail["type"] in _ALLOWED:
        return _ALLOWED[detail["type"]]
    text = detail["msg"].replace("Input should be", "must be")
    return text.removeprefix("Value error, ")


def _fields(keys: Keys) -> list[str]:
    """Names that the mapping at `keys` may have."""
    model: Any = SweepSpec
    for key in keys:
        if isinstance(key, str) and isinstance(model, type) and issubclass(model, BaseModel):
            model = _model_in(model.model_fields[key].annotation) if key in model.model_fields else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    found = (_model_in(inner) for inner in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)
