"""Fully connected networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from mcdist.problems.models.layers import Rate, Size, activation_layer

__all__ = ["mlp"]


def mlp(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    hidden: Sequence[Size] = (64, 64),
    activation: str = "relu",
    batch_norm: bool = False,
    dropout: Rate = 0.0,
) -> nn.Module:
    """Flatten; per hidden width linear, batch norm (optional), activation, dropout (if > 0); then linear.

    [B, *input_shape] -> [B, n_classes]. Without hidden widths: a linear classifier. torch's initialisation.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(input_shape)
    for size in hidden:
        layers.append(nn.Linear(width, size))
        if batch_norm:
            layers.append(nn.BatchNorm1d(size))
        layers.append(activation_layer(activation))
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, n_classes))
