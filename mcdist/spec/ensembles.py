"""Ensembles of networks at equal budget."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mcdist.spec.base import SCALAR, Flag, Int, Real, SpecModel, wrong
from mcdist.spec.paths import PathSpec

__all__ = ["METHOD_OPTIONS", "EnsembleSpec", "Method"]

Method = Literal["independent", "snapshot", "fge", "swa", "curve"]

METHOD_OPTIONS: dict[str, dict[str, Any]] = {
    "independent": {},
    "snapshot": {"lr1": None, "cycles": 5},
    "fge": {"start": None, "lr1": 0.05, "lr2": 0.01, "cycle": 2.0},
    "swa": {"start": None, "lr1": 0.05, "lr2": 0.01, "cycle": 2.0},
    "curve": {"points": 5, "path": None},
}
"""By method, the options it has and their defaults."""

_ALL_OPTIONS = ("start", "lr1", "lr2", "cycle", "cycles", "points", "path")


class EnsembleSpec(SpecModel):
    """A way to make ensembles, at several budgets, in units of B: the epochs that train one end point.

    The options of its method are filled in where they are not given, so that they are part of the identity.
    """

    BUDGETS: ClassVar[int] = 1000

    method: Method = Field(
        description="independent: end points; snapshot: ends of cosine cycles; fge: low points of triangular cycles; "
        "swa: the average of those in weight space; curve: points of a trained curve between two end points"
    )
    budgets: tuple[Int, ...] = Field((1,), description="multiples of B: a number, or a list of them")
    restarts: Flag = Field(
        True, description="a budget of b B is b runs of B epochs, members together; false: one run of b B epochs"
    )
    start: Int | None = Field(
        None,
        ge=0,
        description="fge, swa: epochs of usual training before the cycles, at most B, which is from the end points; "
        "80 % of B if not given (of one long run: B)",
    )
    lr1: Real | None = Field(
        None,
        validate_default=True,
        gt=0.0,
        json_schema_extra=SCALAR,
        description="highest rate of a cycle; 0.05 if not given; snapshot: the end points' rate if not given",
    )
    lr2: Real | None = Field(
        None,
        validate_default=True,
        gt=0.0,
        json_schema_extra=SCALAR,
        description="fge, swa: lowest rate, in the middle of a cycle; 0.01 if not given",
    )
    cycle: Real | None = Field(
        None,
        validate_default=True,
        gt=0.0,
        description="fge, swa: epochs of a cycle, an even number of steps; 2 if not given",
    )
    cycles: Int | None = Field(
        None,
        validate_default=True,
        ge=1,
        description="snapshot: cycles of a run, ceil(steps / cycles) steps each, a member at the end of each; 5 if not "
        "given",
    )
    points: Int | None = Field(
        None,
        validate_default=True,
        ge=2,
        description="curve: members, at equal distances in t, ends included; 5 if not given",
    )
    path: PathSpec | None = Field(None, description="curve: how the two end points are connected, bezier or chain")
    looks: Int = Field(4, ge=1, description="snapshot, fge, swa: evaluations of the network on each cycle")
    predictions: Flag = Field(
        False, description="keep the members' probabilities, so that ensembles can be recombined without networks"
    )

    @field_validator("budgets", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return (value,)
        if not isinstance(value, (list, tuple)) or not value:
            raise ValueError("must be a whole multiple of B, or a list of them that is not empty")
        return value

    @field_validator("budgets")
    @classmethod
    def _increasing(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        for at, budget in enumerate(value):
            if not 1 <= budget <= cls.BUDGETS:
                raise wrong(f"must be multiples of B from 1 to {cls.BUDGETS}; got {budget}", at)
            if budget in value[:at]:
                raise wrong(f"the budget {budget} is here twice", at)
        return tuple(sorted(value))

    @field_validator("lr1", "lr2", "cycle", "cycles", "points")
    @classmethod
    def _filled_in(cls, value: Any, info: ValidationInfo) -> Any:
        options = METHOD_OPTIONS.get(info.data.get("method", ""), {})
        return options.get(str(info.field_name)) if value is None else value

    @model_validator(mode="after")
    def _consistent(self) -> EnsembleSpec:
        own = METHOD_OPTIONS[self.method]
        for name in _ALL_OPTIONS:
            if getattr(self, name) is not None and name not in own:
                has = f"; it has {', '.join(own)}" if own else "; it has no options"
                raise wrong(f"method {self.method!r} has no {name!r}{has}", name)
        fields = type(self).model_fields
        if not self.cyclic and self.looks != fields["looks"].default:
            raise wrong(f"method {self.method!r} has no cycles to look at", "looks")
        if not self.cyclic and not self.restarts:
            raise wrong(f"method {self.method!r} has no runs that could be longer", "restarts")
        if self.lr1 is not None and self.lr2 is not None and self.lr1 < self.lr2:
            raise wrong(f"the highest rate must be at least the lowest: got lr1 {self.lr1:g}, lr2 {self.lr2:g}", "lr1")
        if self.method == "curve":
            self._check_curve()
        return self

    def _check_curve(self) -> None:
        if self.path is None:
            raise wrong("method 'curve' needs path: {kind: bezier, train: {...}}", "path")
        if self.path.kind not in ("bezier", "chain"):
            raise wrong(
                f"must be a curve that is trained for so many epochs, bezier or chain; got {self.path.kind!r}",
                "path",
                "kind",
            )
        if self.path.ends != "fixed":
            raise wrong("must have the two networks for its ends, ends: fixed", "path", "ends")

    @property
    def cyclic(self) -> bool:
        """Whether its runs have a cyclic rate."""
        return self.method in ("snapshot", "fge", "swa")

    def networks(self, budget: int) -> int:
        """How many end points (or runs from seeds of these) an ensemble of this budget takes."""
        if self.method == "curve":
            return 2
        return budget if self.restarts else 1

    def run_epochs(self, B: int, budget: int) -> int:
        """Most epochs of one cyclic run, those before the cycles included. B: epochs that train one end point."""
        return B if self.restarts else budget * B

    def begins(self, B: int, budget: int) -> int:
        """Epochs of usual training before the cycles: 0: from a seed; B: from an end point."""
        if self.method == "snapshot":
            return 0
        if self.start is not None:
            return self.start
        return round(0.8 * B) if self.run_epochs(B, budget) == B else B
