"""What a sweep tells of itself: counted once, told seldom, and there to be scraped where Ray's own metrics are."""

from __future__ import annotations

import io
import re
import time
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from ray.util import metrics as ray_metrics
from support.sweeps import small_sweep

from mcdist.execute.executor import Ended, Lost
from mcdist.execute.job import Job, Report, Verdict
from mcdist.execute.metrics import METRICS, SweepMetrics
from mcdist.execute.progress import ProgressDisplay


class Noted:
    """In place of Ray's metrics: what each series came to."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, ...], float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    def make(self, name: str, about: str, tag_keys: tuple[str, ...], boundaries: list[float] | None = None) -> Any:
        return _Series(self, name, tag_keys)


class _Series:
    def __init__(self, noted: Noted, name: str, keys: tuple[str, ...]) -> None:
        self._noted, self._name, self._keys = noted, name, keys

    def set_default_tags(self, tags: dict[str, str]) -> _Series:
        self._tags = tags
        return self

    def _key(self, tags: dict[str, str] | None) -> tuple[str, ...]:
        whole = self._tags | (tags or {})
        assert tuple(whole) == self._keys, "a tag is missing or unknown"
        self._noted.calls[self._name] += 1
        return (self._name, *whole.values())

    def inc(self, value: float = 1.0, tags: dict[str, str] | None = None) -> None:
        assert value > 0, "Ray refuses that"
        self._noted.sums[self._key(tags)] += value

    observe = inc

    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        self._noted.sums[self._key(tags)] = value


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    found = Noted()
    for name in ("Counter", "Gauge", "Histogram"):
        monkeypatch.setattr(ray_metrics, name, found.make)
    return found


def job(number: int = 1, tasks: int = 4, attempt: int = 1) -> Job:
    ids = tuple(f"{number}-{i}" for i in range(tasks))
    return Job(f"pack{number}", "endpoint", ids, ("{}",) * tasks, ((),) * tasks, attempt)


def test_packs_are_counted_by_what_became_of_them(noted: Noted) -> None:
    told = SweepMetrics("digits")
    for attempt in (1, 2):
        told.sent(job(attempt=attempt))
    done = Report("pack1", {"1-0": Verdict("done")}, wall_s=2.0, read_s=0.25, write_s=0.5)
    told.came([Lost(job(), "gone"), Lost(job(), "later", begun=False), Lost(job(), "moved", harmless=True)])
    told.came(
        [Ended(job(), done), Ended(job(), Report("pack1", {}, raised="no", wall_s=1.0, read_s=0.25, write_s=0.25))]
    )
    told.came([Ended(job(), Report("pack1", {}, raised="no", memory=True, wall_s=1.0, read_s=0.5, write_s=0.25))])
    packs = {key[3]: value for key, value in noted.sums.items() if key[0] == "mcdist_packs"}
    assert packs == {"sent": 2, "sent_again": 1, "ended": 1, "lost": 1, "returned": 2, "raised": 1, "too_large": 1}
    assert noted.sums["mcdist_pack_tasks", "digits", "endpoint"] == 8
    assert noted.sums["mcdist_pack_seconds", "digits", "endpoint"] == 4
    assert noted.sums["mcdist_store_seconds", "digits", "read"] == 1
    assert noted.sums["mcdist_store_seconds", "digits", "write"] == 1


def test_tasks_and_passes_are_told_as_they_stand_workers_when_their_number_changes(noted: Noted) -> None:
    told = SweepMetrics("digits")
    for done in (1, 3, 3):
        told.stand({("path", "done"): done, ("path", "todo"): 5 - done}, {"path": 100.0 * done})
        told.workers(2)
    assert noted.sums["mcdist_tasks", "digits", "path", "done"] == 3
    assert noted.sums["mcdist_tasks", "digits", "path", "todo"] == 2
    assert noted.sums["mcdist_passes", "digits", "path"] == 300
    assert noted.calls["mcdist_passes"] == 2
    assert noted.calls["mcdist_workers"] == 1


def test_progress_publishes_every_state_seldom_and_at_the_end() -> None:
    told: list[tuple[dict[tuple[str, str], int], dict[str, float]]] = []
    kinds, costs = {"a": "path", "b": "path", "c": "path"}, {"a": 2.0, "b": 3.0, "c": 4.0}
    progress = ProgressDisplay(
        {"path": 5},
        {"path": 2},
        kinds,
        costs,
        lambda kind: 1,
        io.StringIO(),
        lambda t, w: told.append((dict(t), dict(w))),
    )
    progress.note("a", "done", 1.0)
    for _ in range(100):
        progress.tick()
    progress.note("b", "failed", 1.0)
    progress.close()
    before, after = told
    assert before == ({("path", "before"): 2, ("path", "done"): 1, ("path", "todo"): 2}, {"path": 2.0})
    assert after[0] == {("path", "before"): 2, ("path", "done"): 1, ("path", "failed"): 1, ("path", "todo"): 1}
    assert after[1] == {"path": 2.0}  # what failed is not counted as work


def test_the_list_of_metrics_is_the_one_that_users_read(repository: Path) -> None:
    page = (repository / "clusters" / "watching.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `mcdist_")]
    listed = [f"`{name}` | {about.type} | {', '.join(about.tags)} | {about.what}" for name, about in METRICS.items()]
    assert [" | ".join(cell.strip() for cell in row) for row in rows] == listed


@pytest.mark.ray
@pytest.mark.long
def test_a_running_sweep_can_be_scraped_from_its_node(tmp_path: Path) -> None:
    """On a Ray of this process, so that it is still there when the sweep has ended."""
    import ray

    import mcdist

    ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=2)
    try:
        node = ray.nodes()[0]
        where = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        sweep = small_sweep(resources={"workers": 1, "pack": 4, "compile": "off"})
        assert mcdist.run(sweep, store=str(tmp_path), out=io.StringIO()).exit_code == 0
        deadline = time.monotonic() + 60
        wanted = re.compile(r'ray_mcdist_tasks{[^}]*kind="profile"[^}]*state="done"[^}]*sweep="small"[^}]*} 12.0')
        while not wanted.search(text := _page(where)):
            assert time.monotonic() < deadline, "not there within a minute"
            time.sleep(1.0)
    finally:
        ray.shutdown()
    for name, about in METRICS.items():
        assert f"# TYPE ray_{name}{'_total' if about.type == 'counter' else ''} {about.type}" in text
    for state in ("sent", "ended"):
        assert re.search(rf'ray_mcdist_packs_total{{[^}}]*kind="endpoint"[^}}]*state="{state}"[^}}]*}} 1.0', text)
    assert re.search(r'ray_mcdist_store_seconds_count{[^}]*operation="write"[^}]*} [1-9]', text)
    assert re.search(r'ray_tasks{[^}]*Name="endpoint x4 small"', text), "Ray's own names do not say the task"


def _page(where: str) -> str:
    with urllib.request.urlopen(where, timeout=10) as answer:
        return str(answer.read().decode())
