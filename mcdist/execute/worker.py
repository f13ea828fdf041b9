"""A worker: does packs of tasks, and writes what they give into the store."""

from __future__ import annotations

import contextlib
import platform
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import torch

from mcdist.errors import Diverged
from mcdist.execute.cache import Recent
from mcdist.execute.choice import Choice
from mcdist.execute.compilation import Compiler, cache_folder
from mcdist.execute.job import Job, Report, Verdict
from mcdist.execute.memory import free_memory, ran_out
from mcdist.execute.programs import Programs
from mcdist.execute.trials import TrialProbe, Tuning
from mcdist.execute.tuning import OutOfMemory, by_rule, choose
from mcdist.problems.data import Dataset
from mcdist.science.problem import Problem
from mcdist.science.tracing import Accelerate
from mcdist.spec.base import canonical
from mcdist.spec.problem import AnyProblem
from mcdist.store import PackResult, Store, open_store
from mcdist.tasks.problems import build_problem
from mcdist.tasks.registry import KINDS
from mcdist.tasks.work import Bench, Item, Outcome, Result, Stored, Way
from mcdist.version import __version__

__all__ = ["Computed", "Worker", "task_row"]

_KEEP_BYTES = 1 << 28  # results of input tasks kept in memory


@dataclass(frozen=True)
class Computed:
    """What came of a job: the report of it, true once the result, if there is one, is in the store."""

    report: Report
    result: PackResult | None


@dataclass(frozen=True)
class Failure:
    """An exception that a pack raised. kind: memory, if that was not enough, else raised."""

    kind: str
    error: str


class Worker:
    """Owns a device, its problems (data included) and a way to the store.

    A job is loaded, computed and committed. It is computed in the thread that made the worker; the other parts may be
    done by any thread meanwhile.

    datasets: gives the arrays of a name. threads: torch threads; results depend on them by rounding, so they
    are part of the sweep's resources, not of the machine. share: of the GPU's memory, 1 or more for all of it: others
    that have a share must find theirs.
    """

    def __init__(
        self, store: str, device: str, threads: int, datasets: Callable[[str], Dataset], share: float = 1.0
    ) -> None:
        self._store: Store = open_store(store)
        self._device = torch.device(device)
        self._datasets = datasets
        self._problems: Recent[Problem] = Recent(4, lambda problem: 1)
        self._compiler = Compiler(cache_folder())
        self._programs = Programs(self._compiler)
        self._results: Recent[Stored] = Recent(_KEEP_BYTES, _size)
        torch.set_num_threads(threads)
        if self._device.type == "cuda" and share < 1:
            torch.cuda.set_per_process_memory_fraction(share, self._device)

    def problem(self, spec: AnyProblem, way: Way) -> Problem:
        """See `Bench`."""
        return self._problems.get(
            f"{canonical(spec)} {way.channels_last}",
            lambda: build_problem(spec, self._datasets, self._device, way.channels_last),
        )

    def stored(self, task_id: str) -> Stored:
        """See `Bench`."""
        return self._results.get(task_id, lambda: Stored(*self._store.weights_with_metadata(task_id)))

    def do(self, job: Job) -> Report:
        """Do a pack and commit it. An exception out of here is the store's or the worker's, not the tasks'."""
        return self.commit(self.compute(job))

    def load(self, job: Job) -> None:
        """Bring what the inputs of a pack left in the store into memory; less of it where there is much.

        What cannot be read is left to the tasks that ask for it, to fail with.
        """
        loaded = 0
        for task_id in dict.fromkeys(i for inputs in job.inputs for i in inputs):
            if loaded > _KEEP_BYTES // 2:  # the rest of the memory is for the pack that is computed meanwhile
                return
            with contextlib.suppress(Exception):
                loaded += _size(self.stored(task_id))

    def compute(self, job: Job) -> Computed:
        """Do a pack."""
        started, clock = datetime.now(timezone.utc), time.perf_counter()
        items = job.items()
        outcomes = self._outcomes(
            job.kind, items, _JobBench(self, job.way, self._programs.accelerate(job.shape, job.way))
        )
        if isinstance(outcomes, Failure):
            memory = outcomes.kind == "memory"
            if memory:  # out here nothing holds the exception any more, nor the frames and tensors that it held
                free_memory()
            if len(items) > 1:
                return Computed(Report(job.pack_id, {}, raised=outcomes.error, memory=memory), None)
            outcomes = [outcomes]
        wall = time.perf_counter() - clock
        about = {"started_at": started, "wall_s": wall / len(items), "device": self._device_name()}
        verdicts = {item.id: _verdict(outcome) for item, outcome in zip(items, outcomes, strict=True)}
        notes, self._compiler.notes = tuple(self._compiler.notes), []
        report = Report(job.pack_id, verdicts, wall_s=wall, notes=notes)
        return Computed(report, _pack_result(job, items, outcomes, about))

    def tune(self, tuning: Tuning) -> Choice:
        """Choose how tasks of a shape are computed, by trying. Those that cannot even be tried fail when done."""
        probe = TrialProbe(
            tuning,
            lambda way, accelerate: _JobBench(self, way, accelerate),
            lambda way: self._programs.accelerate(tuning.shape, way),
            self._compiler,
            self._device,
        )
        try:
            return choose(probe, tuning.wishes)
        except OutOfMemory:
            return by_rule(tuning.wishes, 1)
        except Exception as error:  # most likely the tasks' own, which they will fail with; it must not be lost if not
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            self._compiler.notes.append(f"{tuning.kind}: could not be tried, packed by rule: {reason}")
            return by_rule(tuning.wishes, tuning.tasks)

    def _outcomes(self, kind: str, items: Sequence[Item], bench: Bench) -> Sequence[Outcome | Failure] | Failure:
        try:
            return KINDS[kind](items, bench)
        except Exception as error:
            text = traceback.format_exc()
            if not ran_out(error):
                return Failure("raised", text)
            said = f"out of memory, with no other task in the pack: {type(error).__name__}: {error}".splitlines()[0]
            return Failure("memory", f"{text}{said}; give the worker more of it, or the task less to do at a time")

    def commit(self, computed: Computed) -> Report:
        """Write the results of a pack into the store."""
        if computed.result is not None:
            self._store.commit(computed.result)
        return computed.report

    def _device_name(self) -> str:
        if self._device.type == "cuda":
            return f"cuda: {torch.cuda.get_device_name(self._device)}"
        return f"cpu: {torch.get_num_threads()} thread(s)"


