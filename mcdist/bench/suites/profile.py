"""Profiles: metrics at many positions of a path, against the straightforward loop over positions. One thread."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcdist.bench import plain
from mcdist.bench.problems import digits_mlp, image_problem
from mcdist.bench.row import Number, Row, at_least, compared
from mcdist.bench.suite import Suite
from mcdist.bench.timing import Contender, interleaved, stopwatch
from mcdist.execute.compilation import Compiler
from mcdist.execute.programs import Programs
from mcdist.problems.classification import Classification
from mcdist.science.paths import FAMILIES
from mcdist.science.points import Points
from mcdist.science.stacked import Mode
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.tasks.work import Way

__all__ = ["PROFILE", "convnet_row", "mlp_row"]

EVAL_BATCH = 1000


class Line:
    """A straight line between two initial points of a problem, seen at T positions."""

    def __init__(self, problem: Classification, T: int) -> None:
        self.problem = problem
        ends = Points.stack([problem.initial(Stream.of("bench", k)) for k in range(2)])
        self.t = torch.linspace(0.0, 1.0, T, dtype=torch.float64)
        self.points = ends.at(FAMILIES["linear"].at(ends.theta, self.t))

    def measured(self, accelerate: Accelerate | None = None) -> Tensor:
        """By mcdist: losses and errors, [T, 4], but at the ends, which a sweep measures once with the end points."""
        found = self.problem.evaluate(self.problem.settle(self.points[1:-1], accelerate), accelerate)
        return torch.stack([found[n] for n in ("train_loss", "train_error", "test_loss", "test_error")], dim=1)

    def by_loop(self, batch_size: int) -> Tensor:
        """The same, and the ends, by the plain loop."""
        module = self.problem.module
        splits = (self.problem.data_of("train"), self.problem.data_of("test"))
        states = (module.state(self.points, k) for k in range(len(self.points)))
        return plain.profile(self._plain, states, *splits, batch_size)

    def loop_with(self, model: torch.nn.Module) -> None:
        """The plain module that the loop loads its points into."""
        self._plain = model


def rows(repeats: int) -> Iterator[Row]:
    """The perceptron, plainly and compiled; then the ConvNet with BatchNorm."""
    with tempfile.TemporaryDirectory() as folder:
        yield mlp_row(repeats, 61, Programs(Compiler(Path(folder))))
        yield mlp_row(repeats, 61, Programs(Compiler(Path(folder))), batch_norm=True)
    yield convnet_row(min(repeats, 3), 5)


def mlp_row(repeats: int, T: int, programs: Programs, *, batch_norm: bool = False) -> Row:
    """Full batches in every contender; the loop over mcdist's plain way and its compiled one."""
    line = Line(digits_mlp(batch_norm=batch_norm), T)
    line.loop_with(digits_mlp(batch_norm=batch_norm).module.module)
    accelerate = programs.accelerate("profile", Way(compiled=True))
    contenders: dict[str, Contender] = {
        "loop": stopwatch(lambda: line.by_loop(EVAL_BATCH)),
        "mcdist": stopwatch(line.measured),
        "mcdist, compiled": stopwatch(lambda: line.measured(accelerate)),
    }
    taken = interleaved(contenders, repeats, warm_up=2)
    name = f"MLP{' with BatchNorm' if batch_norm else ''}, {T} points"
    plainly = Number("loop / mcdist, not compiled", taken.ratio("loop", "mcdist").value, "x")
    return compared(name, taken, "loop", "mcdist, compiled", aim=at_least(2.0), numbers=[plainly])


def convnet_row(
    repeats: int, T: int, *, train: int = 512, test: int = 256, args: Mapping[str, object] | None = None
) -> Row:
    """The ConvNet with BatchNorm. floor: its forward passes alone, over inputs that lie ready; no loss, no sums."""
    options: dict[str, Any] = {
        "train": train,
        "test": test,
        "eval_batch": 256,
        "args": {"batch_norm": True, **(args or {})},
    }
    line = Line(image_problem("convnet", channels_last=True, **options), T)
    line.loop_with(image_problem("convnet", **options).module.module)
    contenders: dict[str, Contender] = {
        "loop": stopwatch(lambda: line.by_loop(256)),
        "mcdist": stopwatch(line.measured),
        "floor": stopwatch(_forward_passes(line)),
    }
    taken = interleaved(contenders, repeats)
    share = Number("forward passes alone / mcdist", taken.ratio("floor", "mcdist").value, "x")
    return compared(f"ConvNet with BatchNorm, {T} points", taken, "loop", "mcdist", numbers=[share])


def _forward_passes(line: Line) -> Callable[[], None]:
    """Statistics, train and test pass of the inner positions, as mcdist makes them, of the network alone."""
    module, points = line.problem.module, line.points[1:-1]
    passes: list[tuple[Mode, str]] = [("statistics", "train"), ("eval", "train"), ("eval", "test")]
    batches = {
        n: [b.contiguous(memory_format=torch.channels_last) for b in line.problem.data_of(n)[0].split(256)]
        for _, n in passes
    }

    @torch.no_grad()
    def run() -> None:
        for k in range(len(points)):
            for mode, split in passes:
                module.switch(mode)
                for inputs in batches[split]:
                    module(points[k], inputs, shared=True)

    return run


PROFILE = Suite("metrics along a path: the loop over positions / mcdist", repeats=7, rows=rows)
