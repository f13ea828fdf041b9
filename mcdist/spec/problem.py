"""What is learned: data, model, loss."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mcdist.spec.base import PLACE, Flag, Int, Real, SpecModel

__all__ = ["DataSpec", "ModelSpec", "ProblemSpec"]


class DataSpec(SpecModel):
    """A data set, its split, its augmentation."""

    name: str = Field(description="digits, mnist, fashion_mnist, cifar10, cifar100, or npz:FILE")
    root: str | None = Field(None, json_schema_extra=PLACE, description="folder of the files")
    download: Flag = Field(False, json_schema_extra=PLACE, description="fetch missing files into root")
    validation: Real = Field(0.0, ge=0.0, lt=1.0, description="fraction held out of training")
    test: Real | None = Field(
        None, gt=0.0, lt=1.0, description="test fraction, for data without a test split"
    )
    split_seed: Int = Field(0, ge=0, description="seed of the random splits")
    train_size: Int | None = Field(None, ge=1, description="keep so many training examples")
    test_size: Int | None = Field(None, ge=1, description="keep so many test examples")
    augment: Literal["none", "crop_flip"] = Field("none", description="training alone: random crop and flip")
    crop_pad: Int = Field(4, ge=0, description="pixels of zero padding before the random crop")
    digest: str | None = Field(
        None, description="SHA-256 of an npz file; filled in when the sweep is resolved"
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def identity(self, said: dict[str, Any]) -> dict[str, Any]:
        """See `SpecModel`: a file is known by its content, not by its name."""
        return said if self.digest is None else {k: v for k, v in said.items() if k != "name"}


class ModelSpec(SpecModel):
    """A network: a built-in name, `torchvision:NAME`, or `package.module:factory`, with its arguments."""

    name: str
    args: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class ProblemSpec(SpecModel):
    """Data, model, loss, and how points are evaluated."""

    kind: Literal["classification"] = "classification"
    data: DataSpec
    model: ModelSpec
    loss: str = Field("cross_entropy", description="cross_entropy, or package.module:loss")
    dtype: Literal["float32", "float64"] = "float32"
    eval_batch: Int = Field(
        1000, ge=2, description="examples per batch of evaluation and of the BatchNorm pass"
    )
    statistics_size: Int | None = Field(
        None, ge=2, description="training examples of the BatchNorm pass; all if null"
    )

    @field_validator("loss")
    @classmethod
    def _loss(cls, value: str) -> str:
        if value != "cross_entropy" and value.count(":") != 1:
            raise ValueError("must be cross_entropy or package.module:loss")
        return value
