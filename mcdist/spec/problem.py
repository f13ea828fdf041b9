"""What is learned: data, model, loss."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from mcdist.spec.auctions import AffineMaximizerSpec, RochetNetSpec
from mcdist.spec.base import PLACE, Flag, Int, Real, Seed, SpecModel, as_json, canonical, wrong

__all__ = ["AnyProblem", "DataSpec", "ModelSpec", "ProblemSpec", "ValleySpec"]

_SHA256 = "^[0-9a-f]{64}$"


class DataSpec(SpecModel):
    """A data set, its split, its augmentation."""

    short = "name"

    name: str = Field(description="digits, mnist, fashion_mnist, cifar10, cifar100, or npz:FILE")
    root: str | None = Field(None, json_schema_extra=PLACE, description="folder of the files")
    download: Flag = Field(False, json_schema_extra=PLACE, description="fetch missing files into root")
    validation: Real = Field(0.0, ge=0.0, lt=1.0, description="fraction held out of training")
    test: Real | None = Field(None, gt=0.0, lt=1.0, description="test fraction, for data without a test split")
    split_seed: Seed = Field(0, description="seed of the random splits")
    train_size: Int | None = Field(None, ge=1, description="keep so many training examples")
    test_size: Int | None = Field(None, ge=1, description="keep so many test examples")
    augment: Literal["none", "crop_flip"] = Field("none", description="training alone: random crop and flip")
    crop_pad: Int = Field(4, ge=0, description="crop_flip: pixels of zero padding on each side before the random crop")
    digest: str | None = Field(
        None,
        json_schema_extra={"pattern": _SHA256},
        description="SHA-256 of an npz file; filled in when the sweep is resolved",
    )

    @field_validator("digest")
    @classmethod
    def _hexadecimal(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(_SHA256, value):
            raise ValueError("must be a SHA-256, 64 hexadecimal digits in lower case")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> DataSpec:
        if self.augment == "none" and self.crop_pad != 4:
            raise wrong("augment 'none' does not crop; crop_pad is for augment: crop_flip", "crop_pad")
        if self.digest is not None and not self.name.startswith("npz:"):
            raise wrong(f"{self.name!r} is no npz:FILE; such a file alone has a digest", "digest")
        return self

    def identity(self, said: dict[str, Any]) -> dict[str, Any]:
        """See `SpecModel`: a file is known by its content, not by its name."""
        return said if self.digest is None else {k: v for k, v in said.items() if k != "name"}


class ModelSpec(SpecModel):
    """A network: a built-in name, `torchvision:NAME`, or `package.module:factory`, with its arguments."""

    short = "name"

    name: str = Field(description="a built-in name, torchvision:NAME, or package.module:factory")
    args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the model")

    @field_validator("args")
    @classmethod
    def _as_written(cls, value: dict[str, Any]) -> dict[str, Any]:
        return as_json(value)


class ProblemSpec(SpecModel):
    """Data, model, loss, and how points are evaluated."""

    kind: Literal["classification"] = Field("classification", description="what a point is judged by")
    data: DataSpec
    model: ModelSpec
    loss: str = Field("cross_entropy", description="cross_entropy, or package.module:loss")
    dtype: Literal["float32", "float64"] = Field("float32", description="of weights and data")
    eval_batch: Int = Field(1000, ge=2, description="examples per batch of evaluation and of the BatchNorm pass")
    statistics_size: Int | None = Field(None, ge=2, description="training examples of the BatchNorm pass; all if null")
    weight_decay: Real = Field(
        0.0,
        ge=0.0,
        description="coefficient of 0.5 |w|^2 in the loss of everything that is trained, moved or curved on it",
    )

    @field_validator("loss")
    @classmethod
    def _loss(cls, value: str) -> str:
        if value != "cross_entropy" and value.count(":") != 1:
            raise ValueError("must be cross_entropy or package.module:loss")
        return value

    def examples(self, batch_size: int) -> int | None:
        """Examples that an epoch of such minibatches passes; None: the training split."""
        return None

    def columns(self) -> dict[str, str | None]:
        """The columns that name it: problem (its label), dataset, model."""
        data = self.data.name if self.data.digest is None else f"npz:{self.data.digest[:12]}"
        decay = f", weight decay {self.weight_decay:g}" if self.weight_decay else ""
        return {
            "problem": f"{data}/{self.model.name}{decay}",
            "dataset": self.data.name,
            "model": self.model.name,
        }


class ValleySpec(SpecModel):
    """The toy model of entropic confinement: a curved valley with a closed-form free energy.

    V(x, y) = L(y) + g(y) |x|^2 / 2 with x of `stiff` dimensions and one soft y. For y in [0, 1]

        g(y) = stiffness + (middle - stiffness) sin^2(pi y),    L(y) = energy sin^2(pi y);

    beyond, g = stiffness, and L is a quadratic wall. At temperature T: F(y) = L(y) + (stiff T / 2) ln g(y).
    """

    kind: Literal["valley"] = Field(description="valley")
    stiff: Int = Field(8, ge=1, description="stiff directions x")
    stiffness: Real = Field(1.0, gt=0.0, description="their curvature g at y = 0 and y = 1")
    middle: Real = Field(4.0, gt=0.0, description="their curvature at y = 1/2")
    energy: Real = Field(0.0, description="loss on the valley's floor at y = 1/2, that at y = 0 and 1 being 0")
    wall: Real = Field(100.0, gt=0.0, description="curvature of the loss along y outside [0, 1]")
    dtype: Literal["float32", "float64"] = Field("float64", description="of points")

    @property
    def weight_decay(self) -> float:
        """See `ProblemSpec`: none."""
        return 0.0

    def examples(self, batch_size: int) -> int | None:
        """See `ProblemSpec`."""
        return None

    def columns(self) -> dict[str, str | None]:
        """See `ProblemSpec`: its kind, and what of it is not as usual."""
        said = {name: value for name, value in canonical(self).items() if name not in ("kind", "dtype")}
        label = ", ".join(["valley", *(f"{name} {value:g}" for name, value in said.items())])
        return {"problem": label, "dataset": None, "model": None}


def _kind(value: Any) -> Any:
    """Which problem is meant: classification unless it is said."""
    return value.get("kind", "classification") if isinstance(value, dict) else getattr(value, "kind", "classification")


AnyProblem = Annotated[
    Annotated[ProblemSpec, Tag("classification")]
    | Annotated[ValleySpec, Tag("valley")]
    | Annotated[RochetNetSpec, Tag("rochetnet")]
    | Annotated[AffineMaximizerSpec, Tag("affine_maximizer")],
    Discriminator(
        _kind,
        custom_error_type="unknown_kind",
        custom_error_message="must be 'classification', 'valley', 'rochetnet' or 'affine_maximizer'",
        custom_error_context={"at": ("kind",)},
    ),
]
"""A problem of any kind; a new kind is one more member."""
