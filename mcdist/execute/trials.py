"""Trials on a worker: a piece of the work of K tasks, timed on the device that will do it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mcdist.execute.choice import Wishes
from mcdist.execute.compilation import Compiler
from mcdist.execute.memory import free_memory, ran_out
from mcdist.execute.room import left, peak
from mcdist.execute.tuning import OutOfMemory
from mcdist.science.tracing import Accelerate, Trace
from mcdist.spec.tasks import TASK_SPECS, TaskSpec
from mcdist.tasks.registry import KINDS
from mcdist.tasks.trial import WrongProgram
from mcdist.tasks.work import Bench, Trial, Way

__all__ = ["TrialProbe", "Tuning"]

_LONG_S = 0.1  # steps are repeated until they took so long
_REPEATS = 20  # at most
_READY_S = 1.0  # what a library that is there already costs a worker
_COMPILE_S, _COMPILE_PER_NODE_S = 6.0, 0.04  # measured on one core: 9 s for a perceptron's step, 35 s for ResNet-20's


@dataclass(frozen=True)
class Tuning:
    """Tasks of one shape, for which a way is to be chosen. specs: JSON of as many of them as a trial may want."""

    shape: str
    kind: str
    specs: tuple[str, ...]
    tasks: int
    wishes: Wishes


class TrialProbe:
    """See `Probe`. bench: where tasks of this shape work, by way, with what makes their programs."""

    def __init__(
        self,
        tuning: Tuning,
        bench: Callable[[Way, Accelerate | None], Bench],
        accelerate: Callable[[Way], Accelerate | None],
        compiler: Compiler,
        device: torch.device,
    ) -> None:
        self.tasks = tuning.tasks
        self._kind, model = KINDS[tuning.kind], TASK_SPECS[tuning.kind]
        self._specs: Sequence[TaskSpec] = [model.model_validate_json(spec) for spec in tuning.specs]
        self._bench, self._accelerate, self._compiler, self._device = bench, accelerate, compiler, device
        self._last: Trial | None = None
        self._began = peak(device)
        self._largest = 0

    def seconds(self, K: int, way: Way) -> float | None:
        """See `Probe`."""
        self._check_room(K)
        try:
            trial = self._set_up(K, self._bench(way, self._accelerate(way)))
            if trial is None:
                return None
            self._last = trial
            return _timed(trial.step, self._device) * trial.steps
        except WrongProgram as error:
            self._compiler.give_up(error)
            return math.inf
        except Exception as error:
            if ran_out(error):
                raise OutOfMemory from None
            raise
        finally:
            self._largest = max(self._largest, K)
            free_memory()

    def _check_room(self, K: int) -> None:
        """Raise OutOfMemory where K tasks, by what fewer of them took, would take more than half of what is left.

        The other half is for what a trial does not do: results waiting to be written, other workers.
        """
        grown = peak(self._device) - self._began
        if self._largest and self._largest < K and grown * K / self._largest > (left(self._device) + grown) / 2:
            raise OutOfMemory

    def stacked(self) -> bool:
        """See `Probe`."""
        return self._last is not None and self._last.stacked

    def images(self) -> bool:
        """See `Probe`."""
        return self._last is not None and self._last.images

    def graphs(self) -> bool:
        """See `Probe`."""
        return self._device.type == "cuda"

    def compiling(self, K: int, way: Way) -> float:
        """See `Probe`: from the size of the programs that would be made; for ever where none can be."""
        wanted: list[float] = []

        def count(name: str, follow: Callable[[], Trace], held: Sequence[Tensor], varying: Sequence[Tensor]) -> None:
            try:
                traced = follow()
            except Exception:  # what cannot be traced is never compiled
                wanted.append(math.inf)
                return
            there = self._compiler.has(traced, [*held, *varying, *traced.captured])
            wanted.append(_READY_S if there else _COMPILE_S + _COMPILE_PER_NODE_S * len(traced.graph.graph.nodes))

        self._set_up(K, self._bench(way, count))
        return sum(wanted) if wanted else math.inf

    def _set_up(self, K: int, bench: Bench) -> Trial | None:
        rehearse = self._kind.rehearse
        return None if rehearse is None else rehearse([self._specs[k % len(self._specs)] for k in range(K)], bench)


def _timed(step: Callable[[], object], device: torch.device) -> float:
    """The least time of a few steps, after one that warms up."""
    taken: list[float] = []
    while not taken or (sum(taken) < _LONG_S and len(taken) < _REPEATS):
        if not taken:
            step()
            _wait(device)
        started = time.perf_counter()
        step()
        _wait(device)
        taken.append(time.perf_counter() - started)
    return min(taken)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
