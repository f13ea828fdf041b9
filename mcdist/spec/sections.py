"""The sections of a sweep: end points, pairs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.spec.base import Int, Seed, SpecModel, wrong
from mcdist.spec.training import TrainSpec

__all__ = ["EndpointsSpec", "PairsSpec"]

_UNTRAINED = {"epochs": 0, "lr": 1.0}

_MOST_SEEDS = 1_000_000  # a seed given where a number of seeds is meant must not fill the memory


class EndpointsSpec(SpecModel):
    """Which end points are trained, and how."""

    seeds: tuple[Seed, ...] = Field(description="a number n for seeds 0 to n - 1, or a list of seeds")
    train: TrainSpec = Field(description="none: end points are the initial ones, or those that the problem gives")
    spawn: tuple[Int, ...] = Field(
        (),
        description="epochs at which a network trained from a seed is split into branches, each an end point of its "
        "own; pairs are then of branches of one network and epoch",
    )
    branches: Int = Field(2, ge=2, description="spawn: branches at each epoch, which differ in data order alone")

    @field_validator("train", mode="before")
    @classmethod
    def _untrained(cls, value: Any) -> Any:
        return _UNTRAINED if value == "none" else value

    @field_validator("train")
    @classmethod
    def _without_what_does_nothing(cls, value: TrainSpec) -> TrainSpec:
        return value if value.epochs else TrainSpec.model_validate(_UNTRAINED)

    @field_validator("seeds", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 1 <= value <= _MOST_SEEDS:
                raise ValueError(f"must be a number of seeds from 1 to {_MOST_SEEDS}, or a list of seeds")
            return tuple(range(value))
        if not isinstance(value, (list, tuple)) or not value:
            raise ValueError("must be a number of seeds, or a list of them that is not empty")
        return value

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        seen: set[int] = set()
        for at, seed in enumerate(value):
            if seed in seen:
                raise wrong(f"the seed {seed} is here twice", at)
            seen.add(seed)
        return value

    @model_validator(mode="after")
    def _possible_branches(self) -> EndpointsSpec:
        if self.spawn and not self.train.epochs:
            raise wrong("networks that are not trained (train: none) are not split", "spawn")
        for at, epoch in enumerate(self.spawn):
            if not 0 <= epoch < self.train.epochs:
                raise wrong(
                    f"must be epochs from 0 to {self.train.epochs - 1}, before the last; got {epoch}", "spawn", at
                )
            if epoch in self.spawn[:at]:
                raise wrong(f"the epoch {epoch} is here twice", "spawn", at)
        if not self.spawn and self.branches != type(self).model_fields["branches"].default:
            raise wrong("nothing is split without spawn: [epochs, ...]", "branches")
        return self

    @property
    def connectable(self) -> int:
        """How many end points there are among which pairs are made."""
        return self.branches if self.spawn else len(self.seeds)


class PairsSpec(SpecModel):
    """Which end points are connected, by their positions in the list of seeds, from 0.

    In YAML: all, chain, none, {random: n, seed: s}, or a list of pairs [i, j].
    """

    kind: Literal["all", "chain", "random", "list", "none"] = Field(
        "all", description="chain: each with the next; may be left out where random or pairs is given"
    )
    random: Int | None = Field(None, ge=1, description="so many different pairs, drawn at random")
    seed: Seed = Field(0, description="seed of that draw")
    pairs: tuple[tuple[Int, Int], ...] = Field((), description="pairs [i, j]: end a at t = 0, end b at t = 1")

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, value: Any) -> Any:
        if isinstance(value, str) and value in ("all", "chain", "none"):
            return {"kind": value}
        if isinstance(value, (list, tuple)):
            return {"kind": "list", "pairs": value}
        if not isinstance(value, dict):
            raise ValueError("must be all, chain, none, {random: n}, or a list of pairs [i, j]")
        implied = "random" if "random" in value else "list" if "pairs" in value else "all"
        return {"kind": implied, **value}

    @field_validator("pairs", mode="before")
    @classmethod
    def _twos(cls, value: Any) -> Any:
        for at, pair in enumerate(value if isinstance(value, (list, tuple)) else ()):
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise wrong(f"must be a pair [i, j] of positions; got {pair!r:.60}", at)
        return value

    @field_validator("pairs")
    @classmethod
    def _distinct(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        seen: set[frozenset[int]] = set()
        for at, (i, j) in enumerate(value):
            if i == j:
                raise wrong(f"must be two different end points; got [{i}, {j}]", at)
            if frozenset((i, j)) in seen:
                raise wrong(f"the pair [{i}, {j}] is here twice, in this order or the other", at)
            seen.add(frozenset((i, j)))
        return value

    @model_validator(mode="after")
    def _consistent(self) -> PairsSpec:
        if self.kind == "random" and self.random is None:
            raise wrong("must be a number of pairs, from 1", "random")
        if self.kind == "list" and not self.pairs:
            raise wrong("must have at least one pair; for no pairs at all, write pairs: none")
        for name, kind in (("random", "random"), ("seed", "random"), ("pairs", "list")):
            if self.kind != kind and getattr(self, name) != type(self).model_fields[name].default:
                raise wrong(f"pairs of kind {self.kind!r} have no {name}", name)
        return self
