"""What a searched setting may be: between two bounds, or one of a list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator, model_validator

from mcdist.errors import unknown_name
from mcdist.spec.base import Flag, Int, Real, SpecModel, wrong

__all__ = ["RangeSpec", "Scalar"]

Scalar = Int | Real | Flag | str | None
"""One value of a setting."""

_FORMS = "{log: [lowest, highest]}, {uniform: [lowest, highest]}, {choice: [...]} or {grid: [...]}"


class RangeSpec(SpecModel):
    """The range of a searched setting, in one of four forms."""

    log: tuple[Real, Real] | None = Field(None, description="between two bounds above 0, uniform in the logarithm")
    uniform: tuple[Real, Real] | None = Field(None, description="between two bounds, uniform")
    choice: tuple[Scalar, ...] | None = Field(None, description="one of these")
    grid: tuple[Scalar, ...] | None = Field(None, description="one of these; method grid tries each")

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"must be one of {_FORMS}")
        name = str(next(iter(value)))
        if name not in cls.model_fields:
            raise wrong(unknown_name("form of a range", name, cls.model_fields), name)
        return value

    @field_validator("log", "uniform", mode="before")
    @classmethod
    def _two(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise ValueError("must be two bounds, the lower first")
        return value

    @field_validator("log", "uniform")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError("must be two bounds, the lower first")
        return value

    @field_validator("log")
    @classmethod
    def _positive(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] <= 0.0:
            raise wrong(f"must be above 0 for a logarithm; got {value[0]:g}", 0)
        return value

    @field_validator("choice", "grid")
    @classmethod
    def _different(cls, value: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
        if not value:
            raise ValueError("must have at least one value")
        texts = [json.dumps(one) for one in value]
        for at, text in enumerate(texts):
            if text in texts[:at]:
                raise wrong(f"{text} is here twice", at)
        return value

    @property
    def form(self) -> str:
        """Which of the four."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def values(self) -> tuple[Scalar, ...] | None:
        """The listed values; None where there are bounds."""
        return self.choice if self.choice is not None else self.grid

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value, where there are bounds."""
        found = self.log or self.uniform
        assert found is not None, "a list has no bounds"
        return found

    def holds(self, value: Scalar, whole: bool) -> bool:
        """Whether a value is in the range. whole: integers alone are."""
        if self.values is not None:
            return json.dumps(value) in [json.dumps(one) for one in self.values]
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        return number and self.bounds[0] <= float(value or 0.0) <= self.bounds[1]

    def ends(self, whole: bool) -> Iterator[tuple[Scalar, tuple[str, int]]]:
        """The listed values, or both bounds, with the place of each. whole: bounds are integers."""
        found = self.values or tuple(int(bound) if whole else bound for bound in self.bounds)
        return ((value, (self.form, at)) for at, value in enumerate(found))
