"""One suite for every executor: the same sweep, the same ids, the same bits."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist
from mcdist.execute import Summary

pytestmark = pytest.mark.ray

WORKERS = {"serial": ("serial", 1), "ray": ("ray", 2)}


@pytest.fixture(scope="module")
def _one_ray() -> Iterator[None]:
    """A Ray that all tests of this file share; executors attach to it, and leave it running."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module", params=list(WORKERS))
def how(request: pytest.FixtureRequest, _one_ray: None) -> dict[str, Any]:
    executor, workers = WORKERS[request.param]
    return {"executor": executor, "changes": [f"resources.workers={workers}"]}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    uri = tmp_path_factory.mktemp("expected") / "store"
    summary = run(small_sweep(), uri, executor="serial")
    assert summary.exit_code == 0
    return tables(uri)


@pytest.fixture(scope="module")
def finished(how: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a sweep that each executor did; tests that go on with it take a copy."""
    uri = tmp_path_factory.mktemp("finished") / "store"
    summary = run(small_sweep(), uri, **how)
    assert summary.exit_code == 0
    assert summary.counts == {"done": 28}
    return uri


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "s"))


def run(sweep: dict[str, Any], uri: Path, **how: Any) -> Summary:
    return mcdist.run(sweep, store=str(uri), out=io.StringIO(), **how)


def test_the_same_bits_whoever_does_the_work(finished: Path, expected: dict[str, pd.DataFrame]) -> None:
    assert_same_tables(tables(finished), expected)


@pytest.mark.usefixtures("_one_ray")
def test_the_number_of_workers_makes_no_difference(tmp_path: Path, expected: dict[str, pd.DataFrame]) -> None:
    run(small_sweep(resources={"pack": 3, "workers": 1}), tmp_path / "s", executor="ray")
    assert_same_tables(tables(tmp_path / "s"), expected)


def test_other_packs_change_rounding_only(tmp_path: Path, expected: dict[str, pd.DataFrame]) -> None:
    """Float32, a few dozen steps: 1e-4 on losses; the errors are counts, and ids do not know of packs at all."""
    run(small_sweep(resources={"pack": 1}), tmp_path / "s", executor="serial")
    got = tables(tmp_path / "s")
    got["tasks"] = got["tasks"].drop(columns=["pack_id", "pack_size"])
    reference = dict(expected, tasks=expected["tasks"].drop(columns=["pack_id", "pack_size"]))
    for frames in (got, reference):
        for name in frames:
            frames[name] = frames[name].drop(columns=["pack_id"], errors="ignore")
    assert_same_tables(got, reference, rtol=1e-4, atol=1e-4)


def test_run_again_does_nothing(how: dict[str, Any], copied: Path) -> None:
    before = mcdist.open_store(copied).table("tasks")
    assert run(small_sweep(), copied, **how).exit_code == 0
    pd.testing.assert_frame_equal(mcdist.open_store(copied).table("tasks"), before)


def test_an_overlapping_sweep_does_the_difference(how: dict[str, Any], copied: Path) -> None:
    before = mcdist.open_store(copied).table("tasks").set_index("task_id")["started_at"]
    larger = small_sweep(name="larger", endpoints={"seeds": 5, "train": small_sweep()["endpoints"]["train"]})
    assert run(larger, copied, **how).exit_code == 0
    tasks = mcdist.open_store(copied).table("tasks").set_index("task_id")["started_at"]
    assert len(tasks) == 5 + 2 * 10 + 2 * 10
    pd.testing.assert_series_equal(tasks[before.index], before)
    asked = mcdist.open_store(copied).table("sweep_tasks")
    assert asked["sweep"].value_counts().to_dict() == {"larger": 45, "small": 28}


def test_a_diverging_task_fails_alone_and_blocks_what_needs_it(how: dict[str, Any], tmp_path: Path) -> None:
    """Two learning rates, one absurd, share packs; the sane half is done, and the failure says its step."""
    train = {"epochs": 2, "batch_size": 32, "lr": {"grid": [0.1, 1e30]}}
    sweep = small_sweep(endpoints={"seeds": 2, "train": train}, resources={"pack": 4})
    summary = run(sweep, tmp_path / "s", **how)
    assert summary.exit_code == 1
    assert summary.counts == {"done": 2 + 2 + 2, "failed": 2, "blocked": 2 + 2}
    store = mcdist.open_store(tmp_path / "s")
    tasks = store.table("tasks")
    failed = tasks[tasks["status"] == "failed"]
    assert set(failed["error_kind"]) == {"diverged"}
    assert failed["error"].str.contains(r"not finite at step [1-9]\d* \(epoch 1\)").all()
    assert set(tasks.loc[tasks["status"] == "blocked", "kind"]) == {"path", "profile"}
    assert set(store.table("endpoints")["lr"]) == {0.1}
    again = run(sweep, tmp_path / "s", **how)
    assert again.counts == summary.counts
    pd.testing.assert_frame_equal(mcdist.open_store(tmp_path / "s").table("tasks"), tasks)


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Lets packs of more than so many tasks of a kind run out of memory, in this process and in Ray's workers."""
    import ray

    from mcdist.execute import ray_pool
    from mcdist.tasks import registry

    def scarce(kind: str, most: int) -> None:
        def limited(run: Any) -> Any:
            def run_if_it_fits(items: Any, bench: Any) -> Any:
                if len(items) > most:
                    raise MemoryError(f"{len(items)} do not fit")
                return run(items, bench)

            return run_if_it_fits

        class Scarce(ray_pool.Actor):
            def __init__(self, *args: Any) -> None:
                from mcdist.tasks import registry

                registry.KINDS[kind] = limited(registry.KINDS[kind])
                super().__init__(*args)

        monkeypatch.setattr(ray_pool, "_REMOTE", ray.remote(Scarce))
        monkeypatch.setitem(registry.KINDS, kind, limited(registry.KINDS[kind]))

    return scarce


def test_packs_that_do_not_fit_in_memory_are_halved(
    how: dict[str, Any], tmp_path: Path, scarce: Callable[[str, int], None]
) -> None:
    scarce("path", 2)
    assert run(small_sweep(resources={"pack": 6}), tmp_path / "s", **how).counts == {"done": 28}
    tasks = mcdist.open_store(tmp_path / "s").table("tasks")
    sizes = tasks.drop_duplicates("pack_id").groupby("kind")["pack_size"].agg(sorted)
    assert sizes.to_dict() == {"endpoint": [4], "path": [1, 1, 1, 1, 2, 2, 2, 2], "profile": [6, 6]}  # 6: 2 + 1, 2 + 1
    again = run(small_sweep(resources={"pack": 6}), tmp_path / "again", executor="serial", changes=[])
    assert again.exit_code == 0
    assert_same_tables(tables(tmp_path / "s"), tables(tmp_path / "again"))


@pytest.mark.long
def test_a_task_too_large_for_memory_fails_alone_and_says_so(
    how: dict[str, Any], tmp_path: Path, scarce: Callable[[str, int], None]
) -> None:
    scarce("profile", 0)
    assert run(small_sweep(), tmp_path / "s", **how).counts == {"done": 16, "failed": 12}
    tasks = mcdist.open_store(tmp_path / "s").table("tasks")
    failed = tasks[tasks["status"] == "failed"]
    assert set(failed["error_kind"]) == {"memory"}
    last = failed["error"].str.split("\n").str[-1]
    assert last.str.startswith("out of memory, with no other task in the pack: MemoryError: 1 do not fit; give").all()


@pytest.mark.usefixtures("_one_ray")
def test_resources_that_no_machine_has_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(mcdist.RequestError, match=r"asks for 1 CPU and 5 GPU.*there are: 2 CPU, 0 GPU"):
        run(small_sweep(resources={"gpus": 5}), tmp_path / "s", executor="ray")
    assert not (tmp_path / "s").exists()


@pytest.mark.long
@pytest.mark.usefixtures("_one_ray")
def test_more_workers_than_there_is_room_for_do_no_harm(tmp_path: Path) -> None:
    """Those that Ray cannot place get no work, instead of work that waits for ever."""
    summary = run(small_sweep(resources={"pack": 1, "workers": 5}), tmp_path / "s", executor="ray")
    assert summary.counts == {"done": 28}


@pytest.mark.usefixtures("_one_ray")
def test_workers_that_do_not_start_end_the_run_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mcdist.execute import ray_pool

    class Stillborn(ray_pool.Actor):
        def __init__(self, *_: object) -> None:
            raise OSError("this node has no such folder")

    import ray

    monkeypatch.setattr(ray_pool, "_REMOTE", ray.remote(Stillborn))
    with pytest.raises(
        mcdist.McdistError, match="workers do not start; the last one: OSError: this node has no such folder"
    ):
        run(small_sweep(resources={"workers": 1}), tmp_path / "s", executor="ray")
    assert mcdist.open_store(tmp_path / "s").table("tasks").empty
