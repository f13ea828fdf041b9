"""Classification: metrics against plain loops, data order and augmentation, BatchNorm passes, chunks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdist.problems import classification as module
from mcdist.problems.classification import Batch, Classification
from mcdist.problems.data import Dataset
from mcdist.problems.data.dataset import Split
from mcdist.science.batchnorm import reestimate
from mcdist.science.points import Points
from mcdist.science.problem import gradient
from mcdist.science.streams import Stream

SHAPE, CLASSES = (2, 4, 4), 3
STREAMS = [Stream.of("classification", k) for k in range(3)]


def perceptron(norm: bool = True) -> nn.Module:
    middle: list[nn.Module] = [nn.BatchNorm1d(5)] if norm else []
    return nn.Sequential(nn.Flatten(), nn.Linear(32, 5), *middle, nn.Tanh(), nn.Linear(5, CLASSES))


def convnet() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, CLASSES))


def images(n_train: int = 22, dtype: type = np.uint8, validation: int = 7) -> Dataset:
    """Random images with random labels, scaled per channel."""
    draw = np.random.default_rng(3)

    def split(n: int) -> Split:
        return Split(draw.integers(0, 256, (n, *SHAPE)).astype(dtype), draw.integers(0, CLASSES, n))

    held_out = split(validation) if validation else None
    mean, std = (0.4, 0.5), (0.2, 0.3)
    return Dataset("images", split(n_train), held_out, split(11), CLASSES, 255.0, mean, std, "random images")


def problem(make: Callable[[], nn.Module] = perceptron, data: Dataset | None = None, **options: Any) -> Classification:
    defaults: dict[str, Any] = {"dtype": torch.float64, "eval_batch": 8}
    return Classification(make, data or images(), **(defaults | options))


def points_of(of: Classification, K: int = 3) -> Points:
    return Points.stack([of.initial(stream) for stream in STREAMS[:K]])


def network(of: Classification, points: Points, k: int, make: Callable[[], nn.Module] = perceptron) -> nn.Module:
    plain = make().to(of.dtype)
    plain.load_state_dict(of.state(points, k))
    return plain.eval()


def scaled(data: Dataset, split: Split) -> Tensor:
    """What a data set promises: (raw / divisor - mean) / std per channel."""
    mean, std = (np.array(v).reshape(-1, 1, 1) for v in (data.mean, data.std))
    return torch.from_numpy((split.inputs.astype(np.float64) / data.divisor - mean) / std)


@pytest.mark.parametrize("raw", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("make", [perceptron, convnet])
def test_metrics_are_those_of_plain_loops(make: Callable[[], nn.Module], raw: type) -> None:
    data = images(dtype=raw)
    of = problem(make, data)
    points = of.settle(points_of(of))
    metrics = of.evaluate(points)
    assert list(metrics) == [f"{s}_{m}" for s in ("train", "val", "test") for m in ("loss", "error")] + ["l2_norm"]
    assert all(v.shape == (3,) and v.dtype == torch.float64 and v.device.type == "cpu" for v in metrics.values())
    for k in range(3):
        plain = network(of, points, k, make)
        for name, split in (("train", data.train), ("val", data.validation), ("test", data.test)):
            assert split is not None
            losses, wrong = 0.0, 0
            for x, y in zip(scaled(data, split), torch.from_numpy(split.targets), strict=True):
                outputs = plain(x[None])[0].detach()
                losses += math.log(float(outputs.exp().sum())) - float(outputs[y])
                wrong += int(outputs.argmax() != y)
            assert float(metrics[f"{name}_loss"][k]) == pytest.approx(losses / len(split), rel=1e-12)
            assert float(metrics[f"{name}_error"][k]) == wrong / len(split)
        squares = sum(float(p.detach().square().sum()) for p in plain.parameters())
        assert float(metrics["l2_norm"][k]) == pytest.approx(math.sqrt(squares), rel=1e-13)


def test_errors_are_exact_fractions_in_float32_too() -> None:
    of = problem(dtype=torch.float32, eval_batch=3)
    error = of.evaluate(of.settle(points_of(of)))["train_error"] * 22
    assert torch.allclose(error, error.round(), rtol=0, atol=1e-13)


def test_without_a_validation_split_there_is_no_column_of_it() -> None:
    of = problem(data=images(validation=0))
    assert "val_loss" not in of.evaluate(of.settle(points_of(of)))


@pytest.mark.parametrize("make", [perceptron, convnet])
def test_the_size_of_evaluation_batches_does_not_matter(make: Callable[[], nn.Module]) -> None:
    reference = problem(make)
    points = reference.settle(points_of(reference))
    expected = reference.evaluate(points)
    for eval_batch in (2, 5, 21, 22, 1000):
        got = problem(make, eval_batch=eval_batch).evaluate(points)
        assert all(torch.allclose(got[n], expected[n], rtol=1e-13, atol=0) for n in expected)


@pytest.mark.parametrize("elements", [1, 600, 1 << 27])
def test_how_many_points_go_together_does_not_matter(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    of = problem()
    expected = of.evaluate(of.settle(points_of(of)))
    sizes: list[int] = []
    monkeypatch.setattr(module, "_ELEMENTS", elements)
    monkeypatch.setattr(of, "module", Spy(of.module, sizes))
    got = of.evaluate(of.settle(points_of(of)))
    assert all(torch.allclose(got[n], expected[n], rtol=1e-13, atol=0) for n in expected)
    together = max(1, elements // max(of.layout.size, 8 * 32))  # 8 examples, 32 numbers in the widest layer
    assert max(sizes) == min(3, together)


class Spy:
    """A stacked module that notes how many points it is given."""

    def __init__(self, stacked: Any, sizes: list[int]) -> None:
        self._stacked, self._sizes = stacked, sizes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stacked, name)

    def __call__(self, points: Points, inputs: Tensor, **options: Any) -> Tensor:
        self._sizes.append(len(points))
        outputs: Tensor = self._stacked(points, inputs, **options)
        return outputs


def test_minibatches_are_the_examples_in_the_order_of_the_stream() -> None:
    data = images()
    of, x = problem(data=data), scaled(data, data.train)
    assert of.batch_sizes(8) == [8, 8, 6]
    batches = list(of.batches(STREAMS, 4, 8))
    for k, stream in enumerate(STREAMS):
        order = stream.child("order", 4).generator().permutation(22)
        assert torch.allclose(torch.cat([b.inputs[k] for b in batches]), x[order], rtol=0, atol=1e-14)
        assert torch.cat([b.targets[k] for b in batches]).tolist() == data.train.targets[order].tolist()


def test_every_epoch_has_its_own_order() -> None:
    of = problem()
    one, other = (torch.cat([b.targets for b in of.batches(STREAMS, e, 8)], dim=1) for e in (0, 1))
    assert not torch.equal(one, other)
    assert torch.equal(one.sort(dim=1).values, other.sort(dim=1).values)


@pytest.mark.parametrize(("make", "sizes"), [(perceptron, [7, 7, 8]), (lambda: perceptron(norm=False), [7, 7, 7, 1])])
def test_batchnorm_is_never_given_a_single_example(make: Callable[[], nn.Module], sizes: list[int]) -> None:
    """22 = 3 x 7 + 1, in training and in the statistics."""
    of = problem(make, eval_batch=7)
    assert of.batch_sizes(7) == sizes
    points = points_of(of)
    batches = list(of.batches(STREAMS, 0, 7))
    assert [b.targets.shape[1] for b in batches] == sizes
    for batch in batches:
        gradient(of, points, batch)
    assert of.evaluate(of.settle(points))["train_loss"].isfinite().all()


def test_the_loss_and_its_gradient_are_those_of_each_network() -> None:
    of = problem(lambda: perceptron(norm=False))
    points = points_of(of)
    (batch,) = of.batches(STREAMS, 0, 22)
    loss, error, grad = gradient(of, points, batch)
    for k in range(3):
        plain = network(of, points, k, lambda: perceptron(norm=False))
        outputs = plain(batch.inputs[k])
        expected = F.cross_entropy(outputs, batch.targets[k])
        expected.backward()
        assert float(loss[k]) == pytest.approx(expected.item(), rel=1e-13)
        assert float(error[k]) == float((outputs.argmax(1) != batch.targets[k]).double().mean())
        flat = torch.cat([p.grad.flatten() for p in plain.parameters() if p.grad is not None])
        assert torch.allclose(grad[k], flat, rtol=0, atol=1e-14)


def test_augmentation_is_of_training_alone() -> None:
    """Training sees other images in every epoch; metrics and statistics are those of the plain problem."""
    of, plain = problem(augment_pad=1), problem()
    points = plain.settle(points_of(plain))
    assert all(torch.equal(v, plain.evaluate(points)[n]) for n, v in of.evaluate(points).items())
    settled = of.settle(points)
    assert all(torch.equal(settled.buffers[n], b) for n, b in plain.settle(points).buffers.items())
    for batch, unchanged in zip(of.batches(STREAMS, 0, 8), plain.batches(STREAMS, 0, 8), strict=True):
        assert torch.equal(batch.targets, unchanged.targets)
        assert not torch.allclose(batch.inputs, unchanged.inputs)


def test_a_crop_and_a_flip_belong_to_their_stream() -> None:
    of = problem(augment_pad=1)
    (together,) = of.batches(STREAMS, 2, 22)
    (alone,) = of.batches(STREAMS[1:2], 2, 22)
    assert torch.equal(together.inputs[1], alone.inputs[0])
    shifts = STREAMS[1].child("crop", 2).generator().integers(0, 3, (22, 2))
    flips = STREAMS[1].child("flip", 2).generator().integers(0, 2, 22, dtype=bool)
    still = [i for i in range(22) if tuple(shifts[i]) == (1, 1) and not flips[i]]
    (plain,) = problem().batches(STREAMS[1:2], 2, 22)
    assert still, "some example must be left as it is for this test"
    assert torch.allclose(alone.inputs[0, still], plain.inputs[0, still])


def test_bytes_and_floats_of_the_same_images_are_the_same_problem() -> None:
    as_bytes, as_floats = problem(data=images()), problem(data=images(dtype=np.float32))
    points = points_of(as_bytes)
    one, other = as_bytes.evaluate(as_bytes.settle(points)), as_floats.evaluate(as_floats.settle(points))
    assert all(torch.allclose(one[n], other[n], rtol=1e-12, atol=0) for n in one)


@pytest.mark.parametrize(("size", "batches"), [(None, [8, 8, 6]), (12, [8, 4]), (5, [5]), (17, [8, 9])])
def test_statistics_are_of_the_first_examples(size: int | None, batches: list[int]) -> None:
    """A last one alone goes with those before."""
    data = images()
    of = problem(data=data, statistics_size=size)
    points = points_of(of)
    first = scaled(data, data.train)[: sum(batches)]
    expected = reestimate(of.module, points, first.split(batches))
    settled = of.settle(points)
    for name, buffer in expected.buffers.items():
        assert torch.allclose(settled.buffers[name], buffer, rtol=0, atol=1e-13)


def test_settling_without_batchnorm_does_nothing() -> None:
    of = problem(lambda: perceptron(norm=False))
    points = points_of(of)
    assert of.settle(points) is points


def test_initial_points_are_torchs_initialisation_under_the_streams_seed() -> None:
    of = problem()
    state = torch.get_rng_state()
    point = of.initial(STREAMS[0])
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(STREAMS[0].child("init").seed())
    fresh = perceptron().double().state_dict()
    assert all(torch.equal(of.state(point, 0)[key], tensor) for key, tensor in fresh.items())
    assert not torch.equal(point.theta, of.initial(STREAMS[1]).theta)


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - F.one_hot(targets, CLASSES)).square().sum(1).mean()


def test_a_loss_of_the_users_own() -> None:
    data = images()
    of = problem(data=data, loss=squared)
    points = of.settle(points_of(of))
    metrics = of.evaluate(points)
    assert torch.equal(metrics["test_error"], problem(data=data).evaluate(points)["test_error"])
    x, y = scaled(data, data.test), torch.from_numpy(data.test.targets)
    (batch,) = of.batches(STREAMS, 0, 22)
    for k in range(3):
        expected = squared(network(of, points, k)(x), y).item()
        assert float(metrics["test_loss"][k]) == pytest.approx(expected, rel=1e-12)
        one = network(of, points, k).train()
        loss, _ = of.loss(points[k], Batch(batch.inputs[k : k + 1], batch.targets[k : k + 1]))
        assert loss.item() == pytest.approx(squared(one(batch.inputs[k]), batch.targets[k]).item(), rel=1e-12)


def test_dropout_seeds_belong_to_the_stream_the_epoch_and_the_step() -> None:
    def dropping() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, CLASSES))

    of = problem(dropping)
    seeds = [b.seeds for e in range(2) for b in of.batches(STREAMS, e, 8)]
    flat = [seed for step in seeds if step is not None for seed in step]
    assert len(flat) == len(set(flat)) == 2 * 3 * 3
    assert [b.seeds for b in of.batches(STREAMS[1:], 1, 8)] == [step[1:] for step in seeds[3:] if step is not None]
    assert next(problem().batches(STREAMS, 0, 8)).seeds is None


def test_the_data_sets_arrays_are_copied() -> None:
    """Ray gives arrays that must not be written."""
    data = images(dtype=np.float64)
    for split in (data.train, data.test):
        split.inputs.setflags(write=False)
        split.targets.setflags(write=False)
    before = data.train.inputs.copy()
    of = problem(data=data)
    next(of.batches(STREAMS, 0, 8)).inputs.fill_(0.0)
    of._parts["train"].stored.fill_(0.0)
    assert np.array_equal(data.train.inputs, before)


def test_evaluation_on_some_splits_alone() -> None:
    of = problem()
    points = of.settle(points_of(of))
    everything = of.evaluate(points)
    some = of.evaluate(points, splits=("train",))
    assert set(some) == {"train_loss", "train_error", "l2_norm"}
    assert all(torch.equal(values, everything[name]) for name, values in some.items())
