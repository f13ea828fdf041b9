"""Validation errors in words: where, what was got, what is allowed, the nearest name."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcdist.errors import unknown_name
from mcdist.spec.base import SpecModel
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.walk import model_at
from mcdist.spec.yaml_source import Keys, Source

__all__ = ["explain", "shown"]

_MOST = 20  # lines

_BECAUSE = {"too_short", "literal_error", "float_type"}
"""What is said of a list because of an error inside: that nothing is left of it, or that it is no name, or number."""


def explain(
    error: ValidationError,
    data: Any,
    origins: Mapping[Keys, Keys],
    source: Source,
    root: type[SpecModel] = SweepSpec,
    whole: str = "the sweep",
) -> str:
    """One line per wrong place. data: what was validated, as `root`; origins: where its expanded parts came from;
    whole: what all of it is called.
    """
    places: dict[Keys, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        places.setdefault(_in_data(detail, data), []).append(detail)
    around = {place[:end] for place in places for end in range(len(place))}
    lines: dict[str, None] = {}  # in order, each once: one wrong value in a grid is many wrong settings
    for place, details in places.items():
        if place in around and all(d["type"] in _BECAUSE for d in details):
            continue
        keys = _original(place, origins)
        where = ".".join(map(str, keys)) or whole
        lines[f"{source.where(keys)}: {where}: {_message(details, place, data, root)}"] = None
    more = [f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return "\n".join([*list(lines)[:_MOST], *more])


def shown(value: Any) -> str:
    """A value for a message, as YAML has it, cut where it is long."""
    text = json.dumps(value) if value is None or isinstance(value, (bool, list, dict)) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _in_data(detail: ErrorDetails, data: Any) -> Keys:
    """The location without pydantic's own parts (names of union members), which are no keys of the data."""
    loc = (*detail["loc"], *detail.get("ctx", {}).get("at", ()))
    keys: list[str | int] = []
    for n, key in enumerate(loc):
        if isinstance(data, dict) and key in data:
            data = data[key]
            keys.append(key)
        elif isinstance(data, list) and isinstance(key, int):
            data = data[key] if key < len(data) else None
            keys.append(key)
        elif detail["type"] == "missing" and n == len(loc) - 1:
            keys.append(key)
    return tuple(keys)


def _original(keys: Keys, origins: Mapping[Keys, Keys]) -> Keys:
    """Where in the source `keys` of the expanded data stand: by the innermost part whose origin is known."""
    for end in range(len(keys), 0, -1):
        if keys[:end] in origins:
            return origins[keys[:end]] + keys[end:]
    return keys


def _message(details: list[ErrorDetails], keys: Keys, data: Any, root: type[SpecModel]) -> str:
    first = details[0]
    if first["type"] == "wrong":
        return first["msg"]
    if first["type"] == "extra_forbidden":
        model = model_at(keys[:-1], data, root)
        return unknown_name("key", str(keys[-1]), model.model_fields if model is not None else ())
    if first["type"] == "missing":
        return "is missing"
    allowed = " or ".join(dict.fromkeys(_allowed(d, keys, data, root) for d in details)).replace(" or must be ", " or ")
    got = first["input"]
    for key in first.get("ctx", {}).get("at", ()):
        got = got[key]
    near = difflib.get_close_matches(got, re.findall(r"'([^']+)'", allowed), n=1) if isinstance(got, str) else []
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{allowed}; got {shown(got)}{hint}"


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


def _allowed(detail: ErrorDetails, keys: Keys, data: Any, root: type[SpecModel]) -> str:
    """What the value must be."""
    model = model_at(keys, data, root)
    if detail["type"] == "model_type" and model is not None and model.short is not None:
        return "must be a name or a mapping"
    if detail["type"] in _ALLOWED:
        return _ALLOWED[detail["type"]]
    if detail["type"] == "too_long":
        return f"must have no more than {detail['ctx']['max_length']} entries"
    return detail["msg"].replace("Input should be", "must be").removeprefix("Value error, ")
