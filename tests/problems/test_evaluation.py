"""Sums over splits by one program of fixed shape: what is filled up has no weight, and there is little of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tracing import AsTraced
from torch import Tensor, nn

from mcdist.problems.data import Dataset
from mcdist.problems.data.dataset import Split
from mcdist.problems.evaluation import SumProgram, even_batch
from mcdist.problems.part import Part
from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule
from mcdist.science.tracing import Program, Trace

CLASSES = 3
CPU, FLOAT64 = torch.device("cpu"), torch.float64
Make = Callable[[], nn.Module]

sizes = st.lists(st.integers(1, 400), min_size=1, max_size=3)


def waste(lengths: Sequence[int], batch: int) -> int:
    """Examples that fill up the last batches."""
    return sum(-n % batch for n in lengths)


@given(sizes, st.integers(1, 500))
def test_a_batch_is_as_large_as_was_asked_for_or_smaller_by_a_factor_of_four_at_most(
    lengths: list[int], most: int
) -> None:
    """And no larger than the largest split."""
    batch, largest = even_batch(lengths, most), min(most, max(lengths))
    assert max(1, largest // 4) <= batch <= largest


@given(sizes, st.integers(1, 500))
def test_of_those_none_wastes_less(lengths: list[int], most: int) -> None:
    batch, largest = even_batch(lengths, most), min(most, max(lengths))
    allowed = range(max(1, largest // 4), largest + 1)
    assert waste(lengths, batch) == min(waste(lengths, b) for b in allowed)
    assert all(waste(lengths, b) > waste(lengths, batch) for b in allowed if b > batch), "the largest of equals"


@pytest.mark.parametrize(
    ("lengths", "most", "batch"),
    [
        ([1438, 359], 1000, 360),  # four batches and one, three examples too many; by 1000, 1203
        ([50_000, 10_000], 1000, 1000),
        ([100], 1000, 100),
        ([1], 1000, 1),
    ],
)
def test_batches_of_usual_splits(lengths: list[int], most: int, batch: int) -> None:
    assert even_batch(lengths, most) == batch


def split(n: int, seed: int) -> Split:
    draw = np.random.default_rng(seed)
    return Split(draw.standard_normal((n, 6)), draw.integers(0, CLASSES, n))


def parts_of(lengths: Sequence[int]) -> dict[str, Part]:
    splits = [split(n, seed) for seed, n in enumerate(lengths)]
    data = Dataset("noise", splits[0], None, splits[-1], CLASSES, 1.0, (0.0,), (1.0,), "normal noise")
    names = ("train", "val", "test")
    return {name: Part(s, data, CPU, FLOAT64) for name, s in zip(names, splits, strict=False)}


@given(st.integers(1, 60), st.integers(1, 70))
def test_padded_batches_are_all_examples_in_order_each_once(n: int, size: int) -> None:
    """By weight; what fills up the last one is an example that is there, of weight 0."""
    (part,) = parts_of([n]).values()
    batches = list(part.padded(size))
    assert len(batches) == -(-n // size)
    assert all(len(t) == size for batch in batches for t in batch)
    inputs, targets, weights = (torch.cat(list(column)) for column in zip(*batches, strict=True))
    assert weights.tolist() == [1.0] * n + [0.0] * (len(weights) - n)
    assert torch.equal(inputs[:n], part.stored)
    assert torch.equal(targets[:n], part.targets)
    assert all(torch.equal(row, part.stored[-1]) for row in inputs[n:])


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, CLASSES))


def judge(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    nats = F.cross_entropy(outputs.transpose(1, -1), targets, reduction="none")
    return nats, (outputs.argmax(-1) != targets).double()


class Setting:
    """A program of sums, its module in eval mode, splits, and K points."""

    def __init__(self, lengths: Sequence[int], most: int = 16, K: int = 3, pointwise: bool = False) -> None:
        torch.manual_seed(0)
        self.module = StackedModule(perceptron(), CPU, FLOAT64)
        self.module.pointwise = pointwise
        self.module.switch("eval")
        self.parts = parts_of(lengths)
        self.program = SumProgram(self.module, judge, self.parts, most)
        one = self.module.take()
        self.points = one.at(one.theta + 0.3 * torch.randn(K, self.module.layout.size, dtype=FLOAT64))
        self.points.buffers["1.running_mean"] += torch.randn(K, 4, dtype=FLOAT64)

    def directly(self, part: Part) -> Tensor:
        """[2, K], one example of one point after the other."""
        total = torch.zeros(2, len(self.points), dtype=FLOAT64)
        with torch.no_grad():
            for k in range(len(self.points)):
                outputs = self.module(self.points[k], part.stored, shared=True)
                for i, each in enumerate(judge(outputs, part.targets[None])):
                    total[i, k] = each.sum()
        return total


@settings(max_examples=12)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    most=st.integers(1, 50),
    K=st.integers(1, 19),
    pointwise=st.booleans(),
)
def test_sums_are_over_every_example_of_every_point_once(
    lengths: list[int], most: int, K: int, pointwise: bool
) -> None:
    """However many of them, sixteen together; one by one for modules that go so."""
    of, graphs = Setting(lengths, most, K, pointwise), AsTraced()
    size = of.program.prepare(of.points, of.parts["train"], graphs)
    assert size == (1 if pointwise else min(K, 16))
    for part in of.parts.values():
        sums = of.program.sums(of.points, part, size)
        assert (sums.shape, sums.dtype) == ((2, K), FLOAT64)
        assert torch.allclose(sums, of.directly(part), rtol=1e-12, atol=1e-12)
    assert graphs.names == ["sums"], "one program for all splits"
    batches = sum(-(-len(part) // of.program.batch) for part in of.parts.values())
    assert graphs.calls == batches * -(-K // size)


def test_errors_are_counts() -> None:
    of = Setting([37, 11])
    size = of.program.prepare(of.points, of.parts["train"], AsTraced())
    errors = of.program.sums(of.points, of.parts["train"], size)[1]
    assert errors.tolist() == errors.round().tolist()


def test_some_of_the_batches() -> None:
    """For a trial: 40 examples are four batches of ten."""
    of = Setting([40], most=16)
    part = of.parts["train"]
    size = of.program.prepare(of.points, part, AsTraced())
    assert of.program.batch == 10
    for batches in (0, 1, 3, 4):
        (first,) = parts_of([40]).values()
        first.stored, first.targets = first.stored[: 10 * batches], first.targets[: 10 * batches]
        sums = of.program.sums(of.points, part, size, batches=batches)
        assert torch.allclose(sums, of.directly(first), rtol=1e-12, atol=1e-12)


def test_points_that_fill_up_a_group_do_not_count() -> None:
    """Of 17 points the last group is one and fifteen copies of it; each has the numbers it has alone."""
    of = Setting([22], K=17)
    size = of.program.prepare(of.points, of.parts["train"], AsTraced())
    sums = of.program.sums(of.points, of.parts["train"], size)
    assert sums.shape == (2, 17)
    alone = Setting([22], K=17)
    alone.points = of.points[16]
    size = alone.program.prepare(alone.points, alone.parts["train"], AsTraced())
    assert torch.allclose(alone.program.sums(alone.points, alone.parts["train"], size), sums[:, 16:], rtol=1e-12)


def test_a_program_is_asked_for_once_per_number_of_points_by_one_who_makes_them() -> None:
    of, graphs = Setting([22], K=16), AsTraced()
    for K in (16, 3, 16, 3, 1):
        of.program.prepare(of.points[:K], of.parts["train"], graphs)
    assert len(graphs.names) == 3


def test_one_who_makes_none_does_not_stand_in_the_way_of_one_who_does() -> None:
    """A trial that asks what compiling would take makes no program; and the way may change from pack to pack."""
    of = Setting([22])

    def nothing(name: str, follow: Callable[[], Trace], held: Sequence[Tensor], varying: Sequence[Tensor]) -> None:
        return None

    graphs = AsTraced()
    asked: list[Callable[..., Program | None]] = [nothing, graphs, nothing, graphs]
    got = [of.program.prepare(of.points, of.parts["train"], accelerate) for accelerate in asked]
    assert got == [0, 3, 0, 3]
    of.program.sums(of.points, of.parts["train"], 3)
    assert graphs.calls == len(list(of.parts["train"].padded(of.program.batch)))


def test_the_points_are_left_as_they_are() -> None:
    of = Setting([22])
    before = Points(of.points.theta.clone(), {n: b.clone() for n, b in of.points.buffers.items()})
    size = of.program.prepare(of.points, of.parts["train"], AsTraced())
    of.program.sums(of.points, of.parts["train"], size)
    assert torch.equal(of.points.theta, before.theta)
    assert all(torch.equal(of.points.buffers[n], b) for n, b in before.buffers.items())
