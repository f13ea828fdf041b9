"""How two end points are connected: the family of the path, how it is trained, what is done to the ends before."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.spec.base import SCALAR, Flag, Int, Real, Seed, SpecModel, as_json, wrong
from mcdist.spec.training import TrainSpec

__all__ = ["AlignSpec", "CycleSpec", "NebSpec", "PathSpec"]

_NOT_EMPTY = Field(json_schema_extra={"minItems": 1})


class AlignSpec(SpecModel):
    """Hidden units of end b permuted to match end a, by weights or by activations, before anything connects them."""

    short = "method"

    method: Literal["none", "weights", "activations"] = Field("none", description="what is matched")
    structure: dict[str, Any] | None = Field(
        None,
        description="which axes of which tensors share a permutation: {groups: {name: [[tensor, axis], ...]}}; "
        "derived from the model if not given",
    )
    restarts: Int = Field(1, ge=1, description="weights: random orders of the layers, of which the best result is kept")
    samples: Int = Field(1000, ge=2, description="activations: training examples, the first ones")
    seed: Seed = Field(0, json_schema_extra=SCALAR, description="weights: seed of those orders")

    @field_validator("structure")
    @classmethod
    def _as_written(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else as_json(value)

    @model_validator(mode="after")
    def _consistent(self) -> AlignSpec:
        fields = type(self).model_fields
        allowed = {
            "none": (),
            "weights": ("structure", "restarts", "seed"),
            "activations": ("structure", "samples"),
        }[self.method]
        for name in ("structure", "restarts", "samples", "seed"):
            if name not in allowed and getattr(self, name) != fields[name].default:
                raise wrong(f"matching by {self.method!r} has no {name}", name)
        return self


class CycleSpec(SpecModel):
    """One cycle of AutoNEB."""

    steps: Int = Field(ge=1, description="steps of all pivots")
    lr: Real = Field(gt=0, description="learning rate")


class NebSpec(SpecModel):
    """AutoNEB (Draxler et al. 2018): cycles of an elastic band, between which pivots are inserted."""

    pivots: Int | None = Field(
        None,
        ge=2,
        description="pivots between the ends at the beginning; if not given 3, for the short schedule 15",
    )
    cycles: Literal["long", "short"] | Annotated[tuple[CycleSpec, ...], _NOT_EMPTY] = Field(
        "long", description="a published schedule (long: 14 cycles, short: 7), or a list of {steps, lr}"
    )
    lr: Real | None = Field(None, gt=0, description="highest rate of a published schedule; 0.1 if not given")
    scale: Real | None = Field(
        None, gt=0, description="steps of a published schedule are multiplied by this; 1 if not given"
    )
    batch_size: Int = Field(512, ge=1, description="examples per step")
    momentum: Real = Field(0.9, ge=0.0, lt=1.0, description="of SGD")
    weight_decay: Real = Field(1e-4, ge=0.0, description="coefficient of 0.5 |w|^2 in the loss")
    dense: Int = Field(9, ge=1, description="positions per segment at which the loss is measured after each cycle")
    threshold: Real = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="pivots are inserted where the loss exceeds theirs by this part of its range",
    )
    insert: Int = Field(2, ge=0, description="most pivots inserted after a cycle")
    refine: Flag = Field(
        True, description="inserted pivots keep the path finer where they are; false: equally long segments again"
    )
    most: Int = Field(31, ge=2, description="most pivots in all")
    precision: Literal["full", "bfloat16"] = Field("full", description="bfloat16: autocast of the training forward")

    @model_validator(mode="after")
    def _consistent(self) -> NebSpec:
        if self.most < self.beginning:
            raise wrong(f"{self.most} pivots at most, but {self.beginning} at the beginning", "most")
        if isinstance(self.cycles, tuple):
            if not self.cycles:
                raise wrong("must be long, short, or a list of cycles {steps, lr} that is not empty", "cycles")
            for name in ("lr", "scale"):
                if getattr(self, name) is not None:
                    raise wrong(f"cycles that are listed have no {name}; it is for long and short", name)
        return self

    @property
    def beginning(self) -> int:
        """Pivots between the ends at the beginning."""
        return self.pivots if self.pivots is not None else 15 if self.cycles == "short" else 3

    def identity(self, said: dict[str, Any]) -> dict[str, Any]:
        """See `SpecModel`: what is said, and would be so if it were not, is left out as any default is."""
        unsaid = {"pivots": 15 if self.cycles == "short" else 3, "lr": 0.1, "scale": 1.0}
        return {name: value for name, value in said.items() if value != unsaid.get(name, ...)}


class PathSpec(SpecModel):
    """A way to connect a pair."""

    kind: str = Field(
        description="linear, bezier, chain, autoneb; of auctions logits, three_pieces, five_pieces, large_menu"
    )
    bends: Int = Field(1, ge=1, description="control points between the ends")
    ends: Literal["fixed", "free"] = Field("fixed", description="free: the two end points are trained too")
    train: TrainSpec | None = Field(None, description="how the bends are trained")
    draws: Int = Field(1, ge=1, description="positions t per minibatch")
    seed: Seed = Field(0, json_schema_extra=SCALAR, description="seed of t and of the data order")
    objective: Literal["uniform", "arclength"] = Field(
        "uniform", description="what is minimised: the loss averaged over t, or over arclength"
    )
    neb: NebSpec | None = Field(None, validate_default=True, description="autoneb alone: its schedule")
    align: AlignSpec = Field(
        AlignSpec(), description="hidden units of end b matched to a's: none, weights, activations"
    )
    keep: Int | None = Field(
        None,
        ge=1,
        description="three_pieces, five_pieces: most options kept of each end, the default counted; "
        "sqrt(menu_size + 1) if not given",
    )
    eps: Real | None = Field(
        None,
        gt=0.0,
        description="large_menu: the most revenue that may be lost, which the menus must be large enough for",
    )
    repair: Flag = Field(False, description="linear alone: activation statistics put right at each t (REPAIR)")

    @model_validator(mode="after")
    def _with_schedule(self) -> PathSpec:
        if self.kind == "autoneb" and self.neb is None:
            object.__setattr__(self, "neb", NebSpec())
        if self.neb is not None and self.kind != "autoneb":
            raise wrong(f"a path of kind {self.kind!r} has no neb; it is for autoneb", "neb")
        if self.train is not None and self.train.epochs < 1:
            raise wrong(f"must be 1 or more; got {self.train.epochs}", "train", "epochs")
        if self.keep is not None and self.kind not in ("three_pieces", "five_pieces"):
            raise wrong(
                f"a path of kind {self.kind!r} keeps no options; it is for three_pieces and five_pieces", "keep"
            )
        if self.eps is None and self.kind == "large_menu":
            raise wrong("large_menu needs eps, the most revenue that may be lost")
        if self.eps is not None and self.kind != "large_menu":
            raise wrong(f"a path of kind {self.kind!r} has no eps; it is for large_menu", "eps")
        return self

    @property
    def straight(self) -> bool:
        """Whether it is a line: it spans no plane."""
        return self.kind == "linear"

    @property
    def trained(self) -> bool:
        """Whether anything is trained for it, rather than made of its ends."""
        return self.train is not None or self.neb is not None

    @property
    def aligned(self) -> bool:
        """Whether end b is permuted."""
        return self.align.method != "none"
