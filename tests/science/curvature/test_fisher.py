"""Gradients of single examples, their norms without them, and the Gram matrix."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdist.problems.classification import Classification
from mcdist.science.curvature import fisher
from mcdist.science.curvature.layers import Layers
from mcdist.science.points import Points
from science.curvature.matrices import dense_ggn
from science.examples import CLASSES, convolved, noise, normed, plain, problem, starts


class Reused(nn.Module):
    """One layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(6, 6), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.tanh(self.inner(torch.tanh(self.inner(x)))))
        return out


class Borrowed(nn.Module):
    """A layer whose weight is also used without calling it: no hook sees that."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(6, 6), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.tanh(self.inner(torch.tanh(x @ self.inner.weight))))
        return out


class Sequence(nn.Module):
    """Linear layers on sequences, [B, 3, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(2, 4), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.tanh(self.inner(x.view(-1, 3, 2))).flatten(1))
        return out


class Scaled(nn.Module):
    """A parameter of its own beside a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.last = nn.Parameter(torch.ones(6)), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.tanh(x * self.scale))
        return out


def strided() -> nn.Module:
    """Convolutions with stride, dilation, padding, and without bias."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=2, dilation=2, bias=False),
        nn.BatchNorm2d(3),
        nn.Tanh(),
        nn.Conv2d(3, 2, (1, 3), stride=(2, 1), padding=(0, 1)),
        nn.Flatten(),
        nn.Linear(16, CLASSES),
    )


def half_frozen() -> nn.Module:
    network = plain()
    for parameter in network[0].parameters():
        parameter.requires_grad_(False)
    return network


def settled(make: Callable[[], nn.Module]) -> tuple[Classification, Points]:
    of = problem(make, data=noise(shape=(2, 4, 4))) if make in (convolved, strided) else problem(make)
    points, _ = starts(of, range(3))
    return of, of.settle(points)


def one_by_one(of: Classification, points: Points) -> Tensor:
    """Gradients [K, B, P] of log p by plain autograd on plain networks."""
    x, y = of.data_of("train")
    rows = []
    for k in range(len(points)):
        network = of.fresh_module().eval()
        network.load_state_dict(of.state(points, k))
        parameters = dict(network.named_parameters())
        for inputs, target in zip(x, y, strict=True):
            log_p = F.log_softmax(network(inputs[None])[0], 0)[target]
            grads = torch.autograd.grad(log_p, [parameters[n] for n in of.layout.names])
            rows.append(torch.cat([g.flatten() for g in grads]))
    return torch.stack(rows).view(len(points), len(x), -1)


ALL = [plain, normed, convolved, strided, Reused, Borrowed, Sequence, Scaled, half_frozen]


@pytest.mark.parametrize("make", ALL)
def test_scores_are_the_gradients_of_single_examples(make: Callable[[], nn.Module]) -> None:
    of, points = settled(make)
    expected, examples = one_by_one(of, points), of.data_of("train")
    layers = Layers(of.layout)
    labels = examples[1].expand(3, -1)
    for k in range(3):
        got = torch.cat(list(fisher.scores(of.head(), points[k], examples, labels[k])))
        assert torch.allclose(got, expected[k], rtol=0, atol=1e-12)
    for some in (points, points[1]):
        squares = fisher.squared_scores(of.head(), some, examples, labels[: len(some)], layers)
        wanted = layers.sums(expected.square())
        assert torch.allclose(squares, wanted if len(some) == 3 else wanted[1:2], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("make", ALL)
def test_which_networks_have_the_norms_without_the_gradients(make: Callable[[], nn.Module]) -> None:
    of, points = settled(make)
    examples = of.data_of("train")
    found = of.head().squared_scores(points, examples, examples[1].expand(3, -1))
    assert (found is not None) == (make in (plain, normed, convolved, strided, half_frozen))


@pytest.mark.parametrize("numbers", [1 << 24, 400, 1])
def test_the_gram_matrix_has_the_eigenvalues_of_the_fisher_matrix(
    numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All examples at a time, 7, and 1."""
    monkeypatch.setattr(fisher, "_NUMBERS", numbers)
    of, points = settled(plain)
    S, examples = one_by_one(of, points)[1], of.data_of("train")
    got = fisher.gram(of.head(), points[1], examples, examples[1])
    assert torch.allclose(got, S @ S.T / 22, rtol=0, atol=1e-13)
    eigenvalues = torch.linalg.eigvalsh(S.T @ S / 22)
    assert torch.allclose(torch.linalg.eigvalsh(got), eigenvalues[-22:], rtol=0, atol=1e-12)
    squares = fisher.squared_scores(of.head(), points[1], examples, examples[1][None], Layers(of.layout))
    assert float(squares.sum() / 22) == pytest.approx(float(eigenvalues.sum()), rel=1e-12)


def test_sampled_labels_make_the_gauss_newton_matrix_in_the_mean() -> None:
    """For the cross-entropy, E_y grad log p grad log p^T = J^T (diag p - p p^T) J."""
    of, points = settled(plain)
    examples, layers = of.data_of("train"), Layers(of.layout)
    p = of.head().outputs(points, examples).softmax(-1)
    expected = 0.0
    for c in range(CLASSES):
        labels = torch.full((3, 22), c)
        expected = expected + p[..., c] * fisher.squared_scores(of.head(), points, examples, labels, layers).sum(-1)
    ggn = torch.stack([dense_ggn(of, points[k], examples).trace() for k in range(3)])
    assert torch.allclose(expected.mean(1), ggn, rtol=1e-10)
