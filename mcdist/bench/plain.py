"""What one would write without mcdist: a network, a curve, a profile, one after the other, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["PlainCurve", "PlainNetwork", "profile", "sgd_batches"]

Weights = dict[str, Tensor]


def sgd_batches(x: Tensor, y: Tensor, batch_size: int, steps: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """So many full minibatches, a fresh permutation for every pass over the examples."""
    generator = torch.Generator().manual_seed(seed)
    per_epoch = len(y) // batch_size
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(y), generator=generator).to(y.device)
        at = order[(step % per_epoch) * batch_size :][:batch_size]
        yield x[at], y[at]


class PlainNetwork:
    """A network trained by torch's own SGD with momentum and weight decay."""

    def __init__(self, model: nn.Module, lr: float, weight_decay: float = 0.0) -> None:
        self._model = model.train()
        self._optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)

    def train(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """A step on each batch."""
        for x, y in batches:
            self._optimizer.zero_grad()
            F.cross_entropy(self._model(x), y).backward()
            self._optimizer.step()


class PlainCurve:
    """A quadratic Bezier curve, autograd through the combination of its control points: the direct way."""

    def __init__(self, model: nn.Module, lr: float) -> None:
        self._model = model.train()
        ends = [{n: p.detach() + 0.1 * torch.randn_like(p) for n, p in model.named_parameters()} for _ in range(2)]
        self._a, self._b = ends
        self._bend = {n: (0.5 * (self._a[n] + self._b[n])).requires_grad_() for n in self._a}
        self._optimizer = torch.optim.SGD(self._bend.values(), lr=lr, momentum=0.9)

    def train(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """A step on each batch, at a t of its own."""
        for x, y in batches:
            t = float(torch.rand(()))
            self._optimizer.zero_grad()
            weights = {
                n: (1 - t) ** 2 * self._a[n] + 2 * t * (1 - t) * self._bend[n] + t**2 * self._b[n] for n in self._a
            }
            F.cross_entropy(functional_call(self._model, weights, (x,)), y).backward()
            self._optimizer.step()


@torch.no_grad()
def profile(
    model: nn.Module,
    points: Iterable[Weights],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    batch_size: int,
) -> Tensor:
    """Loss and error on both splits at each point, [T, 4]: the statistics pass of BatchNorm where there is any, then
    the train and the test pass, point after point.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    rows = []
    for weights in points:
        model.load_state_dict(weights, strict=False)
        if norms:
            _reestimate(model, norms, train[0], batch_size)
        model.eval()
        row = []
        for x, y in (train, test):
            loss, wrong = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
            for inputs, targets in zip(x.split(batch_size), y.split(batch_size), strict=True):
                outputs = model(inputs)
                loss += F.cross_entropy(outputs, targets, reduction="sum").cpu()
                wrong += (outputs.argmax(1) != targets).sum().cpu()
            row += [loss / len(y), wrong / len(y)]
        rows.append(torch.stack(row))
    return torch.stack(rows)


def _reestimate(model: nn.Module, norms: list[nn.modules.batchnorm._BatchNorm], x: Tensor, batch_size: int) -> None:
    for norm in norms:
        norm.reset_running_stats()
    model.train()
    seen = 0
    for inputs in x.split(batch_size):
        seen += len(inputs)
        for norm in norms:
            norm.momentum = len(inputs) / seen
        model(inputs)
