"""The suite `scale`, on small sweeps: the real driver, workers that are simulated."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from mcdist.bench.processes import Finished
from mcdist.bench.simulated import Costs, Fates
from mcdist.bench.suites import scale
from mcdist.bench.suites.scale import Case, drive_once


def test_a_case_is_told_to_a_process_as_json() -> None:
    case = Case(100, 7, None, 1, Fates(2.0), Costs(job=0.5))
    assert Case.of(json.dumps(asdict(case))) == case
    assert Case.of('{"tasks": 100, "workers": 7}') == Case(100, 7)


def test_every_task_is_settled_whatever_becomes_of_workers_and_packs() -> None:
    case = Case(1_240, 20, 40, 4, Fates(lost=0.05, raised=0.05, failed=0.05), Costs(own=False))
    took = drive_once(case)
    assert took["tasks"] == 1_240
    assert min(took[name] for name in ("lost", "raised", "failed", "blocked")) > 0
    assert took["jobs"] >= (1_240 - took["blocked"]) / 4 + took["lost"]
    assert 0.3 < took["busy"] <= 1
    assert 0 < took["fed"] < took["span"]
    assert drive_once(case)["span"] == took["span"]  # what is drawn depends on nothing else


def test_workers_with_short_jobs_wait_for_a_driver_that_takes_time() -> None:
    calm = Fates(1.0, lost=0.0, raised=0.0, failed=0.0)
    timeless, slow = (drive_once(Case(400, 20, None, 1, calm, costs)) for costs in (Costs(own=False), Costs(job=0.2)))
    # twenty jobs a second could be done, five a second are sent
    assert slow["fed"] == pytest.approx(400 * 0.2, rel=0.1)
    assert timeless["fed"] < 400 / 20 * 1.2


@pytest.mark.ray
@pytest.mark.long
def test_what_ray_takes_of_the_driver_is_some_of_a_millisecond_per_job_and_less_per_reference() -> None:
    costs = scale.ray_costs()
    assert 20e-6 < costs.job < 20e-3
    assert 0 < costs.reference < costs.job / 10
    assert costs.own


def test_rows_are_of_time_memory_growth_and_of_workers_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver of 20 µs for each task and 30 µs for each job of one; Ray takes 400 µs."""

    def machine(*words: object) -> Finished:
        case = Case.of(str(words[-1]))
        took = dict.fromkeys(scale.SEEN, 0.0) | {"tasks": case.tasks, "jobs": case.tasks / case.pack, "peak": 1.5e9}
        took["driver"] = case.tasks * (20e-6 if case.pack > 1 else 30e-6)
        per_job = took["driver"] / took["jobs"] + case.costs.job if case.costs.own else 0.0
        took["fed"] = case.tasks * max(per_job, case.fates.task_s / case.workers)
        return Finished(1.0, json.dumps(took))

    monkeypatch.setattr(scale, "run_python", machine)
    monkeypatch.setattr(scale, "ray_costs", lambda: Costs(job=400e-6, reference=1e-7))
    cpu, memory, growth, wide, thousand, ten = scale.rows(2)
    assert (cpu.value, cpu.unit, cpu.met) == (pytest.approx(20), "µs", True)
    assert (memory.value, memory.unit, memory.met) == (pytest.approx(1.5), "GB", True)
    assert (growth.value, wide.value) == (pytest.approx(1), pytest.approx(1))
    assert (thousand.value, thousand.rounds, thousand.met) == (pytest.approx(1), 2, True)
    numbers = {number.name: number.value for number in ten.numbers}
    assert numbers["jobs that it could send"] == pytest.approx(1 / 430e-6)
    assert numbers["shortest jobs that would keep them busy"] == pytest.approx(4.3)
