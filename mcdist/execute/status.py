"""How the sweeps of a store stand, told by the store alone: from any machine that can read it, wherever they run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import yaml

from mcdist.errors import McdistError
from mcdist.execute.progress import duration
from mcdist.plan.graph import make_plan
from mcdist.spec.load import load_spec
from mcdist.store import Store
from mcdist.store.following import TaskFollower

__all__ = ["WINDOW_S", "StatusReader", "StoreStatus", "SweepStatus"]

WINDOW_S = 300.0  # what counts as lately
_SILENT_S = 60.0  # without a commit, after which that is said as a warning
_STATES = ("done", "failed", "blocked")
_COLUMNS = ["task_id", "kind", "status", "error_kind", "host", "device", "pack_size", "wall_s", "started_at"]


@dataclass(frozen=True)
class SweepStatus:
    """A sweep: its tasks by state ("to do" among them).

    left_s: seconds until the rest is done, reckoned from the mean time of the done tasks of each kind and the number of
    workers that were busy lately; None where nothing was done lately. least: there are kinds of which none is done yet.
    """

    name: str
    tasks: int
    states: Counter[str]
    left_s: float | None = None
    least: bool = False

    def line(self) -> str:
        """In a line."""
        settled = [(state, n) for state, n in self.states.most_common() if state != "to do"]
        counts = ", ".join(f"{n} {state}" for state, n in [*settled, ("to do", self.states["to do"])] if n)
        left = "" if self.left_s is None else f"; {'at least' if self.least else 'about'} {duration(self.left_s)} left"
        return f"sweep {self.name}: {self.tasks} tasks: {counts}{left}"


@dataclass(frozen=True)
class StoreStatus:
    """A store at one moment.

    kinds: tasks by state, of each kind. errors: failed tasks by kind of error. lately, lately_s: tasks that ended in
    the last `WINDOW_S`, or since the first began where that is less, and how long that is; busy: workers that it took.
    places: tasks by host and device, of those. silent_s: seconds since the last commit; None in an empty store.
    """

    uri: str
    kinds: dict[str, Counter[str]]
    errors: Counter[str]
    wall_s: float
    lately: int
    lately_s: float
    busy: float
    places: Counter[tuple[str, str]]
    silent_s: float | None
    sweeps: list[SweepStatus]

    @property
    def tasks(self) -> int:
        """All tasks of the store."""
        return sum(states.total() for states in self.kinds.values())

    @property
    def unfinished(self) -> bool:
        """Whether a sweep has tasks to do."""
        return any(sweep.states["to do"] for sweep in self.sweeps)

    def rows(self) -> list[tuple[object, ...]]:
        """Of a table: kind, tasks, done, failed, blocked."""
        return [(kind, n.total(), *(n[state] for state in _STATES)) for kind, n in self.kinds.items()]

    def head(self) -> str:
        """The first line."""
        return f"store {self.uri}: {self.tasks} tasks, {duration(self.wall_s)} of worker time"

    def lines(self) -> list[str]:
        """What follows the table."""
        found = []
        if self.errors:
            kinds = ", ".join(f"{n} {kind}" for kind, n in self.errors.most_common())
            found.append(f"failed: {kinds}; see: mcdist failures {self.uri}")
        if self.lately:
            rate = self.lately / self.lately_s
            found.append(
                f"in the last {duration(self.lately_s)}: {self.lately} tasks, {rate:.3g} tasks/s, "
                f"about {self.busy:.3g} worker(s) busy"
            )
            found += [f"  {host}, {device}: {n} tasks" for (host, device), n in self.places.most_common()]
        if self.silent_s is not None and self.unfinished:
            silent = self.silent_s >= _SILENT_S
            ago = duration(self.silent_s)
            found.append(f"nothing has been committed for {ago}" if silent else f"last commit {ago} ago")
        return found + [sweep.line() for sweep in self.sweeps]


class StatusReader:
    """Looks at a store, as often as one likes; a look costs what has changed since the last one. now: the time."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store, self._now = store, now
        self._tasks = TaskFollower(store, _COLUMNS)
        self._kinds: dict[tuple[str, int], dict[str, str]] = {}  # of the tasks of a sweep as it was asked for

    def look(self) -> StoreStatus:
        """How the store is now."""
        tasks, now = self._tasks.look(), self._now()
        began = _seconds(tasks["started_at"])
        ended = began + tasks["wall_s"].fillna(0.0) * tasks["pack_size"].fillna(1)
        silent = max(0.0, now - float(ended.max())) if len(tasks) else None
        # who computed nothing (a blocked task, one lost with its worker) tells nothing of speed
        worked = tasks["wall_s"].fillna(0.0) > 0
        since = max(now - WINDOW_S, float(began.min())) if len(tasks) else now
        lately_s = max(now - since, 1.0)
        lately = tasks[worked & (ended >= since)]
        busy = float(lately["wall_s"].sum()) / lately_s
        places = Counter(zip(lately["host"].fillna("?"), lately["device"].fillna("?"), strict=True))
        in_time = tasks.sort_values("started_at", kind="stable")
        kinds = {str(kind): Counter(part["status"]) for kind, part in in_time.groupby("kind", sort=False)}
        errors = Counter(tasks.loc[tasks["status"] == "failed", "error_kind"].fillna("?"))
        sweeps = self._sweeps(tasks, busy)
        wall_s = float(tasks["wall_s"].sum())
        return StoreStatus(self._store.uri, kinds, errors, wall_s, len(lately), lately_s, busy, places, silent, sweeps)

    def _sweeps(self, tasks: pd.DataFrame, busy: float) -> list[SweepStatus]:
        asked = self._store.table("sweep_tasks")
        states = tasks.set_index("task_id")["status"]
        done = tasks[tasks["status"] == "done"]
        mean_s = {str(kind): float(wall) for kind, wall in done.groupby("kind")["wall_s"].mean().items()}
        found = []
        for name in self._store.sweeps():
            ids = pd.Index(asked.loc[asked["sweep"] == name, "task_id"])
            counts = Counter(states.reindex(ids).dropna())
            missing = ids[~ids.isin(states.index)]
            left, least = self._left(name, len(ids), missing, mean_s, busy)
            counts["to do"] = len(missing)
            found.append(SweepStatus(name, len(ids), counts, left, least))
        return found

    def _left(
        self, name: str, tasks: int, missing: pd.Index, mean_s: dict[str, float], busy: float
    ) -> tuple[float | None, bool]:
        if not len(missing) or not busy:
            return None, False
        if (name, tasks) not in self._kinds:
            self._kinds[name, tasks] = self._planned(name)
        kinds = self._kinds[name, tasks]
        count = Counter(kinds.get(i, "?") for i in missing)
        known = {kind: n for kind, n in count.items() if kind in mean_s}
        if not known:
            return None, False
        return sum(n * mean_s[kind] for kind, n in known.items()) / busy, len(known) < len(count)

    def _planned(self, name: str) -> dict[str, str]:
        """Task id -> kind, for all tasks of a sweep; none where its specification is not this version's."""
        try:
            plan = make_plan(load_spec(yaml.safe_load(self._store.sweep_spec(name))))
        except McdistError:
            return {}
        return {i: task.kind for i, task in plan.tasks.items()}


def _seconds(moments: pd.Series) -> pd.Series:
    """Unix time."""
    return (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
