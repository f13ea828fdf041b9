"""What the user sees while a sweep runs: one live bar on a terminal, plain lines every so often elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["ProgressDisplay", "duration"]

_LINE_EVERY_S = 10.0
_PUBLISH_EVERY_S = 2.0

Publish = Callable[[Mapping[tuple[str, str], int], Mapping[str, float]], None]
"""Takes tasks by kind and state, and the work of done tasks by kind."""


def duration(seconds: float) -> str:
    """1:02:03, 2:03 or 0:03."""
    s = round(seconds)
    hours, minutes = s // 3600, s // 60 % 60
    return f"{hours}:{minutes:02}:{s % 60:02}" if hours else f"{minutes}:{s % 60:02}"


class ProgressDisplay:
    """Counts by kind, rate, time left.

    totals: tasks by kind. done: of them finished before. costs: estimated work of each task to do, by id. The time left
    is reckoned kind by kind, from the time that its work took so far; kinds of which nothing is done yet are left
    out, and the time is then called a least one. workers: how many do tasks of a kind now. publish: told every few
    seconds how things stand.
    """

    def __init__(
        self,
        totals: Mapping[str, int],
        done: Mapping[str, int],
        kinds: Mapping[str, str],
        costs: Mapping[str, float],
        workers: Callable[[str], int],
        out: TextIO,
        publish: Publish = lambda tasks, work: None,
    ) -> None:
        self._publish, self._published, self._states = publish, 0.0, Counter[tuple[str, str]]()
        self._before = dict(done)
        self._totals, self._kinds, self._costs, self._workers, self._out = totals, kinds, costs, workers, out
        self._done, self._failed, self._settled = Counter(done), Counter[str](), 0
        self._left, self._spent, self._wall = (dict.fromkeys(totals, 0.0) for _ in range(3))
        for task_id, kind in kinds.items():
            self._left[kind] += costs[task_id]
        self._began = self._last_line = time.monotonic()
        self._said: set[str] = set()
        self._bar: Progress | None = None
        if out.isatty():
            columns = (BarColumn(24), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(file=out), transient=True)
            self._row = self._bar.add_task(self.describe(), total=sum(totals.values()), completed=sum(done.values()))
            self._bar.start()

    def note(self, task_id: str, status: str, wall_s: float) -> None:
        """One task was settled; wall_s: its worker's time for it."""
        kind, cost = self._kinds[task_id], self._costs[task_id]
        self._done[kind] += 1
        self._settled += 1
        self._states[kind, status] += 1
        self._left[kind] -= cost
        if status == "done":
            self._spent[kind] += cost
            self._wall[kind] += wall_s if cost > 0 else 0.0
        else:
            self._failed[status] += 1

    def say(self, note: str) -> None:
        """A line that stays; each is said once."""
        if note in self._said:
            return
        self._said.add(note)
        self.tell(note)

    def tell(self, note: str) -> None:
        """A line that stays, however often it was said."""
        if self._bar is not None:
            self._bar.console.print(f"note: {note}", markup=False, highlight=False)
        else:
            print(f"note: {note}", file=self._out, flush=True)

    def tick(self) -> None:
        """Show how things stand; call often."""
        if time.monotonic() - self._published >= _PUBLISH_EVERY_S:
            self.publish()
        if self._bar is not None:
            self._bar.update(self._row, completed=self._done.total(), description=self.describe())
        elif time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._last_line = time.monotonic()
            print(self.describe(), file=self._out, flush=True)

    def publish(self) -> None:
        """Tell how things stand now."""
        self._published = time.monotonic()
        states = dict(self._states)
        for kind, total in self._totals.items():
            states[kind, "before"] = self._before.get(kind, 0)
            states[kind, "todo"] = total - self._done[kind]
        self._publish(states, self._spent)

    def describe(self) -> str:
        """The one line: `endpoint 8/8 · path 30/56 · 5.2 tasks/s · 0:12 left`."""
        parts = [f"{kind} {self._done[kind]}/{total}" for kind, total in self._totals.items()]
        parts += [f"{count} {status}" for status, count in self._failed.items()]
        elapsed = self.elapsed()
        if self._settled and elapsed > 0:
            parts.append(f"{self._settled / elapsed:.3g} tasks/s")
        left = {kind: cost for kind, cost in self._left.items() if self._done[kind] < self._totals[kind] and cost > 0}
        known = {kind: cost for kind, cost in left.items() if self._spent[kind] > 0}
        if known:
            seconds = sum(
                cost * self._wall[kind] / self._spent[kind] / self._workers(kind) for kind, cost in known.items()
            )
            parts.append(f"{'about' if len(known) == len(left) else 'at least'} {duration(seconds)} left")
        return " · ".join(parts)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def close(self) -> None:
        """Take the bar away."""
        self.publish()
        if self._bar is not None:
            self._bar.stop()
