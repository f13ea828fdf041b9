"""The softmax as a likelihood."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from science.examples import CLASSES, dropped, normed, plain, problem, starts
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.problems import likelihood
from mcdist.problems.likelihood import Softmax
from mcdist.science.streams import Stream


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - F.one_hot(targets, CLASSES)).square().sum(1).mean()


def test_the_value_is_the_evaluated_training_loss() -> None:
    """Eval mode: neither Dropout nor the batch's own statistics, whatever ran before."""
    for make, loss in ((plain, None), (normed, None), (dropped, None), (normed, squared)):
        of = problem(make, loss=loss)
        points, streams = starts(of, range(3))
        points = of.settle(points)
        examples = of.sample(None, streams[0])
        next(of.batches(streams, 0, 8))
        of.gradient(points, next(of.batches(streams, 0, 8)))
        expected = of.evaluate(points)["train_loss"]
        assert torch.allclose(of.value(points, examples), expected, rtol=1e-12)
        assert torch.allclose(of.value(points[1], examples), expected[1:2], rtol=1e-12)


def test_log_likelihoods_add_up_to_the_loss() -> None:
    of = problem(normed)
    points, streams = starts(of, range(3))
    head, examples = of.head(), of.sample(12, streams[0])
    outputs = head.outputs(points, examples)
    assert outputs.shape == (3, 12, CLASSES)
    log_p = head.log_likelihood(outputs, head.labels(examples).expand(3, -1))
    assert torch.allclose(-log_p.mean(1), of.value(points, examples), rtol=1e-13)
    every = torch.stack([head.log_likelihood(outputs, torch.full((3, 12), c)) for c in range(CLASSES)])
    assert torch.allclose(every.exp().sum(0), torch.ones(3, 12, dtype=torch.float64), rtol=1e-13)


def test_labels_are_drawn_with_the_models_probabilities() -> None:
    head = Softmax(problem(plain).module)
    p = torch.tensor([0.2, 0.0, 0.5, 0.3], dtype=torch.float64)
    uniforms = torch.from_numpy(Stream.of("u").generator().random((1, 4000)))
    drawn = head.draw(p.log().clamp(min=-1e9).expand(1, 4000, 4), uniforms)
    counts = torch.bincount(drawn[0], minlength=4) / 4000
    assert counts[1] == 0
    assert torch.allclose(counts.double(), p, atol=4 * 0.5 / 4000**0.5)


def test_every_uniform_number_has_a_label() -> None:
    head = Softmax(problem(plain).module)
    outputs = torch.tensor([0.0, 0.0, 0.0]).expand(1, 4, 3)
    edges = torch.tensor([[0.0, 1 / 3 - 1e-12, 1 / 3 + 1e-12, 1 - 2**-53]], dtype=torch.float64)
    assert head.draw(outputs, edges).tolist() == [[0, 0, 1, 2]]
    assert head.draw(outputs, torch.ones(1, 4)).tolist() == [[2, 2, 2, 2]]


def test_a_loss_of_the_users_own_is_no_likelihood() -> None:
    of = problem(plain, loss=squared)
    points, streams = starts(of, range(2))
    head, examples = of.head(), of.sample(5, streams[0])
    outputs = head.outputs(points, examples)
    with pytest.raises(RequestError, match="no likelihood"):
        head.log_likelihood(outputs, head.labels(examples).expand(2, -1))
    with pytest.raises(RequestError, match="no likelihood"):
        head.draw(outputs, torch.zeros(2, 5))


def test_squared_scores_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    of = problem(normed)
    points, streams = starts(of, range(3))
    examples = of.sample(None, streams[0])
    labels = examples[1].expand(3, -1)
    whole = of.head().squared_scores(points, examples, labels)
    assert whole is not None
    monkeypatch.setattr(likelihood, "_NUMBERS", 3 * 9 * 6 * 5)
    parts = of.head().squared_scores(points, examples, labels)
    assert parts is not None
    assert torch.allclose(parts, whole, rtol=1e-13)
