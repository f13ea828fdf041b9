"""Wide residual networks: Zagoruyko & Komodakis 2016."""

from __future__ import annotations

from functools import partial

from torch import nn

from mcdist.problems.models.layers import Rate
from mcdist.problems.models.preact import basic, preact_network

__all__ = ["wide_resnet16x4", "wide_resnet28x10"]


def wide_resnet28x10(input_shape: tuple[int, ...], n_classes: int, *, dropout: Rate = 0.0) -> nn.Module:
    """WRN-28-10: 6n + 4 layers, n = 4 basic units per stage, widths 160, 320, 640.

    [B, C, H, W] -> [B, n_classes]. As in the authors' code: convolutions without bias, the stride in the
    first of a unit, dropout (if > 0) between the two, projection shortcuts. Initialisation: `he_init`.
    """
    return _wide(input_shape, n_classes, 28, 10, dropout)


def wide_resnet16x4(input_shape: tuple[int, ...], n_classes: int, *, dropout: Rate = 0.0) -> nn.Module:
    """WRN-16-4: n = 2, widths 64, 128, 256; else as `wide_resnet28x10`."""
    return _wide(input_shape, n_classes, 16, 4, dropout)


def _wide(input_shape: tuple[int, ...], n_classes: int, depth: int, factor: int, dropout: float) -> nn.Module:
    return preact_network(
        input_shape,
        n_classes,
        name=f"wide_resnet{depth}x{factor}",
        units=(depth - 4) // 6,
        widths=[factor * width for width in (16, 32, 64)],
        residual=partial(basic, dropout=dropout),
    )
