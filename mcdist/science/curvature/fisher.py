"""The Fisher matrix of K points from the gradients of single examples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import grad, vmap

from mcdist.science.curvature.layers import Layers
from mcdist.science.head import Examples, Head
from mcdist.science.points import Points

__all__ = ["gram", "label", "squared_scores"]

_NUMBERS = 1 << 24  # of gradients of single examples at one time
_NUMBERS_ON_GPU = 1 << 28


def label(head: Head, points: Points, examples: Examples, uniforms: Tensor | None) -> Tensor:
    """Labels [K, B]: those of the data, or drawn from the model by uniform numbers [K, B]."""
    if uniforms is None:
        return head.labels(examples).expand(len(points), -1)
    with torch.no_grad():
        return head.draw(head.outputs(points, examples), uniforms)


def squared_scores(head: Head, points: Points, examples: Examples, labels: Tensor, layers: Layers) -> Tensor:
    """|d log p(y_b | x_b) / d theta_l|^2 of every example b and layer l: [K, B, L], float64.

    Their mean over b, summed over l, is the trace of F = mean_b grad log p grad log p^T.
    """
    fast = head.squared_scores(points, examples, labels)
    if fast is not None:
        return layers.gathered(fast)

    def of(k: int) -> Tensor:
        return torch.cat([layers.sums(s.square()) for s in scores(head, points[k], examples, labels[k])])

    return torch.stack([of(k) for k in range(len(points))])


def gram(head: Head, point: Points, examples: Examples, labels: Tensor) -> Tensor:
    """S S^T / n [n, n] of one point, S [n, P] the scores: it has the eigenvalues of F that are not 0."""
    n = len(labels)
    found = torch.zeros(n, n, dtype=torch.float64, device=labels.device)
    start = 0
    for rows in scores(head, point, examples, labels):
        stop, at = start + len(rows), 0
        if len(rows) == n:
            found = (rows @ rows.T).double()
            break
        for others in scores(head, point, tuple(t[:stop] for t in examples), labels[:stop]):
            block = (rows @ others.T).double()
            found[start:stop, at : at + len(others)], found[at : at + len(others), start:stop] = block, block.T
            at += len(others)
        start = stop
    return found / n


def scores(head: Head, point: Points, examples: Examples, labels: Tensor) -> Iterator[Tensor]:
    """d log p(y_b | x_b) / d theta [b, P] at one point, as many examples at a time as memory allows."""
    buffers = point.buffers

    def log_likelihood(theta: Tensor, example: Examples, y: Tensor) -> Tensor:
        outputs = head.outputs(Points(theta[None], buffers), tuple(t[None] for t in example))
        return head.log_likelihood(outputs, y[None, None])[0, 0]

    each = vmap(grad(log_likelihood), in_dims=(None, 0, 0))
    numbers = _NUMBERS_ON_GPU if point.theta.device.type == "cuda" else _NUMBERS
    size = max(1, numbers // point.theta.shape[1])
    for i in range(0, len(labels), size):
        found: Tensor = each(point.theta[0], tuple(t[i : i + size] for t in examples), labels[i : i + size])
        yield found
