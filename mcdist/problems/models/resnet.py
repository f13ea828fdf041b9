"""Residual networks for CIFAR: He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2."""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from mcdist.problems.models.layers import he_init, head, image_channels

__all__ = ["ZeroPadShortcut", "conv3x3", "resnet20", "resnet56", "resnet110"]


def resnet20(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """ResNet-20: 6n + 2 layers with n = 3, widths 16, 32, 64. [B, C, H, W] -> [B, n_classes].

    Shortcuts are the paper's option A, without parameters (`ZeroPadShortcut`), also where the width changes.
    Convolutions without bias, initialised as He et al. 2015 (`he_init`); the linear layer as torch makes it.
    """
    return _resnet(input_shape, n_classes, 20)


def resnet56(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """ResNet-56, n = 9; else as `resnet20`."""
    return _resnet(input_shape, n_classes, 56)


def resnet110(input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """ResNet-110, n = 18; else as `resnet20`."""
    return _resnet(input_shape, n_classes, 110)


class ZeroPadShortcut(nn.Module):
    """Option A: x[:, :, ::stride, ::stride], with zero channels appended up to the new width."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.extra = width - channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, width, ceil(H / stride), ceil(W / stride)]."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def conv3x3(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias that keeps the image size, up to its stride."""
    return nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)


class _Unit(nn.Module):
    """relu(x' + f(x)): f two 3x3 convolutions with batch norm, x' the shortcut of x."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, width, stride)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(width, width)
        self.norm2 = nn.BatchNorm2d(width)
        same = channels == width and stride == 1
        self.shortcut = nn.Identity() if same else ZeroPadShortcut(channels, width, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        out: Tensor = self.relu2(residual + self.shortcut(x))
        return out


def _resnet(input_shape: tuple[int, ...], n_classes: int, depth: int) -> nn.Module:
    units = (depth - 2) // 6
    parts: list[tuple[str, nn.Module]] = [
        ("conv", conv3x3(image_channels(input_shape, f"resnet{depth}"), 16)),
        ("norm", nn.BatchNorm2d(16)),
        ("relu", nn.ReLU()),
    ]
    channels = 16
    for stage, (width, stride) in enumerate(((16, 1), (32, 2), (64, 2)), start=1):
        first = _Unit(channels, width, stride)
        parts.append((f"stage{stage}", nn.Sequential(first, *(_Unit(width, width, 1) for _ in range(units - 1)))))
        channels = width
    network = nn.Sequential(OrderedDict([*parts, *head(channels, n_classes)]))
    he_init(network)
    return network
