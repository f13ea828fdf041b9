"""BatchNorm in a stack: torch's own numbers, of every point as of its network alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mcdist.science.points import Points
from mcdist.science.stacked import Mode, StackedModule

CLOSE = 1e-12  # float64, a handful of operations on numbers near 1

Make = Callable[[], nn.Module]
LAYERS: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "1d": (nn.BatchNorm1d, (4,)),
    "1d of sequences": (nn.BatchNorm1d, (4, 5)),
    "2d": (nn.BatchNorm2d, (4, 3, 3)),
    "3d": (nn.BatchNorm3d, (4, 2, 2, 3)),
}
"""By name: the layer, and the shape of one example of four channels."""


def stacked(*layers: nn.Module) -> StackedModule:
    return StackedModule(nn.Sequential(*layers), torch.device("cpu"), torch.float64)


def points_of(module: StackedModule, K: int, seed: int = 0) -> Points:
    """Different weights, means and variances; the first channel nearly constant, which is where eps counts."""
    torch.manual_seed(seed)
    one = module.take()
    points = one.at(one.theta + 0.5 * torch.randn(K, module.layout.size, dtype=torch.float64))
    for name, buffer in points.buffers.items():
        if "running_mean" in name:
            points.buffers[name] = torch.randn_like(buffer)
        if "running_var" in name:
            points.buffers[name] = torch.rand_like(buffer) + 0.1
            points.buffers[name][:, 0] = 1e-6
    return points


def alone(module: StackedModule, points: Points, k: int, mode: Mode, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs and buffers of point k by torch's own layers, as a user has them."""
    network = copy.deepcopy(module.module)
    network.load_state_dict(module.state(points, k))
    network.train(mode == "train")
    for layer in network.modules():
        layer.__dict__.pop("forward", None)  # the class's own remains
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.train(mode != "eval")
    with torch.no_grad():
        return network(x), dict(network.named_buffers())


def check(module: StackedModule, points: Points, mode: Mode, x: Tensor, shared: bool) -> None:
    expected = [alone(module, points, k, mode, x if shared else x[k]) for k in range(len(points))]
    module.switch(mode)
    with torch.no_grad():
        outputs = module(points, x, shared=shared)
    for k, (output, buffers) in enumerate(expected):
        assert torch.allclose(outputs[k], output, rtol=CLOSE, atol=CLOSE)
        for name, buffer in buffers.items():
            assert torch.allclose(points.buffers[name][k].double(), buffer.double(), rtol=CLOSE, atol=CLOSE), name


