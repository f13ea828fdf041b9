"""VGG for CIFAR, in the form of Garipov et al. 2018."""

from __future__ import annotations

from torch import nn

from mcdist.problems.models.convnet import conv_stages
from mcdist.problems.models.layers import Rate, he_init, image_channels

__all__ = ["vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]


def vgg16(input_shape: tuple[int, ...], n_classes: int, *, dropout: Rate = 0.5) -> nn.Module:
    """VGG-16: the 13 convolutions of Simonyan & Zisserman's configuration D, then 512 - 512 - n_classes.

    [B, C, H, W] -> [B, n_classes]. Garipov et al.'s form: biases, dropout (if > 0) before each of the two
    hidden linear layers. The last feature map is averaged to 1 x 1, which it already is for 32 x 32.
    Initialisation as theirs: `he_init`, linear layers as torch makes them.
    """
    return _vgg(input_shape, n_classes, "vgg16", (2, 2, 3, 3, 3), False, dropout)


def vgg16_bn(input_shape: tuple[int, ...], n_classes: int, *, dropout: Rate = 0.5) -> nn.Module:
    """VGG-16 with batch norm after each convolution; else as `vgg16`."""
    return _vgg(input_shape, n_classes, "vgg16_bn", (2, 2, 3, 3, 3), True, dropout)


def vgg19(input_shape: tuple[int, ...], n_classes: int, *, dropout: Rate = 0.5) -> nn.Module:
    """VGG-19, 16 convolutions of configuration E; else as `vgg16`."""
    return _vgg(input_shape, n_classes, "vgg19", (2, 2, 4, 4, 4), False, dropout)


def vgg19_bn(input_shape: tuple[int, ...], n_classes: int, *, dropout: Rate = 0.5) -> nn.Module:
    """VGG-19 with batch norm after each convolution; else as `vgg16`."""
    return _vgg(input_shape, n_classes, "vgg19_bn", (2, 2, 4, 4, 4), True, dropout)


def _vgg(
    input_shape: tuple[int, ...],
    n_classes: int,
    name: str,
    convs: tuple[int, ...],
    batch_norm: bool,
    dropout: float,
) -> nn.Module:
    stages = [[width] * n for width, n in zip((64, 128, 256, 512, 512), convs, strict=True)]
    layers = conv_stages(image_channels(input_shape, name), stages, "relu", batch_norm)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for _ in range(2):
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        layers += [nn.Linear(512, 512), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(512, n_classes))
    he_init(network)
    return network
