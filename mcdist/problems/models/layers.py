"""What the families share: argument types, activations, initialisation, the end of a residual network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from torch import nn

from mcdist.errors import RequestError, unknown_name

__all__ = ["ACTIVATIONS", "Rate", "Size", "activation_layer", "he_init", "head", "image_channels"]

Size = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
}


def activation_layer(name: str) -> nn.Module:
    """The activation of that name. Raises RequestError for a name that ACTIVATIONS lacks."""
    if name not in ACTIVATIONS:
        raise RequestError(unknown_name("activation", name, ACTIVATIONS))
    return ACTIVATIONS[name]()


def image_channels(input_shape: tuple[int, ...], model: str) -> int:
    """C of an image shape (C, H, W). Raises RequestError for any other shape."""
    if len(input_shape) != 3:
        raise RequestError(f"model {model!r}: input shape is {input_shape}, allowed: images (channels, height, width)")
    return input_shape[0]


def head(features: int, n_classes: int) -> list[tuple[str, nn.Module]]:
    """Global average pooling and one linear layer, named: the end of every residual network here."""
    return [
        ("pool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("linear", nn.Linear(features, n_classes)),
    ]


def he_init(network: nn.Module) -> None:
    """He et al. 2015 for every convolution: weights N(0, variance 2 / (k^2 c_out)), biases 0.

    Other layers stay as torch makes them.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
