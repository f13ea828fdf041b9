"""Traced steps: a graph of tensor operations does to what moves exactly what the step itself does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from support.tracing import AsTraced, refuse
from torch import Tensor, nn

from mcdist.science.motion import CurveBends, FreePoints, Motion
from mcdist.science.optimizers import AdamW, Optimizer, Sgd, per_point
from mcdist.science.paths import FAMILIES, on_chord
from mcdist.science.points import Points
from mcdist.science.schedules import Cosine
from mcdist.science.tracing import tensors_in, trace
from mcdist.science.training import Recipe, Trained, train

from .examples import convolved, dropped, noise, normed, plain, problem, starts

# The same float64 operations in another order now and then: some 1e-16 a step, over nine steps.
CLOSE = 1e-12

Make = Callable[[], nn.Module]


def sgd(K: int) -> Optimizer:
    return Sgd(per_point([0.9, 0.5, 0.0][:K], torch.zeros((), dtype=torch.float64), always=True), nesterov=True)


def adamw(K: int) -> Optimizer:
    return AdamW()


def trained(
    make: Make, K: int, curves: bool, optimizer: Callable[[int], Optimizer], how: object
) -> tuple[list[Tensor], Trained]:
    """All that has moved after three epochs of minibatches 8, 8 and 6, and the record."""
    of = problem(make)
    points, streams = starts(of, range(K))
    motion: Motion = FreePoints(points.theta)
    if curves:
        ends, _ = starts(of, range(100, 100 + K))
        motion = CurveBends(FAMILIES["bezier"], on_chord(points.theta, ends.theta, 2), streams, draws=2)
    lr, decay = (per_point(v[:K], points.theta, always=True) for v in ([0.1, 0.05, 0.2], [0.0, 1e-2, 0.1]))
    recipe = Recipe(3, 8, optimizer(K), lr, decay, Cosine())
    record = train(of, motion, points.buffers, recipe, streams, how)  # type: ignore[arg-type]
    return [motion.held, *points.buffers.values()], record


@pytest.mark.parametrize("make", [plain, normed, convolved])
@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("curves", [False, True])
@pytest.mark.parametrize("optimizer", [sgd, adamw])
def test_a_traced_training_is_the_plain_one(
    make: Make, K: int, curves: bool, optimizer: Callable[[int], Optimizer]
) -> None:
    """Weights, bends, BatchNorm statistics and the history; the last minibatch is short, and goes the plain way."""
    graphs = AsTraced()
    got, record = trained(make, K, curves, optimizer, graphs)
    expected, plainly = trained(make, K, curves, optimizer, None)
    assert graphs.calls == 3 * 2, "two full minibatches in each epoch"
    for a, b in zip(got, expected, strict=True):
        assert torch.allclose(a.double(), b.double(), rtol=0, atol=CLOSE)
    for one, other in zip(record.history, plainly.history, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=CLOSE)
        assert one.error == pytest.approx(other.error, abs=CLOSE)


def test_where_no_program_is_made_the_plain_step_is() -> None:
    got, _ = trained(normed, 2, True, sgd, refuse)
    expected, _ = trained(normed, 2, True, sgd, None)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_a_module_that_draws_random_numbers_is_not_followed() -> None:
    """A trace would draw the same ones at every step."""
    graphs = AsTraced()
    got, _ = trained(dropped, 2, False, sgd, graphs)
    assert graphs.names == []
    assert all(torch.equal(a, b) for a, b in zip(got, trained(dropped, 2, False, sgd, None)[0], strict=True))


def test_steps_have_a_name_of_what_they_do_and_of_nothing_else() -> None:
    """Rates, momenta and decays are inputs: packs that differ in them share a program."""
    graphs = AsTraced()
    for optimizer in (sgd, sgd, adamw, lambda K: Sgd(0.9), lambda K: Sgd(0.8)):
        trained(plain, 2, False, optimizer, graphs)
    for curves in (True, False):
        trained(plain, 2, curves, sgd, graphs)
    names = graphs.names
    assert names[0] == names[1] == names[6]
    assert len({names[0], *names[2:6]}) == 5


@pytest.mark.parametrize("make", [plain, normed])
@pytest.mark.parametrize("K", [1, 3, 16, 21])
def test_metrics_and_statistics_by_programs_are_the_plain_ones(make: Make, K: int) -> None:
    """Any number of points, though a program takes sixteen; splits of any size, though its batch has a fixed one."""
    of = problem(make, data=noise(n_train=22, n_test=9))
    one = starts(of, [0])[0]
    points = one.at(one.theta + 0.3 * torch.randn(K, of.layout.size, dtype=torch.float64))
    expected = of.evaluate(of.settle(points))
    graphs = AsTraced()
    got = of.evaluate(of.settle(points, graphs), graphs)
    assert graphs.calls > 0
    assert list(got) == list(expected)
    for name, values in expected.items():
        assert values.shape == (K,)
        assert torch.allclose(got[name], values, rtol=0, atol=CLOSE), name


def test_settling_by_a_program_leaves_the_points_as_they_were() -> None:
    of = problem(normed)
    points = starts(of, [0, 1, 2])[0]
    before = {name: b.clone() for name, b in points.buffers.items()}
    settled = of.settle(points, AsTraced())
    assert all(torch.equal(points.buffers[n], b) for n, b in before.items())
    assert not torch.equal(settled.buffers["1.running_mean"], points.buffers["1.running_mean"])


def test_what_a_function_takes_from_elsewhere_becomes_an_input() -> None:
    """So that data is no part of a program; and changes of an input are made in place."""
    data = torch.arange(6.0)

    def function(state: Tensor, rows: Tensor) -> tuple[Tensor]:
        state.add_(data[rows])
        return (state.sum() * data[1],)

    args = (torch.zeros(2), torch.tensor([4, 5]))
    traced = trace(function, args)
    assert [t.data_ptr() for t in traced.captured] == [data.data_ptr()]
    state = torch.ones(2)
    (total,) = traced.graph(state, torch.tensor([0, 3]), torch.arange(6.0) * 10)
    assert state.tolist() == [1.0, 31.0]
    assert float(total) == 320.0


def test_traces_of_the_same_function_read_the_same() -> None:
    args = (torch.ones(3), Points(torch.ones(1, 2), {}).theta)
    one, other = (trace(lambda a, b: (a.sum() + b.sum(),), args) for _ in range(2))
    assert one.text() == other.text()
    assert one.text() != trace(lambda a, b: (a.sum() - b.sum(),), args).text()
    assert tensors_in(({"a": args[0]}, [None, args[1], "no tensor"])) == list(args)
