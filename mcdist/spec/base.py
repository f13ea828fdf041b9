"""The base of all spec models, and what of a model makes up a task's identity."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Strict

__all__ = ["PLACE", "SCALAR", "Flag", "Int", "Real", "SpecModel", "canonical"]

Int = Annotated[int, Strict()]
"""An integer; no text, no true or false."""

Real = Annotated[float, Strict()]
"""A number; no text, no true or false."""

Flag = Annotated[bool, Strict()]
"""true or false; no text, no number."""

PLACE: dict[str, Any] = {"place": True}
"""Field mark: says where something is, not what it is; no part of a task's identity."""

SCALAR: dict[str, Any] = {"scalar": True}
"""Field mark: tasks that differ in this alone have the same shape and may share a pack."""


class SpecModel(BaseModel):
    """Frozen, strict about unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def identity(self, said: dict[str, Any]) -> dict[str, Any]:
        """What of the canonical form identifies; a model may replace a place by what is found there."""
        return said


def canonical(model: SpecModel, *, shape: bool = False) -> dict[str, Any]:
    """What a model says, without defaults and places: the part of it that identifies a task.

    Defaults are left out so that a field added later leaves every present id as it is (a test pins ids and defaults; a
    default that changes must raise the version of the task kinds that use it). shape: leave out the scalars too.
    """
    said: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        value = getattr(model, name)
        apart = marks.get("place") or (shape and marks.get("scalar"))
        if apart or _is_default(value, field.get_default(call_default_factory=True)):
            continue
        said[name] = _plain(value, shape)
    return model.identity(said)


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def _plain(value: Any, shape: bool) -> Any:
    if isinstance(value, SpecModel):
        return canonical(value, shape=shape)
    if isinstance(value, (list, tuple)):
        return [_plain(v, shape) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v, shape) for k, v in value.items()}
    return value
