"""A whole sweep."""

from __future__ import annotations

import re

from pydantic import Field, ValidationInfo, field_validator

from mcdist.spec.base import PLACE, M, SpecModel, distinct, wrong
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.sections import EndpointsSpec, MeasureSpec, PairsSpec, PathSpec, ResourcesSpec

__all__ = ["SweepSpec"]

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class SweepSpec(SpecModel):
    """A sweep with every grid expanded: for each problem and each setting of end points, all pairs by all paths.

    In YAML `problem`, `endpoints`, `paths` and `measure.profile` may be one mapping or a list of them, and any
    scalar in them `{grid: [...]}`.
    """

    name: str = Field(
        json_schema_extra={"pattern": _NAME},
        description="letters, digits, '.', '_', '-'; its tasks are kept under this name in the store",
    )
    store: str | None = Field(None, json_schema_extra=PLACE, description="folder or URI of the results")
    problem: tuple[ProblemSpec, ...] = Field(min_length=1, description="what is learned")
    endpoints: tuple[EndpointsSpec, ...] = Field(min_length=1, description="which networks are trained, how")
    pairs: PairsSpec = Field(PairsSpec(), description="which end points are connected")
    paths: tuple[PathSpec, ...] = Field((), description="how a pair is connected")
    measure: MeasureSpec = Field(MeasureSpec(), description="what is measured on every path")
    resources: ResourcesSpec = Field(ResourcesSpec(), description="where and how the work is done")

    @field_validator("name")
    @classmethod
    def _file_name(cls, value: str) -> str:
        if not re.fullmatch(_NAME, value):
            raise ValueError("must be made of letters, digits, '.', '_', '-', a letter or digit first")
        return value

    @field_validator("problem", "endpoints", "paths")
    @classmethod
    def _distinct(cls, value: tuple[M, ...]) -> tuple[M, ...]:
        return distinct(value)

    @field_validator("pairs")
    @classmethod
    def _in_range(cls, value: PairsSpec, info: ValidationInfo) -> PairsSpec:
        for n in {len(group.seeds) for group in info.data.get("endpoints", ())}:
            for at, (i, j) in enumerate(value.pairs):
                if not (0 <= i < n and 0 <= j < n):
                    raise wrong(
                        f"[{i}, {j}] is out of range: there are {n} end points, positions 0 to {n - 1}",
                        "pairs",
                        at,
                    )
            if value.random is not None and value.random > n * (n - 1) // 2:
                raise wrong(
                    f"{value.random} different pairs are more than the {n * (n - 1) // 2} that {n} end points have",
                    "random",
                )
        return value
