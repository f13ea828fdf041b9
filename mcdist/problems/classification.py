"""Classification of a data set by any torch module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import vmap

from mcdist.problems.data.augment import random_crop_flip
from mcdist.problems.data.dataset import Dataset, Split
from mcdist.problems.losses import Loss
from mcdist.science.batchnorm import reestimate
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.stacked import StackedModule
from mcdist.science.streams import Stream

__all__ = ["Batch", "Classification"]

_GLIMPSE = 128  # examples

_ELEMENTS = 1 << 27  # parameters, or outputs of one layer, of the points evaluated in one go: 512 MiB in float32


class Batch(NamedTuple):
    """A minibatch of K points: inputs [K, B, ...], targets [K, B], and seeds of Dropout where there is any."""

    inputs: Tensor
    targets: Tensor
    seeds: list[int] | None = None


class _Part:
    """One split on the device. Floating-point inputs are scaled once; bytes stay bytes and are scaled per batch."""

    def __init__(self, split: Split, data: Dataset, device: torch.device, dtype: torch.dtype) -> None:
        self.targets = torch.tensor(split.targets, device=device)
        raw = torch.tensor(split.inputs, device=device)  # copies: shared arrays are read-only
        shape = (-1,) + (1,) * (len(data.input_shape) - 1)
        mean = torch.tensor(data.mean, device=device, dtype=torch.float64).reshape(shape)
        std = torch.tensor(data.std, device=device, dtype=torch.float64).reshape(shape)
        # (raw / divisor - mean) / std, as one multiplication and one addition
        self._scale, self._shift = (1.0 / (data.divisor * std)).to(dtype), (-mean / std).to(dtype)
        self._late = raw.dtype == torch.uint8
        self._dtype = dtype
        self.stored = raw if self._late else raw.to(dtype) * self._scale + self._shift

    def __len__(self) -> int:
        return len(self.targets)

    def scaled(self, inputs: Tensor) -> Tensor:
        """Stored inputs [..., *input_shape] as the network sees them."""
        return inputs.to(self._dtype) * self._scale + self._shift if self._late else inputs

    def chunks(self, sizes: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """The first examples in their order, scaled, in batches of these sizes."""
        start = 0
        for size in sizes:
            at = slice(start, start := start + size)
            yield self.scaled(self.stored[at]), self.targets[at]


class Classification(Problem):
    """Mean loss of a network on a data set; error = misclassified fraction.

    make: builds the module; its own initialisation runs under a seed of the point's stream. data: scaled as its note
    says. loss: cross-entropy in nats unless given. augment_pad: random crops after padding by so many pixels, and
    flips, in training alone. eval_batch: examples per batch of evaluation and of the BatchNorm pass; statistics_size:
    training examples (the first ones) used in that pass, None for all.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        data: Dataset,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        loss: Loss | None = None,
        augment_pad: int | None = None,
        eval_batch: int = 1000,
        statistics_size: int | None = None,
        channels_last: bool = False,
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self._make, self._loss, self._pad = make, loss, augment_pad
        self._eval_batch, self._statistics_size = eval_batch, statistics_size
        splits = {"train": data.train, "val": data.validation, "test": data.test}
        self._parts = {
            name: _Part(split, data, self.device, dtype) for name, split in splits.items() if split is not None
        }
        self.module = StackedModule(make(), self.device, dtype, channels_last=channels_last)
        self.images = len(data.input_shape) == 3
        self.layout = self.module.layout
        self.module.probe(next(self._parts["train"].chunks([2]))[0])

    def initial(self, stream: Stream) -> Points:
        """See `Problem`: the module as `make` initialises it, under the seed of `stream`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream.child("init").seed())
            fresh = StackedModule(self._make(), torch.device("cpu"), self.dtype).take()
        return Points(fresh.theta.to(self.device), {n: b.to(self.device) for n, b in fresh.buffers.items()})

    def batch_sizes(self, batch_size: int) -> list[int]:
        """See `Problem`: the last minibatch is short where the sizes do not divide.

        With BatchNorm, which makes no statistics of a single example, a last one goes with the minibatch before.
        """
        return self._divide(len(self._parts["train"]), batch_size)

    def _divide(self, examples: int, size: int) -> list[int]:
        full, rest = divmod(examples, size)
        if rest == 1 and full and self.module.norms:
            return [size] * (full - 1) + [size + 1]
        return [size] * full + ([rest] if rest else [])

    def batches(self, streams: Sequence[Stream], epoch: int, batch_size: int) -> Iterator[Batch]:
        """See `Problem`: a fresh permutation per point and epoch, from the stream's child ("order", epoch)."""
        part, sizes = self._parts["train"], self.batch_sizes(batch_size)
        order = self._draw(streams, "order", epoch, lambda g: g.permutation(len(part)))
        shifts = flips = None
        if self._pad is not None:
            shape, width = (len(part), 2), 2 * self._pad + 1
            shifts = self._draw(streams, "crop", epoch, lambda g: g.integers(0, width, shape))
            flips = self._draw(streams, "flip", epoch, lambda g: g.integers(0, 2, len(part), dtype=bool))
        start = 0
        for step, size in enumerate(sizes):
            at = slice(start, start := start + size)
            inputs = part.stored[order[:, at]]
            if self._pad is not None and shifts is not None and flips is not None:
                inputs = random_crop_flip(inputs, shifts[:, at], flips[:, at], self._pad)
            seeds = None
            if self.module.random:
                seeds = [s.child("module", epoch, step).seed() for s in streams]
            yield Batch(part.scaled(inputs), part.targets[order[:, at]], seeds)

    def _draw(
        self,
        streams: Sequence[Stream],
        what: str,
        epoch: int,
        draw: Callable[[np.random.Generator], np.ndarray],
    ) -> Tensor:
        """One array per point from its own stream, stacked on the device."""
        arrays = [draw(s.child(what, epoch).generator()) for s in streams]
        return torch.from_numpy(np.stack(arrays)).to(self.device)

    def loss(self, points: Points, batch: Batch, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """See `Problem`."""
        self.module.switch("train")
        with torch.autocast(self.device.type, dtype=precision, enabled=precision is not None):
            outputs = self.module(points, batch.inputs, seeds=batch.seeds)
        return self._judge(outputs.to(self.dtype), batch.targets)

    def gradient(
        self, points: Points, batch: Batch, precision: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Problem`: one point, and what no stack makes faster, by the plain module."""

        def judge(k: int, outputs: Tensor) -> tuple[Tensor, Tensor]:
            loss, error = self._judge(outputs.to(self.dtype)[None], batch.targets[k : k + 1])
            return loss[0], error[0]

        self.module.switch("train")
        alone = self.module.gradient(points, batch.inputs, judge, batch.seeds, precision)
        return alone if alone is not None else super().gradient(points, batch, precision)

    def _judge(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss [K] and error [K] of outputs [K, B, ...] for targets [K, B]."""
        error = (outputs.detach().argmax(-1) != targets).double().mean(1)
        if self._loss is not None:
            return vmap(self._loss)(outputs, targets), error
        # classes first: the softmax of a short last dimension is some eight times slower on a CPU
        nats = F.cross_entropy(outputs.transpose(1, -1).contiguous(), targets, reduction="none")
        return nats.mean(1), error

    def settle(self, points: Points) -> Points:
        """See `Problem`: BatchNorm statistics over un-augmented training data, in order, `eval_batch` at a time."""
        if not self.module.norms:
            return points
        part = self._parts["train"]
        sizes = self._divide(self._statistics_size or len(part), self._eval_batch)
        return Points.stack(
            [
                reestimate(self.module, group, (inputs for inputs, _ in part.chunks(sizes)))
                for group in self._groups(points)
            ]
        )

    def evaluate(self, points: Points) -> dict[str, Tensor]:
        """See `Problem`: {train,val,test}_{loss,error} over whole splits, and l2_norm of the parameters."""
        groups = [self._evaluate_group(group) for group in self._groups(points)]
        metrics = {name: torch.cat([g[name] for g in groups]).cpu() for name in groups[0]}
        return metrics | {"l2_norm": points.theta.double().norm(dim=1).cpu()}

    def stacks(self, *, training: bool) -> bool:
        """See `Problem`: no stack where one network after the other is faster, or where each draws its own numbers."""
        return not self.module.pointwise and not (training and self.module.random)

    def glimpse(self, points: Points) -> float:
        """See `Problem`: one batch, a small one where networks are computed one by one."""
        part = self._parts["train"]
        size = min(self._eval_batch, len(part), self._eval_batch if self.stacks(training=False) else _GLIMPSE)
        inputs, targets = next(part.chunks([size]))
        if self.module.norms:
            points = reestimate(self.module, points, [inputs])
        self.module.switch("eval")
        with torch.no_grad():
            self._judge(self.module(points, inputs, shared=True), targets.expand(len(points), -1))
        return sum(len(part) for part in self._parts.values()) / size

    def _evaluate_group(self, points: Points) -> dict[str, Tensor]:
        self.module.switch("eval")
        metrics: dict[str, Tensor] = {}
        for name, part in self._parts.items():
            sums = torch.zeros(2, len(points), dtype=torch.float64, device=self.device)
            with torch.no_grad():
                for inputs, targets in part.chunks(self._divide(len(part), self._eval_batch)):
                    outputs = self.module(points, inputs, shared=True)
                    judged = self._judge(outputs, targets.expand(len(points), -1))
                    sums += len(targets) * torch.stack(judged).double()
            metrics[f"{name}_loss"], metrics[f"{name}_error"] = sums / len(part)
        return metrics

    def _groups(self, points: Points) -> Iterator[Points]:
        size = max(1, _ELEMENTS // max(self.layout.size, self._eval_batch * self.module.widest))
        for i in range(0, len(points), size):
            yield points[i : i + size]

    def state(self, points: Points, k: int) -> dict[str, Tensor]:
        """See `Problem`."""
        return self.module.state(points, k)

    def point(self, state: Mapping[str, Tensor]) -> Points:
        """See `Problem`."""
        return self.module.point(state)
