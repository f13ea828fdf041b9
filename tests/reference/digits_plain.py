"""The work of jobs/digits.yaml in plain PyTorch, one network and one curve after the other, without mcdist.

Eight networks on scikit-learn's digits; for each of the 28 pairs the straight line and a quadratic Bezier curve trained
between them; loss and error at 61 positions of every path. The curve is trained the direct way: autograd goes through
the combination of the control points. Initial weights, batch orders, positions t and learning rates are arguments, so
that the tests can give these functions the random numbers of mcdist and compare all that comes out.

    python tests/reference/digits_plain.py --seeds 8 --endpoint-epochs 80 --curve-epochs 200
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.func import functional_call

Weights = dict[str, Tensor]


class Data(NamedTuple):
    """Inputs [N, 64] and labels [N] of both splits."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


class Profile(NamedTuple):
    """Metrics at T positions of a path, [T] each."""

    train_loss: Tensor
    train_error: Tensor
    test_loss: Tensor
    test_error: Tensor


def digits(seed: int = 0) -> Data:
    """A fifth of the digits for testing, pixels scaled to [0, 1]."""
    inputs, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    x, y = torch.from_numpy(inputs).float()[order] / 16, torch.from_numpy(labels).long()[order]
    return Data(x[360:], y[360:], x[:360], y[:360])


def network() -> nn.Sequential:
    """The network of the job, 64-64-64-10, initialised by torch."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def cosine(lr: float, epochs: int) -> list[float]:
    """The learning rate of each epoch, from `lr` towards 0."""
    return [lr * (1 + math.cos(math.pi * e / epochs)) / 2 for e in range(epochs)]


def piecewise(lr: float, epochs: int) -> list[float]:
    """`lr` until half, linear to 1 % at 90 %, 1 % after; epochs counted from 1, as in the published code."""
    return [lr * min(1.0, max(0.01, 1 - 0.99 * (e / epochs - 0.5) / 0.4)) for e in range(1, epochs + 1)]


def train_endpoint(
    model: nn.Module,
    data: Data,
    orders: Iterable[Tensor],
    rates: Sequence[float],
    batch_size: int = 32,
    momentum: float = 0.9,
) -> Weights:
    """Train the model in place by SGD; orders: for each epoch a permutation of the training examples."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rates[0], momentum=momentum)
    model.train()
    for order, rate in zip(orders, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        for batch in order.split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(data.train_x[batch]), data.train_y[batch]).backward()
            optimizer.step()
    return {name: w.detach().clone() for name, w in model.state_dict().items()}


def line(t: float, a: Weights, b: Weights) -> Weights:
    """The straight line from a to b at t."""
    return {n: (1 - t) * a[n] + t * b[n] for n in a}


def bezier(t: float, a: Weights, bend: Weights, b: Weights) -> Weights:
    """The quadratic Bezier curve at t."""
    return {n: (1 - t) ** 2 * a[n] + 2 * t * (1 - t) * bend[n] + t**2 * b[n] for n in a}


def train_bezier(
    model: nn.Module,
    a: Weights,
    b: Weights,
    data: Data,
    orders: Iterable[Tensor],
    positions: Iterable[Tensor],
    rates: Sequence[float],
    batch_size: int = 32,
    momentum: float = 0.9,
) -> Weights:
    """The bend that SGD finds, begun in the middle of a and b; positions: for each epoch one t per batch."""
    bend = {n: w.requires_grad_() for n, w in line(0.5, a, b).items()}
    optimizer = torch.optim.SGD(bend.values(), lr=rates[0], momentum=momentum)
    model.train()
    for order, ts, rate in zip(orders, positions, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        for batch, t in zip(order.split(batch_size), ts.tolist(), strict=True):
            optimizer.zero_grad()
            outputs = functional_call(model, bezier(t, a, bend, b), data.train_x[batch])
            F.cross_entropy(outputs, data.train_y[batch]).backward()
            optimizer.step()
    return {n: w.detach() for n, w in bend.items()}


@torch.no_grad()
def profile(model: nn.Module, points: Iterable[Weights], data: Data) -> Profile:
    """Loss and error on both splits at each of the points."""
    model.eval()
    rows = []
    for weights in points:
        model.load_state_dict(weights)
        row: list[Tensor] = []
        for x, y in ((data.train_x, data.train_y), (data.test_x, data.test_y)):
            outputs = model(x)
            row += [F.cross_entropy(outputs, y).double(), (outputs.argmax(1) != y).double().mean()]
        rows.append(torch.stack(row))
    return Profile(*torch.stack(rows).T)


def barrier(ts: Tensor, values: Tensor) -> float:
    """The most that the values [T] at ts [T] rise above the straight line between the two ends."""
    return float((values - ((1 - ts) * values[0] + ts * values[-1])).max())


def _orders(generator: torch.Generator, examples: int, epochs: int) -> Iterable[Tensor]:
    return (torch.randperm(examples, generator=generator) for _ in range(epochs))


def _positions(generator: torch.Generator, steps: int, epochs: int) -> Iterable[Tensor]:
    return (torch.rand(steps, generator=generator) for _ in range(epochs))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="jobs/digits.yaml in plain PyTorch, sequentially")
    for name, default in (("seeds", 8), ("endpoint-epochs", 80), ("curve-epochs", 200), ("points", 61)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Do it all, and print what came out and how long each phase took."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    data, ends, clock = digits(), [], [time.perf_counter()]
    n = len(data.train_y)
    for seed in range(args.seeds):
        torch.manual_seed(seed)
        orders = _orders(torch.Generator().manual_seed(seed), n, args.endpoint_epochs)
        rates = cosine(0.1, args.endpoint_epochs)
        ends.append(train_endpoint(network(), data, orders, rates, args.batch_size))
    clock.append(time.perf_counter())

    model, pairs = network(), list(combinations(ends, 2))
    bends = []
    for k, (a, b) in enumerate(pairs):
        generator = torch.Generator().manual_seed(1000 + k)
        orders = _orders(generator, n, args.curve_epochs)
        ts_of_epochs = _positions(
            torch.Generator().manual_seed(2000 + k), math.ceil(n / args.batch_size), args.curve_epochs
        )
        rates = piecewise(0.05, args.curve_epochs)
        bends.append(train_bezier(model, a, b, data, orders, ts_of_epochs, rates, args.batch_size))
    clock.append(time.perf_counter())

    ts = torch.linspace(0, 1, args.points, dtype=torch.float64)
    lines = [profile(model, (line(t, a, b) for t in ts.tolist()), data) for a, b in pairs]
    curves = [
        profile(model, (bezier(t, a, bend, b) for t in ts.tolist()), data)
        for (a, b), bend in zip(pairs, bends, strict=True)
    ]
    clock.append(time.perf_counter())

    end_errors = profile(model, ends, data).test_error
    print(f"{args.seeds} end points: mean test error {float(end_errors.mean()):.4f}")
    for kind, profiles in (("linear", lines), ("bezier", curves)):
        for metric in ("train_loss", "test_error"):
            heights = torch.tensor([barrier(ts, getattr(p, metric)) for p in profiles])
            print(f"{kind}: mean {metric} barrier of {len(pairs)} pairs {float(heights.mean()):.4f}")
    for phase, start, end in zip(("end points", "curves", "profiles"), clock, clock[1:], strict=False):
        print(f"{phase}: {end - start:.2f} s")
    print(f"all: {clock[-1] - clock[0]:.2f} s")


if __name__ == "__main__":
    main()
