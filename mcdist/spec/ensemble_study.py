"""A study of ensembles: which rates, cycle and start make the best ensemble of the epochs that train one network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.errors import unknown_name
from mcdist.spec.base import PLACE, Int, Real, Seed, SpecModel, wrong
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.problem import AnyProblem
from mcdist.spec.ranges import RangeSpec, Scalar
from mcdist.spec.resources import ResourcesSpec, of_trials
from mcdist.spec.sections import EndpointsSpec
from mcdist.spec.study import Setting
from mcdist.spec.sweep import NAME, FileName

__all__ = ["TRIED", "EnsembleSearchSpec", "EnsembleStudySpec", "FinalSpec"]

TRIED: dict[str, tuple[str, ...]] = {"fge": ("lr1", "lr2", "cycle", "start"), "snapshot": ("lr1", "cycles")}
"""By method, the fields of an ensemble that a study may fix or search."""

_WHOLE = ("start", "cycles")
_RATES = ("lr1", "lr2")
_MOST_SEEDS = 100_000


class EnsembleSearchSpec(SpecModel):
    """How the settings of trials are chosen, and which trials are stopped early."""

    method: Literal["grid", "random", "optuna", "pbt"] = Field(
        description="grid: every combination; random: drawn independently; optuna: drawn after those tried so far; "
        "pbt: a population whose worse part goes on from the better, at changed rates"
    )
    trials: Int | None = Field(None, ge=1, description="random, optuna, pbt: how many; of pbt all at the same time")
    scheduler: Literal["asha", "none"] = Field(
        "none", description="asha: the worse trials are stopped early, at equal numbers of epochs"
    )
    grace: Real | None = Field(
        None,
        gt=0.0,
        description="asha: epochs after the earliest start before which no trial is stopped; if not given, until each "
        "that starts then has a member",
    )
    reduction: Real = Field(3.0, gt=1.0, description="asha: one of so many trials goes on, each time")
    interval: Int = Field(1, ge=1, description="pbt: members between changes")
    seed: Seed = Field(
        0, description="of the drawn settings; of pbt of the first ones: how rates are changed is drawn by Ray Tune"
    )
    concurrent: Int | None = Field(None, ge=1, description="trials at a time; null: as many as there is room for")

    @model_validator(mode="after")
    def _consistent(self) -> EnsembleSearchSpec:
        if self.method == "grid" and self.trials is not None:
            raise wrong("method 'grid' tries every combination; trials is for random, optuna and pbt", "trials")
        if self.method != "grid" and self.trials is None:
            raise wrong(f"method {self.method!r} needs a number of trials, from 1", "trials")
        if self.method == "pbt":
            self._check_pbt()
        elif self.interval != 1:
            raise wrong(f"method {self.method!r} changes nothing on the way; interval is for pbt", "interval")
        fields = type(self).model_fields
        for name in ("grace", "reduction"):
            if self.scheduler != "asha" and getattr(self, name) != fields[name].default:
                raise wrong(f"nothing is stopped early; {name} is for scheduler: asha", name)
        return self

    def _check_pbt(self) -> None:
        if self.trials is not None and self.trials < 2:
            raise wrong("a population is of at least 2", "trials")
        if self.scheduler != "none":
            raise wrong("pbt decides itself which trials go on: leave the scheduler out", "scheduler")
        if self.concurrent is not None:
            raise wrong(
                "the trials of a population take turns: as many run as there is room for (resources.cpus)", "concurrent"
            )


class FinalSpec(SpecModel):
    """The sweep at the end, on seeds that no trial used: the winner, the published setting, independent networks."""

    seeds: Int | tuple[Seed, ...] = Field(
        description="a number of networks, trained from the first seeds that no trial used, or a list of seeds"
    )
    budgets: tuple[Int, ...] = Field((1,), description="multiples of B: a number, or a list of them")
    published: dict[str, Any] = Field(
        default_factory=dict, description="the setting to compare with; what is not said is as published"
    )

    @field_validator("seeds")
    @classmethod
    def _some(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if isinstance(value, int) and not 1 <= value <= _MOST_SEEDS:
            raise ValueError(f"must be a number of seeds from 1 to {_MOST_SEEDS}, or a list of seeds")
        return value

    @field_validator("budgets", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    def fresh(self, used: Collection[int]) -> list[int]:
        """The seeds; of a number of them the first that are not among those `used`."""
        if isinstance(self.seeds, int):
            return list(itertools.islice((s for s in itertools.count() if s not in used), self.seeds))
        return list(self.seeds)


class EnsembleStudySpec(SpecModel):
    """Trials of one method of making ensembles on one problem, each given the epochs that train one network: B.

    `ensemble` is what all have in common, `space` what is searched. A trial is judged on validation data alone.
    """

    name: FileName = Field(
        json_schema_extra={"pattern": NAME},
        description="letters, digits, '.', '_', '-'; its tasks are kept under this name in the store",
    )
    store: str | None = Field(None, json_schema_extra=PLACE, description="folder or URI of the results")
    problem: AnyProblem = Field(description="what is learned; its data need a validation split")
    endpoints: EndpointsSpec = Field(
        description="seeds: of the networks of every trial, whose mean is its objective; train.epochs: B, which every "
        "trial is given"
    )
    ensemble: dict[str, Any] = Field(description="what every trial has in common: its method, and fields of it")
    space: dict[str, RangeSpec] = Field(description="what is searched: a range for each of these fields")
    search: EnsembleSearchSpec = Field(description="how settings are chosen")
    final: FinalSpec | None = Field(None, description="the sweep that compares the winner; null: none")
    resources: ResourcesSpec = Field(ResourcesSpec(), description="of each trial, and of each worker of the sweeps")
    settings: tuple[dict[str, Scalar], ...] = Field(
        (), description="settings tried first, in this order; the store's copy of a study lists all that were begun"
    )

    @field_validator("endpoints")
    @classmethod
    def _from_seeds(cls, value: EndpointsSpec) -> EndpointsSpec:
        if value.spawn:
            raise wrong("a trial's networks are trained from seeds, not split", "spawn")
        return value

    @field_validator("ensemble")
    @classmethod
    def _known_method(cls, value: dict[str, Any]) -> dict[str, Any]:
        method = value.get("method")
        if not isinstance(method, str) or method not in TRIED:
            got = f"; got {method!r}" if "method" in value else ""
            raise wrong(f"must say the method, {' or '.join(TRIED)}{got}", *(["method"] if "method" in value else []))
        for name in value:
            if name != "method" and name not in TRIED[method]:
                raise wrong(_unknown(name, method), name)
        return value

    @field_validator("resources")
    @classmethod
    def _of_each(cls, value: ResourcesSpec) -> ResourcesSpec:
        return of_trials(value)

    @model_validator(mode="after")
    def _consistent(self) -> EnsembleStudySpec:
        if not self.space:
            raise wrong("must have at least one setting to search", "space")
        for name, given in self.space.items():
            if name not in TRIED[self.method]:
                raise wrong(_unknown(name, self.method), "space", name)
            if name in self.ensemble:
                raise wrong(f"{name} is fixed in ensemble already: say it in one of both places", "space", name)
            self._check_range(name, given)
        for name in self.final.published if self.final else ():
            if name not in TRIED[self.method]:
                raise wrong(_unknown(name, self.method), "final", "published", name)
        self._check_search()
        self._check_final_seeds()
        for at, setting in enumerate(self.settings):
            if not self.holds(setting):
                raise wrong(f"must have a value in its range for each of {', '.join(self.space)}", "settings", at)
        return self

    def _check_range(self, name: str, given: RangeSpec) -> None:
        """Raise where a field cannot be searched over this range."""
        if given.values is not None:
            return
        if name == "cycle":
            raise wrong(
                "a cycle is an even number of steps: give a list of them, choice: [...]", "space", name, given.form
            )
        for at, bound in enumerate(given.bounds):
            if name in _WHOLE and bound != int(bound):
                raise wrong(f"{name} is an integer; got {bound:g}", "space", name, given.form, at)

    def _check_search(self) -> None:
        for name, given in self.space.items():
            if self.search.method == "grid" and given.values is None:
                raise wrong("method 'grid' tries listed values: give grid: [...]", "space", name, given.form)
            if self.search.method == "pbt" and name not in _RATES:
                raise wrong(
                    f"pbt changes rates on the way, and {name} is the same in all of a population: say it in ensemble",
                    "space",
                    name,
                )
        if self.search.method == "pbt" and self.method != "fge":
            raise wrong(
                f"pbt is for method fge, whose cycles can have rates of their own; got {self.method!r}", "search"
            )
        B, first = self.endpoints.train.epochs, min(self.starts, default=0)
        if self.search.grace is not None and self.search.grace > B - first:
            raise wrong(
                f"{self.search.grace:g} epochs are more than the {B - first} that are left of {B} after the earliest "
                f"start, {first}",
                "search",
                "grace",
            )
        wanted, there = self.search.trials, self.size
        if wanted is not None and wanted > there:
            raise wrong(f"{wanted} are more than the {there} different settings of the space", "search", "trials")

    def _check_final_seeds(self) -> None:
        given = self.final.seeds if self.final else ()
        for at, seed in enumerate(given if isinstance(given, tuple) else ()):
            if seed in self.endpoints.seeds:
                raise wrong(f"the trials use the seed {seed}: give others to the final run", "final", "seeds", at)

    @property
    def method(self) -> str:
        """Of making ensembles: fge or snapshot."""
        return str(self.ensemble["method"])

    @property
    def size(self) -> float:
        """Number of different settings; infinite where one is continuous."""
        return math.prod(self._size(name) for name in self.space)

    def _size(self, name: str) -> float:
        given = self.space[name]
        if given.values is not None:
            return len(given.values)
        low, high = given.bounds
        return high - low + 1 if self.whole(name) else math.inf

    def whole(self, name: str) -> bool:
        """Whether a searched field is an integer."""
        return name in _WHOLE

    def holds(self, setting: Mapping[str, Scalar]) -> bool:
        """Whether this is a setting of the space."""
        return setting.keys() == self.space.keys() and all(
            given.holds(setting[name], whole=self.whole(name)) for name, given in self.space.items()
        )

    def corners(self) -> Iterator[dict[str, tuple[Scalar, tuple[str, int]]]]:
        """Every combination of listed values and bounds: by name the value, and where it stands in its range."""
        choices = [[(value, at) for value, at in given.ends(self.whole(name))] for name, given in self.space.items()]
        return (dict(zip(self.space, ones, strict=True)) for ones in itertools.product(*choices))

    def at(self, setting: Setting) -> EnsembleSpec:
        """The ensemble of a trial."""
        return EnsembleSpec.model_validate({**self.ensemble, **setting})

    @property
    def starts(self) -> list[int]:
        """Every epoch at which the cycles of a trial may begin, the earliest first; of a range, each integer in it."""
        B = self.endpoints.train.epochs
        given = self.space.get("start")
        if given is None:
            plain = {name: value for name, value in self.ensemble.items() if name in ("method", "start")}
            return [EnsembleSpec.model_validate(plain).begins(B, 1)]
        if given.values is not None:
            return sorted(int(value) for value in given.values if isinstance(value, int))
        return list(range(int(given.bounds[0]), int(given.bounds[1]) + 1))


def _unknown(name: str, method: str) -> str:
    """Why a study of this method neither fixes nor searches a field."""
    if name in EnsembleSpec.model_fields and name not in TRIED[method]:
        own = ", ".join(TRIED[method])
        if name == "budgets":
            return "every trial is given the epochs of one network; budgets are for final"
        return f"a trial of method {method!r} has no {name!r}; it has {own}"
    return unknown_name("setting", name, TRIED[method])
