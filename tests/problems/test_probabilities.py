"""Probabilities of classes: those of the plain networks, of every example, whatever goes together."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcdist.errors import RequestError
from mcdist.problems import classification as module
from mcdist.problems.valley import Valley
from mcdist.science.points import Points

from .test_classification import (
    CLASSES,
    convnet,
    images,
    network,
    perceptron,
    points_of,
    problem,
    scaled,
    squared,
)

SPLITS = {"train": 22, "val": 7, "test": 11}


def dropping() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, CLASSES))


def settled(of: module.Classification) -> Points:
    """Points whose BatchNorm statistics are not those of a fresh network, nor the same."""
    return of.settle(points_of(of))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("make", [perceptron, convnet, dropping])
def test_they_are_the_softmax_of_each_plain_network(make: Callable[[], nn.Module], split: str) -> None:
    """In eval mode: with running statistics, without Dropout. Float64 on both sides: 1e-13 is rounding."""
    data = images()
    of = problem(make, data)
    points = settled(of)
    found = of.probabilities(points, split)
    assert found.shape == (3, SPLITS[split], CLASSES)
    part = {"train": data.train, "val": data.validation, "test": data.test}[split]
    assert part is not None
    for k in range(3):
        with torch.no_grad():
            expected = network(of, points, k, make)(scaled(data, part)).softmax(-1)
        assert torch.allclose(found[k], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_are_float64_on_the_cpu_and_sum_to_one(dtype: torch.dtype) -> None:
    """Softmax is taken in float64 of logits in the networks' own precision."""
    of = problem(dtype=dtype)
    found = of.probabilities(settled(of), "test")
    assert found.dtype == torch.float64
    assert found.device.type == "cpu"
    assert not found.requires_grad
    assert torch.allclose(found.sum(-1), torch.ones(3, 11, dtype=torch.float64), rtol=0, atol=1e-15 * CLASSES)
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("make", [perceptron, convnet])
def test_loss_and_error_are_those_of_the_evaluation(make: Callable[[], nn.Module], split: str) -> None:
    of = problem(make)
    points = settled(of)
    found, targets, metrics = of.probabilities(points, split), of.targets(split), of.evaluate(points)
    nll = -found.log().gather(2, targets.expand(3, -1)[:, :, None]).mean((1, 2))
    assert torch.allclose(nll, metrics[f"{split}_loss"], rtol=1e-12, atol=0)
    assert torch.equal((found.argmax(-1) != targets).double().mean(1), metrics[f"{split}_error"])


@pytest.mark.parametrize("split", SPLITS)
def test_targets_are_those_of_the_data_in_its_order(split: str) -> None:
    data = images()
    part = {"train": data.train, "val": data.validation, "test": data.test}[split]
    assert part is not None
    found = problem(data=data).targets(split)
    assert found.tolist() == part.targets.tolist()
    assert found.device.type == "cpu"


@pytest.mark.parametrize("eval_batch", [2, 3, 5, 7, 10, 11, 1000])
@pytest.mark.parametrize("make", [perceptron, convnet])
def test_the_size_of_evaluation_batches_does_not_matter(make: Callable[[], nn.Module], eval_batch: int) -> None:
    """7 and 11 examples: last batches that are short, of one example, and none."""
    reference = problem(make)
    points = settled(reference)
    for split in ("val", "test"):
        found = problem(make, eval_batch=eval_batch).probabilities(points, split)
        assert torch.allclose(found, reference.probabilities(points, split), rtol=0, atol=1e-13)


@pytest.mark.parametrize("elements", [1, 600, 1 << 27])
def test_how_many_points_go_together_does_not_matter(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one, two and one, all three: each has its own row all the same."""
    of = problem()
    points = settled(of)
    expected = of.probabilities(points, "test")
    monkeypatch.setattr(module, "_ELEMENTS", elements)
    together = max(1, elements // max(of.layout.size, 8 * 32))
    assert [len(group) for group in of._groups(points)] == {1: [1, 1, 1], 2: [2, 1]}.get(together, [3])
    assert torch.allclose(of.probabilities(points, "test"), expected, rtol=0, atol=1e-13)
    for k in range(3):
        assert torch.allclose(of.probabilities(points[k], "test"), expected[k : k + 1], rtol=0, atol=1e-13)


def test_they_do_not_change_the_points_nor_what_training_does_next() -> None:
    of = problem()
    points = settled(of)
    before = points.theta.clone(), {name: buffer.clone() for name, buffer in points.buffers.items()}
    of.probabilities(points, "train")
    assert torch.equal(points.theta, before[0])
    assert all(torch.equal(points.buffers[name], buffer) for name, buffer in before[1].items())


def test_augmentation_and_order_are_of_training_alone() -> None:
    plain, augmented = problem(), problem(augment_pad=1)
    points = settled(plain)
    assert torch.equal(augmented.probabilities(points, "train"), plain.probabilities(points, "train"))


def test_large_logits_do_not_overflow() -> None:
    of = problem(lambda: perceptron(norm=False), dtype=torch.float32)
    points = points_of(of)
    found = of.probabilities(Points(points.theta * 1e4, points.buffers), "test")
    assert found.isfinite().all()
    assert torch.allclose(found.sum(-1), torch.ones(3, 11, dtype=torch.float64), rtol=0, atol=1e-14)


def test_splits_are_those_of_the_data() -> None:
    assert problem().splits == ("train", "val", "test")
    assert problem(data=images(validation=0)).splits == ("train", "test")


@pytest.mark.parametrize("split", ["val", "tset"])
def test_a_split_that_there_is_not(split: str) -> None:
    of = problem(data=images(validation=0))
    with pytest.raises(KeyError, match=split):
        of.probabilities(points_of(of), split)
    with pytest.raises(KeyError, match=split):
        of.targets(split)


def test_a_loss_of_the_users_own_has_none() -> None:
    of = problem(loss=squared)
    for ask in (lambda: of.probabilities(points_of(of), "test"), lambda: of.targets("test")):
        with pytest.raises(RequestError, match="a loss of your own is no likelihood of classes"):
            ask()


def test_a_valley_has_none() -> None:
    of = Valley(4, 1.0, 4.0, 0.0, 100.0, device="cpu", dtype=torch.float64)
    points = Points(torch.zeros(1, of.layout.size, dtype=torch.float64), {})
    assert of.splits == ()
    for ask in (lambda: of.probabilities(points, "test"), lambda: of.targets("test")):
        with pytest.raises(RequestError, match="Valley predicts no classes"):
            ask()


def test_cross_entropy_of_logits_is_that_of_probabilities() -> None:
    """What the loss of training is, is what ensembles are scored by."""
    of = problem(lambda: perceptron(norm=False))
    points = points_of(of)
    inputs, targets = of.data_of("test")
    logits = of.module(points, inputs, shared=True)
    expected = F.cross_entropy(logits[1], targets)
    got = F.nll_loss(of.probabilities(points, "test")[1].log(), of.targets("test"))
    assert got.item() == pytest.approx(expected.item(), rel=1e-13)
