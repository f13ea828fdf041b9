"""The covariance of the gradients of single examples, against those gradients themselves."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.problems.classification import Classification
from mcdist.science.curvature import CurvatureRecipe, curvature
from mcdist.science.curvature.gradient_noise import gradient_noise
from mcdist.science.points import Points
from mcdist.science.problem import gradient
from mcdist.science.streams import Stream
from science.examples import convolved, normed, plain, problem, starts

MAKES = [plain, normed, convolved]


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss that is no likelihood."""
    return (outputs.softmax(-1) - F.one_hot(targets, outputs.shape[-1])).square().sum(-1).mean()


def settled(of: Classification, seeds: int = 2) -> Points:
    points, _ = starts(of, range(seeds))
    return of.settle(points)


def single_gradients(of: Classification, point: Points, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """[n, P], by a plain module and a loop."""
    module = of.fresh_module()
    module.load_state_dict(of.state(point, 0))
    module.eval()
    inputs, targets = of.data_of("train")
    rows = []
    for x, y in zip(inputs, targets, strict=True):
        grads = torch.autograd.grad(loss(module(x[None]), y[None]), list(module.parameters()))
        rows.append(torch.cat([g.flatten() for g in grads]))
    return torch.stack(rows)


@pytest.mark.parametrize("make", MAKES)
def test_the_trace_of_the_covariance_of_single_gradients(make: Callable[[], nn.Module]) -> None:
    of = problem(make)
    points, examples = settled(of), of.sample(None, Stream.of("all"))
    trace, error = gradient_noise(of, points, examples)
    for k in range(len(points)):
        grads = single_gradients(of, points[k], F.cross_entropy)
        assert float(trace[k]) == pytest.approx(float(grads.T.cov().trace()), rel=1e-10)
        squares = grads.square().sum(1)
        assert float(error[k]) == pytest.approx(float(squares.std() / len(squares) ** 0.5), rel=1e-10)


@pytest.mark.parametrize("make", MAKES)
def test_a_loss_that_is_no_likelihood_has_noise_too(make: Callable[[], nn.Module]) -> None:
    of = problem(make, loss=squared_error)
    points, examples = settled(of), of.sample(None, Stream.of("all"))
    trace, _ = gradient_noise(of, points, examples)
    grads = single_gradients(of, points[0], squared_error)
    assert float(trace[0]) == pytest.approx(float(grads.T.cov().trace()), rel=1e-10)


def test_minibatches_of_b_independent_examples_have_a_bth_of_it() -> None:
    """Cov(g_B) = Sigma / B, with Sigma over n in place of n - 1: drawing is from these n examples."""
    of = problem(plain)
    point, B, draws = settled(of, 1), 4, 4000
    trace, _ = gradient_noise(of, point, of.sample(None, Stream.of("all")))
    n = of.examples
    streams = [Stream.of("draw", i) for i in range(draws)]
    many = point.at(point.theta.expand(draws, -1).clone())
    batch = next(of.batches(streams, 0, B, independent=True))
    _, _, grads = gradient(of, many, batch)
    spread = (grads - grads.mean(0)).square().sum(1)
    expected = float(trace[0]) * (n - 1) / n / B
    assert abs(float(spread.mean()) - expected) < 4 * float(spread.std()) / math.sqrt(draws)


def test_decay_is_in_none_of_it() -> None:
    bare, decayed = problem(plain), problem(plain, weight_decay=0.3)
    point, examples = settled(bare, 1), bare.sample(None, Stream.of("all"))
    assert torch.equal(gradient_noise(bare, point, examples)[0], gradient_noise(decayed, point, examples)[0])


def test_one_example_has_no_spread() -> None:
    of = problem(plain)
    with pytest.raises(RequestError, match="two examples"):
        gradient_noise(of, settled(of), of.sample(1, Stream.of("one")))


def test_it_is_a_measure_of_curvature_tasks() -> None:
    of = problem(plain)
    points, streams = settled(of), [Stream.of("a"), Stream.of("b")]
    found = curvature(of, points, CurvatureRecipe(measures=("gradient_noise",), samples=12), streams)
    trace, error = gradient_noise(of, points, of.sample(12, Stream.of("curvature", "subset", 0)))
    assert [f.value("gradient_noise") for f in found] == trace.tolist()
    assert [f.values[0].stderr for f in found] == error.tolist()
    assert {f.values[0].n_samples for f in found} == {12}
