"""Classification of a data set by any torch module."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vmap

from mcdist.errors import RequestError
from mcdist.problems.data.augment import random_crop_flip
from mcdist.problems.data.dataset import Dataset
from mcdist.problems.evaluation import SumProgram
from mcdist.problems.likelihood import Softmax, judge_each, misses
from mcdist.problems.losses import Loss
from mcdist.problems.part import Part, divide
from mcdist.problems.symmetry import structure_of
from mcdist.science.alignment import Matching, Structure, activation_matching, repair
from mcdist.science.batchnorm import reestimate
from mcdist.science.head import Examples, Head
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.stacked import StackedModule
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate

__all__ = ["Batch", "Classification"]

_GLIMPSE = 128  # examples

# parameters, or outputs of one layer, of the points evaluated in one go: 4 MiB in float32 stay near a core (measured:
# less costs calls, more costs memory traffic), 512 MiB fill a GPU
_ELEMENTS = 1 << 20
_ELEMENTS_ON_GPU = 1 << 27


class Batch(NamedTuple):
    """A minibatch of K points: inputs [K, B, ...], targets [K, B], and seeds of Dropout where there is any."""

    inputs: Tensor
    targets: Tensor
    seeds: list[int] | None = None


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
        weight_decay: float = 0.0,
    ) -> None:
        self.device, self.dtype, self.weight_decay = torch.device(device), dtype, weight_decay
        self._make, self._loss, self._pad = make, loss, augment_pad
        self._eval_batch, self._statistics_size = eval_batch, statistics_size
        splits = {"train": data.train, "val": data.validation, "test": data.test}
        self._parts = {
            name: Part(split, data, self.device, dtype) for name, split in splits.items() if split is not None
        }
        self.module = StackedModule(make(), self.device, dtype, channels_last=channels_last)
        self.images = len(data.input_shape) == 3
        self._program = SumProgram(self.module, judge_each, self._parts, eval_batch)
        self.layout = self.module.layout
        self._structures: dict[str, Structure] = {}
        self._head = Softmax(self.module, loss)
        self.module.probe(next(self._parts["train"].chunks([2]))[0])

    def fresh_module(self) -> nn.Module:
        """A module like the problem's own, initialised by torch's global random numbers, on the device."""
        return self._make().to(device=self.device, dtype=self.dtype)

    def data_of(self, split: str) -> tuple[Tensor, Tensor]:
        """All examples of a split ("train", "val", "test") as a network sees them, and their targets, on the device."""
        part = self._parts[split]
        return part.scaled(part.stored), part.targets

    def initial(self, stream: Stream, start: int = 0) -> Points:
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
        return divide(examples, size, normed=bool(self.module.norms))

    def batches(
        self, streams: Sequence[Stream], epoch: int, batch_size: int, *, independent: bool = False
    ) -> Iterator[Batch]:
        """See `Problem`: a fresh permutation per point and epoch, from the stream's child ("order", epoch)."""
        part, sizes = self._parts["train"], self.batch_sizes(batch_size)
        n = len(part)
        order = self._draw(streams, "order", epoch, lambda g: g.integers(0, n, n) if independent else g.permutation(n))
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

    def some(self, batch: Batch, index: Tensor) -> Batch:
        """See `Problem`."""
        seeds = None if batch.seeds is None else [batch.seeds[k] for k in index.tolist()]
        return Batch(batch.inputs[index], batch.targets[index], seeds)

    @property
    def examples(self) -> int:
        """See `Problem`."""
        return len(self._parts["train"])

    def whole_gradient(self, points: Points) -> tuple[Tensor, Tensor]:
        """See `Problem`: `eval_batch` examples at a time, which is what BatchNorm then takes its statistics of."""
        if self.module.random:
            raise RequestError("the model draws random numbers in train mode (Dropout): no gradient is without noise")
        part, K = self._parts["train"], len(points)
        losses, grads = torch.zeros(K, dtype=self.dtype, device=self.device), torch.zeros_like(points.theta)
        for inputs, targets in part.chunks(self._divide(len(part), self._eval_batch)):
            batch = Batch(inputs.expand(K, *inputs.shape), targets.expand(K, -1))
            loss, _, grad = self.gradient(points, batch)
            share = len(targets) / len(part)
            losses.add_(loss, alpha=share)
            grads.add_(grad, alpha=share)
        return losses, grads

    def _draw(
        self,
        streams: Sequence[Stream],
        what: str,
        epoch: int,
        draw: Callable[[np.random.Generator], np.ndarray],
    ) -> Tensor:
        """One array per point from its own stream, stacked on the device."""
        drawn = torch.from_numpy(np.stack([draw(s.child(what, epoch).generator()) for s in streams]))
        if self.device.type == "cuda":  # the copy then waits for nothing, and nothing for it
            drawn = drawn.pin_memory()
        return drawn.to(self.device, non_blocking=True)

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
        if self._loss is not None:
            return vmap(self._loss)(outputs, targets), misses(outputs, targets).mean(1)
        nats, error = judge_each(outputs, targets)
        return nats.mean(1), error.mean(1)

    def settle(self, points: Points, accelerate: Accelerate | None = None) -> Points:
        """See `Problem`: BatchNorm statistics over un-augmented training data, in order, `eval_batch` at a time."""
        if not self.module.norms:
            return points
        part = self._parts["train"]
        sizes = self._divide(self._statistics_size or len(part), self._eval_batch)
        settled = [
            reestimate(self.module, group, (inputs for inputs, _ in part.chunks(sizes)), accelerate)
            for group in (self._groups(points) if accelerate is None else [points])
        ]
        return Points.stack(settled) if len(settled) > 1 else settled[0]

    def evaluate(
        self, points: Points, accelerate: Accelerate | None = None, splits: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """See `Problem`: {train,val,test}_{loss,error} over whole splits, and l2_norm of the parameters."""
        self.module.switch("eval")
        size = self._prepare(points, accelerate)
        metrics: dict[str, Tensor] = {}
        for name, part in self._parts.items():
            if splits is not None and name not in splits:
                continue
            sums = self._program.sums(points, part, size) if size else self._plain_sums(points, part)
            metrics[f"{name}_loss"], metrics[f"{name}_error"] = (sums / len(part)).cpu()
        return metrics | {"l2_norm": points.theta.double().norm(dim=1).cpu()}

    def probabilities(self, points: Points, split: str) -> Tensor:
        """See `Problem`."""
        self._demand_classes()
        self.module.switch("eval")
        part, groups = self._parts[split], list(self._groups(points))
        found: list[list[Tensor]] = [[] for _ in groups]
        with torch.no_grad():
            for inputs, _ in part.chunks(self._divide(len(part), self._eval_batch)):
                for own, group in zip(found, groups, strict=True):
                    own.append(self.module(group, inputs, shared=True).double().softmax(-1).cpu())
        return torch.cat([torch.cat(own, dim=1) for own in found])

    def targets(self, split: str) -> Tensor:
        """See `Problem`."""
        self._demand_classes()
        return self._parts[split].targets.cpu()

    @property
    def splits(self) -> tuple[str, ...]:
        """See `Problem`."""
        return tuple(self._parts)

    def _demand_classes(self) -> None:
        if self._loss is not None:
            raise RequestError("a loss of your own is no likelihood of classes: its networks make no ensemble")

    def _prepare(self, points: Points, accelerate: Accelerate | None) -> int:
        """See `SumProgram.prepare`; a loss of the user's own gives no numbers of single examples."""
        if accelerate is None or self._loss is not None:
            return 0
        return self._program.prepare(points, self._parts["train"], accelerate)

    def _plain_sums(self, points: Points, part: Part) -> Tensor:
        """Sums over a split of loss and error, [2, K], float64."""
        groups = list(self._groups(points))
        sums = [torch.zeros(2, len(group), dtype=torch.float64, device=self.device) for group in groups]
        with torch.no_grad():
            for inputs, targets in part.chunks(self._divide(len(part), self._eval_batch)):
                for total, group in zip(sums, groups, strict=True):
                    judged = self._judge(self.module(group, inputs, shared=True), targets.expand(len(group), -1))
                    total += len(targets) * torch.stack([each.double() for each in judged])
        return torch.cat(sums, dim=1)

    def sample(self, n: int | None, stream: Stream) -> Examples:
        """See `Problem`: (inputs, targets) in the order of the data."""
        part = self._parts["train"]
        if n is not None and not 1 <= n <= len(part):
            raise RequestError(f"samples is {n}, allowed: 1 to {len(part)}, the training examples, or none for all")
        if n is None:
            return part.scaled(part.stored), part.targets
        rows = torch.from_numpy(np.sort(stream.generator().choice(len(part), n, replace=False))).to(self.device)
        return part.scaled(part.stored[rows]), part.targets[rows]

    def head(self) -> Head:
        """See `Problem`."""
        return self._head

    def value(self, points: Points, examples: Examples) -> Tensor:
        """See `Problem`."""
        return self._head.loss(self._head.outputs(points, examples), examples)

    def structure(self, given: Mapping[str, Any] | None = None) -> Structure:
        """See `Problem`."""
        key = json.dumps(given, sort_keys=True)
        if key not in self._structures:
            self._structures[key] = structure_of(self._plain(), next(self._parts["train"].chunks([2]))[0], given)
        return self._structures[key]

    def match_activations(
        self, a: Mapping[str, Tensor], b: Mapping[str, Tensor], structure: Structure, samples: int
    ) -> Matching:
        """See `Problem`: by correlation over the first training examples, un-augmented."""
        part = self._parts["train"]
        if samples > len(part):
            raise RequestError(f"samples is {samples}, allowed: up to {len(part)}, the training examples")
        inputs = (inputs for inputs, _ in part.chunks(self._divide(samples, self._eval_batch)))
        return activation_matching(self._plain(), a, b, structure, inputs)

    def repair(self, points: Points, t: Tensor, ends: Points, structure: Structure) -> Points:
        """See `Problem`: over the examples of the BatchNorm pass."""
        part = self._parts["train"]
        sizes = self._divide(self._statistics_size or len(part), self._eval_batch)
        return repair(self.module, points, t, ends, structure, [inputs for inputs, _ in part.chunks(sizes)])

    def _plain(self) -> nn.Module:
        """A module like the problem's own; no random numbers are missed elsewhere for it."""
        with torch.random.fork_rng(devices=[]):
            return self.fresh_module()

    def stacks(self, *, training: bool) -> bool:
        """See `Problem`: no stack where one network after the other is faster, or where each draws its own numbers."""
        return not self.module.pointwise and not (training and self.module.random)

    def glimpse(self, points: Points, accelerate: Accelerate | None = None) -> float:
        """See `Problem`: one batch, a small one where networks are computed one by one."""
        part, everything = self._parts["train"], sum(len(part) for part in self._parts.values())
        together = self.stacks(training=False)
        examples = min(self._eval_batch, len(part), self._eval_batch if together else _GLIMPSE)
        inputs, targets = next(part.chunks([examples]))
        if self.module.norms:
            points = reestimate(self.module, points, [inputs], accelerate)
        self.module.switch("eval")
        if size := self._prepare(points, accelerate):
            self._program.sums(points, part, size, batches=1)
            return everything / self._program.batch
        with torch.no_grad():
            for group in self._groups(points):
                self._judge(self.module(group, inputs, shared=True), targets.expand(len(group), -1))
        return everything / examples

    def _groups(self, points: Points) -> Iterator[Points]:
        most = _ELEMENTS if self.device.type == "cpu" else _ELEMENTS_ON_GPU
        size = max(1, most // max(self.layout.size, self._eval_batch * self.module.widest))
        for i in range(0, len(points), size):
            yield points[i : i + size]

    def state(self, points: Points, k: int) -> dict[str, Tensor]:
        """See `Problem`."""
        return self.module.state(points, k)

    def point(self, state: Mapping[str, Tensor]) -> Points:
        """See `Problem`."""
        return self.module.point(state)
