"""A whole sweep."""

from __future__ import annotations

import re

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mcdist.spec.base import PLACE, SpecModel
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.sections import EndpointsSpec, MeasureSpec, PairsSpec, PathSpec, ResourcesSpec

__all__ = ["SweepSpec"]


class SweepSpec(SpecModel):
    """A sweep with every grid expanded: for each problem and each setting of end points, all pairs by all paths.

    In YAML `problem`, `endpoints`, `paths` and `measure.profile` may be one mapping or a list of them, and any scalar in
    them `{grid: [...]}`.
    """

    name: str = Field(description="letters, digits, '.', '_', '-'")
    store: str | None = Field(None, json_schema_extra=PLACE, description="folder or URI of the results")
    problem: tuple[ProblemSpec, ...] = Field(min_length=1)
    endpoints: tuple[EndpointsSpec, ...] = Field(min_length=1)
    pairs: PairsSpec = PairsSpec()
    paths: tuple[PathSpec, ...] = ()
    measure: MeasureSpec = MeasureSpec()
    resources: ResourcesSpec = ResourcesSpec()

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value):
            raise ValueError("must be made of letters, digits, '.', '_', '-', a letter or digit first")
        return value

    @field_validator("pairs")
    @classmethod
    def _pairs_in_range(cls, value: PairsSpec, info: ValidationInfo) -> PairsSpec:
        for group in info.data.get("endpoints", ()):
            n = len(group.seeds)
            for pair in value.pairs:
                if not all(0 <= i < n for i in pair):
                    raise ValueError(
                        f"pair {list(pair)} is out of range: there are {n} end points, positions 0 to {n - 1}"
                    )
            if value.random is not None and value.random > n * (n - 1) // 2:
                raise ValueError(f"{n} end points have {n * (n - 1) // 2} pairs")
        return value

    @model_validator(mode="after")
    def _distinct(self) -> SweepSpec:
        for section in ("problem", "endpoints", "paths"):
            items = getattr(self, section)
            for i, item in enumerate(items):
                if item in items[:i]:
                    raise ValueError(f"{section}: entry {i} is the same as an entry before it")
        return self
