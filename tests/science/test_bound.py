"""A bound module: one point of a stack as the plain module itself, with the gradient as one flat vector."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from mcdist.science.bound import BoundModule
from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule

from .examples import CLASSES, convolved, normed, plain

Make = Callable[[], nn.Module]
CLOSE = 1e-13  # float64, one forward and backward


class Odd(nn.Module):
    """Tied weights, frozen parameters, one that the forward does not use, buffers that move, others that do not."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.decode.weight = self.encode.weight
        self.frozen = nn.Parameter(torch.randn(6, 6), requires_grad=False)
        self.again = self.frozen
        self.unused = nn.Parameter(torch.randn(4))
        self.scale = nn.Parameter(torch.tensor(2.0))  # no dimension at all
        self.norm = nn.BatchNorm1d(6)
        self.head = nn.Linear(6, CLASSES)
        self.register_buffer("calls", torch.tensor([3], dtype=torch.int64))
        self.register_buffer("shift", torch.randn(6), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        hidden = torch.tanh(self.encode(x) @ self.frozen + self.shift + self.again.sum())
        logits: Tensor = self.head(self.norm(self.decode(hidden)))
        return logits / self.scale


MAKES: list[Make] = [plain, normed, convolved, Odd]


def stacked(make: Make) -> StackedModule:
    torch.manual_seed(0)
    return StackedModule(make(), torch.device("cpu"), torch.float64)


def bound(module: StackedModule) -> BoundModule:
    return BoundModule(module.module, module.layout)


def points_of(module: StackedModule, K: int = 3) -> Points:
    one = module.take()
    points = one.at(one.theta + 0.3 * torch.randn(K, module.layout.size, dtype=torch.float64))
    for name, buffer in points.buffers.items():
        if buffer.is_floating_point():
            points.buffers[name] = buffer + torch.rand_like(buffer)
    return points


def batch_for(make: Make, B: int = 5) -> tuple[Tensor, Tensor]:
    shape = (2, 4, 4) if make is convolved else (6,)
    return torch.randn(B, *shape, dtype=torch.float64), torch.randint(0, CLASSES, (B,))


def buffers_of(points: Points, k: int) -> dict[str, Tensor]:
    return {name: b[k] for name, b in points.buffers.items()}


def judging(targets: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def judge(outputs: Tensor) -> tuple[Tensor, Tensor]:
        return F.cross_entropy(outputs, targets), (outputs.detach().argmax(1) != targets).double().mean()

    return judge


def functionally(
    module: StackedModule, theta: Tensor, buffers: dict[str, Tensor], x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Loss, gradient [P] and buffers afterwards, by torch.func and autograd through the views of a flat vector."""
    theta, moved = theta.detach().clone().requires_grad_(), {name: b.clone() for name, b in buffers.items()}
    outputs = functional_call(module.module, {**module.layout.views(theta), **moved}, (x,))
    loss = F.cross_entropy(outputs, y)
    (grad,) = torch.autograd.grad(loss, theta)
    return loss.detach(), grad, moved


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_gradient_is_that_of_functional_autograd(make: Make, mode: str) -> None:
    """And the loss, and what becomes of the buffers; point after point, as packs are done."""
    module = stacked(make)
    points, (x, y) = points_of(module), batch_for(make)
    module.switch(mode)  # type: ignore[arg-type]
    expected = [functionally(module, points.theta[k], buffers_of(points, k), x, y) for k in range(3)]
    own = bound(module)
    for k, (loss, grad, moved) in enumerate(expected):
        own.bind(points.theta[k], buffers_of(points, k))
        got, error, flat = own.gradient(x, judging(y))
        assert float(got) == pytest.approx(float(loss), abs=CLOSE)
        assert 0.0 <= float(error) <= 1.0
        assert torch.allclose(flat, grad, rtol=0, atol=CLOSE)
        for name, buffer in moved.items():
            assert torch.allclose(points.buffers[name][k].double(), buffer.double(), rtol=0, atol=CLOSE), name


def test_what_the_forward_does_not_use_has_no_gradient_and_what_is_tied_has_all_of_it() -> None:
    module = stacked(Odd)
    points, (x, y) = points_of(module, 1), batch_for(Odd)
    module.switch("train")
    own = bound(module)
    own.bind(points.theta[0], buffers_of(points, 0))
    views = module.layout.views(own.gradient(x, judging(y))[2])
    assert set(views) == {"unused", "scale", "encode.weight", "norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert not views["unused"].any()
    assert all(view.any() for name, view in views.items() if name != "unused")


@pytest.mark.parametrize("make", MAKES)
def test_a_bound_module_gives_the_outputs_of_its_point(make: Make) -> None:
    module = stacked(make)
    points, (x, _) = points_of(module), batch_for(make)
    module.switch("eval")
    expected = [
        functional_call(
            module.module,
            {**module.layout.views(points.theta[k]), **{n: b.clone() for n, b in buffers_of(points, k).items()}},
            (x,),
        )
        for k in range(3)
    ]
    own = bound(module)
    for k in (0, 2, 1, 1, 0):
        own.bind(points.theta[k], buffers_of(points, k))
        with torch.no_grad():
            assert torch.allclose(own(x), expected[k], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("make", [normed, Odd])
def test_what_moves_the_vector_moves_the_module_without_binding_again(make: Make) -> None:
    """A step of training moves theta in place: the parameters are views of it."""
    module = stacked(make)
    points, (x, y) = points_of(module, 1), batch_for(make)
    module.switch("train")
    own = bound(module)
    for _ in range(3):
        loss, grad, _ = functionally(module, points.theta[0], buffers_of(points, 0), x, y)
        own.bind(points.theta[0], buffers_of(points, 0))
        got, _, flat = own.gradient(x, judging(y))
        assert float(got) == pytest.approx(float(loss), abs=CLOSE)
        assert torch.allclose(flat, grad, rtol=0, atol=CLOSE)
        points.theta[0].sub_(0.1 * flat)
        points.buffers[next(iter(points.buffers))].add_(1)


def test_other_buffers_of_the_same_weights_are_bound() -> None:
    """A point that was settled has the weights it had, and other statistics."""
    module = stacked(normed)
    points, (x, _) = points_of(module, 1), batch_for(normed)
    module.switch("eval")
    own = bound(module)
    seen = []
    for shift in (0.0, 0.5, 0.0):
        buffers = {n: b[0] + shift if b.is_floating_point() else b[0] for n, b in points.buffers.items()}
        own.bind(points.theta[0], buffers)
        with torch.no_grad():
            seen.append(own(x))
    assert torch.equal(seen[0], seen[2])
    assert not torch.allclose(seen[0], seen[1])


def test_other_weights_with_the_same_buffers_are_bound() -> None:
    """The bends of a curve: one place after the other, the statistics of the curve."""
    module = stacked(normed)
    points, (x, y) = points_of(module, 2), batch_for(normed)
    module.switch("eval")
    own = bound(module)
    for theta in (points.theta[0], points.theta[1], points.theta[0]):
        expected, grad, _ = functionally(module, theta, buffers_of(points, 0), x, y)
        own.bind(theta, buffers_of(points, 0))
        loss, _, flat = own.gradient(x, judging(y))
        assert float(loss) == pytest.approx(float(expected), abs=CLOSE)
        assert torch.allclose(flat, grad, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("make", [plain, normed])
def test_a_vector_that_comes_to_lie_where_another_one_was_is_not_taken_for_it(make: Make) -> None:
    """Memory is used again at once: what is bound is kept until another is, so that an address says who it is."""
    module = stacked(make)
    points, (x, y) = points_of(module, 1), batch_for(make)
    module.switch("eval")
    own = bound(module)
    for n in range(50):
        theta = points.theta[0] + 0.01 * n  # the last one is let go, and this one may lie in its place
        buffers = {name: b[0].clone() for name, b in points.buffers.items()}
        expected, grad, _ = functionally(module, theta, buffers, x, y)
        own.bind(theta, buffers)
        loss, _, flat = own.gradient(x, judging(y))
        assert float(loss) == pytest.approx(float(expected), abs=CLOSE)
        assert torch.allclose(flat, grad, rtol=0, atol=CLOSE)
        del theta, buffers


def test_the_vector_and_the_buffers_given_are_what_moves() -> None:
    """No copy: BatchNorm writes into the point's own statistics, and into no other's."""
    module = stacked(normed)
    points, (x, y) = points_of(module, 2), batch_for(normed)
    before = {name: b.clone() for name, b in points.buffers.items()}
    module.switch("train")
    own = bound(module)
    own.bind(points.theta[1], buffers_of(points, 1))
    own.gradient(x, judging(y))
    for name, buffer in points.buffers.items():
        assert torch.equal(buffer[0], before[name][0]), name
        assert not torch.equal(buffer[1], before[name][1]), name


def test_the_gradient_is_written_anew_by_the_next_call() -> None:
    """One vector for all steps: who needs it longer makes a copy."""
    module = stacked(plain)
    points, (x, y) = points_of(module, 2), batch_for(plain)
    own = bound(module)
    own.bind(points.theta[0], {})
    first = own.gradient(x, judging(y))[2]
    kept = first.clone()
    own.bind(points.theta[1], {})
    assert own.gradient(x, judging(y))[2] is first
    assert not torch.allclose(first, kept)


def test_frozen_parameters_are_bound_like_buffers_and_stay_frozen() -> None:
    module = stacked(Odd)
    points, (x, y) = points_of(module, 2), batch_for(Odd)
    points.buffers["frozen"][1] = 0.0
    module.switch("eval")
    own = bound(module)
    gradients = []
    for k in range(2):
        own.bind(points.theta[0], buffers_of(points, k))
        gradients.append(own.gradient(x, judging(y))[2].clone())
    assert not torch.allclose(gradients[0], gradients[1])
    frozen = dict(module.module.named_parameters(remove_duplicate=False))["again"]
    assert not frozen.requires_grad
    assert torch.equal(frozen, torch.zeros(6, 6, dtype=torch.float64))


def test_autocast_is_of_the_forward_alone() -> None:
    """bfloat16 has 8 bits: the gradient is near the full one, in the type of the weights, and not equal to it."""
    module = stacked(plain)
    points, (x, y) = points_of(module, 1), batch_for(plain)
    single = StackedModule(plain(), torch.device("cpu"), torch.float32)
    theta = points.theta[0].float()
    own = BoundModule(single.module, single.layout)
    own.bind(theta, {})
    _, _, full = own.gradient(x.float(), judging(y))
    full = full.clone()
    _, _, rounded = own.gradient(x.float(), lambda outputs: judging(y)(outputs.float()), torch.bfloat16)
    assert rounded.dtype == torch.float32
    assert torch.allclose(rounded, full, rtol=0.1, atol=0.02)
    assert not torch.allclose(rounded, full, rtol=0, atol=1e-5)


@pytest.mark.parametrize("make", MAKES)
def test_points_one_by_one_have_the_gradients_of_the_stack(make: Make) -> None:
    """Whichever way a module goes, plainly or stacked, the numbers are those of torch.func."""
    module = stacked(make)
    points, (x, y) = points_of(module), batch_for(make)
    module.switch("train")
    expected = [functionally(module, points.theta[k], buffers_of(points, k), x, y)[:2] for k in range(3)]
    module.pointwise = True
    found = module.gradient(points, x.expand(3, *x.shape), lambda k, outputs: judging(y)(outputs))
    assert found is not None
    for k, (loss, grad) in enumerate(expected):
        assert float(found[0][k]) == pytest.approx(float(loss), abs=CLOSE)
        assert torch.allclose(found[2][k], grad, rtol=0, atol=CLOSE)
