"""How something is trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mcdist.spec.base import SCALAR, Flag, Int, Real, SpecModel

__all__ = ["ScheduleSpec", "TrainSpec"]


class ScheduleSpec(SpecModel):
    """A learning-rate schedule, set at the beginning of each epoch from epoch / epochs."""

    kind: Literal["constant", "cosine", "step", "piecewise"] = "constant"
    milestones: tuple[Real, ...] | None = Field(None, description="step: fractions of the training")
    gamma: Real | None = Field(None, gt=0.0, le=1.0, description="step: factor at each milestone")
    floor: Real | None = Field(None, ge=0.0, le=1.0, description="piecewise: last factor (published: 0.01)")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _options(self) -> ScheduleSpec:
        uses = {"step": {"milestones", "gamma"}, "piecewise": {"floor"}}.get(self.kind, set())
        for name in ("milestones", "gamma", "floor"):
            if getattr(self, name) is not None and name not in uses:
                raise ValueError(f"schedule {self.kind!r} has no {name!r}")
        if self.milestones is not None and not all(0.0 < m < 1.0 for m in self.milestones):
            raise ValueError(
                f"milestones are fractions of the training, in (0, 1): got {list(self.milestones)}"
            )
        return self

    def options(self) -> dict[str, Any]:
        """The options that were given."""
        return {k: v for k in ("milestones", "gamma", "floor") if (v := getattr(self, k)) is not None}


class TrainSpec(SpecModel):
    """Optimiser, rate, schedule, length."""

    epochs: Int = Field(ge=1)
    lr: Real = Field(gt=0.0, json_schema_extra=SCALAR)
    batch_size: Int = Field(128, ge=1)
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: Real | None = Field(
        None, ge=0.0, lt=1.0, json_schema_extra=SCALAR, description="sgd alone; 0.9 if not given"
    )
    nesterov: Flag = Field(False, description="sgd")
    betas: tuple[Real, Real] = Field((0.9, 0.999), description="adam, adamw")
    eps: Real = Field(1e-8, gt=0.0, description="adam, adamw")
    weight_decay: Real = Field(0.0, ge=0.0, json_schema_extra=SCALAR)
    schedule: ScheduleSpec = ScheduleSpec()
    precision: Literal["full", "bfloat16"] = Field(
        "full", description="bfloat16: autocast of the training forward"
    )

    @model_validator(mode="before")
    @classmethod
    def _default_momentum(cls, value: Any) -> Any:
        if (
            isinstance(value, dict)
            and value.get("optimizer", "sgd") == "sgd"
            and value.get("momentum") is None
        ):
            return {**value, "momentum": 0.9}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> TrainSpec:
        if self.optimizer != "sgd" and (self.momentum is not None or self.nesterov):
            raise ValueError(
                f"optimizer {self.optimizer!r} has no momentum or nesterov; its betas play that part"
            )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        if not all(0.0 <= b < 1.0 for b in self.betas):
            raise ValueError(f"betas must be in [0, 1): got {list(self.betas)}")
        return self
