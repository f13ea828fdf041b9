"""What it takes to disturb a sweep at a chosen moment, and to see what became of it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mcdist.execute import Summary
from mcdist.execute.executor import Ended, Lost

WAIT_S = 120.0


def wait_for(true: Callable[[], Any], what: str) -> Any:
    """What it gives, as soon as that is true."""
    deadline = time.monotonic() + WAIT_S
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what}: not in {WAIT_S:g} s"
        time.sleep(0.01)
    return found


@dataclass
class Watch:
    """A run's executor, as soon as there is one, and what it told the driver.

    used: ids of the nodes whose workers had a job; kinds: of tasks -> the nodes whose workers had jobs of that kind.
    """

    executor: Any = None
    events: list[Ended | Lost] = field(default_factory=list)
    kinds: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    stop: bool = False

    def spy_on(self, kind: type, patch: pytest.MonkeyPatch) -> None:
        wait, start = kind.wait, kind.start  # type: ignore[attr-defined]

        def spied_start(executor: Any, *args: Any) -> Any:
            self.executor = executor
            return start(executor, *args)

        def spied_wait(executor: Any, timeout_s: float) -> list[Ended | Lost]:
            assert not self.stop, "it takes too long, or the test has failed"
            for member in executor._members:
                for held in member.held:
                    self.kinds[held.job.kind].add(member.node)
            new: list[Ended | Lost] = wait(executor, timeout_s)
            self.events += new
            return new

        patch.setattr(kind, "start", spied_start)
        patch.setattr(kind, "wait", spied_wait)

    @property
    def used(self) -> set[str]:
        return {node for nodes in self.kinds.values() for node in nodes}

    def node_at(self, kind: str, having: str = "") -> str | None:
        """The id of the node whose worker is at a task of that kind, with such a text in its specification."""
        for member in list(self.executor._members) if self.executor else ():
            if member.held and member.held[0].job.kind == kind and having in member.held[0].job.specs[0]:
                return str(member.node)
        return None

    def losses(self) -> list[Lost]:
        """What was lost, but for what was taken back."""
        return [event for event in self.events if isinstance(event, Lost) and event.why != "taken back"]


class Background:
    """A sweep in a thread of its own: nodes can be added by a process's first thread alone.

    Left by an error, it is made to stop; else it is left as soon as the sweep has ended, with what came of it in
    `summary`.
    """

    summary: Summary

    def __init__(self, watch: Watch, run: Callable[[], Summary]) -> None:
        self._watch, self._run, self._error = watch, run, None
        self._thread = threading.Thread(target=self._do, daemon=True)

    def _do(self) -> None:
        try:
            self.summary = self._run()
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._watch.stop = kind is not None
        self._thread.join(WAIT_S)
        if kind is None and self._thread.is_alive():
            self._watch.stop = True
            self._thread.join(WAIT_S)
        if kind is None and self._error is not None:
            raise self._error


def workers_of(node: Any) -> list[int]:
    """Process ids of a node's busy workers, in the order of their starting."""
    raylet = node.all_processes["raylet"][0].process.pid
    listed = subprocess.run(
        ["pgrep", "-P", str(raylet), "-a", "-f", "^ray::"], capture_output=True, text=True, check=False
    )
    words = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [int(pid) for pid, title in words if not title.startswith(_OTHERS)]


_OTHERS = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::JobSupervisor")


def commits(store: Path) -> int:
    """How many packs have been committed."""
    return sum(not file.name.startswith("0-") for file in (store / "tables" / "tasks").glob("*.parquet"))


def committed(store: Path) -> pd.Series[Any]:
    """started_at of the tasks that are in the store by now, by task id."""
    frame = pd.read_parquet(store / "tables" / "tasks")
    return frame.set_index("task_id")["started_at"].sort_index()


def assert_not_redone(store: Path, before: pd.Series[Any]) -> None:
    """What was committed before was left alone."""
    assert len(before)
    pd.testing.assert_series_equal(committed(store)[before.index], before)
