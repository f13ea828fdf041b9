"""Fast geometric ensembles on digits in plain PyTorch, one network after the other, without mcdist.

A network is trained the usual way for most of its budget, then with a cyclic rate; a copy of it in the middle of each
cycle, where the rate is lowest, is a member, and the members' probabilities are averaged (Garipov et al. 2018). The
initial network, the batch orders and the rates are arguments, so that the tests can give these functions the random
numbers of mcdist and compare all that comes out.

    python tests/reference/fge_plain.py --epochs 40 --start 32 --cycle 2
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn


class Data(NamedTuple):
    """Inputs [N, 64] and labels [N] of both splits."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def digits(seed: int = 0) -> Data:
    """A fifth of the digits for testing, pixels scaled to [0, 1]."""
    inputs, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    x, y = torch.from_numpy(inputs).float()[order] / 16, torch.from_numpy(labels).long()[order]
    return Data(x[360:], y[360:], x[:360], y[:360])


def network(hidden: int = 64) -> nn.Sequential:
    """A small network with BatchNorm, initialised by torch."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 10))


def cosine(lr: float, epochs: int) -> list[float]:
    """The usual rate of each epoch, from `lr` towards 0."""
    return [lr * (1 + math.cos(math.pi * e / epochs)) / 2 for e in range(epochs)]


def triangle(i: int, c: int, lr1: float, lr2: float) -> float:
    """The rate of iteration i = 1, 2, ... of cycles of c iterations, as published."""
    t = ((i - 1) % c + 1) / c
    if t <= 0.5:
        return (1 - 2 * t) * lr1 + 2 * t * lr2
    return (2 - 2 * t) * lr2 + (2 * t - 1) * lr1


def snapshot(i: int, total: int, cycles: int, lr1: float) -> float:
    """The rate of iteration i = 1, ..., total of cosine cycles, as published (Huang et al. 2017)."""
    c = math.ceil(total / cycles)
    return lr1 / 2 * (math.cos(math.pi * ((i - 1) % c) / c) + 1)


def optimizer_of(model: nn.Module, momentum: float = 0.9, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    """Plain SGD."""
    return torch.optim.SGD(model.parameters(), lr=1.0, momentum=momentum, weight_decay=weight_decay)


def train_usual(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Data,
    orders: Iterable[Tensor],
    rates: Sequence[float],
    batch_size: int = 32,
) -> None:
    """Train in place; orders: for each epoch a permutation of the training examples; rates: of the epochs."""
    model.train()
    for order, rate in zip(orders, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        for batch in order.split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(data.train_x[batch]), data.train_y[batch]).backward()
            optimizer.step()


def train_cycles(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Data,
    orders: Iterable[Tensor],
    rates: Sequence[float],
    after: Sequence[int],
    batch_size: int = 32,
) -> list[nn.Module]:
    """Train on in place, the rate set at every iteration; copies of the model after these iterations, settled."""
    members: list[nn.Module] = []
    made = 0
    for order in orders:
        for batch in order.split(batch_size):
            if made == len(rates):
                return members
            optimizer.param_groups[0]["lr"] = rates[made]
            model.train()
            optimizer.zero_grad()
            F.cross_entropy(model(data.train_x[batch]), data.train_y[batch]).backward()
            optimizer.step()
            made += 1
            if made in after:
                members.append(settled(model, data))
    return members


def settled(model: nn.Module, data: Data) -> nn.Module:
    """A copy whose BatchNorm statistics are those of all training examples at once, as torch re-estimates them."""
    twin = copy.deepcopy(model)
    torch.optim.swa_utils.update_bn([data.train_x], twin)
    return twin.eval()


@torch.no_grad()
def probabilities(members: Iterable[nn.Module], inputs: Tensor) -> Tensor:
    """Softmax probabilities averaged over the members, [N, C]."""
    return torch.stack([model(inputs).double().softmax(1) for model in members]).mean(0)


def judged(p: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean negative log-likelihood and error."""
    return float(F.nll_loss(p.log(), labels)), float((p.argmax(1) != labels).double().mean())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="fast geometric ensembles on digits in plain PyTorch")
    for name, default in (("seed", 0), ("epochs", 40), ("start", 32), ("cycle", 2), ("batch-size", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, rate in (("lr", 0.1), ("lr1", 0.05), ("lr2", 0.01)):
        parser.add_argument(f"--{name}", type=float, default=rate)
    return parser.parse_args()


def main() -> None:
    """Train one network, gather its members, and print what they are worth alone and together."""
    args = _arguments()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    data, model, began = digits(), network(), time.perf_counter()
    n = len(data.train_y)
    steps = math.ceil(n / args.batch_size)
    orders = [torch.randperm(n) for _ in range(args.epochs)]
    optimizer = optimizer_of(model)
    train_usual(
        model, optimizer, data, orders[: args.start], cosine(args.lr, args.epochs)[: args.start], args.batch_size
    )
    c = args.cycle * steps
    after = range(c // 2, (args.epochs - args.start) * steps + 1, c)
    rates = [triangle(i, c, args.lr1, args.lr2) for i in range(1, after[-1] + 1)]
    members = train_cycles(model, optimizer, data, orders[args.start :], rates, after, args.batch_size)
    for j, member in enumerate(members):
        nll, error = judged(probabilities([member], data.test_x), data.test_y)
        print(f"member {j}, after {args.start + after[j] / steps:g} epochs: nll {nll:.4f}, error {error:.4f}")
    nll, error = judged(probabilities(members, data.test_x), data.test_y)
    print(f"all {len(members)}: nll {nll:.4f}, error {error:.4f}; {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
