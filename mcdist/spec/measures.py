"""What is measured on paths and end points."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.spec.base import PLACE, Flag, Int, M, Real, Seed, SpecModel, distinct, wrong
from mcdist.spec.dynamics import DriftSpec
from mcdist.spec.sections import PairsSpec

__all__ = ["CurvatureSpec", "MeasureSpec", "PlaneSpec", "ProfileSpec"]


class ProfileSpec(SpecModel):
    """Metrics at equally spaced t on every path."""

    points: Int = Field(61, ge=3, description="positions t = i / (points - 1)")


class CurvatureSpec(SpecModel):
    """Curvature of the loss at equally spaced t on paths, or at end points."""

    measures: tuple[str, ...] = Field(
        ("lambda_max", "fisher_trace"),
        min_length=1,
        description="lambda_max, top_k, hessian_trace, fisher_trace, ggn_max, ggn_trace, log_det, density, ...",
    )
    at: Literal["paths", "endpoints"] = Field("paths", json_schema_extra=PLACE, description="where")
    kinds: tuple[str, ...] = Field((), json_schema_extra=PLACE, description="paths of these kinds alone; all if empty")
    controls: Flag = Field(
        False,
        json_schema_extra=PLACE,
        description="also the path's two ends after they were trained on as the path's interior was",
    )
    points: Int = Field(21, ge=3, description="positions t = i / (points - 1)")
    samples: Int | None = Field(1000, ge=1, description="training examples; null for all")
    seed: Seed = Field(0, description="seed of the choice of examples, of probes and of sampled labels")
    labels: Literal["data", "sampled"] = Field("data", description="Fisher: those of the data, or drawn from the model")
    weight_decay: Real = Field(
        0.0, ge=0.0, description="coefficient of 0.5 |w|^2 in the loss whose curvature is meant; 0: without"
    )
    top_k: Int = Field(10, ge=1, description="top_k, log_det: so many leading eigenvalues")
    tol: Real = Field(1e-4, gt=0, description="eigenvalues: relative change at which the iteration stops")
    max_iterations: Int = Field(100, ge=2, description="eigenvalues: most products with the Hessian")
    probes: Int = Field(32, ge=2, description="traces, densities: random vectors")
    floor: Real = Field(1e-3, gt=0, description="log_det: eigenvalues above this count")
    layers: Flag = Field(False, description="also layer by layer")

    @field_validator("measures", "kinds")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for at, name in enumerate(value):
            if name in value[:at]:
                raise wrong(f"{name!r} is here twice", at)
        return value


class PlaneSpec(SpecModel):
    """Losses on a plane through three points: the ends and the middle of a path, or any three end points."""

    points: Int = Field(21, ge=3, description="grid points along each side")
    margin: Real = Field(0.25, ge=0.0, description="room around the three points, as a part of their extent")
    through: tuple[tuple[Int, Int, Int], ...] = Field(
        (), json_schema_extra=PLACE, description="triples of end points [i, j, k]; if empty, planes of paths"
    )
    pairs: PairsSpec = Field(PairsSpec(), json_schema_extra=PLACE, description="planes of paths: of these pairs")
    kinds: tuple[str, ...] = Field(
        (), json_schema_extra=PLACE, description="planes of paths: of these kinds; if empty, all but straight lines"
    )

    @field_validator("through", mode="before")
    @classmethod
    def _threes(cls, value: Any) -> Any:
        for at, triple in enumerate(value if isinstance(value, (list, tuple)) else ()):
            if not isinstance(triple, (list, tuple)) or len(triple) != 3:
                raise wrong(f"must be three positions [i, j, k] of end points; got {triple!r:.60}", at)
        return value

    @field_validator("through")
    @classmethod
    def _span(cls, value: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
        for at, triple in enumerate(value):
            if len(set(triple)) < 3:
                raise wrong(
                    f"{list(triple)} has an end point twice: three points on a line span no plane; "
                    "give three different ones",
                    at,
                )
            if set(triple) in [set(other) for other in value[:at]]:
                raise wrong(f"the plane through {list(triple)} is here twice", at)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> PlaneSpec:
        for name in ("pairs", "kinds"):
            if self.through and getattr(self, name) != type(self).model_fields[name].default:
                raise wrong(f"planes through end points have no {name}; that is for planes of paths", name)
        return self


class MeasureSpec(SpecModel):
    """What is measured."""

    profile: tuple[ProfileSpec, ...] = Field((ProfileSpec(),), description="metrics and barriers along paths")
    curvature: tuple[CurvatureSpec, ...] = Field((), description="curvature along paths, or at end points")
    plane: tuple[PlaneSpec, ...] = Field((), description="losses on planes through three points")
    drift: tuple[DriftSpec, ...] = Field((), description="mean drift of noisy dynamics, by paired replicas")

    @field_validator("profile", "curvature", "plane", "drift")
    @classmethod
    def _distinct(cls, value: tuple[M, ...]) -> tuple[M, ...]:
        return distinct(value)
