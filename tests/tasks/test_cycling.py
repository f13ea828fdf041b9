"""Networks with a cyclic rate, broken off between members and gone on with: the same bits, or other rates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tracing import AsTraced
from torch import Tensor

from mcdist.errors import TaskError
from mcdist.problems.classification import Classification
from mcdist.science.points import Points
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import TrajectoryTask
from mcdist.tasks.cycling import Cycling
from mcdist.tasks.kept import Kept

from .bench import DictBench, bench_with, beside, problem_spec, trajectory, trunk

TRAIN: dict[str, Any] = {"epochs": 4, "weight_decay": 0.01}
TRIANGLE: dict[str, Any] = {"cycle": 1.2, "epochs": 6}
COSINE: dict[str, Any] = {"rate": "cosine", "cycles": 4, "epochs": 5}
KINDS: dict[str, dict[str, Any]] = {
    "triangle": TRIANGLE,
    "cosine": COSINE,
    "adam": TRIANGLE | {"train": {"optimizer": "adam"}},
    "dropout": TRIANGLE | {"dropout": True},
    "plain sgd": TRIANGLE | {"train": {"momentum": 0.0}},
}


def specs(problem: ProblemSpec, start: int, **said: Any) -> list[TrajectoryTask]:
    """Two networks with rates of their own."""
    train = TRAIN | said.pop("train", {})
    items = [
        trajectory(problem, seed, start=start, train=train, lr1=lr1, **said) for seed, lr1 in ((0, 0.1), (1, 0.05))
    ]
    return [cast(TrajectoryTask, item.spec) for item in items]


def with_starts(problem: ProblemSpec, start: int, **train: Any) -> tuple[DictBench, list[str | None]]:
    """Where the two begin: seeds, trunks, or end points."""
    if not start:
        return DictBench(), [None, None]
    if start == TRAIN["epochs"]:
        return bench_with(problem, 2, **TRAIN | train), ["end0", "end1"]
    bench = DictBench()
    bench.do("trunk", [trunk(problem, seed, (start,), **TRAIN | train) for seed in (0, 1)])
    return bench, ["trunk0", "trunk1"]


def finished(run: Cycling, most: int = 100) -> Cycling:
    """Advanced as often, or to the end."""
    while not run.done and most:
        run.advance()
        most -= 1
    return run


def through_files(kept: Kept, folder: Path) -> Kept:
    """Written, and read again by another process, as it were."""
    save_file(kept.tensors, folder / "kept.safetensors")
    (folder / "kept.json").write_text(json.dumps(kept.data))
    return Kept(load_file(folder / "kept.safetensors"), json.loads((folder / "kept.json").read_text()))


def assert_same(got: Cycling, expected: Cycling) -> None:
    """To the bit."""
    assert (got.taken, got.iteration, got.done) == (expected.taken, expected.iteration, expected.done)
    for k in (0, 1):
        assert got.looks(k) == expected.looks(k)
        assert got.members(k) == expected.members(k)
        assert got.rates(k) == expected.rates(k)
        ours, theirs = got.tensors(k), expected.tensors(k)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


@pytest.mark.parametrize(
    ("kind", "start", "batch_norm"),
    [*((kind, 2, True) for kind in KINDS), ("triangle", 0, False), ("cosine", 0, True), ("triangle", 4, True)],
)
def test_broken_off_and_gone_on_with_it_is_undisturbed(kind: str, start: int, batch_norm: bool, tmp_path: Path) -> None:
    """After every member, the first beginning included, through files: the same bits at the end."""
    said = dict(KINDS[kind])
    args = {"hidden": [12], "batch_norm": batch_norm} | ({"dropout": 0.3} if said.pop("dropout", False) else {})
    problem = problem_spec(model={"name": "mlp", "args": args})
    bench, parents = with_starts(problem, start, **said.get("train", {}))
    wanted = specs(problem, start, **said)
    undisturbed = finished(Cycling.begin(wanted, parents, bench))
    assert undisturbed.taken == len(undisturbed.ends) >= 2
    once = Cycling.begin(wanted, parents, bench)
    often = once
    for members in range(undisturbed.taken):
        one = Cycling.resume(wanted, through_files(once.kept(), tmp_path), bench)
        assert_same(one, finished(Cycling.begin(wanted, parents, bench), members))
        assert_same(finished(one), undisturbed)
        often = Cycling.resume(wanted, through_files(often.kept(), tmp_path), bench)
        often.advance()
        once.advance()
    assert_same(often, undisturbed)


def test_by_programs_too() -> None:
    problem = problem_spec(batch_norm=True)
    bench, parents = with_starts(problem, 2)
    bench = beside(bench, AsTraced())
    wanted = specs(problem, 2, **TRIANGLE)
    undisturbed = finished(Cycling.begin(wanted, parents, bench))
    kept = finished(Cycling.begin(wanted, parents, bench), 2).kept()
    assert_same(finished(Cycling.resume(wanted, kept, bench)), undisturbed)


def test_what_was_kept_stays_as_it_was() -> None:
    """Also when what it was taken of goes on, and when it is gone on with."""
    problem = problem_spec(batch_norm=True)
    wanted, bench = specs(problem, 0, **TRIANGLE), DictBench()
    run = finished(Cycling.begin(wanted, [None, None], bench), 1)
    kept = run.kept()
    tensors, data = {name: t.clone() for name, t in kept.tensors.items()}, json.dumps(kept.data)
    finished(run)
    first = finished(Cycling.resume(wanted, kept, bench))
    assert all(torch.equal(kept.tensors[name], tensor) for name, tensor in tensors.items())
    assert json.dumps(kept.data) == data
    assert_same(finished(Cycling.resume(wanted, kept, bench)), first)


@pytest.mark.parametrize("resumed", [False, True])
def test_other_rates_from_a_member_on_are_the_rates_of_stretches(resumed: bool) -> None:
    """Changed on the way, or gone on with under other specifications: what a task gives that says them at once."""
    problem, bench = problem_spec(batch_norm=True), DictBench()
    pairs = [(0.2, 0.1), (0.05, 0.05), (0.3, 0.01), (0.3, 0.01), (0.1, 0.02)]
    run: Cycling | None = None
    for lr1, lr2 in pairs:
        now = [spec.model_copy(update={"lr1": lr1, "lr2": lr2}) for spec in specs(problem, 0, **TRIANGLE)]
        if run is None:
            run = Cycling.begin(now, [None, None], bench)
        elif resumed:
            run = Cycling.resume(now, run.kept(), bench)
        else:
            run.change(lr1, lr2)
        run.advance()
    assert run is not None
    assert run.done
    assert run.rates(0) == run.rates(1) == pairs
    items = [trajectory(problem, seed, train=TRAIN, rates=pairs, **TRIANGLE) for seed in (0, 1)]
    bench.do("trajectory", items)
    for k, item in enumerate(items):
        made = bench.results[item.id]
        assert all(torch.equal(made.tensors[name], tensor) for name, tensor in run.tensors(k).items())
        for row, look in zip(made.rows["trajectories"], run.looks(k), strict=True):
            # at iteration 3, 9, ... a member was taken by the rates that held until there
            assert {name: row[name] for name in look} == look
        members = [row for row in made.rows["trajectories"] if row["member"] is not None]
        assert [(row["lr1"], row["lr2"]) for row in members] == pairs
        assert [row["lr"] for row in members] == [lr2 for _, lr2 in pairs]


def test_other_rates_come_before_those_that_were_to_follow() -> None:
    problem, bench = problem_spec(), DictBench()
    run = Cycling.begin(specs(problem, 0, rates=[(0.2, 0.1), (0.4, 0.3)], **TRIANGLE), [None, None], bench)
    run.advance()
    run.change(0.05, 0.02)
    run.advance()
    assert run.rates(0) == [(0.2, 0.1), (0.05, 0.02)]
    assert run.looks(0)[-1]["lr"] == 0.02


def test_splits_that_are_not_asked_for_are_never_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, bench = problem_spec(batch_norm=True), DictBench()
    wanted = specs(problem, 0, **TRIANGLE)
    usual = finished(Cycling.begin(wanted, [None, None], bench))
    own = cast(Classification, bench.problem(problem))
    monkeypatch.delitem(own._parts, "test")
    run = finished(Cycling.begin(wanted, [None, None], bench, splits=["val"]), 2)
    run = finished(Cycling.resume(wanted, run.kept(), bench, splits=["val"]))
    for k in (0, 1):
        for look, full in zip(run.looks(k), usual.looks(k), strict=True):
            assert look == {name: value for name, value in full.items() if not name.startswith("test")}


def test_without_splits_nothing_is_judged_and_members_alone_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, bench, settled = problem_spec(batch_norm=True), DictBench(), []
    wanted = specs(problem, 0, **TRIANGLE)
    usual = finished(Cycling.begin(wanted, [None, None], bench))
    settle = Classification.settle

    def settling(self: Classification, points: Points, *args: Any) -> Points:
        settled.append(run.iteration)
        return settle(self, points, *args)

    monkeypatch.setattr(Classification, "settle", settling)
    monkeypatch.setattr(Classification, "evaluate", None)
    run = Cycling.begin(wanted, [None, None], bench, splits=())
    finished(run)
    assert settled == run.ends
    for k in (0, 1):
        assert all(torch.equal(run.tensors(k)[name], tensor) for name, tensor in usual.tensors(k).items())
        for look, full in zip(run.looks(k), usual.looks(k), strict=True):
            assert look == {n: v for n, v in full.items() if not n.startswith(("test", "val"))}


def probabilities(bench: DictBench, problem: ProblemSpec, points: Points) -> Tensor:
    return bench.problem(problem).probabilities(points, "val")


def test_a_member_is_given_when_it_is_taken_and_later() -> None:
    """Settled: its probabilities have the negative log-likelihood of the look; kept as `member(j)` and by name."""
    problem, bench = problem_spec(batch_norm=True, dtype="float64"), DictBench()
    run = Cycling.begin(specs(problem, 0, **TRIANGLE), [None, None], bench)
    own, given = bench.problem(problem), []
    while not run.done:
        points = run.advance()
        assert points is not None
        found = probabilities(bench, problem, points)
        nll = -found.log()[:, torch.arange(found.shape[1]), own.targets("val")].mean(1)
        assert nll.tolist() == pytest.approx([run.looks(k)[-1]["val_nll"] for k in (0, 1)], rel=1e-12)
        assert run.looks(0)[-1]["member"] == run.taken - 1
        given.append(found)
    for j, found in enumerate(given):
        assert torch.equal(probabilities(bench, problem, run.member(j)), found)
        for k in (0, 1):
            state = {
                n.removeprefix(f"member_{j}."): t for n, t in run.tensors(k).items() if n.startswith(f"member_{j}.")
            }
            alone = probabilities(bench, problem, own.point(state))
            assert torch.allclose(alone[0], found[k], rtol=0, atol=1e-12)


def test_members_need_not_be_kept() -> None:
    """What they looked like is; and the run goes on as ever."""
    problem, bench = problem_spec(batch_norm=True), DictBench()
    wanted = specs(problem, 0, **TRIANGLE)
    usual = finished(Cycling.begin(wanted, [None, None], bench))
    light = finished(Cycling.begin(wanted, [None, None], bench, keep=False), 2)
    kept = light.kept()
    assert not any(name.startswith("member") for name in kept.tensors)
    light = finished(Cycling.resume(wanted, kept, bench, keep=False))
    assert light.tensors(0) == {}
    assert [light.looks(k) for k in (0, 1)] == [usual.looks(k) for k in (0, 1)]
    assert light.members(1) == usual.members(1)


def test_how_far_it_is() -> None:
    problem, bench = problem_spec(), DictBench()
    run = Cycling.begin(specs(problem, 0, **TRIANGLE), [None, None], bench)
    assert (run.steps, run.ends) == (5, [3, 9, 15, 21, 27])
    far = [(run.iteration, run.taken, run.epochs_used)]
    while not run.done:
        run.advance()
        far.append((run.iteration, run.taken, run.epochs_used))
    assert far == [(0, 0, 0.0), (3, 1, 0.6), (9, 2, 1.8), (15, 3, 3.0), (21, 4, 4.2), (27, 5, 5.4)]


def test_where_all_diverge_it_is_done_and_says_why() -> None:
    problem, bench = problem_spec(), DictBench()
    wild = [spec.model_copy(update={"lr1": 1e30}) for spec in specs(problem, 0, **TRIANGLE)]
    run = Cycling.begin(wild, [None, None], bench)
    while not run.done:
        run.advance()
    assert run.taken < len(run.ends)
    for k in (0, 1):
        failed = run.failed(k)
        assert failed is not None
        assert "not finite" in str(failed)
    again = Cycling.resume(wild, run.kept(), bench)
    assert again.done
    assert str(again.failed(0)) == str(run.failed(0))


def test_epochs_without_a_member_are_refused() -> None:
    with pytest.raises(TaskError, match="hold no member"):
        Cycling.begin(specs(problem_spec(), 0, cycle=12.0, epochs=5), [None, None], DictBench())
