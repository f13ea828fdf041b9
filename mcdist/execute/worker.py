"""A worker: does packs of tasks, one after the other, and writes what they give into the store."""

from __future__ import annotations

import platform
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import torch

from mcdist.errors import Diverged, TaskError
from mcdist.execute.cache import Recent
from mcdist.execute.job import Job, Report, Verdict
from mcdist.problems.data import Dataset
from mcdist.science.acceleration import Accelerate
from mcdist.science.problem import Problem
from mcdist.spec.base import canonical
from mcdist.spec.problem import ProblemSpec
from mcdist.store import PackResult, Store, open_store
from mcdist.tasks.problems import build_problem, data_key
from mcdist.tasks.registry import KINDS
from mcdist.tasks.work import Item, Outcome, Result, Stored
from mcdist.version import __version__

__all__ = ["Worker", "task_row"]

_KEEP_BYTES = 1 << 28  # results of input tasks kept in memory


class Worker:
    """Owns a device, its problems (data included) and a way to the store.

    datasets: gives the arrays of a `data_key`. threads: torch threads; results depend on them by rounding, so they
    are part of the sweep's resources, not of the machine.
    """

    def __init__(self, store: str, device: str, threads: int, datasets: Callable[[str], Dataset]) -> None:
        self._store: Store = open_store(store)
        self._device = torch.device(device)
        self._datasets = datasets
        self._problems: Recent[Problem] = Recent(4, lambda problem: 1)
        self._results: Recent[Stored] = Recent(_KEEP_BYTES, _size)
        torch.set_num_threads(threads)

    @property
    def accelerate(self) -> Accelerate | None:
        """See `Bench`."""
        return None

    def problem(self, spec: ProblemSpec) -> Problem:
        """See `Bench`."""
        return self._problems.get(
            str(canonical(spec)),
            lambda: build_problem(spec, self._datasets(data_key(spec.data)), self._device),
        )

    def stored(self, task_id: str) -> Stored:
        """See `Bench`."""
        return self._results.get(
            task_id, lambda: Stored(self._store.weights(task_id), self._store.weights_metadata(task_id))
        )

    def do(self, job: Job) -> Report:
        """Do a pack and commit it. An exception out of here is the store's or the worker's, not the tasks'."""
        started, clock = datetime.now(timezone.utc), time.perf_counter()
        items = job.items()
        try:
            outcomes: Sequence[Outcome | str] = KINDS[job.kind](items, self)
        except Exception:
            if len(items) > 1:
                return Report(job.pack_id, {}, raised=traceback.format_exc())
            outcomes = [traceback.format_exc()]
        wall = time.perf_counter() - clock
        about = {"started_at": started, "wall_s": wall / len(items), "device": self._device_name()}
        self._store.commit(_pack_result(job, items, outcomes, about))
        verdicts = {item.id: _verdict(outcome) for item, outcome in zip(items, outcomes, strict=True)}
        return Report(job.pack_id, verdicts, wall_s=wall)

    def _device_name(self) -> str:
        if self._device.type == "cuda":
            return f"cuda: {torch.cuda.get_device_name(self._device)}"
        return f"cpu: {torch.get_num_threads()} thread(s)"


def _size(stored: Stored) -> int:
    return sum(t.numel() * t.element_size() for t in stored.tensors.values())


def _verdict(outcome: Outcome | str) -> Verdict:
    if isinstance(outcome, Result):
        return Verdict("done")
    return Verdict("failed", "diverged" if isinstance(outcome, Diverged) else "raised")


def _pack_result(
    job: Job, items: Sequence[Item], outcomes: Sequence[Outcome | str], about: dict[str, Any]
) -> PackResult:
    rows: dict[str, list[dict[str, Any]]] = {}
    tensors, texts, tasks = {}, {}, []
    for item, spec, outcome in zip(items, job.specs, outcomes, strict=True):
        verdict = _verdict(outcome)
        error = None if isinstance(outcome, Result) else _words(outcome)
        tasks.append(
            task_row(job, item.id, spec, item.inputs)
            | about
            | {"status": verdict.status, "error_kind": verdict.error_kind, "error": error}
        )
        if isinstance(outcome, Result):
            for table, new in outcome.rows.items():
                rows.setdefault(table, []).extend({"task_id": item.id} | row for row in new)
            if outcome.tensors:
                tensors[item.id], texts[item.id] = outcome.tensors, outcome.about
    return PackResult(job.pack_id, tasks, rows, tensors, texts)


def _words(failure: TaskError | str) -> str:
    return failure if isinstance(failure, str) else str(failure)


def task_row(job: Job, task_id: str, spec: str, inputs: Sequence[str]) -> dict[str, Any]:
    """The part of a row of `tasks` that says what the task is and where it was done."""
    return {
        "task_id": task_id,
        "kind": job.kind,
        "attempts": job.attempt,
        "pack_id": job.pack_id,
        "pack_size": len(job.ids),
        "host": platform.node(),
        "mcdist_version": __version__,
        "torch_version": torch.__version__,
        "spec": spec,
        "inputs": list(inputs),
    }
