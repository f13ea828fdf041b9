"""Stacked modules: any module at K points at once, as each would be alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule

from .examples import convolved, dropped, normed, plain


class Tied(nn.Module):
    """Encoder and decoder share one matrix; a frozen matrix has two names; a counter and a scale ride along."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.decode.weight = self.encode.weight
        self.frozen = nn.Parameter(torch.randn(6, 6), requires_grad=False)
        self.again = self.frozen
        self.temperature = nn.Parameter(torch.tensor(2.0))  # no dimension at all
        self.register_buffer("calls", torch.tensor([3], dtype=torch.int64))
        self.register_buffer("flags", torch.tensor([True, False]))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.encode(x) @ self.frozen + self.again.sum())
        decoded: Tensor = self.decode(hidden)
        return decoded / self.temperature


MAKES: list[Callable[[], nn.Module]] = [plain, normed, dropped, convolved, Tied]


def stacked(make: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> StackedModule:
    torch.manual_seed(0)
    return StackedModule(make(), torch.device("cpu"), dtype)


def spread(module: StackedModule, K: int = 3) -> Points:
    """K different points, buffers that count (running variances stay positive) included."""
    one = module.take()
    points = one.at(one.theta + 0.2 * torch.randn(K, module.layout.size, dtype=module.dtype))
    for buffer in points.buffers.values():
        if buffer.is_floating_point():
            buffer.add_(torch.rand_like(buffer))
    return points


def inputs_for(make: Callable[[], nn.Module], B: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(B, *((2, 4, 4) if make is convolved else (6,)), dtype=dtype)


@pytest.mark.parametrize("make", MAKES)
def test_state_and_point_are_inverse(make: Callable[[], nn.Module]) -> None:
    module = stacked(make)
    points = spread(module)
    for k in range(3):
        back = module.point(module.state(points, k))
        assert torch.equal(back.theta, points.theta[k : k + 1])
        assert back.buffers.keys() == points.buffers.keys()
        for name, buffer in back.buffers.items():
            assert torch.equal(buffer, points.buffers[name][k : k + 1])
            assert buffer.dtype == points.buffers[name].dtype


@pytest.mark.parametrize("make", MAKES)
def test_a_state_is_the_plain_modules_own(make: Callable[[], nn.Module]) -> None:
    """load_state_dict takes it, in its order, and the plain module gives the outputs of the stack."""
    module = stacked(make)
    points, x = spread(module), inputs_for(make)
    module.switch("eval")
    outputs = module(points, x, shared=True)
    for k in range(3):
        fresh = make().double()
        state = module.state(points, k)
        assert list(state) == list(fresh.state_dict())
        fresh.load_state_dict(state)
        assert torch.allclose(fresh.eval()(x), outputs[k], rtol=0, atol=1e-13)


@pytest.mark.parametrize("make", MAKES)
def test_taking_gives_the_modules_weights_copied(make: Callable[[], nn.Module]) -> None:
    module = stacked(make)
    state = module.state(module.take(), 0)
    assert all(torch.equal(state[key], tensor) for key, tensor in module.module.state_dict().items())
    module.take().theta.fill_(9.0)
    assert all(torch.equal(state[key], tensor) for key, tensor in module.module.state_dict().items())


@pytest.mark.parametrize("make", [plain, normed, Tied])
@pytest.mark.parametrize("shared", [True, False])
def test_stacked_and_one_by_one_agree(make: Callable[[], nn.Module], shared: bool) -> None:
    module = stacked(make)
    points = spread(module)
    x = inputs_for(make) if shared else torch.stack([inputs_for(make) for _ in range(3)])
    module.switch("train")
    alone = [
        module(Points(points.theta[k : k + 1], {n: b[k : k + 1].clone() for n, b in points.buffers.items()}), own)
        for k, own in enumerate(x.expand(3, *x.shape)[:, None] if shared else x[:, None])
    ]
    assert torch.allclose(module(points, x, shared=shared), torch.cat(alone), rtol=0, atol=1e-13)


def test_tied_weights_are_one_parameter_and_frozen_ones_none() -> None:
    module = stacked(Tied)
    assert module.layout.names == ("temperature", "encode.weight")
    assert set(module.take().buffers) == {"frozen", "calls", "flags"}
    state = module.state(module.take(), 0)
    assert torch.equal(state["encode.weight"], state["decode.weight"])
    assert torch.equal(state["frozen"], state["again"])
    assert (state["calls"].dtype, state["flags"].dtype) == (torch.int64, torch.bool)
    module.probe(inputs_for(Tied))


def test_wrong_weights_are_refused() -> None:
    module = stacked(plain)
    state = module.state(module.take(), 0)
    with pytest.raises(RequestError, match=r"missing \['2.bias'\], unknown \['3.bias'\]"):
        module.point({("3.bias" if key == "2.bias" else key): tensor for key, tensor in state.items()})
    with pytest.raises(RequestError, match=r"0.weight is \[6, 5\], not \[5, 6\]"):
        module.point(state | {"0.weight": state["0.weight"].T})


def test_weights_of_another_type_become_the_modules() -> None:
    state = {k: v.float() if v.is_floating_point() else v for k, v in normed().state_dict().items()}
    point = stacked(normed).point(state)
    assert point.theta.dtype == torch.float64
    assert point.buffers["1.running_mean"].dtype == torch.float64
    assert point.buffers["1.num_batches_tracked"].dtype == torch.int64


def test_a_point_shares_no_memory_with_what_it_was_made_from() -> None:
    module = stacked(normed)
    state = module.state(module.take(), 0)
    point = module.point(state)
    point.theta.fill_(7.0)
    point.buffers["1.running_mean"].fill_(7.0)
    assert not any(bool((tensor == 7.0).any()) for tensor in state.values())


def test_dropout_is_that_of_its_seeds() -> None:
    module = stacked(dropped)
    module.probe(inputs_for(dropped))
    assert module.random
    points, x = spread(module), inputs_for(dropped, B=16)
    module.switch("train")

    def outputs(*seeds: int) -> Tensor:
        fresh = Points(points.theta, {n: b.clone() for n, b in points.buffers.items()})
        return module(fresh, x, shared=True, seeds=seeds)

    state = torch.get_rng_state()
    first = outputs(1, 2, 3)
    assert torch.equal(torch.get_rng_state(), state), "nobody else's random numbers are used up"
    assert torch.equal(first, outputs(1, 2, 3))
    changed = outputs(1, 5, 3)
    assert torch.equal(changed[[0, 2]], first[[0, 2]])
    assert not torch.equal(changed[1], first[1])


def test_the_probe_measures_and_leaves_no_trace() -> None:
    module = stacked(convolved)
    before = {k: v.clone() for k, v in module.module.state_dict().items()}
    module.probe(inputs_for(convolved, B=2))
    assert not module.random
    assert module.widest == 12  # 3 channels of 2 x 2
    assert all(torch.equal(v, before[k]) for k, v in module.module.state_dict().items())
    assert not any(m._forward_hooks for m in module.module.modules())


class Branch(nn.Linear):
    """Decides on its data."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        return out if out.sum() > 0 else -out


class Reads(nn.Linear):
    """Takes a number out of torch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float(self.weight.norm().item())


class BranchAfterDropout(nn.Module):
    """In train mode, the first thing that vmap stumbles over is the Dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.branch = nn.Dropout(), Branch(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(self.drop(x))
        return out


class AlwaysNoisy(nn.Linear):
    """Draws random numbers in eval mode too."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, training=True))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Branch(6, 3), "control flow"),
        (lambda: Reads(6, 3), r"\.item\(\)"),
        (BranchAfterDropout, "control flow"),
        (lambda: nn.Linear(5, 3), "the forward of Linear .*Expected size"),
        (lambda: AlwaysNoisy(6, 3), "random numbers in eval mode"),
    ],
)
def test_what_cannot_be_stacked_is_refused_with_the_reason(make: Callable[[], nn.Module], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        stacked(make).probe(torch.randn(2, 6, dtype=torch.float64))


def test_modes() -> None:
    module = stacked(dropped)
    norm, drop = module.module[1], module.module[3]  # type: ignore[index]
    for mode, training in (("train", (True, True)), ("eval", (False, False)), ("statistics", (True, False))):
        module.switch(mode)  # type: ignore[arg-type]
        assert (norm.training, drop.training) == training
