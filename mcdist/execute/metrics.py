"""What a sweep on Ray tells of itself, for Prometheus: every node of the cluster serves it where Ray's own metrics are.

Ray puts `ray_` before each name, and `_total` behind those of counters: `ray_mcdist_packs_total`. All of it is recorded
by the driver, a few times for each pack, never for each task: there are as many series for a million tasks as for ten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ray.util import metrics

from mcdist.execute.executor import Ended, Lost
from mcdist.execute.job import Job

__all__ = ["METRICS", "Described", "SweepMetrics"]


@dataclass(frozen=True)
class Described:
    """A metric: its type, what it says, the tags that it has beside `sweep`; of a histogram where its buckets end."""

    type: Literal["counter", "gauge", "histogram"]
    what: str
    tags: tuple[str, ...] = ()
    ends: tuple[float, ...] = ()


_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

METRICS: dict[str, Described] = {
    "mcdist_tasks": Described(
        "gauge",
        "tasks of the sweep: before (settled when this run began), done, failed, blocked by a failure, or todo",
        ("kind", "state"),
    ),
    "mcdist_packs": Described(
        "counter",
        "packs of tasks: sent to a worker, sent_again (those that had been before), and how they ended: ended "
        "(committed), raised, too_large (for memory), lost (with the worker), returned (before they were begun)",
        ("kind", "state"),
    ),
    "mcdist_passes": Described(
        "counter",
        "forward passes of one example that the done tasks came to, as `mcdist plan` counts them: 3 for each training "
        "step, example and point. Its rate is how fast points are trained",
        ("kind",),
    ),
    "mcdist_pack_tasks": Described(
        "histogram", "tasks in a pack that was sent", ("kind",), tuple(2**k for k in range(10))
    ),
    "mcdist_pack_seconds": Described(
        "histogram", "seconds that a worker computed a pack", ("kind",), (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0)
    ),
    "mcdist_store_seconds": Described(
        "histogram",
        "seconds that a worker took to read what a pack needs from the store, and to write what came of it",
        ("operation",),
        _SECONDS,
    ),
    "mcdist_workers": Described("gauge", "workers that are ready or at work"),
}
"""Every metric by name; each has the tag `sweep`, the sweep's name."""


class SweepMetrics:
    """Records a sweep's metrics; Ray must be connected to."""

    def __init__(self, sweep: str) -> None:
        self._metrics: dict[str, Any] = {name: _made(name, about, sweep) for name, about in METRICS.items()}
        self._workers: int | None = None
        self._passes: dict[str, float] = defaultdict(float)

    def sent(self, job: Job) -> None:
        """A job was sent to a worker."""
        self._pack(job, "sent")
        if job.attempt > 1:
            self._pack(job, "sent_again")
        self._metrics["mcdist_pack_tasks"].observe(len(job.ids), tags={"kind": job.kind})

    def came(self, events: Sequence[Ended | Lost]) -> None:
        """What became of jobs."""
        for event in events:
            if isinstance(event, Lost):
                self._pack(event.job, "lost" if event.begun and not event.harmless else "returned")
                continue
            report = event.report
            self._pack(event.job, "ended" if report.raised is None else "too_large" if report.memory else "raised")
            self._metrics["mcdist_pack_seconds"].observe(report.wall_s, tags={"kind": event.job.kind})
            for operation, seconds in (("read", report.read_s), ("write", report.write_s)):
                self._metrics["mcdist_store_seconds"].observe(seconds, tags={"operation": operation})

    def _pack(self, job: Job, state: str) -> None:
        self._metrics["mcdist_packs"].inc(tags={"kind": job.kind, "state": state})

    def workers(self, number: int) -> None:
        """How many workers there are."""
        if number != self._workers:
            self._workers = number
            self._metrics["mcdist_workers"].set(number)

    def stand(self, tasks: Mapping[tuple[str, str], int], passes: Mapping[str, float]) -> None:
        """How the sweep stands: tasks by kind and state, forward passes of done tasks by kind since the run began."""
        for (kind, state), number in tasks.items():
            self._metrics["mcdist_tasks"].set(number, tags={"kind": kind, "state": state})
        for kind, work in passes.items():
            if work > self._passes[kind]:
                self._metrics["mcdist_passes"].inc(work - self._passes[kind], tags={"kind": kind})
                self._passes[kind] = work


def _made(name: str, about: Described, sweep: str) -> Any:
    tags = ("sweep", *about.tags)
    made: metrics.Metric
    if about.type == "histogram":
        made = metrics.Histogram(name, about.what, boundaries=list(about.ends), tag_keys=tags)
    elif about.type == "counter":
        made = metrics.Counter(name, about.what, tag_keys=tags)
    else:
        made = metrics.Gauge(name, about.what, tag_keys=tags)
    return made.set_default_tags({"sweep": sweep})
