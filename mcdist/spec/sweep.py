"""A whole sweep."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from mcdist.spec.base import PLACE, Int, M, SpecModel, distinct, wrong
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.measures import MeasureSpec
from mcdist.spec.paths import PathSpec
from mcdist.spec.problem import AnyProblem
from mcdist.spec.resources import ResourcesSpec
from mcdist.spec.sections import EndpointsSpec, PairsSpec

__all__ = ["NAME", "FileName", "SweepSpec"]

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""What the name of a sweep or a study looks like."""


def _file_name(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise ValueError("must be made of letters, digits, '.', '_', '-', a letter or digit first")
    return value


FileName = Annotated[str, AfterValidator(_file_name)]
"""The name of a sweep or a study."""


class SweepSpec(SpecModel):
    """A sweep with every grid expanded: for each problem and each setting of end points, all pairs by all paths.

    In YAML `problem`, `endpoints`, `paths` and the entries of `measure` may be one mapping or a list of them, and
    any scalar in them `{grid: [...]}`.
    """

    name: FileName = Field(
        json_schema_extra={"pattern": NAME},
        description="letters, digits, '.', '_', '-'; its tasks are kept under this name in the store",
    )
    store: str | None = Field(None, json_schema_extra=PLACE, description="folder or URI of the results")
    problem: tuple[AnyProblem, ...] = Field(min_length=1, description="what is learned")
    endpoints: tuple[EndpointsSpec, ...] = Field(min_length=1, description="which networks are trained, how")
    pairs: PairsSpec = Field(PairsSpec(), description="which end points are connected")
    paths: tuple[PathSpec, ...] = Field((), description="how a pair is connected")
    tours: tuple[Annotated[tuple[Int, ...], Field(min_length=3)], ...] = Field(
        (), description="paths through several end points [i, j, k, ...], one leg after the other, of every kind"
    )
    measure: MeasureSpec = Field(MeasureSpec(), description="what is measured")
    relaxations: tuple[RelaxationSpec, ...] = Field(
        (), description="noisy runs from points of the paths, held to them until they reach an end"
    )
    ensembles: tuple[EnsembleSpec, ...] = Field(
        (), description="several networks that predict together, made in several ways at equal numbers of epochs"
    )
    resources: ResourcesSpec = Field(ResourcesSpec(), description="where and how the work is done")

    @field_validator("problem", "endpoints", "paths", "relaxations", "ensembles")
    @classmethod
    def _distinct(cls, value: tuple[M, ...]) -> tuple[M, ...]:
        return distinct(value)

    @field_validator("pairs")
    @classmethod
    def _in_range(cls, value: PairsSpec, info: ValidationInfo) -> PairsSpec:
        _check_pairs(value, info)
        return value

    @field_validator("tours", mode="before")
    @classmethod
    def _long_enough(cls, value: Any) -> Any:
        for at, tour in enumerate(value if isinstance(value, (list, tuple)) else ()):
            if not isinstance(tour, (list, tuple)) or len(tour) < 3:
                raise wrong(f"must be at least three positions of end points; got {tour!r:.60}", at)
        return value

    @field_validator("tours")
    @classmethod
    def _possible_tours(cls, value: tuple[tuple[int, ...], ...], info: ValidationInfo) -> tuple[tuple[int, ...], ...]:
        if value and not info.data.get("paths", (None,)):  # paths that are wrong are missing here
            raise wrong("a tour needs a kind of path for its legs: say at least one under paths")
        for at, tour in enumerate(value):
            if any(i == j for i, j in itertools.pairwise(tour)):
                raise wrong(f"{list(tour)} goes from an end point to itself", at)
            if tour in value[:at]:
                raise wrong(f"the tour {list(tour)} is here twice", at)
            _check_positions(tour, info, at)
        return value

    @field_validator("ensembles")
    @classmethod
    def _possible_ensembles(cls, value: tuple[EnsembleSpec, ...], info: ValidationInfo) -> tuple[EnsembleSpec, ...]:
        groups = info.data.get("endpoints", ())
        from_seeds = [group for group in groups if not group.spawn]
        if value and groups and not from_seeds:
            raise wrong("ensembles are of networks trained from seeds, not of branches (endpoints.spawn)")
        for group in from_seeds:
            for at, ensemble in enumerate(value):
                _check_ensemble(ensemble, group, at)
        return value

    @field_validator("measure")
    @classmethod
    def _possible_planes(cls, value: MeasureSpec, info: ValidationInfo) -> MeasureSpec:
        for at, plane in enumerate(value.plane):
            for row, triple in enumerate(plane.through):
                _check_positions(triple, info, "plane", at, "through", row)
            _check_pairs(plane.pairs, info, "plane", at, "pairs")
        return value


def _check_ensemble(ensemble: EnsembleSpec, group: EndpointsSpec, at: int) -> None:
    """Raise where these end points have no such ensemble."""
    B, curve = group.train.epochs, ensemble.path
    if B < 1:
        raise wrong("ensembles are of trained networks, and these have train: none", at)
    for budget in ensemble.budgets:
        if (wanted := ensemble.networks(budget)) > (n := len(group.seeds)):
            raise wrong(
                f"a budget of {budget} takes {wanted} networks for each ensemble, and there are {n} end points",
                at,
                "budgets",
            )
        if curve is not None and curve.train is not None:
            spent = 2 * B + curve.train.epochs * curve.draws
            if spent > budget * B:
                raise wrong(
                    f"{budget} x {B} epochs are less than the {spent} that two end points and the curve take; "
                    f"possible from {-(-spent // B)} on",
                    at,
                    "budgets",
                )
        if ensemble.cyclic:
            _check_cycles(ensemble, group, budget, at)


def _check_cycles(ensemble: EnsembleSpec, group: EndpointsSpec, budget: int, at: int) -> None:
    """Raise where a run of this budget has no room for the cycles, or its rates are not meant for the optimizer."""
    B = group.train.epochs
    start, total = ensemble.begins(B, budget), ensemble.run_epochs(B, budget)
    if start > B:
        raise wrong(f"{start} is after the end of the usual training, which has {B} epochs", at, "start")
    if start >= total:
        raise wrong(
            f"nothing is left of {total} epochs for cycles that start after {start}; say an earlier start", at, "start"
        )
    if ensemble.cycle is None:
        return
    if ensemble.cycle > total - start:
        raise wrong(
            f"a cycle of {ensemble.cycle:g} epochs is longer than the {total - start} that are left of {total} "
            f"when cycles start after {start}; say a shorter cycle, or an earlier start",
            at,
            "cycle",
        )
    unsaid = {"lr1", "lr2"} - ensemble.model_fields_set
    if unsaid and group.train.optimizer != "sgd":
        raise wrong(
            f"the published rates, {ensemble.lr1:g} and {ensemble.lr2:g}, are for sgd, and the end points are trained "
            f"by {group.train.optimizer}: say {' and '.join(sorted(unsaid))}",
            at,
        )


def _check_pairs(pairs: PairsSpec, info: ValidationInfo, *at: str | int) -> None:
    """Raise where the end points do not have these pairs."""
    for row, pair in enumerate(pairs.pairs):
        _check_positions(pair, info, *at, "pairs", row)
    for n in {group.connectable for group in info.data.get("endpoints", ())}:
        if pairs.random is not None and pairs.random > n * (n - 1) // 2:
            raise wrong(
                f"{pairs.random} different pairs are more than the {n * (n - 1) // 2} that {n} end points have",
                *at,
                "random",
            )


def _check_positions(positions: tuple[int, ...], info: ValidationInfo, *at: str | int) -> None:
    """Raise where one is no position in the list of seeds."""
    for n in {group.connectable for group in info.data.get("endpoints", ())}:
        if not all(0 <= i < n for i in positions):
            raise wrong(
                f"{list(positions)} is out of range: there are {n} end points, positions 0 to {n - 1}",
                *at,
            )
