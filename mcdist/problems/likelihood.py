"""Softmax outputs of a network as a likelihood, and losses of the user's own, which are none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import vmap

from mcdist.errors import RequestError
from mcdist.problems.losses import Loss
from mcdist.science.curvature.fisher import scores
from mcdist.science.curvature.ghost import GhostNorms
from mcdist.science.head import Examples, Head
from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule

__all__ = ["Softmax", "cross_entropy", "judge_each", "misses"]

_PATCHES = 9  # numbers that a convolution's patches hold for each of its inputs, at most (3 x 3)
_NUMBERS = 1 << 24  # of those at one time
_NUMBERS_ON_GPU = 1 << 28


class Softmax(Head):
    """Classes by the softmax of a network's outputs: log p(y | f) = f_y - ln sum_c exp(f_c).

    The loss is -log p(y | f) unless `loss`, one of the user's own, is given; that one is no likelihood, so that the
    methods which need one raise RequestError. Examples are (inputs [B, ...], targets [B]).
    """

    def __init__(self, module: StackedModule, loss: Loss | None = None) -> None:
        self._module, self._loss = module, loss
        self._ghosts = GhostNorms(module)
        self._trusted: bool | None = None

    def outputs(self, points: Points, examples: Examples) -> Tensor:
        """See `Head`."""
        self._module.switch("eval")
        return self._module(points, examples[0], shared=True)

    def loss(self, outputs: Tensor, examples: Examples) -> Tensor:
        """See `Head`."""
        targets = examples[1].expand(len(outputs), -1)
        if self._loss is not None:
            return vmap(self._loss)(outputs, targets)
        return cross_entropy(outputs, targets).mean(1)

    def labels(self, examples: Examples) -> Tensor:
        """See `Head`."""
        return examples[1]

    def log_likelihood(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """See `Head`."""
        self._demand_likelihood()
        return -cross_entropy(outputs, labels)

    def draw(self, outputs: Tensor, uniforms: Tensor) -> Tensor:
        """See `Head`: the class in whose share of [0, 1), in order of classes, the uniform number falls."""
        self._demand_likelihood()
        upper = outputs.detach().double().softmax(-1).cumsum(-1)
        passed = (uniforms.to(upper)[..., None] >= upper).sum(-1)
        return passed.clamp(max=outputs.shape[-1] - 1)  # the shares may add up to a little less than 1

    def squared_scores(self, points: Points, examples: Examples, labels: Tensor) -> Tensor | None:
        """See `Head`."""
        if self._trusted is None:  # a forward may use a layer's weight without calling the layer: that shows here
            self._trusted = self._ghosts.usable and self._agree(points[0], tuple(t[:2] for t in examples), labels)
        if not self._trusted:
            return None
        numbers = _NUMBERS_ON_GPU if points.theta.device.type == "cuda" else _NUMBERS
        size = max(1, numbers // (len(points) * max(1, self._module.widest) * _PATCHES))
        parts = []
        for i in range(0, len(examples[0]), size):
            part = self._squares(points, tuple(t[i : i + size] for t in examples), labels[:, i : i + size])
            if part is None:
                return None
            parts.append(part)
        return torch.cat(parts, dim=1)

    def _squares(self, points: Points, examples: Examples, labels: Tensor) -> Tensor | None:
        return self._ghosts(points, lambda still: self.log_likelihood(self.outputs(still, examples), labels))

    def _agree(self, point: Points, examples: Examples, labels: Tensor) -> bool:
        y = labels[:1, : len(examples[0])]
        found = self._squares(point, examples, y)
        if found is None:
            return False
        parts = torch.cat(list(scores(self, point, examples, y[0]))).split(self._module.layout.sizes, dim=1)
        expected = torch.stack([part.square().sum(1, dtype=torch.float64) for part in parts], dim=1)
        tolerance = torch.finfo(point.theta.dtype).eps ** 0.5
        return torch.allclose(
            found[0], expected, rtol=tolerance, atol=tolerance * float(expected.max()), equal_nan=True
        )

    def _demand_likelihood(self) -> None:
        if self._loss is not None:
            raise RequestError(
                "a loss of your own is no likelihood: it has no Fisher matrix (of cross_entropy alone); "
                "its Hessian and its GGN can be measured"
            )


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(f)_y in nats, [K, B], of outputs [K, B, C] for labels [K, B]."""
    # classes first: the softmax of a short last dimension is some eight times slower on a CPU
    return F.cross_entropy(outputs.transpose(1, -1).contiguous(), labels, reduction="none")


def judge_each(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats [K, B] and error [K, B] of outputs [K, B, C] for targets [K, B]."""
    return cross_entropy(outputs, targets), misses(outputs, targets)


def misses(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the greatest output is not the target, else 0: [K, B], float64."""
    return (outputs.detach().argmax(-1) != targets).double()