@dataclass(frozen=True)
class _JobBench:
    """See `Bench`: a worker as one job sees it."""

    worker: Worker
    way: Way
    accelerate: Accelerate | None

    def problem(self, spec: AnyProblem) -> Problem:
        return self.worker.problem(spec, self.way)

    def stored(self, task_id: str) -> Stored:
        return self.worker.stored(task_id)


def _size(stored: Stored) -> int:
    return sum(t.numel() * t.element_size() for t in stored.tensors.values())


def _verdict(outcome: Outcome | Failure) -> Verdict:
    if isinstance(outcome, Result):
        return Verdict("done")
    if isinstance(outcome, Failure):
        return Verdict("failed", outcome.kind)
    return Verdict("failed", "diverged" if isinstance(outcome, Diverged) else "raised")


def _pack_result(
    job: Job, items: Sequence[Item], outcomes: Sequence[Outcome | Failure], about: dict[str, Any]
) -> PackResult:
    rows: dict[str, list[dict[str, Any]]] = {}
    tensors, texts, tasks = {}, {}, []
    for item, spec, outcome in zip(items, job.specs, outcomes, strict=True):
        verdict = _verdict(outcome)
        error = None if isinstance(outcome, Result) else outcome.error if isinstance(outcome, Failure) else str(outcome)
        tasks.append(
            task_row(job, item.id, spec, item.inputs)
            | about
            | {"status": verdict.status, "error_kind": verdict.error_kind, "error": error}
        )
        if isinstance(outcome, Result):
            for table, new in outcome.rows.items():
                rows.setdefault(table, []).extend({"task_id": item.id} | row for row in new)
            if outcome.tensors:
                # to the CPU by the thread that computes: another one's copy would wait for the device's next pack
                tensors[item.id] = {name: tensor.cpu() for name, tensor in outcome.tensors.items()}
                texts[item.id] = outcome.about
    return PackResult(job.pack_id, tasks, rows, tensors, texts)


def task_row(job: Job, task_id: str, spec: str, inputs: Sequence[str]) -> dict[str, Any]:
    """The part of a row of `tasks` that says what the task is and where it was done."""
    return {
        "task_id": task_id,
        "kind": job.kind,
        "attempts": job.attempt,
        "pack_id": job.pack_id,
        "pack_size": len(job.ids),
        "way": str(job.way),
        "host": platform.node(),
        "mcdist_version": __version__,
        "torch_version": torch.__version__,
        "spec": spec,
        "inputs": list(inputs),
    }
