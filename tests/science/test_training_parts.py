"""A training in parts, from weights and the optimizer's memory: the whole to the bit; a split one in plain torch."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from support.tracing import AsTraced
from torch import Tensor

from mcdist.problems.classification import Classification
from mcdist.science.motion import FreePoints
from mcdist.science.optimizers import Adam, AdamW, Optimizer, Sgd, per_point
from mcdist.science.points import Points
from mcdist.science.schedules import SCHEDULES, Constant, Cosine
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.science.training import Recipe, Trained, train

from .examples import Quadratic, dropped, normed, plain, problem, starts

LIKE = torch.zeros((), dtype=torch.float64)
MINIMUM = torch.tensor([1.0, -2.0], dtype=torch.float64)

EPOCHS = 5
MAKERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": Sgd,
    "momentum": lambda: Sgd(0.9),
    "momenta": lambda: Sgd(per_point([0.9, 0.5, 0.0], LIKE)),
    "nesterov": lambda: Sgd(0.9, nesterov=True),
    "adam": Adam,
    "adamw": AdamW,
}


def in_parts(
    cuts: list[int],
    optimizer: str,
    network: Callable[[], torch.nn.Module],
    schedule: str = "cosine",
    seeds: int = 3,
    accelerate: Accelerate | None = None,
) -> tuple[Points, list[Trained]]:
    """A training of five epochs, cut before these epochs; nothing but points and memory goes from part to part."""
    classification = problem(network)
    points, streams = starts(classification, list(range(seeds)))
    parts: list[Trained] = []
    for first, last in zip([0, *cuts], [*cuts, None], strict=True):
        recipe = Recipe(EPOCHS, 8, MAKERS[optimizer](), 0.05, 0.01, SCHEDULES[schedule]())
        memory = {name: t.clone() for name, t in parts[-1].memory.items()} if parts else None
        motion = FreePoints(points.theta)
        parts.append(
            train(
                classification,
                motion,
                points.buffers,
                recipe,
                streams,
                accelerate,
                first=first,
                last=last,
                memory=memory,
            )
        )
    return points, parts


def assert_same_bits(got: Points, expected: Points) -> None:
    assert torch.equal(got.theta, expected.theta)
    assert got.buffers.keys() == expected.buffers.keys()
    assert all(torch.equal(got.buffers[name], buffer) for name, buffer in expected.buffers.items())


@pytest.mark.parametrize(
    ("cuts", "network", "optimizer"),
    [
        *(([1, 4], network, optimizer) for network in (plain, normed, dropped) for optimizer in MAKERS),
        *((cuts, normed, "momentum") for cuts in ([2], [0, 3], [1, 2, 3, 4])),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_a_training_in_parts_is_the_whole_to_the_bit(
    cuts: list[int], network: Callable[[], torch.nn.Module], optimizer: str
) -> None:
    """Weights, statistics, memory and history; the short last minibatch of an epoch is among them."""
    whole, (record,) = in_parts([], optimizer, network)
    points, parts = in_parts(cuts, optimizer, network)
    assert_same_bits(points, whole)
    assert [epoch for part in parts for epoch in part.history] == record.history
    assert [e.epoch for e in record.history] == [1, 2, 3, 4, 5]
    assert parts[-1].memory.keys() == record.memory.keys()
    assert all(torch.equal(parts[-1].memory[name], tensor) for name, tensor in record.memory.items())


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_parts_rates_are_those_of_the_whole(schedule: str) -> None:
    whole, (record,) = in_parts([], "momentum", normed, schedule)
    points, parts = in_parts([3], "momentum", normed, schedule)
    assert_same_bits(points, whole)
    rates = [0.05 * SCHEDULES[schedule]().at(epoch, EPOCHS) for epoch in range(EPOCHS)]
    assert [e.lr[0] for part in parts for e in part.history] == [e.lr[0] for e in record.history] == rates


@pytest.mark.parametrize("optimizer", ["momenta", "adam"])
def test_by_programs_a_training_in_parts_is_the_whole_too(optimizer: str) -> None:
    """Programs hold tensors: those of the memory that was given must be the ones that they move."""
    graphs = AsTraced()
    whole, _ = in_parts([], optimizer, normed, accelerate=graphs)
    points, _ = in_parts([2], optimizer, normed, accelerate=graphs)
    assert graphs.calls > 0
    assert_same_bits(points, whole)


@pytest.mark.parametrize("optimizer", sorted(set(MAKERS) - {"momenta"}))
def test_a_pack_in_parts_gives_what_each_gives_alone(optimizer: str) -> None:
    together, _ = in_parts([2], optimizer, normed, seeds=3)
    alone, _ = in_parts([2], optimizer, normed, seeds=1)
    assert torch.allclose(together.theta[:1], alone.theta, rtol=0, atol=1e-10)


@pytest.mark.parametrize("optimizer", ["momentum", "nesterov", "adam"])
def test_the_memory_matters(optimizer: str) -> None:
    """Begun anew, an optimizer goes elsewhere: what the tests above compare is there to be seen."""
    classification = problem(plain)
    ends = []
    for keep in (True, False):
        points, streams = starts(classification, [0])
        recipe = Recipe(EPOCHS, 8, MAKERS[optimizer](), 0.05, 0.0, Constant())
        half = train(classification, FreePoints(points.theta), {}, recipe, streams, last=2)
        memory = half.memory if keep else None
        train(classification, FreePoints(points.theta), {}, recipe, streams, first=2, memory=memory)
        ends.append(points.theta)
    assert not torch.allclose(*ends, rtol=0, atol=1e-4)


PLAIN: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr, weight_decay=0.01),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr, weight_decay=0.01),
    "adamw": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.01),
}


@pytest.mark.parametrize("optimizer", PLAIN)
@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_split_network_goes_on_as_a_deep_copy_in_plain_torch(optimizer: str, seeds: list[int]) -> None:
    """Trained by torch.optim for two epochs, copied with the optimizer's state, and trained on in another order."""
    classification, cut = problem(normed), 2
    points, streams = starts(classification, seeds)
    others = [Stream.of("other", k) for k in seeds]
    expected = []
    for k in range(len(seeds)):
        module = normed().double()
        module.load_state_dict(classification.state(points, k))
        walker = PLAIN[optimizer](module.parameters(), 0.05)
        plain_epochs(classification, module, walker, streams[k], range(cut))
        twin = copy.deepcopy(module)
        walker_twin = PLAIN[optimizer](twin.parameters(), 0.05)
        walker_twin.load_state_dict(copy.deepcopy(walker.state_dict()))
        plain_epochs(classification, twin, walker_twin, others[k], range(cut, EPOCHS))
        expected.append(twin.state_dict())
    recipe = Recipe(EPOCHS, 8, MAKERS[optimizer](), 0.05, 0.01, Cosine())
    half = train(classification, FreePoints(points.theta), points.buffers, recipe, streams, last=cut)
    copied = Points(points.theta.clone(), {name: b.clone() for name, b in points.buffers.items()})
    train(classification, FreePoints(copied.theta), copied.buffers, recipe, others, first=cut, memory=half.memory)
    for k, state in enumerate(expected):
        for key, tensor in classification.state(copied, k).items():
            assert torch.allclose(tensor.double(), state[key].double(), rtol=0, atol=1e-10), key


