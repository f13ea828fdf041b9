"""The full pre-activation residual unit (He et al. 2016b), basic and bottleneck, and networks made of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from mcdist.problems.models.layers import he_init, head, image_channels
from mcdist.problems.models.resnet import conv3x3

__all__ = ["PreactUnit", "basic", "bottleneck", "preact_network"]


class PreactUnit(nn.Module):
    """shortcut(a or x) + residual(a), with a = relu(norm(x)).

    The shortcut takes a (`share`) in the first unit of a network and where it is a projection, else x: the
    paper's appendix, and Zagoruyko & Komodakis' code.
    """

    def __init__(self, channels: int, residual: nn.Module, shortcut: nn.Module, *, share: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.residual = residual
        self.shortcut = shortcut
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, width, H / stride, W / stride]."""
        a = self.relu(self.norm(x))
        out: Tensor = self.residual(a) + self.shortcut(a if self.share else x)
        return out


def basic(channels: int, width: int, stride: int, dropout: float = 0.0) -> nn.Module:
    """The residual of a basic unit: 3x3 with the stride, norm, relu, dropout (if > 0), 3x3 to `width`."""
    between = [nn.BatchNorm2d(width), nn.ReLU(), *([nn.Dropout(dropout)] if dropout > 0 else [])]
    return nn.Sequential(conv3x3(channels, width, stride), *between, conv3x3(width, width))


def bottleneck(channels: int, width: int, stride: int) -> nn.Module:
    """The residual of a bottleneck unit: 1x1 to width / 4, 3x3 with the stride, 1x1 to `width`."""
    inner = width // 4
    return nn.Sequential(
        nn.Conv2d(channels, inner, 1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        conv3x3(inner, inner, stride),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, width, 1, bias=False),
    )


def projection(channels: int, width: int, stride: int) -> nn.Module:
    """The 1x1 convolution that brings a shortcut to a new width or image size."""
    return nn.Conv2d(channels, width, 1, stride, bias=False)


def preact_network(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    name: str,
    units: int,
    widths: Sequence[int],
    residual: Callable[[int, int, int], nn.Module],
    change: Callable[[int, int, int], nn.Module] = projection,
) -> nn.Module:
    """3x3 to 16 channels; per width a stage of `units`, with stride 2 from the second on; norm, relu, `head`.

    residual(channels, width, stride) makes a unit's residual; change(...) its shortcut where the width or
    the image size changes. [B, C, H, W] -> [B, n_classes]. Initialisation: `he_init`.
    """
    channels = 16
    parts: list[tuple[str, nn.Module]] = [("conv", conv3x3(image_channels(input_shape, name), channels))]
    for stage, width in enumerate(widths, start=1):
        made = []
        for index in range(units):
            stride = 2 if stage > 1 and index == 0 else 1
            same = channels == width and stride == 1
            shortcut = nn.Identity() if same else change(channels, width, stride)
            share = isinstance(shortcut, nn.Conv2d) or (stage == 1 and index == 0)
            made.append(PreactUnit(channels, residual(channels, width, stride), shortcut, share=share))
            channels = width
        parts.append((f"stage{stage}", nn.Sequential(*made)))
    parts += [("norm", nn.BatchNorm2d(channels)), ("relu", nn.ReLU()), *head(channels, n_classes)]
    network = nn.Sequential(OrderedDict(parts))
    he_init(network)
    return network
