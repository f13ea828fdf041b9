"""How something is trained."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from mcdist.spec.base import SCALAR, Flag, Int, Real, SpecModel, wrong

__all__ = ["OPTIMIZERS_WITH", "Betas", "ScheduleSpec", "TrainSpec", "check_optimizer"]


class ScheduleSpec(SpecModel):
    """A learning-rate schedule, set at the beginning of each epoch from epoch / epochs.

    The options of its kind are filled in where they are not given, so that they are part of the identity.
    """

    short = "kind"

    OPTIONS: ClassVar[dict[str, dict[str, Any]]] = {
        "constant": {},
        "cosine": {},
        "step": {"milestones": (0.5, 0.75), "gamma": 0.1},
        "piecewise": {"floor": 0.01},
    }
    """By kind, the options it has and their defaults."""

    kind: Literal["constant", "cosine", "step", "piecewise"] = Field(
        "constant", description="piecewise: base rate until half, linear to floor at 90 %, floor after"
    )
    milestones: tuple[Real, ...] | None = Field(
        None,
        validate_default=True,
        min_length=1,
        description="step: fractions of the training at which the rate falls; [0.5, 0.75] if not given",
    )
    gamma: Real | None = Field(
        None, validate_default=True, gt=0.0, le=1.0, description="step: factor at each milestone; 0.1 if not given"
    )
    floor: Real | None = Field(
        None,
        validate_default=True,
        ge=0.0,
        le=1.0,
        description="piecewise: last factor; 0.01 if not given",
    )

    @field_validator("milestones", "gamma", "floor")
    @classmethod
    def _filled_in(cls, value: Any, info: ValidationInfo) -> Any:
        defaults = cls.OPTIONS.get(info.data.get("kind", ""), {})
        return defaults.get(str(info.field_name)) if value is None else value

    @field_validator("milestones")
    @classmethod
    def _increasing(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        bounded = (0.0, *value, 1.0) if value is not None else ()
        if any(a >= b for a, b in itertools.pairwise(bounded)):
            raise ValueError("must be fractions of the training, in (0, 1), increasing")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ScheduleSpec:
        own = self.OPTIONS[self.kind]
        for name in ("milestones", "gamma", "floor"):
            if getattr(self, name) is not None and name not in own:
                has = f"; it has {', '.join(own)}" if own else "; it has no options"
                raise wrong(f"schedule {self.kind!r} has no {name!r}{has}", name)
        return self

    def options(self) -> dict[str, Any]:
        """The options of its kind, by name."""
        return {name: getattr(self, name) for name in self.OPTIONS[self.kind]}


OPTIMIZERS_WITH: dict[str, tuple[str, ...]] = {
    "momentum": ("sgd",),
    "nesterov": ("sgd",),
    "betas": ("adam", "adamw"),
    "eps": ("adam", "adamw"),
}
"""The optimisers that have an option."""


def _decays(value: tuple[float, float]) -> tuple[float, float]:
    if not all(0.0 <= beta < 1.0 for beta in value):
        raise ValueError("must be two numbers in [0, 1)")
    return value


Betas = Annotated[tuple[Real, Real], AfterValidator(_decays)]
"""Decay of both moving averages of Adam, in [0, 1)."""


def check_optimizer(spec: SpecModel, optimizer: str) -> None:
    """Raise where an option of `OPTIMIZERS_WITH` says more than its default to an optimizer that does not have it."""
    for name, optimizers in OPTIMIZERS_WITH.items():
        given = getattr(spec, name) != type(spec).model_fields[name].default
        if given and optimizer not in optimizers:
            raise wrong(f"optimizer {optimizer!r} has no {name}; it is for {' and '.join(optimizers)}", name)
    said = spec.model_dump(include={"nesterov", "momentum"})
    if said["nesterov"] and not said["momentum"]:
        raise wrong("nesterov needs a momentum above 0", "nesterov")


class TrainSpec(SpecModel):
    """Optimiser, rate, schedule, length."""

    epochs: Int = Field(ge=0, description="passes over the training split; 0, of end points alone: not trained")
    lr: Real = Field(gt=0.0, json_schema_extra=SCALAR, description="base learning rate")
    batch_size: Int = Field(128, ge=1, description="examples per step")
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: Real | None = Field(
        None,
        validate_default=True,
        ge=0.0,
        lt=1.0,
        json_schema_extra=SCALAR,
        description="sgd alone; 0.9 if not given",
    )
    nesterov: Flag = Field(False, description="sgd alone: Nesterov's form of the momentum")
    betas: Betas = Field((0.9, 0.999), description="adam, adamw: decay of both moving averages, in [0, 1)")
    eps: Real = Field(1e-8, gt=0.0, description="adam, adamw: added to the denominator")
    weight_decay: Real = Field(
        0.0,
        ge=0.0,
        json_schema_extra=SCALAR,
        description="coefficient of 0.5 |w|^2 in the loss; decoupled for adamw",
    )
    schedule: ScheduleSpec = Field(ScheduleSpec(), description="of the learning rate")
    precision: Literal["full", "bfloat16"] = Field("full", description="bfloat16: autocast of the training forward")

    @field_validator("momentum")
    @classmethod
    def _filled_in(cls, value: float | None, info: ValidationInfo) -> float | None:
        return 0.9 if value is None and info.data.get("optimizer") == "sgd" else value

    @model_validator(mode="after")
    def _consistent(self) -> TrainSpec:
        check_optimizer(self, self.optimizer)
        return self