def plain_epochs(
    classification: Classification,
    module: torch.nn.Module,
    walker: torch.optim.Optimizer,
    stream: Stream,
    epochs: range,
) -> None:
    for epoch in epochs:
        walker.param_groups[0]["lr"] = 0.05 * Cosine().at(epoch, EPOCHS)
        for batch in classification.batches([stream], epoch, 8):
            walker.zero_grad()
            F.cross_entropy(module(batch.inputs[0]), batch.targets[0]).backward()
            walker.step()


def far(K: int) -> Tensor:
    return torch.tensor([[3.0, 3.0]] * K, dtype=torch.float64)


def of_quadratic(epochs: int, lr: float | Tensor) -> Recipe:
    return Recipe(epochs, 1, Sgd(0.5), lr, 0.0, Constant())


def streams_of(K: int) -> list[Stream]:
    return [Stream.of("training", k) for k in range(K)]


def test_steps_of_a_part_are_counted_from_the_beginning_of_the_whole() -> None:
    """The loss is 14.5 e^40s at step s from the start of the part: more than 1.8e308 from its eighth on."""
    lr = per_point([0.1, -1e20], LIKE)
    trained = train(Quadratic(MINIMUM), FreePoints(far(2)), {}, of_quadratic(9, lr), streams_of(2), first=4)
    assert trained.diverged == [None, 4 * 5 + 8]
    assert [e.epoch for e in trained.history] == [5, 6, 7, 8, 9]


def test_a_part_without_epochs_changes_nothing() -> None:
    theta = far(1)
    trained = train(Quadratic(MINIMUM), FreePoints(theta), {}, of_quadratic(2, 0.1), streams_of(1), last=0)
    assert (trained.history, trained.diverged) == ([], [None])
    assert torch.equal(theta, far(1))
    assert torch.equal(trained.memory["velocity"], torch.zeros(1, 1, 2, dtype=torch.float64))


def test_a_memory_that_is_another_optimizers_is_refused() -> None:
    with pytest.raises(KeyError, match="velocity"):
        train(Quadratic(MINIMUM), FreePoints(far(1)), {}, of_quadratic(2, 0.1), streams_of(1), memory={})
