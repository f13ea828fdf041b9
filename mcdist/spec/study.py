"""A study: trials at many settings over what a sweep has left in a store, chosen by a search."""

from __future__ import annotations

import itertools
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.errors import unknown_name
from mcdist.spec.base import PLACE, Int, Seed, SpecModel, wrong
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.ranges import RangeSpec, Scalar
from mcdist.spec.resources import ResourcesSpec, of_trials
from mcdist.spec.sweep import NAME, FileName

__all__ = ["SEARCHED", "SearchSpec", "Setting", "StudySpec"]

Setting = dict[str, Scalar]
"""What a trial sets of the searched fields."""

SEARCHED = tuple(name for name in RelaxationSpec.model_fields if name not in ("starts", "kinds", "betas"))
"""The fields of a relaxation that can be searched: those that are one value."""

_NOISE_LEVEL = ("lr", "batch_size", "momentum", "temperature")


class SearchSpec(SpecModel):
    """How the settings of trials are chosen."""

    method: Literal["grid", "random", "optuna"] = Field(
        description="grid: every combination; random: drawn independently; optuna: drawn where the relaxation time "
        "changes most with the noise level, after those tried so far"
    )
    trials: Int | None = Field(None, ge=1, description="random, optuna: how many, those of earlier runs included")
    startup: Int | None = Field(
        None, ge=1, description="optuna: trials drawn at random before the search adapts; 5 if not given"
    )
    concurrent: Int | None = Field(None, ge=1, description="trials at a time; null: as many as there is room for")
    seed: Seed = Field(0, description="of the drawn settings")

    @model_validator(mode="after")
    def _consistent(self) -> SearchSpec:
        if self.method == "grid" and self.trials is not None:
            raise wrong("method 'grid' tries every combination; trials is for random and optuna", "trials")
        if self.method != "grid" and self.trials is None:
            raise wrong(f"method {self.method!r} needs a number of trials, from 1", "trials")
        if self.method != "optuna" and self.startup is not None:
            raise wrong(f"method {self.method!r} does not adapt; startup is for optuna", "startup")
        return self


class StudySpec(SpecModel):
    """Trials over the paths of a sweep: `relaxation` is what all have in common, `space` what is searched."""

    name: FileName = Field(
        json_schema_extra={"pattern": NAME},
        description="letters, digits, '.', '_', '-'; its tasks are kept under this name in the store",
    )
    store: str | None = Field(None, json_schema_extra=PLACE, description="folder or URI of the sweep and the results")
    sweep: str = Field(description="name of the sweep in the store whose paths are worked on")
    problem: Int = Field(0, ge=0, description="which of the sweep's problems, from 0")
    kinds: tuple[str, ...] = Field((), description="paths of these kinds alone; all if empty")
    relaxation: dict[str, Any] = Field(description="what every trial has in common: fields of a relaxation")
    space: dict[str, RangeSpec] = Field(description="what is searched: a range for each of these fields")
    search: SearchSpec = Field(description="how settings are chosen")
    resources: ResourcesSpec = Field(
        ResourcesSpec(), description="of each trial; workers: most trials at a time, as long as concurrent says no less"
    )
    settings: tuple[dict[str, Scalar], ...] = Field(
        (), description="settings tried first, in this order; the store's copy of a study lists all that were begun"
    )

    @field_validator("space")
    @classmethod
    def _known(cls, value: dict[str, RangeSpec]) -> dict[str, RangeSpec]:
        if not value:
            raise wrong("must have at least one setting to search")
        for name, given in value.items():
            if name not in SEARCHED:
                raise wrong(unknown_name("setting", name, SEARCHED), name)
            _check_numbers(name, given)
        return value

    @field_validator("resources")
    @classmethod
    def _of_each(cls, value: ResourcesSpec) -> ResourcesSpec:
        return of_trials(value)

    @model_validator(mode="after")
    def _consistent(self) -> StudySpec:
        if "kinds" in self.relaxation:
            raise wrong("the kinds of paths are said once, for the whole study", "relaxation", "kinds")
        for name in self.space:
            if name in self.relaxation:
                raise wrong(f"{name} is fixed in relaxation already: say it in one of both places", "space", name)
        self._check_search()
        for at, setting in enumerate(self.settings):
            if not self.holds(setting):
                raise wrong(f"must have a value in its range for each of {', '.join(self.space)}", "settings", at)
        return self

    def _check_search(self) -> None:
        for name, given in self.space.items():
            if self.search.method == "grid" and given.values is None:
                raise wrong("method 'grid' tries listed values: give grid: [...]", "space", name, given.form)
        if self.search.method == "optuna":
            if not any(name in _NOISE_LEVEL for name in self.space):
                raise wrong(
                    f"optuna looks where the time changes most with the noise level: search {', '.join(_NOISE_LEVEL)}",
                    "space",
                )
            if self.relaxation.get("noise") == "none":
                raise wrong("without noise there is no noise level for optuna to search", "relaxation", "noise")
        wanted, there = self.search.trials, self.size
        if wanted is not None and wanted > there:
            raise wrong(f"{wanted} are more than the {there} different settings of the space", "search", "trials")

    @property
    def size(self) -> float:
        """Number of different settings; infinite where one is continuous."""
        return math.prod(self._size(name) for name in self.space)

    def _size(self, name: str) -> float:
        given = self.space[name]
        if given.values is not None:
            return len(given.values)
        low, high = given.bounds
        return high - low + 1 if is_integer(name) else math.inf

    def holds(self, setting: Mapping[str, Scalar]) -> bool:
        """Whether this is a setting of the space."""
        return setting.keys() == self.space.keys() and all(
            given.holds(setting[name], whole=is_integer(name)) for name, given in self.space.items()
        )

    def corners(self) -> Iterator[dict[str, tuple[Scalar, tuple[str, int]]]]:
        """Every combination of listed values and bounds: by name the value, and where it stands in its range."""
        choices = [[(value, at) for value, at in given.ends(is_integer(name))] for name, given in self.space.items()]
        return (dict(zip(self.space, ones, strict=True)) for ones in itertools.product(*choices))

    def at(self, setting: Mapping[str, Scalar]) -> RelaxationSpec:
        """The relaxation of a trial."""
        return RelaxationSpec.model_validate({**self.relaxation, **setting, "kinds": self.kinds})


def is_integer(name: str) -> bool:
    """Whether a field of a relaxation is an integer."""
    return _is(name, int)


def _is(name: str, what: type) -> bool:
    def inside(annotation: Any) -> Iterator[Any]:
        yield annotation
        for inner in typing.get_args(annotation):
            yield from inside(inner)

    return any(part is what for part in inside(RelaxationSpec.model_fields[name].annotation))


def _check_numbers(name: str, given: RangeSpec) -> None:
    """Raise where a range of numbers is given for what is none, or one of fractions for an integer."""
    if given.values is not None:
        return
    if not (_is(name, int) or _is(name, float)):
        raise wrong(f"{name} is no number: give choice: [...]", name, given.form)
    for at, bound in enumerate(given.bounds):
        if is_integer(name) and bound != int(bound):
            raise wrong(f"{name} is an integer; got {bound:g}", name, given.form, at)
