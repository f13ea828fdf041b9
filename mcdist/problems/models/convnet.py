"""A small VGG-like convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mcdist.problems.models.layers import Rate, Size, activation_layer, he_init, image_channels

__all__ = ["conv_stages", "convnet"]


def convnet(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    channels: Sequence[Size] = (64, 128, 256, 256),
    convs: Size = 2,
    hidden: Sequence[Size] = (256,),
    activation: str = "relu",
    batch_norm: bool = False,
    dropout: Rate = 0.0,
) -> nn.Module:
    """One stage per entry of `channels`, each `convs` 3x3 convolutions and 2x2 max pooling; then a small MLP.

    [B, C, H, W] -> [B, n_classes]. Batch norm (optional) follows each convolution, dropout (if > 0) each
    hidden layer. The last feature map is averaged, so the number of parameters (2.4 million by default)
    depends on no image size, and any size will do. Initialisation: `he_init`.
    """
    layers = conv_stages(
        image_channels(input_shape, "convnet"), [[c] * convs for c in channels], activation, batch_norm
    )
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    width = channels[-1] if channels else input_shape[0]
    for size in hidden:
        layers += [nn.Linear(width, size), activation_layer(activation)]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        width = size
    network = nn.Sequential(*layers, nn.Linear(width, n_classes))
    he_init(network)
    return network


def conv_stages(
    channels_in: int, stages: Sequence[Sequence[int]], activation: str, batch_norm: bool
) -> list[nn.Module]:
    """Stages of 3x3 convolutions (with bias), each ending in 2x2 max pooling with stride 2.

    Pooling rounds sizes up, which changes nothing for 32 x 32 and lets five stages fit on 28 x 28.
    """
    layers: list[nn.Module] = []
    for stage in stages:
        for channels in stage:
            layers.append(nn.Conv2d(channels_in, channels, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(activation_layer(activation))
            channels_in = channels
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return layers
