"""What the user sees while a sweep runs: one live bar on a terminal, plain lines every so often elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["ProgressDisplay", "duration"]

_LINE_EVERY_S = 10.0


def duration(seconds: float) -> str:
    """1:02:03, 2:03 or 0:03."""
    s = round(seconds)
    hours, minutes = s // 3600, s // 60 % 60
    return f"{hours}:{minutes:02}:{s % 60:02}" if hours else f"{minutes}:{s % 60:02}"


class ProgressDisplay:
    """Counts by kind, rate, time left.

    totals: tasks by kind. done: of them finished before. costs: estimated work of each task to do, by id; the time left
    is reckoned from the work done so far.
    """

    def __init__(
        self, totals: Mapping[str, int], done: Mapping[str, int], costs: Mapping[str, float], out: TextIO
    ) -> None:
        self._totals, self._costs, self._out = totals, costs, out
        self._done, self._failed = Counter(done), Counter[str]()
        self._settled, self._spent, self._left = 0, 0.0, sum(costs.values())
        self._began = self._last_line = time.monotonic()
        self._bar: Progress | None = None
        if out.isatty():
            columns = (BarColumn(24), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(file=out), transient=True)
            self._row = self._bar.add_task(self.describe(), total=sum(totals.values()), completed=sum(done.values()))
            self._bar.start()

    def note(self, task_id: str, kind: str, status: str) -> None:
        """One task was settled."""
        self._done[kind] += 1
        self._settled += 1
        self._left -= self._costs[task_id]
        if status == "done":
            self._spent += self._costs[task_id]
        else:
            self._failed[status] += 1

    def tick(self) -> None:
        """Show how things stand; call often."""
        if self._bar is not None:
            self._bar.update(self._row, completed=self._done.total(), description=self.describe())
        elif time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._last_line = time.monotonic()
            print(self.describe(), file=self._out, flush=True)

    def describe(self) -> str:
        """The one line: `endpoint 8/8 · path 30/56 · 5.2 tasks/s · 0:12 left`."""
        parts = [f"{kind} {self._done[kind]}/{total}" for kind, total in self._totals.items()]
        parts += [f"{count} {status}" for status, count in self._failed.items()]
        elapsed = self.elapsed()
        if self._settled and elapsed > 0:
            parts.append(f"{self._settled / elapsed:.3g} tasks/s")
        if self._spent > 0 and self._done.total() < sum(self._totals.values()):
            parts.append(f"about {duration(elapsed * self._left / self._spent)} left")
        return " · ".join(parts)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
