"""The sections of a sweep: end points, pairs, paths, measures, resources."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.spec.base import SCALAR, Int, Real, SpecModel
from mcdist.spec.training import TrainSpec

__all__ = ["EndpointsSpec", "MeasureSpec", "PairsSpec", "PathSpec", "ProfileSpec", "ResourcesSpec"]


class EndpointsSpec(SpecModel):
    """Which end points are trained, and how."""

    seeds: tuple[Int, ...] = Field(description="a number n for seeds 0 to n - 1, or a list of seeds")
    train: TrainSpec

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 1:
                raise ValueError("needs at least one seed")
            return tuple(range(value))
        if not isinstance(value, (list, tuple)) or not value:
            raise ValueError("must be a number of seeds, or a list of them that is not empty")
        if any(isinstance(s, bool) or not isinstance(s, int) or s < 0 for s in value):
            raise ValueError("seeds are integers from 0")
        if len(set(value)) != len(value):
            raise ValueError("the same seed twice")
        return tuple(value)


class PairsSpec(SpecModel):
    """Which end points are connected: positions in the list of seeds."""

    kind: Literal["all", "chain", "random", "list", "none"] = "all"
    random: Int | None = Field(None, ge=1, description="so many different pairs, drawn at random")
    seed: Int = Field(0, ge=0, description="seed of that draw")
    pairs: tuple[tuple[Int, Int], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, value: Any) -> Any:
        if value in ("all", "chain", "none"):
            return {"kind": value}
        if isinstance(value, dict) and "random" in value:
            return {"kind": "random", **value}
        if isinstance(value, (list, tuple)):
            return {"kind": "list", "pairs": value}
        if isinstance(value, dict) and ("kind" in value or not value):
            return value
        raise ValueError("must be all, chain, none, {random: n}, or a list of pairs [i, j]")

    @field_validator("pairs")
    @classmethod
    def _pairs(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        ordered = [tuple(sorted(pair)) for pair in value]
        for (i, j), known in zip(value, range(len(value)), strict=True):
            if i == j:
                raise ValueError(f"a pair needs two different end points: got [{i}, {j}]")
            if tuple(sorted((i, j))) in ordered[:known]:
                raise ValueError(f"the same pair twice: [{i}, {j}]")
        return value


class PathSpec(SpecModel):
    """A way to connect a pair."""

    kind: str = Field(description="linear, bezier, chain")
    bends: Int = Field(1, ge=1, description="control points between the ends")
    ends: Literal["fixed", "free"] = "fixed"
    train: TrainSpec | None = Field(None, description="how the bends are trained")
    draws: Int = Field(1, ge=1, description="positions t per minibatch")
    seed: Int = Field(0, ge=0, json_schema_extra=SCALAR, description="seed of t and of the data order")


class ProfileSpec(SpecModel):
    """Metrics at equally spaced t on every path."""

    points: Int = Field(61, ge=3, description="positions t = i / (points - 1)")


class MeasureSpec(SpecModel):
    """What is measured on every path."""

    profile: tuple[ProfileSpec, ...] = (ProfileSpec(),)


class ResourcesSpec(SpecModel):
    """Where and how the work is done; no part of any task's identity."""

    workers: Int | Literal["auto"] = Field("auto", description="auto: as many as the cluster has room for")
    cpus: Real = Field(1, gt=0, description="CPUs per worker")
    gpus: Real | Literal["auto"] = Field(
        "auto", description="GPUs per worker; auto: 1 where there are any, else 0"
    )
    threads: Int = Field(1, ge=1, description="torch threads per worker")
    pack: Int | Literal["auto"] = Field("auto", description="tasks of one shape computed as one stack")
    retries: Int = Field(3, ge=0, description="times a pack whose worker was lost is started again")

    @field_validator("workers", "pack")
    @classmethod
    def _positive(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be auto or at least 1")
        return value

    @field_validator("gpus")
    @classmethod
    def _share(cls, value: float | str) -> float | str:
        if isinstance(value, (int, float)) and (value < 0 or (value > 1 and value != int(value))):
            raise ValueError("must be auto, 0, a share of one GPU, or a whole number of them")
        return value
