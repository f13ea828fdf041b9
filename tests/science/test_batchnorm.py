"""Re-estimated BatchNorm statistics: what they are, of what they do not depend, and that points do not mix."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from mcdist.science.batchnorm import reestimate
from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule

from .examples import convolved, dropped, normed, plain

Make = Callable[[], nn.Module]


def stacked(make: Make = normed) -> StackedModule:
    torch.manual_seed(0)
    return StackedModule(make(), torch.device("cpu"), torch.float64)


def points_of(module: StackedModule, K: int) -> Points:
    one = module.take()
    theta = one.theta + 0.3 * torch.randn(K, module.layout.size, dtype=torch.float64)
    return one.at(theta)


def inputs_of(n: int = 22) -> Tensor:
    return torch.randn(n, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def test_the_first_layers_mean_is_that_of_all_data() -> None:
    """22 examples by 8: a short last batch counts by its examples."""
    module, x = stacked(), inputs_of()
    points = points_of(module, 2)
    settled = reestimate(module, points, x.split(8))
    for k, weight in enumerate(module.layout.views(points.theta)["0.weight"]):
        assert torch.allclose(settled.buffers["1.running_mean"][k], (x @ weight.T).mean(0), rtol=0, atol=1e-14)
        variances = torch.stack([len(b) * (b @ weight.T).var(0) for b in x.split(8)]).sum(0) / len(x)
        assert torch.allclose(settled.buffers["1.running_var"][k], variances, rtol=1e-13, atol=0)


def by_one_network(make: Make, points: Points, k: int, batches: list[Tensor]) -> dict[str, Tensor]:
    """The same by plain torch: one module in train mode (Dropout in eval mode), momentum set batch by batch."""
    module = stacked(make)
    plain_module = module.module
    plain_module.load_state_dict(module.state(points, k))
    plain_module.eval()
    norms = [m for m in plain_module.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    seen = 0
    for batch in batches:
        seen += len(batch)
        for norm in norms:
            norm.train()
            norm.momentum = len(batch) / seen
        with torch.no_grad():
            plain_module(batch)
    return {name: b for name, b in plain_module.named_buffers() if "running" in name}


@pytest.mark.parametrize("make", [normed, dropped, convolved])
def test_every_point_has_the_statistics_of_its_network_alone(make: Make) -> None:
    module = stacked(make)
    batches = [b.reshape(-1, 2, 4, 4) for b in torch.randn(22, 32).double().split(8)]
    if make is not convolved:
        batches = list(inputs_of().split(8))
    points = points_of(module, 3)
    settled = reestimate(module, points, batches)
    for k in range(3):
        for name, expected in by_one_network(make, points, k, batches).items():
            assert torch.allclose(settled.buffers[name][k], expected, rtol=0, atol=1e-12), name
        alone = reestimate(module, points[k], batches)
        for name, buffer in alone.buffers.items():
            assert torch.allclose(settled.buffers[name][k : k + 1], buffer, rtol=0, atol=1e-12), name


def test_what_the_statistics_were_is_forgotten_and_left_alone() -> None:
    module, batches = stacked(), inputs_of().split(8)
    points = points_of(module, 2)
    moved = Points(points.theta, {n: b + 5 for n, b in points.buffers.items()})
    before = {n: b.clone() for n, b in moved.buffers.items()}
    one, other = reestimate(module, points, batches), reestimate(module, moved, batches)
    for name in ("1.running_mean", "1.running_var"):
        assert torch.allclose(one.buffers[name], other.buffers[name], rtol=0, atol=1e-14)
    assert all(torch.equal(moved.buffers[n], b) for n, b in before.items())
    assert one.theta is points.theta


def test_the_order_of_batches_does_not_matter() -> None:
    """Short ones included: every batch counts by its examples, wherever it comes."""
    module, batches = stacked(), list(inputs_of().split(8))
    points = points_of(module, 2)
    forth, back = reestimate(module, points, batches), reestimate(module, points, batches[::-1])
    for name in ("1.running_mean", "1.running_var"):
        assert torch.allclose(forth.buffers[name], back.buffers[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("examples", "same"), [(24, True), (22, False)])
def test_torchs_own_differs_exactly_when_the_last_batch_is_short(examples: int, same: bool) -> None:
    module, x = stacked(), inputs_of(examples)
    points = module.take()
    settled = reestimate(module, points, x.split(8))
    theirs = stacked().module
    theirs.load_state_dict(module.state(points, 0))
    update_bn(x.split(8), theirs)
    close = torch.allclose(settled.buffers["1.running_mean"][0], theirs[1].running_mean, rtol=0, atol=1e-12)  # type: ignore[index]
    assert close is same


def test_dropout_is_off_and_the_pass_draws_nothing() -> None:
    module, batches = stacked(dropped), inputs_of().split(8)
    module.probe(inputs_of(2))
    points = points_of(module, 2)
    state = torch.get_rng_state()
    one, other = reestimate(module, points, batches), reestimate(module, points, batches)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one.buffers[n], other.buffers[n]) for n in one.buffers)


def test_without_batchnorm_nothing_happens() -> None:
    module = stacked(plain)
    points = points_of(module, 2)
    assert reestimate(module, points, iter(())) is points


def test_the_modules_momentum_is_given_back() -> None:
    module = stacked()
    module.norms[0].momentum = 0.3
    reestimate(module, module.take(), inputs_of().split(8))
    assert module.norms[0].momentum == 0.3
    with pytest.raises(RuntimeError):
        reestimate(module, module.take(), [torch.zeros(4, 99, dtype=torch.float64)])
    assert module.norms[0].momentum == 0.3
