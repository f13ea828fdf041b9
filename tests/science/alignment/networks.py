"""Networks and weights for the tests of alignment."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from mcdist.problems.models import build_model
from mcdist.science.alignment import Structure, derive

IMAGE = (3, 8, 8)


def mlp(**args: object) -> nn.Module:
    return build_model("mlp", {"hidden": [12, 10], **args}, (1, 4, 4), 5)


def convnet(**args: object) -> nn.Module:
    return build_model("convnet", {"channels": [16, 32], "hidden": [24], **args}, IMAGE, 5)


def resnet20() -> nn.Module:
    return build_model("resnet20", {}, IMAGE, 5)


ZOO: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (1, 4, 4)),
    "mlp with BatchNorm": (lambda: mlp(batch_norm=True, dropout=0.1), (1, 4, 4)),
    "convnet": (convnet, IMAGE),
    "convnet with BatchNorm": (lambda: convnet(batch_norm=True), IMAGE),
    "resnet20": (resnet20, IMAGE),
}
"""Small networks of the built-in families, and the shape of one example."""


def made(name: str) -> tuple[nn.Module, Structure]:
    """A network of ZOO in float64, and its derived structure."""
    make, shape = ZOO[name]
    network = make().double()
    return network, derive(network, torch.zeros(1, *shape))


def random_state(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Weights as after some training: nothing is 0 or 1 any more, BatchNorm's statistics included."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, tensor in network.state_dict().items():
        if tensor.dim() >= 2:
            drawn = rng.standard_normal(tuple(tensor.shape)) * math.sqrt(2 / tensor[0].numel())
        elif name.endswith("bias") or name.endswith("mean"):
            drawn = 0.3 * rng.standard_normal(tuple(tensor.shape))
        else:
            drawn = rng.uniform(0.5, 1.5, tuple(tensor.shape))
        state[name] = torch.as_tensor(drawn).to(tensor.dtype)
    return state


def inputs(shape: tuple[int, ...], n: int = 7, seed: int = 1) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, *shape)))


def outputs(network: nn.Module, state: dict[str, Tensor], x: Tensor) -> Tensor:
    """In eval mode."""
    network.eval()
    with torch.no_grad():
        found: Tensor = functional_call(network, state, (x,), tie_weights=False)
    return found


class Functional(nn.Module):
    """Everything by functions and methods, two layers on skips, one of them scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.skip = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.depthwise = nn.Conv2d(6, 12, 3, groups=6)
        self.weight = nn.Parameter(torch.zeros(4, 12 * 4))
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        x += 0.5 * torch.tanh(self.skip(x))
        x = F.max_pool2d(torch.sigmoid(self.depthwise(x)), 2)
        x = x.view(x.size(0), -1)
        x = F.dropout(F.linear(x, self.weight), 0.5, self.training)
        return self.last(torch.relu(x)) / 2


class Concatenated(nn.Module):
    """Two branches side by side, gates, a part of the channels, positions averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 6, 1)
        self.norm = nn.BatchNorm2d(10)
        self.gated = nn.Conv2d(10, 8, 1)
        self.slope = nn.PReLU(4)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(torch.cat([self.left(x), self.right(x)], dim=1))
        value, gate = self.gated(x).chunk(2, dim=1)
        x = self.slope(value * torch.sigmoid(gate) - value[:, 0:4])
        return torch.log_softmax(self.last(x.mean([2, 3])), dim=1)


class Tied(nn.Module):
    """One layer used twice, and two layers that share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(4, 7), nn.Linear(7, 7)
        self.same = nn.Linear(7, 7, bias=False)
        self.same.weight = self.again.weight
        self.last = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.again(torch.relu(self.again(x))))
        return self.last(self.same(x))
