"""Products with the Hessian and the Gauss-Newton matrix against dense ones, and against curvlinops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.problems.classification import Classification
from mcdist.science.curvature.operators import GaussNewton, Hessian, Operator, graph_bytes
from mcdist.science.head import Examples
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from science.curvature.matrices import dense_ggn, dense_hessian
from science.examples import CLASSES, Quadratic, convolved, dropped, normed, plain, problem, starts

from . import library


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (torch.tanh(outputs) - F.one_hot(targets, CLASSES)).square().sum(1).mean()


def linear(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs[:, 0].mean()


class Bowl(Quadratic):
    """The quadratic with examples, of which its loss knows nothing, and with a cubic or a linear term."""

    def __init__(self, size: int, power: int = 2) -> None:
        super().__init__(torch.zeros(size, dtype=torch.float64))
        self.power = power

    def sample(self, n: int | None, stream: Stream) -> Examples:
        return (torch.zeros(n or 4, dtype=torch.float64),)

    def value(self, points: Points, examples: Examples) -> Tensor:
        return points.theta.pow(self.power).sum(1)


def settled(make: Callable[[], nn.Module], **options: object) -> tuple[Classification, Points, Examples]:
    of = problem(make, **options)
    points, streams = starts(of, range(3))
    return of, of.settle(points), of.sample(15, streams[0])


def products(operator: Operator) -> Tensor:
    """All columns, three at a time: [K, P, P]."""
    eye = torch.eye(operator.theta.shape[1], dtype=operator.theta.dtype).expand(len(operator), -1, -1)
    return torch.cat([operator.apply(part) for part in eye.split(3, dim=1)], dim=1)


NETWORKS = pytest.mark.parametrize("make", [plain, normed, dropped, convolved])
LOSSES = pytest.mark.parametrize("loss", [None, squared, linear])


@NETWORKS
@LOSSES
def test_the_hessian_is_the_dense_one(make: Callable[[], nn.Module], loss: Callable[..., Tensor] | None) -> None:
    of, points, examples = settled(make, loss=loss)
    got = products(Hessian(of, points, examples))
    for k in range(3):
        assert torch.allclose(got[k], dense_hessian(of, points[k], examples), rtol=0, atol=1e-12)


@NETWORKS
@LOSSES
def test_the_gauss_newton_matrix_is_the_dense_one(
    make: Callable[[], nn.Module], loss: Callable[..., Tensor] | None
) -> None:
    of, points, examples = settled(make, loss=loss)
    got = products(GaussNewton(of, points, examples))
    for k in range(3):
        assert torch.allclose(got[k], dense_ggn(of, points[k], examples), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [normed, convolved])
def test_curvlinops_has_the_same_products(make: Callable[[], nn.Module]) -> None:
    of, points, examples = settled(make)
    v = torch.from_numpy(Stream.of("v").generator().standard_normal((3, 2, of.layout.size)))
    for ours, theirs in ((Hessian, library.hessian), (GaussNewton, library.gauss_newton)):
        got = ours(of, points, examples).apply(v)
        for k, batch in enumerate((None, 4, 7)):
            expected = theirs(of, points[k], examples, batch) @ v[k].T
            assert torch.allclose(got[k], expected.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
@pytest.mark.parametrize("make", [plain, convolved])
def test_examples_in_chunks_give_the_same(
    make: Callable[[], nn.Module], kind: type[Operator], monkeypatch: pytest.MonkeyPatch
) -> None:
    of, points, examples = settled(make)
    v = torch.from_numpy(Stream.of("v").generator().standard_normal((3, 2, of.layout.size)))
    expected = kind(of, points, examples).apply(v)
    for bytes_per_example in (1 << 25, 1 << 26, 1 << 40):  # 10, 5 and 1 of 3 points fit, halved
        got = kind(of, points, examples, bytes_per_example=bytes_per_example)
        assert len(got._chunks) == {1 << 25: 3, 1 << 26: 8, 1 << 40: 15}[bytes_per_example]
        assert torch.allclose(got.apply(v), expected, rtol=0, atol=1e-14)


def test_some_of_the_points() -> None:
    of, points, examples = settled(normed)
    whole = Hessian(of, points, examples)
    v = torch.ones(3, 1, of.layout.size, dtype=torch.float64)
    assert torch.allclose(whole.take([2, 0]).apply(v[:2]), whole.apply(v)[[2, 0]], rtol=0, atol=1e-14)


def test_the_bytes_of_a_graph_grow_with_the_network() -> None:
    of, points, examples = settled(plain)
    wide, wide_points, _ = settled(lambda: nn.Sequential(nn.Linear(6, 500), nn.Tanh(), nn.Linear(500, CLASSES)))
    small = graph_bytes(Hessian, of, points, examples)
    assert 8 * 5 < small < 8 * 500
    assert graph_bytes(Hessian, wide, wide_points, examples) > 8 * 500 * 2


def test_losses_without_curvature_or_outputs() -> None:
    theta = torch.arange(6, dtype=torch.float64).view(2, 3)
    v = torch.ones(2, 2, 3, dtype=torch.float64)
    for power, expected in ((1, torch.zeros_like(v)), (2, 2 * v), (3, 6 * theta[:, None] * v)):
        bowl = Bowl(3, power)
        got = Hessian(bowl, Points(theta, {}), bowl.sample(None, Stream.of("s"))).apply(v)
        assert torch.equal(got, expected)
    with pytest.raises(RequestError, match="a loss alone"):
        GaussNewton(bowl, Points(theta, {}), bowl.sample(None, Stream.of("s"))).apply(v)
    with pytest.raises(RequestError, match="no fixed examples"):
        Quadratic(theta[0]).sample(None, Stream.of("s"))


def test_a_product_leaves_no_gradient_behind() -> None:
    of, points, examples = settled(plain)
    with torch.no_grad():
        got = Hessian(of, points, examples).apply(torch.ones(3, 1, of.layout.size, dtype=torch.float64))
    assert not got.requires_grad
    assert not points.theta.requires_grad
    assert points.theta.grad is None
