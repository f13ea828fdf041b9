"""The base of all spec models, and what of a model makes up a task's identity."""

from __future__ import annotations

import functools
import json
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

__all__ = [
    "MARKS",
    "PLACE",
    "SCALAR",
    "Flag",
    "Int",
    "Real",
    "Seed",
    "SpecModel",
    "as_json",
    "canonical",
    "distinct",
    "wrong",
]

Int = Annotated[int, Strict()]
"""An integer; no text, no true or false."""

Real = Annotated[float, Strict()]
"""A number; no text, no true or false."""

Flag = Annotated[bool, Strict()]
"""true or false; no text, no number."""

Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
"""The seed of a named random stream: an integer that the store's columns hold."""

PLACE: dict[str, Any] = {"place": True}
"""Field mark: says where something is, not what it is; no part of a task's identity."""

SCALAR: dict[str, Any] = {"scalar": True}
"""Field mark: tasks that differ in this alone have the same shape and may share a pack."""

MARKS = frozenset({*PLACE, *SCALAR})
"""Keys of the field marks."""


class SpecModel(BaseModel):
    """Frozen, strict about unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    short: ClassVar[str | None] = None
    """The field that a plain name stands for: `model: mlp` is `model: {name: mlp}`."""

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, value: Any) -> Any:
        return {cls.short: value} if cls.short is not None and isinstance(value, str) else value

    def identity(self, said: dict[str, Any]) -> dict[str, Any]:
        """What of the canonical form identifies; a model may replace a place by what is found there."""
        return said


M = TypeVar("M", bound=SpecModel)


def wrong(message: str, *at: str | int) -> PydanticCustomError:
    """The error for a validator to raise. at: the key or position, inside what it validates, that is wrong."""
    return PydanticCustomError("wrong", "{message}", {"message": message, "at": at})


def as_json(value: dict[str, Any]) -> dict[str, Any]:
    """Data of a user's own as JSON holds it, however it was given: a tuple and a list are the same."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise ValueError("must be finite numbers, text, true, false, null, lists and mappings") from None
    return plain


def distinct(models: tuple[M, ...]) -> tuple[M, ...]:
    """The models, each different from the others; the error names the position of the first that is not."""
    seen: set[str] = set()
    for at, model in enumerate(models):
        text = json.dumps(model.model_dump(mode="json"), sort_keys=True)
        if text in seen:
            raise wrong("comes to the same as a setting before it", at)
        seen.add(text)
    return models


def canonical(model: SpecModel, *, shape: bool = False) -> dict[str, Any]:
    """What a model says, without defaults and places: the part of it that identifies a task.

    Two models that say the same in other words (1 or 1.0, list or tuple, -0.0, a default written out) have the same
    canonical form. Defaults are left out so that a field added later leaves every present id as it is (a test pins
    ids and defaults; a default that changes must raise the version of the task kinds that use it).
    shape: leave out the scalars too.
    """
    said: dict[str, Any] = {}
    for name, default in _defaults(type(model), shape).items():
        value = _plain(getattr(model, name), shape)
        if type(value) is not type(default) or value != default:
            said[name] = value
    return model.identity(said)


@functools.cache
def _defaults(model: type[SpecModel], shape: bool) -> dict[str, Any]:
    """The fields that count, and their defaults in canonical form: a nested model may differ in a place alone."""
    defaults: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if not marks.get("place") and not (shape and marks.get("scalar")):
            defaults[name] = _plain(field.get_default(call_default_factory=True), shape)
    return defaults  # a field without a default has pydantic's mark for that, equal to no value


def _plain(value: Any, shape: bool) -> Any:
    if isinstance(value, SpecModel):
        return canonical(value, shape=shape)
    if isinstance(value, (list, tuple)):
        return [_plain(v, shape) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v, shape) for k, v in value.items()}
    return value + 0.0 if isinstance(value, float) else value  # -0.0 + 0.0 = 0.0
