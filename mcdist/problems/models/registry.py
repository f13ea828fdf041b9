"""The models by name. A new one: a builder `(input_shape, n_classes, *, ...)` in its file, a line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from mcdist.errors import RequestError, unknown_name
from mcdist.problems.models.convnet import convnet
from mcdist.problems.models.external import from_factory, from_torchvision
from mcdist.problems.models.mlp import mlp
from mcdist.problems.models.preresnet import preresnet110, preresnet164
from mcdist.problems.models.resnet import resnet20, resnet56, resnet110
from mcdist.problems.models.vgg import vgg16, vgg16_bn, vgg19, vgg19_bn
from mcdist.problems.models.wide_resnet import wide_resnet16x4, wide_resnet28x10

__all__ = ["MODELS", "ModelInfo", "build_model", "check_model", "describe_model"]

TORCHVISION = "torchvision:"

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "convnet": convnet,
    "resnet20": resnet20,
    "resnet56": resnet56,
    "resnet110": resnet110,
    "preresnet110": preresnet110,
    "preresnet164": preresnet164,
    "vgg16": vgg16,
    "vgg16_bn": vgg16_bn,
    "vgg19": vgg19,
    "vgg19_bn": vgg19_bn,
    "wide_resnet28x10": wide_resnet28x10,
    "wide_resnet16x4": wide_resnet16x4,
}


@dataclass(frozen=True)
class ModelInfo:
    """Sizes of a model: trainable numbers, and numbers in buffers (running statistics, counters)."""

    n_params: int
    n_buffers: int


def build_model(name: str, args: Mapping[str, object], input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """The module [B, *input_shape] -> [B, n_classes] of that name, initialised from torch's generator.

    `name` is in MODELS, or torchvision:NAME, or package.module:factory. Raises RequestError for an unknown
    name, unknown arguments, arguments of a wrong type or value, and whatever a model from elsewhere raises.
    """
    if name in MODELS:
        return MODELS[name](input_shape, n_classes, **_checked(name, args))
    if name.startswith(TORCHVISION):
        return from_torchvision(name.removeprefix(TORCHVISION), args, n_classes)
    if ":" in name:
        return from_factory(name, args, input_shape, n_classes)
    raise RequestError(unknown_name("model", name, MODELS, also=", torchvision:NAME, package.module:factory"))


def describe_model(name: str, args: Mapping[str, object], input_shape: tuple[int, ...], n_classes: int) -> ModelInfo:
    """Sizes of a model, without memory for its weights; raises RequestError as `check_model` does."""
    model = check_model(name, args, input_shape, n_classes)
    return ModelInfo(
        n_params=sum(p.numel() for p in model.parameters() if p.requires_grad),
        n_buffers=sum(b.numel() for b in model.buffers()),
    )


def check_model(name: str, args: Mapping[str, object], input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """The model on torch's meta device, once two examples went through it in train mode: shapes, no numbers.

    Raises RequestError as `build_model` does, and for a model that cannot take `input_shape` or does not
    return one tensor [B, n_classes].
    """
    model = _on_meta(name, args, input_shape, n_classes).train()
    try:
        output = model(torch.empty(2, *input_shape, device="meta"))
    except NotImplementedError:  # an operation that has no shape rule; nothing is known against the model
        return model
    except Exception as error:
        raise RequestError(f"model {name!r}: fails on inputs of shape {input_shape}: {error}") from error
    if not isinstance(output, Tensor) or output.shape != (2, n_classes):
        got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise RequestError(f"model {name!r}: returns {got} for a batch of 2, allowed: a tensor [2, {n_classes}]")
    return model


def _on_meta(name: str, args: Mapping[str, object], input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    try:
        with torch.device("meta"):
            return build_model(name, args, input_shape, n_classes).to("meta")
    except RequestError as error:
        if not isinstance(error.__cause__, (NotImplementedError, RuntimeError)):
            raise
    # Some constructors compute with tensors, which the meta device cannot: make it for real, drop the numbers
    with torch.random.fork_rng(devices=[]):
        return build_model(name, args, input_shape, n_classes).to("meta")


def _checked(name: str, args: Mapping[str, object]) -> dict[str, object]:
    """The arguments, each checked against the annotation of the builder's keyword of that name."""
    builder = MODELS[name]
    hints = get_type_hints(builder, include_extras=True)
    allowed = [p.name for p in inspect.signature(builder).parameters.values() if p.kind is p.KEYWORD_ONLY]
    checked = {}
    for key, value in args.items():
        if key not in allowed:
            raise RequestError(unknown_name(f"argument of model {name!r}", key, allowed))
        try:
            checked[key] = TypeAdapter(hints[key]).validate_python(value, strict=True)
        except ValidationError as error:
            why = "; ".join(problem["msg"] for problem in error.errors())
            raise RequestError(f"model {name!r}: {key} is {value!r}: {why}") from error
    return checked
