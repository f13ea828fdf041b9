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

    totals: tasks by kind. done: of them finished before. costs: estimated work of one task of each kind, by which the
    time left is reckoned from the work done so far.
    """

    def __init__(
        self, totals: Mapping[str, int], done: Mapping[str, int], costs: Mapping[str, float], out: TextIO
    ) -> None:
        self._totals, self._costs, self._out = totals, costs, out
        self._done, self._failed = Counter(done), Counter[str]()
        self._before = Counter(done)
        self._began = self._last_line = time.monotonic()
        self._bar: Progress | None = None
        if out.isatty():
            columns = (BarColumn(24), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(file=out), transient=True)
            self._row = self._bar.add_task(
                self.describe(), total=sum(totals.values()), completed=sum(done.values())
            )
            self._bar.start()

    def note(self, kind: str, status: str) -> None:
        """One task was settled."""
        self._done[kind] += 1
        if status != "done":
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
        elapsed = time.monotonic() - self._began
        work = {k: self._done[k] - self._before[k] for k in self._totals}
        tasks = sum(work.values())
        if tasks and elapsed > 0:
            parts.append(f"{tasks / elapsed:.3g} tasks/s")
            spent = sum(self._costs[k] * n for k, n in work.items())
            left = sum(self._costs[k] * (total - self._done[k]) for k, total in self._totals.items())
            if spent > 0 and left > 0:
                parts.append(f"about {duration(elapsed * left / spent)} left")
        return " · ".join(parts)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
