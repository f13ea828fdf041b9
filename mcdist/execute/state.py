"""What an earlier run left, and what a run therefore has to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcdist.plan.graph import Plan
from mcdist.store import TaskState

__all__ = ["Remains", "what_remains"]


@dataclass(frozen=True)
class Remains:
    """settled: task id -> status, for tasks of the plan that stay as they are. again: failed or blocked tasks that are
    to be tried again, their records to be removed first.
    """

    settled: dict[str, str]
    again: list[str]


def what_remains(plan: Plan, states: Mapping[str, TaskState]) -> Remains:
    """Finished work stays. A task that diverged stays failed: the same streams would diverge again.

    Every other failure (an exception, a lost worker) is tried again, and so is what it blocked.
    """
    settled: dict[str, str] = {}
    again: list[str] = []
    for task in plan.tasks.values():  # inputs come before what needs them
        state = states.get(task.id)
        if state is None:
            continue
        stuck = any(settled.get(i) in ("failed", "blocked") for i in task.inputs)
        stays = (
            state.status == "done"
            or (state.status == "failed" and state.error_kind == "diverged")
            or (state.status == "blocked" and stuck)
        )
        if stays:
            settled[task.id] = state.status
        else:
            again.append(task.id)
    return Remains(settled, again)
