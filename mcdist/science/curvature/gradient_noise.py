"""The noise of minibatches: how far the gradients of single examples are from their mean."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import grad, vmap

from mcdist.errors import RequestError
from mcdist.science.curvature.fisher import squared_scores
from mcdist.science.curvature.layers import Layers
from mcdist.science.head import Examples
from mcdist.science.points import Points
from mcdist.science.problem import Problem

__all__ = ["gradient_noise"]

_NUMBERS = 1 << 24  # of gradients of single examples at one time
_NUMBERS_ON_GPU = 1 << 28


def gradient_noise(problem: Problem, points: Points, examples: Examples) -> tuple[Tensor, Tensor]:
    """tr Sigma [K] and its standard error over examples [K], float64, at K settled points.

        Sigma = (1 / (n - 1)) sum_b (g_b - g)(g_b - g)^T,   tr Sigma = (n / (n - 1)) (mean_b |g_b|^2 - |g|^2)

    with g_b the gradient of the loss of example b of n (eval mode, data labels) and g their mean. The gradient of a
    minibatch of B independent examples has the covariance Sigma / B. Weight decay, the same for all examples, is in
    none of it. The standard error is that of mean |g_b|^2: near a minimum g is small beside the g_b.

    examples: n >= 2 of them.
    """
    n = len(examples[0])
    if n < 2:
        raise RequestError(f"the noise of gradients needs two examples at least, got {n}")
    squares = _squares(problem, points, examples)
    theta = points.theta.detach().requires_grad_()
    with torch.enable_grad():
        (mean,) = torch.autograd.grad(problem.value(Points(theta, points.buffers), examples).sum(), theta)
    trace = (squares.mean(1) - mean.double().square().sum(1)) * n / (n - 1)
    return trace.clamp(min=0.0).cpu(), (squares.std(1) / n**0.5).cpu()


def _squares(problem: Problem, points: Points, examples: Examples) -> Tensor:
    """|g_b|^2: [K, n], float64."""
    try:
        head = problem.head()
        labels = head.labels(examples).expand(len(points), -1)
        return squared_scores(head, points, examples, labels, Layers(problem.layout)).sum(-1)
    except RequestError:  # a loss that is no likelihood has no scores, but it has gradients
        return torch.stack([torch.cat(list(_of_point(problem, points[k], examples))) for k in range(len(points))])


def _of_point(problem: Problem, point: Points, examples: Examples) -> Iterator[Tensor]:
    def loss(theta: Tensor, example: Examples) -> Tensor:
        return problem.value(Points(theta[None], point.buffers), tuple(t[None] for t in example))[0]

    each = vmap(grad(loss), in_dims=(None, 0))
    numbers = _NUMBERS_ON_GPU if point.theta.device.type == "cuda" else _NUMBERS
    size = max(1, numbers // point.theta.shape[1])
    for i in range(0, len(examples[0]), size):
        found: Tensor = each(point.theta[0], tuple(t[i : i + size] for t in examples))
        yield found.double().square().sum(1)
