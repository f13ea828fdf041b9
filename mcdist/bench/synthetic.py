"""Stores as a run leaves them, without the work: packs, files and rows of a sweep, their numbers without meaning."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from mcdist.execute.choice import wishes_of
from mcdist.execute.job import Job, Verdict
from mcdist.execute.packing import choices
from mcdist.execute.scheduler import Scheduler
from mcdist.execute.state import what_remains
from mcdist.execute.worker import task_row
from mcdist.plan import form_packs, make_plan
from mcdist.spec.sweep import SweepSpec
from mcdist.store import PackResult, Store
from mcdist.tasks.problems import prepare

__all__ = ["fill"]

EPOCHS, POSITIONS = 10, 21  # rows of history of a training, positions of a profile


def fill(store: Store, spec: SweepSpec) -> int:
    """Commit all tasks of a sweep that the store lacks, pack by pack as a run would; how many packs those were."""
    prepared = prepare(spec)
    plan = make_plan(prepared.spec)
    chosen = choices(plan, wishes_of(spec.resources), store, plan.tasks, None)
    packs = form_packs(plan, {shape: choice.most for shape, choice in chosen.items()})
    scheduler = Scheduler(packs, what_remains(plan, store.tasks()).settled, 0)
    done = 0
    while (job := scheduler.next()) is not None:
        store.commit(_result(job))
        scheduler.ended(job.pack_id, dict.fromkeys(job.ids, Verdict("done")))
        done += 1
    return done


def _result(job: Job) -> PackResult:
    import torch

    about = {"status": "done", "wall_s": 1.0, "started_at": datetime.now(timezone.utc), "device": "none"}
    tasks = [
        task_row(job, i, spec, inputs) | about for i, spec, inputs in zip(job.ids, job.specs, job.inputs, strict=True)
    ]
    rows: dict[str, list[dict[str, Any]]] = {}
    for task_id, inputs in zip(job.ids, job.inputs, strict=True):
        for table, new in _ROWS[job.kind](task_id, inputs).items():
            rows.setdefault(table, []).extend({"task_id": task_id} | row for row in new)
    has_weights = job.kind != "profile"
    tensors = {i: {"weight": torch.zeros(4)} for i in job.ids} if has_weights else {}
    return PackResult(job.pack_id, tasks, rows, tensors)


Rows = dict[str, list[dict[str, Any]]]


def _endpoint(task_id: str, inputs: tuple[str, ...]) -> Rows:
    history = [{"endpoint_id": task_id, "epoch": e + 1, "train_loss": 1 / (e + 1)} for e in range(EPOCHS)]
    return {"endpoints": [{"endpoint_id": task_id, "train_loss": 0.1, "test_loss": 0.2}], "history": history}


def _path(task_id: str, inputs: tuple[str, ...]) -> Rows:
    a, b = inputs
    history = [{"path_id": task_id, "epoch": e + 1, "train_loss": 1 / (e + 1)} for e in range(EPOCHS)]
    return {"paths": [{"path_id": task_id, "endpoint_a": a, "endpoint_b": b}], "history": history}


def _profile(task_id: str, inputs: tuple[str, ...]) -> Rows:
    ts = [i / (POSITIONS - 1) for i in range(POSITIONS)]
    points = [{"path_id": inputs[0], "t": t, "s": t, "train_loss": t * (1 - t), "test_loss": t} for t in ts]
    barriers = [{"path_id": inputs[0], "metric": m, "barrier_linear": 0.25} for m in ("train_loss", "test_loss")]
    return {"path_points": points, "barriers": barriers}


_ROWS: dict[str, Callable[[str, tuple[str, ...]], Rows]] = {"endpoint": _endpoint, "path": _path, "profile": _profile}
