"""Sums of loss and error over whole splits at many points, by one program of fixed shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mcdist.problems.part import Part
from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule
from mcdist.science.tracing import Accelerate, Program, tensors_in, trace

__all__ = ["Judge", "SumProgram", "even_batch"]

Judge = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(outputs [K, B, C], targets [K, B]) -> loss [K, B] and error [K, B] of every example."""

_TOGETHER = 16  # points: what a layer gives for them and a batch of a few hundred stays in a core's cache


class SumProgram:
    """(points, split) -> sums over the split's examples of loss and error, [2, K], float64, for settled points.

    One program serves all splits and any number of points: the last batch of a split is filled up with examples of
    weight 0, the last group of points with copies of its last one.
    """

    def __init__(self, module: StackedModule, judge: Judge, parts: Mapping[str, Part], most: int) -> None:
        self._module, self._judge = module, judge
        self.batch = even_batch([len(part) for part in parts.values()], most)
        self._accelerate: Accelerate | None = None
        self._programs: dict[int, Program | None] = {}  # what that one made, by number of points

    def prepare(self, points: Points, part: Part, accelerate: Accelerate) -> int:
        """Make the program for such points; how many go together, 0 where no program can be made."""
        if accelerate is not self._accelerate:  # another one may make what this one could not, and the other way round
            self._accelerate, self._programs = accelerate, {}
        size = 1 if self._module.pointwise else min(len(points), _TOGETHER)
        if size not in self._programs:
            args = (points[:size].theta, points[:size].buffers, *next(part.padded(self.batch)))
            self._programs[size] = accelerate("sums", lambda: trace(self._sums, args), [], tensors_in(args))
        return 0 if self._programs[size] is None else size

    def sums(self, points: Points, part: Part, size: int, batches: int | None = None) -> Tensor:
        """[2, K], over all the split's examples or those of so many batches; size: from `prepare`."""
        run = self._programs[size]
        assert run is not None
        groups = [points[start : start + size] for start in range(0, len(points), size)]
        short = size - len(groups[-1])
        if short:
            groups[-1] = Points.stack([groups[-1], *[groups[-1][len(groups[-1]) - 1]] * short])
        totals = [torch.zeros(2, size, dtype=torch.float64, device=points.theta.device) for _ in groups]
        for done, batch in enumerate(part.padded(self.batch)):
            if done == batches:
                break
            for total, group in zip(totals, groups, strict=True):
                (found,) = run(*tensors_in((group.theta, group.buffers, *batch)))
                total += found
        return torch.cat(totals, dim=1)[:, : len(points)]

    def _sums(
        self, theta: Tensor, buffers: dict[str, Tensor], inputs: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor]:
        outputs = self._module(Points(theta, buffers), inputs, shared=True)
        judged = self._judge(outputs, targets.expand(len(theta), -1))
        return (torch.stack([(each * weights).sum(1).double() for each in judged]),)


def even_batch(sizes: Sequence[int], most: int) -> int:
    """The batch size, at least a quarter of `most`, that fills up splits of these sizes with the least waste."""
    most = min(most, max(sizes))
    lowest = max(1, most // 4)
    return min(range(most, lowest - 1, -1), key=lambda b: sum(-(-n // b) * b for n in sizes))
