"""Packs: K small networks, or curves, as one stack, against plain PyTorch one after the other. One thread."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcdist.bench.plain import PlainCurve, PlainNetwork, sgd_batches
from mcdist.bench.problems import digits_mlp, model_of
from mcdist.bench.row import Number, Row, at_least, compared
from mcdist.bench.stepping import Stepping
from mcdist.bench.suite import Skipped, Suite
from mcdist.bench.timing import Contender, interleaved, stopwatch
from mcdist.execute.compilation import Compiler
from mcdist.execute.programs import Programs
from mcdist.problems.data import load_dataset
from mcdist.tasks.work import Way

__all__ = ["PACK_COMPILED", "PACK_CURVES", "PACK_MLP", "pack_row", "plain_contender"]

K, BATCH, STEPS = 28, 32, 132  # three epochs of full minibatches


def plain_contender(curves: bool, steps: int, networks: int) -> Contender:
    """Seconds per network, or curve, of so many steps; as many of them one after the other."""
    data = load_dataset("digits")
    x, y = digits_mlp().data_of("train")
    made: list[Any] = [
        (PlainCurve if curves else PlainNetwork)(model_of("mlp", data, hidden=[64, 64]), 0.01) for _ in range(networks)
    ]

    def train() -> None:
        for each in made:
            each.train(sgd_batches(x, y, BATCH, steps))

    timed = stopwatch(train)
    return lambda: timed() / networks


def pack_row(
    name: str,
    curves: bool,
    repeats: int,
    aim: float,
    programs: Programs | None = None,
    *,
    k: int = K,
    steps: int = STEPS,
) -> Row:
    """A pack of k, and plain networks one by one: time per network of so many steps."""
    accelerate = None if programs is None else programs.accelerate(name, Way(compiled=True))
    pack = Stepping(digits_mlp(), k, BATCH, curves=curves, accelerate=accelerate)
    timed = stopwatch(lambda: pack.run(steps))
    contenders: dict[str, Contender] = {"plain": plain_contender(curves, steps, networks=4)}
    if curves:  # for comparison: what curves cost whoever knows that a curve's step is a network's step
        contenders["plain network"] = plain_contender(False, steps, networks=4)
    contenders["packed"] = lambda: timed() / k
    taken = interleaved(contenders, repeats, warm_up=1)
    per_step = [Number(f"{n}, a step", taken.median(n) / steps * 1e6, "µs") for n in contenders]
    return compared(f"{name}, {k} packed", taken, "plain", "packed", aim=at_least(aim), numbers=per_step)


def _compiled(repeats: int) -> Iterator[Row]:
    """Compiled into an empty folder, so that the time it takes can be said; it counts in no ratio."""
    with tempfile.TemporaryDirectory() as folder:
        for name, curves in (("end points", False), ("curves", True)):
            compiler = Compiler(Path(folder))
            row = pack_row(name, curves, repeats, 6.0, Programs(compiler))
            if compiler.notes:
                raise Skipped(compiler.notes[0])
            spent = Number("compiling", compiler.seconds, "s")
            yield replace(row, numbers=(*row.numbers, spent))


PACK_MLP = Suite(
    "end points of the digits' perceptron: plain PyTorch one by one / one stack",
    repeats=7,
    rows=lambda repeats: [pack_row("end points", False, repeats, 2.5)],
)
PACK_CURVES = Suite(
    "Bezier curves of the digits' perceptron: plain PyTorch one by one / one stack",
    repeats=7,
    rows=lambda repeats: [pack_row("curves", True, repeats, 3.0)],
)
PACK_COMPILED = Suite("the same two, the stack's step compiled", repeats=7, rows=_compiled)
