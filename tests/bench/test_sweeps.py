"""The suites `sweep` and `scaling`: what they run, and what they take for the time."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import pytest

from mcdist.bench.processes import Finished
from mcdist.bench.suite import Skipped
from mcdist.bench.suites import scaling, sweep
from mcdist.plan import make_plan
from mcdist.spec import load_spec
from mcdist.tasks.problems import prepare


def test_script_and_job_take_turns_as_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []

    def run(*words: object, extra: dict[str, str] | None = None) -> Finished:
        commands.append(" ".join(Path(str(word)).name for word in words))
        return Finished(10.0 if "mcdist" in words else 40.0, "")

    monkeypatch.setattr(sweep, "run_python", run)
    (row,) = sweep.rows(2)
    script = "digits_plain.py --seeds 8 --endpoint-epochs 80 --curve-epochs 200 --threads"
    job = "-m mcdist run digits.yaml --store store"
    assert commands == [f"{script} 1", job, f"{script} 1", job, f"{script} 2"]
    assert (row.value, row.met) == (4.0, True)
    assert [(n.name, n.value) for n in row.numbers] == [
        ("plain, 1 thread", 40.0),
        ("mcdist", 10.0),
        ("plain, 2 threads", 40.0),
    ]


def test_the_script_does_the_work_of_the_job(repository: Path) -> None:
    spec = load_spec(repository / sweep.JOB)
    words = dict(zip(sweep.ARGUMENTS[::2], sweep.ARGUMENTS[1::2], strict=True))
    assert words == {
        "--seeds": len(spec.endpoints[0].seeds),
        "--endpoint-epochs": spec.endpoints[0].train.epochs,
        "--curve-epochs": next(path.train.epochs for path in spec.paths if path.train),
    }


def test_without_a_checkout_there_is_nothing_to_compare_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sweep, "repository", lambda: tmp_path)
    with pytest.raises(Skipped, match=r"digits_plain\.py is not there"):
        next(iter(sweep.rows(1)))


def test_end_points_of_the_default_convnet_are_independent_packs(tmp_path: Path) -> None:
    scaling.write_images(tmp_path / "images.npz")
    prepared = prepare(load_spec(scaling.sweep_of(tmp_path / "images.npz")))
    assert make_plan(prepared.spec).counts() == {"endpoint": scaling.SEEDS}
    assert prepared.spec.resources.pack == 1
    assert prepared.facts[0].convolutional
    assert prepared.facts[0].n_params > 2_000_000


def test_time_is_from_the_first_start_to_the_last_end() -> None:
    starts = [datetime(2030, 1, 1, 12, 0, second, tzinfo=timezone.utc) for second in (10, 0, 20)]
    tasks = pd.DataFrame({"started_at": pd.to_datetime(starts), "wall_s": [50.0, 12.0, 5.5]})
    assert scaling.span(tasks) == 60.0


def test_one_core_is_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling.os, "sched_getaffinity", lambda _: {0})
    with pytest.raises(Skipped, match="two cores"):
        next(iter(scaling.rows(1)))
