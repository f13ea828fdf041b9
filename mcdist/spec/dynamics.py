"""Noisy dynamics started on a path: how they move, where they start, what is asked of them."""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mcdist.spec.base import PLACE, SCALAR, Flag, Int, Real, Seed, SpecModel, wrong
from mcdist.spec.training import Betas, check_optimizer

__all__ = ["DriftSpec", "DynamicsSpec", "RelaxationSpec"]

_MOST_STARTS = 10_000


class DynamicsSpec(SpecModel):
    """Steps of a noisy optimiser from positions on a path."""

    REPLICAS: ClassVar[int] = 32
    """How many if it is not said."""

    starts: tuple[Real, ...] = Field(
        description="arclengths s in (0, 1), as a list; a number n for s = i / (n + 1), i = 1 to n"
    )
    kinds: tuple[str, ...] = Field((), json_schema_extra=PLACE, description="paths of these kinds alone; all if empty")
    lr: Real = Field(gt=0.0, description="learning rate")
    noise: Literal["minibatch", "isotropic", "none"] = Field(
        "minibatch",
        description="minibatch: as sampled; isotropic: full batches and Gaussian noise; none: full batches alone",
    )
    batch_size: Int | None = Field(
        None,
        validate_default=True,
        ge=1,
        description="examples per step, of minibatch and of the isotropic noise that stands for it; 16 if not given",
    )
    temperature: Real | None = Field(
        None, ge=0.0, description="isotropic: T; if not given, that of minibatches of batch_size, measured at the start"
    )
    sampling: Literal["shuffled", "independent"] = Field(
        "shuffled", description="minibatch: epochs in shuffled order, or each minibatch drawn independently"
    )
    momentum: Real = Field(0.0, ge=0.0, lt=1.0, description="of sgd")
    weight_decay: Real = Field(
        0.0, ge=0.0, description="coefficient of 0.5 |w|^2 in the loss, on top of the problem's own"
    )
    replicas: Int | None = Field(
        None, validate_default=True, ge=1, description="independent runs from each start; without noise 1"
    )
    segments: Int = Field(64, ge=1, description="pieces of the polyline that stands for a smooth curve")
    samples: Int | None = Field(
        1000, ge=2, description="training examples on which the temperature is measured; null for all"
    )
    seed: Seed = Field(0, json_schema_extra=SCALAR, description="seed of minibatches and noise")

    @field_validator("starts", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 1 <= value <= _MOST_STARTS:
                raise ValueError(f"must be a number of starts from 1 to {_MOST_STARTS}, or a list of positions s")
            return tuple(i / (value + 1) for i in range(1, value + 1))
        if not isinstance(value, (list, tuple)) or not value:
            raise ValueError("must be a number of starts, or a list of positions s that is not empty")
        return value

    @field_validator("starts")
    @classmethod
    def _inside(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for at, s in enumerate(value):
            if not 0.0 < s < 1.0:
                raise wrong(f"must be inside the path, in (0, 1); got {s:g}", at)
            if s in value[:at]:
                raise wrong(f"the start {s:g} is here twice", at)
        return value

    @field_validator("batch_size", "replicas")
    @classmethod
    def _filled_in(cls, value: int | None, info: ValidationInfo) -> int | None:
        noise = info.data.get("noise", "minibatch")
        if value is not None or noise not in ("minibatch", "isotropic", "none"):
            return value
        if info.field_name == "replicas":
            return 1 if noise == "none" else cls.REPLICAS
        return 16 if noise != "none" else None

    @model_validator(mode="after")
    def _consistent_noise(self) -> DynamicsSpec:
        if self.noise == "none":
            if self.batch_size is not None:
                raise wrong("noise 'none' takes all examples at each step, and has no batch_size", "batch_size")
            if self.replicas != 1:
                raise wrong("noise 'none' gives the same run again and again: replicas must be 1", "replicas")
        if self.temperature is not None and self.noise != "isotropic":
            raise wrong(f"noise {self.noise!r} has no temperature of its own; it is for isotropic", "temperature")
        if self.sampling != "shuffled" and self.noise != "minibatch":
            raise wrong(f"noise {self.noise!r} draws no minibatches; sampling is for minibatch", "sampling")
        return self

    @property
    def speed(self) -> float:
        """Effective time of a step: lr / (1 - momentum)."""
        return self.lr / (1.0 - self.momentum)


class DriftSpec(DynamicsSpec):
    """Mean drift by paired replicas: short noisy runs from points of a path against their noise-free twin."""

    starts: tuple[Real, ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        description="arclengths s in (0, 1), as a list; a number n for s = i / (n + 1), i = 1 to n",
    )
    steps: tuple[Int, ...] = Field((100,), description="steps after which the drift is taken: a number, or a list")

    @field_validator("steps", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("steps")
    @classmethod
    def _increasing(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or any(a >= b for a, b in itertools.pairwise((0, *value))):
            raise ValueError("must be a number of steps from 1, or an increasing list of them")
        return value

    @model_validator(mode="after")
    def _noisy(self) -> DriftSpec:
        if self.noise == "none":
            raise wrong("is what noise adds: its noise-free twin is run in any case; got none", "noise")
        if self.replicas is not None and self.replicas < 2:
            raise wrong("must be at least 2: the standard error is over replicas", "replicas")
        return self

    @property
    def twin(self) -> DriftSpec:
        """What of it the noise-free twin depends on, everything else by default: settings share their twins."""
        names = ("starts", "lr", "momentum", "weight_decay", "segments", "steps")
        return DriftSpec(**{name: getattr(self, name) for name in names})


class RelaxationSpec(DynamicsSpec):
    """Runs from points of a path, put back on it every few steps, until they reach one of its ends."""

    REPLICAS: ClassVar[int] = 8

    time: Real = Field(gt=0.0, description="effective time at which a run is broken off: lr / (1 - momentum) x steps")
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    nesterov: Flag = Field(False, description="sgd alone: Nesterov's form of the momentum")
    betas: Betas = Field((0.9, 0.999), description="adam, adamw: decay of both moving averages, in [0, 1)")
    eps: Real = Field(1e-8, gt=0.0, description="adam, adamw: added to the denominator")
    project: Int | None = Field(15, ge=1, description="steps between projections onto the path; null: never")
    buffers: Literal["keep", "zero", "project"] = Field(
        "zero", description="what becomes of momentum and moments then; project: their part along the path is kept"
    )
    margin: Real = Field(0.05, gt=0.0, lt=0.5, description="a run has arrived where s < margin or s > 1 - margin")
    stop: Flag = Field(True, description="whether a run ends where it has arrived")
    trace: Int = Field(50, ge=2, description="most positions kept of a run, evenly spaced")

    @model_validator(mode="after")
    def _consistent(self) -> RelaxationSpec:
        check_optimizer(self, self.optimizer)
        if self.noise == "isotropic" and self.optimizer != "sgd":
            raise wrong("isotropic noise of a temperature is for sgd: other optimizers rescale it", "noise")
        if self.project is None and self.buffers != "zero":
            raise wrong("nothing is projected (project: null), so buffers stay as they are", "buffers")
        for at, s in enumerate(self.starts):
            if not self.margin < s < 1.0 - self.margin:
                raise wrong(f"{s:g} has arrived before it started: margin is {self.margin:g}", "starts", at)
        return self

    @property
    def steps(self) -> int:
        """Steps until the effective time is over."""
        return max(1, math.ceil(self.time / self.speed - 1e-9))
