"""REPAIR: statistics hit their targets, ends stay, packs are each point alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.problems.models import build_model
from mcdist.science.alignment import Structure, check_repairable, derive, repair
from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule

from .networks import IMAGE, Tied, convnet, inputs, mlp, random_state

CPU, DOUBLE = torch.device("cpu"), torch.float64


class Skipped(nn.Module):
    """A residual network with biases and no norm: two layers write the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.back = nn.Linear(16, 9), nn.Linear(9, 7), nn.Linear(7, 9)
        self.last = nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x.flatten(1)))
        found: Tensor = self.last(x + self.back(torch.relu(self.inner(x))))
        return found


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[str]]] = {
    "mlp": (mlp, (1, 4, 4), ["1", "3"]),
    "convnet": (convnet, IMAGE, ["0", "2", "5", "7", "12"]),
    "residual": (Skipped, (1, 4, 4), ["first", "inner", "back"]),
}

T = torch.tensor([0, 0.25, 0.5, 0.9, 1], dtype=DOUBLE)


def prepared(name: str) -> tuple[StackedModule, Structure, Points, Points, Tensor]:
    """A stacked network, its structure, two ends, points on the line between them, inputs."""
    make, shape, _ = NETWORKS[name]
    module = StackedModule(make(), CPU, DOUBLE)
    structure = derive(module.module, torch.zeros(1, *shape))
    ends = Points.stack([module.point(random_state(module.module, seed)) for seed in (1, 2)])
    points = ends.at(torch.lerp(ends.theta[:1], ends.theta[1:], T[:, None]))
    return module, structure, ends, points, inputs(shape, n=23)


def statistics(module: StackedModule, points: Points, layers: list[str], x: Tensor) -> dict[str, Tensor]:
    """[K, 2, C]: mean and standard deviation of layers' outputs, by loading one network after the other."""
    found: dict[str, list[Tensor]] = {name: [] for name in layers}
    network = module.module
    for k in range(len(points)):
        network.load_state_dict(module.state(points, k))

        def listen(name: str) -> Callable[..., None]:
            def hook(layer: nn.Module, args: object, output: Tensor) -> None:
                rows = output.movedim(1, -1).reshape(-1, output.shape[1])
                found[name].append(torch.stack([rows.mean(0), rows.std(0, correction=0)]))

            return hook

        hooks = [network.get_submodule(name).register_forward_hook(listen(name)) for name in layers]
        with torch.no_grad():
            network.eval()(x)
        for handle in hooks:
            handle.remove()
    return {name: torch.stack(parts) for name, parts in found.items()}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [23, 9])
def test_statistics_hit_their_targets(name: str, batch: int) -> None:
    """Those of all data, in one batch or several."""
    module, structure, ends, points, x = prepared(name)
    layers = NETWORKS[name][2]
    repaired = repair(module, points, T, ends, structure, x.split(batch))
    at_ends = statistics(module, ends, layers, x)
    before, after = (statistics(module, p, layers, x) for p in (points, repaired))
    for layer in layers:
        target = torch.lerp(at_ends[layer][:1], at_ends[layer][1:], T[:, None, None])
        assert (after[layer] - target).abs().max() < 1e-8
        assert before[layer][2, 1].mean() < 0.9 * target[2, 1].mean()  # what it is for: variance is lost on the way


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [23, 9])
def test_ends_stay(name: str, batch: int) -> None:
    module, structure, ends, points, x = prepared(name)
    repaired = repair(module, points, T, ends, structure, x.split(batch))
    moved = (repaired.theta - points.theta).abs().amax(1)
    assert max(moved[0], moved[-1]) < 1e-12
    assert moved[1:-1].min() > 0.1
    last = [n for n in module.layout.names if "." in n][-2:]  # the output layer is nobody's hidden unit
    views, old = module.layout.views(repaired.theta), module.layout.views(points.theta)
    assert all(torch.equal(views[n], old[n]) for n in last)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pack_is_each_point_alone(name: str) -> None:
    module, structure, ends, points, x = prepared(name)
    for batches in (x.split(23), x.split(9)):
        together = repair(module, points, T, ends, structure, batches)
        alone = [repair(module, points[k], T[k : k + 1], ends, structure, batches).theta for k in range(len(T))]
        assert (together.theta - torch.cat(alone)).abs().max() < 1e-10


