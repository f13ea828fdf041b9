"""Pre-activation networks for CIFAR: He et al. 2016b, Identity Mappings in Deep Residual Networks."""

from __future__ import annotations

from torch import nn

from mcdist.problems.models.preact import basic, bottleneck, preact_network
from mcdist.problems.models.resnet import ZeroPadShortcut

__all__ = ["preresnet110", "preresnet164"]


def preresnet110(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """PreResNet-110: 18 basic units per stage, widths 16, 32, 64. [B, C, H, W] -> [B, n_classes].

    As in the paper: basic units, shortcuts without parameters (option A). (Garipov et al.'s public code has a
    bottleneck network of 110 layers under this name.) Initialisation: `he_init`.
    """
    return preact_network(
        input_shape,
        n_classes,
        name="preresnet110",
        units=18,
        widths=(16, 32, 64),
        residual=basic,
        change=ZeroPadShortcut,
    )


def preresnet164(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """PreResNet-164: 18 bottleneck units per stage, widths 64, 128, 256 (inner 16, 32, 64). As in the paper.

    [B, C, H, W] -> [B, n_classes]. Shortcuts are projections (of the activated input) where width or image
    size changes, identities else. Initialisation: `he_init`.
    """
    return preact_network(
        input_shape, n_classes, name="preresnet164", units=18, widths=(64, 128, 256), residual=bottleneck
    )
