"""What cannot be derived is refused, with the place named and the way out: never guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mcdist.errors import RequestError
from mcdist.science.alignment import derive

Forward = Callable[[Any, Tensor], Any]


class Net(nn.Module):
    """A hidden layer, then whatever is between, then the last layer."""

    def __init__(self, between: Forward) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 8, 1), nn.Linear(8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self._between = between

    def forward(self, x: Tensor) -> Any:
        x = self.norm(self.first(x)) + 0.0
        return self._between(self, x)


def ends(net: Any, x: Tensor) -> Tensor:
    found: Tensor = net.last(x.mean((2, 3)))
    return found


FORWARDS: dict[str, tuple[Forward, str]] = {
    "branch": (lambda net, x: ends(net, x if x.sum() > 0 else -x), "torch.fx cannot trace it: .*control flow"),
    "item": (lambda net, x: ends(net, x * x.mean().item()), "'mean' .*reduced over dimensions"),
    "unknown function": (lambda net, x: ends(net, torch.cumsum(x, 2)), "'cumsum' .*not known"),
    "unknown method": (lambda net, x: ends(net, x.roll(1, 1)), "'roll' .*not known"),
    "every other channel": (
        lambda net, x: ends(net, torch.cat([x[:, ::2], x[:, 1::2]], 1)),
        "in no order of whole blocks",
    ),
    "matrix product": (lambda net, x: ends(net, x @ x), "'matmul' .*not known"),
    "permute": (lambda net, x: ends(net, x.permute(0, 1, 3, 2)), "'permute' .*not known"),
    "view": (lambda net, x: ends(net, x.view(2, 2, 4, -1).flatten(1, 2)[..., None]), r"'view' .*\[2, 8, 4, 4\] as"),
    "batch mean": (lambda net, x: ends(net, x - x.mean(0, keepdim=True)), "reduced over dimensions 0"),
    "softmax over the batch": (lambda net, x: ends(net, torch.softmax(x, dim=0)), "softmax over the batch"),
    "a weight of its own": (lambda net, x: ends(net, x * net.scale), "'mul' .*a weight or a constant"),
    "broadcast": (lambda net, x: ends(net, x * x.mean(1, keepdim=True)), "reduced over dimensions 1"),
    "two outputs": (lambda net, x: (ends(net, x), x), "an output other than one tensor"),
    "an odd index": (lambda net, x: ends(net, x[:, [1, 0, 2, 3, 4, 5, 6, 7]]), "'getitem' .*indexed by"),
}


@pytest.mark.parametrize("name", FORWARDS)
def test_forwards(name: str) -> None:
    between, message = FORWARDS[name]
    network = Net(between)
    if name != "a weight of its own":
        del network.scale
    with pytest.raises(RequestError, match=message) as caught:
        derive(network, torch.zeros(1, 2, 4, 4))
    assert "Net" in str(caught.value)


def layers(*between: nn.Module, width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 8, 1), *between, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))


MODULES: dict[str, tuple[nn.Module, str]] = {
    "grouped": (layers(nn.Conv2d(8, 8, 3, groups=2)), r"module '1' \(Conv2d\): a convolution of 2 groups"),
    "group norm": (layers(nn.GroupNorm(4, 8)), r"module '1' \(GroupNorm\): GroupNorm of 4 groups"),
    "layer norm": (layers(nn.LayerNorm(4)), "LayerNorm over a part of the dimensions"),
    "shuffled": (layers(nn.ChannelShuffle(2)), "what ChannelShuffle does with channels is not known"),
    "transposed": (layers(nn.ConvTranspose2d(8, 8, 2)), "what ConvTranspose2d does"),
    "linear over positions": (layers(nn.Linear(4, 4)), r"module '1' \(Linear\): a linear layer on 4 dimensions"),
    "pooled over channels": (
        nn.Sequential(nn.Linear(4, 8), nn.MaxPool1d(2), nn.Linear(4, 3)),
        r"module '1' \(MaxPool1d\): pooling of a value of 2",
    ),
    "weights of weights": (
        layers(weight_norm(nn.Conv2d(8, 8, 1))),
        "'weight' is not in|ParametrizedConv2d",
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    network, message = MODULES[name]
    example = torch.zeros(1, 4) if name == "pooled over channels" else torch.zeros(1, 2, 4, 4)
    with pytest.raises(RequestError, match=message) as caught:
        derive(network, example)
    assert "structure: {groups: {name: [[tensor, axis], ...]}}" in str(caught.value)


def test_attention() -> None:
    attention = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    with pytest.raises(
        RequestError, match=r"module '1' \(TransformerEncoderLayer\): what TransformerEncoderLayer does"
    ):
        derive(nn.Sequential(nn.Linear(8, 8), attention), torch.zeros(1, 8))


def test_a_forward_that_fails() -> None:
    with pytest.raises(RequestError, match=r"module '0' \(Conv2d\).*fails on the example"):
        derive(layers(), torch.zeros(1, 5, 4, 4))


def test_what_is_trained_but_takes_no_part() -> None:
    network = layers()
    network.register_parameter("auxiliary", nn.Parameter(torch.zeros(3, 8)))
    with pytest.raises(RequestError, match="'auxiliary' takes no part"):
        derive(network, torch.zeros(1, 2, 4, 4))


class Hidden(nn.Module):
    """Something that tracing does not see: a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
        self.first.register_forward_hook(lambda module, args, output: output * torch.arange(8))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(torch.relu(self.first(x)))
        return found


def test_what_tracing_does_not_see_is_found_by_trying() -> None:
    with pytest.raises(RequestError, match="changes the function of Hidden"):
        derive(Hidden(), torch.zeros(1, 4))