def test_many_points_go_in_parts() -> None:
    module, structure, ends, _, x = prepared("mlp")
    t = torch.linspace(0, 1, 37, dtype=DOUBLE)
    points = ends.at(torch.lerp(ends.theta[:1], ends.theta[1:], t[:, None]))
    whole = repair(module, points, t, ends, structure, [x])
    part = repair(module, points[20:22], t[20:22], ends, structure, [x])
    assert (whole.theta[20:22] - part.theta).abs().max() < 1e-10


def test_given_points_stay_as_they_are() -> None:
    module, structure, ends, points, x = prepared("mlp")
    before = points.theta.clone(), ends.theta.clone()
    repair(module, points, T, ends, structure, [x])
    assert torch.equal(points.theta, before[0])
    assert torch.equal(ends.theta, before[1])


def test_constant_channels_get_their_mean_alone() -> None:
    module, structure, ends, points, x = prepared("mlp")
    points.theta[:, : module.layout.sizes[0]].view(len(T), 12, 16)[:, 3] = 0
    repaired = repair(module, points, T, ends, structure, [x])
    assert repaired.theta.isfinite().all()
    after, at_ends = (statistics(module, p, ["1"], x)["1"] for p in (repaired, ends))
    assert (after[:, 1, 3] == 0).all()
    assert torch.allclose(after[:, 0, 3], torch.lerp(at_ends[0, 0, 3], at_ends[1, 0, 3], T), rtol=0, atol=1e-12)


def structured(network: nn.Module, shape: tuple[int, ...]) -> tuple[StackedModule, Structure]:
    return StackedModule(network, CPU, torch.float32), derive(network, torch.zeros(1, *shape))


def frozen() -> nn.Module:
    network = mlp()
    network[1].weight.requires_grad_(False)  # type: ignore[union-attr, operator, index]
    return network


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        (mlp(batch_norm=True), (1, 4, 4), "without BatchNorm: Sequential has 2 such layers"),
        (nn.Sequential(nn.Linear(4, 5, bias=False), nn.Linear(5, 2)), (4,), "layer '0' of Sequential has no bias"),
        (frozen(), (1, 4, 4), "the weights of layer '1' of Sequential are frozen"),
        (Tied(), (4,), "layer 'same' of Tied has no bias"),
        (build_model("resnet20", {}, IMAGE, 3), IMAGE, "without BatchNorm"),
    ],
)
def test_networks_that_are_refused(network: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_repairable(*structured(network, shape))


class Twice(nn.Module):
    """One hidden layer after itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(torch.relu(self.again(torch.relu(self.again(torch.relu(self.first(x)))))))
        return found


def test_other_refusals() -> None:
    module, structure = structured(Twice(), (4,))
    one = module.take()
    with pytest.raises(RequestError, match="layer 'again' runs twice in a forward"):
        repair(module, one, torch.zeros(1), Points.stack([one, one]), structure, [torch.randn(5, 4)])
    with pytest.raises(RequestError, match="no examples"):
        repair(module, one, torch.zeros(1), Points.stack([one, one]), structure, [])
    with pytest.raises(ValueError, match="1 points at 2 t between 2 ends"):
        repair(module, one, torch.zeros(2), Points.stack([one, one]), structure, [])
    by_hand = Structure.from_spec({"groups": {"h": [["last.weight", 1]]}}, module.module.state_dict())
    with pytest.raises(RequestError, match="no linear layer or convolution of Twice writes the units of 'h'"):
        check_repairable(module, by_hand)