def inputs(shape: tuple[int, ...], *lead: int, seed: int = 1) -> Tensor:
    x = torch.randn(*lead, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x.select(len(lead), 0).mul_(1e-3)
    return 2.0 * x + 1.0


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("mode", ["eval", "statistics", "train"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_layer_in_a_stack_is_torchs_own(layer: str, mode: Mode, shared: bool) -> None:
    """Outputs, running statistics and counters, in every mode."""
    kind, shape = LAYERS[layer]
    module = stacked(kind(4, momentum=0.3, eps=1e-3))  # type: ignore[call-arg]
    x = inputs(shape, *(() if shared else (3,)), 7)
    check(module, points_of(module, 3), mode, x, shared)


@settings(max_examples=25)
@given(
    layer=st.sampled_from(sorted(LAYERS)),
    K=st.integers(2, 5),
    B=st.integers(2, 9),
    momentum=st.floats(0.0, 1.0),
    mode=st.sampled_from(["eval", "statistics"]),
    seed=st.integers(0, 99),
)
def test_for_any_number_of_points_and_examples(
    layer: str, K: int, B: int, momentum: float, mode: Mode, seed: int
) -> None:
    kind, shape = LAYERS[layer]
    module = stacked(kind(4, momentum=momentum))  # type: ignore[call-arg]
    check(module, points_of(module, K, seed), mode, inputs(shape, B, seed=seed), shared=True)


def test_statistics_move_by_a_momentum_that_is_a_tensor_as_by_the_number() -> None:
    """A program of the pass has it for an input."""
    module = stacked(nn.BatchNorm1d(4))
    number, tensor = points_of(module, 3), points_of(module, 3)
    module.switch("statistics")
    x = inputs((4,), 7)
    for points, momentum in ((number, 0.25), (tensor, torch.tensor(0.25, dtype=torch.float64))):
        module.norms[0].momentum = momentum  # type: ignore[assignment]
        with torch.no_grad():
            module(points, x, shared=True)
    for name, buffer in number.buffers.items():
        assert torch.allclose(tensor.buffers[name].double(), buffer.double(), rtol=0, atol=CLOSE), name


class Doubling(nn.BatchNorm1d):
    """A user's own."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


KEPT: dict[str, Make] = {
    "a subclass": lambda: Doubling(4),
    "no affine": lambda: nn.BatchNorm1d(4, affine=False),
    "no running statistics": lambda: nn.BatchNorm1d(4, track_running_stats=False),
    "of a group": lambda: nn.GroupNorm(2, 4),
    "of a layer": lambda: nn.LayerNorm(4),
}


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("mode", ["eval", "statistics", "train"])
def test_layers_that_are_not_the_usual_ones_keep_their_own_forward(make: Make, mode: Mode) -> None:
    layer = make()
    module = stacked(layer, nn.Linear(4, 2))
    assert "forward" not in vars(layer)
    check(module, points_of(module, 3), mode, inputs((4,), 7), shared=True)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_usual_ones_scale_in_a_stack_and_only_there(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One point, and training, go through torch's own kernel."""
    kind, shape = LAYERS[layer]
    own = kind(4)  # type: ignore[call-arg]
    module = stacked(own)
    assert "forward" in vars(own)
    calls: list[str] = []
    kernel = nn.functional.batch_norm

    def spy(*args: Any, **options: Any) -> Tensor:
        calls.append("torch's own")
        return kernel(*args, **options)

    monkeypatch.setattr(nn.functional, "batch_norm", spy)
    for K, mode, scaled in ((1, "eval", False), (3, "train", False), (3, "eval", True), (3, "statistics", True)):
        calls.clear()
        module.switch(mode)  # type: ignore[arg-type]
        with torch.no_grad():
            module(points_of(module, K), inputs(shape, 7), shared=True)
        assert bool(calls) is not scaled, (K, mode)


def test_what_a_layer_refuses_it_refuses_in_a_stack() -> None:
    module = stacked(nn.BatchNorm2d(4))
    module.switch("eval")
    with pytest.raises(ValueError, match="expected 4D input"):
        module(points_of(module, 2), inputs((4,), 7), shared=True)


def test_an_error_within_a_stack_leaves_the_layers_as_they_were() -> None:
    module = stacked(nn.BatchNorm1d(4))
    points = points_of(module, 2)
    module.switch("eval")
    with pytest.raises((RuntimeError, ValueError)):
        module(points, inputs((5,), 7), shared=True)
    assert not module._norms._scaling


def test_under_autocast_statistics_are_of_the_full_precision() -> None:
    """The layer's input, in bfloat16 by what comes before it, is brought back to the type of the weights."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    module = StackedModule(network, torch.device("cpu"), torch.float32)
    points = module.take()
    two = Points.stack([points, points])
    for mode in ("train", "statistics", "eval"):
        module.switch(mode)  # type: ignore[arg-type]
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = module(two, inputs((4,), 7).float(), shared=True)
        assert outputs.dtype == torch.float32
        assert two.buffers["1.running_mean"].dtype == torch.float32


def test_gradients_through_a_stack_in_training_are_those_of_each_network() -> None:
    module = stacked(nn.BatchNorm1d(4))
    points, x = points_of(module, 3), inputs((4,), 3, 7)
    module.switch("train")
    theta = points.theta.requires_grad_()
    module(Points(theta, {n: b.clone() for n, b in points.buffers.items()}), x).pow(3).sum().backward()
    assert theta.grad is not None
    for k in range(3):
        own = theta.detach()[k : k + 1].clone().requires_grad_()
        one = Points(own, {n: b[k : k + 1].clone() for n, b in points.buffers.items()})
        module(one, x[k : k + 1]).pow(3).sum().backward()
        assert own.grad is not None
        assert torch.allclose(theta.grad[k], own.grad[0], rtol=1e-10, atol=1e-10)
