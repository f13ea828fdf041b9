"""Task kind `trajectory`: members of networks with a cyclic rate, against plain PyTorch and the usual training."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import fge_plain as plain
from support.tracing import AsTraced
from torch import Tensor, nn

from mcdist.errors import Diverged
from mcdist.problems.classification import Classification
from mcdist.science.optimizers import Sgd
from mcdist.science.streams import Stream
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import TrajectoryTask
from mcdist.tasks.cycling import cyclic_rate
from mcdist.tasks.work import Item, Result

from .bench import (
    SGD,
    DictBench,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    digits,
    endpoint,
    problem_spec,
    trajectory,
    trunk,
)

STEPS = 5  # of an epoch: 150 examples, 32 at a time
USUAL = 4  # epochs that train one end point
CONSTANT: dict[str, Any] = {"epochs": USUAL, "schedule": "constant"}
both = pytest.mark.parametrize("batch_norm", [False, True])

# Float64 on both sides: what is left is the order of sums, some 1e-16, a little amplified by 40 steps.
CLOSE = 1e-10

TRIANGLE: dict[str, Any] = {"lr1": 0.1, "lr2": 0.02, "cycle": 1.2}
COSINE: dict[str, Any] = {"rate": "cosine", "lr1": 0.1, "cycles": 3}


def told(bench: DictBench, name: str) -> dict[str, Any]:
    """What is said about a trajectory."""
    about = bench.stored(name).about
    assert about["kind"] == "trajectory"
    found: dict[str, Any] = json.loads(about["trajectory"])
    return found


def rows(bench: DictBench, name: str) -> list[dict[str, Any]]:
    return bench.results[name].rows["trajectories"]


def with_starts(problem: ProblemSpec, seeds: int = 1, **train: Any) -> DictBench:
    """Trunks trunk0, ... after 2 of 4 epochs, end points end0, ..."""
    bench = bench_with(problem, seeds, **{"epochs": USUAL, **train})
    bench.do("trunk", [trunk(problem, seed, (2,), **{"epochs": USUAL, **train}) for seed in range(seeds)])
    return bench


def test_rows_and_what_is_said_of_a_triangle() -> None:
    problem = problem_spec(batch_norm=True)
    bench = with_starts(problem)
    how: dict[str, Any] = {"train": {"epochs": USUAL}, "start": 2, "epochs": 6, "looks": 2}
    bench.do("trajectory", [trajectory(problem, 0, "trunk0", **how, **TRIANGLE)])
    assert_rows_fit(bench.results["run0"])
    found = rows(bench, "run0")
    said = {"trajectory_id": "run0", "problem": "digits/mlp", "seed": 0, "parent_id": "trunk0", "rate": "triangle"}
    said |= {"start": 2, "cycle": 1.2, "cycles": None, "lr1": 0.1, "lr2": 0.02}
    assert all(said.items() <= row.items() for row in found)
    # cycles of six steps, a member after the third of each; the last of twenty steps is a member's
    assert [row["iteration"] for row in found] == [0, 3, 6, 9, 12, 15]
    assert [row["member"] for row in found] == [None, 0, None, 1, None, 2]
    assert [row["epoch"] for row in found] == [2 + i / STEPS for i in (0, 3, 6, 9, 12, 15)]
    expected = [plain.triangle(i, 6, 0.1, 0.02) for i in (1, 3, 6, 9, 12, 15)]
    assert [row["lr"] for row in found] == pytest.approx(expected, rel=1e-14)
    assert found[0]["train_loss"] is None
    assert found[0]["distance"] == 0.0
    assert all(row["train_loss"] > 0 and row["distance"] > 0 for row in found[1:])
    about = told(bench, "run0")
    members = about.pop("members")
    said = {"seed": 0, "start": 2, "epochs": 6, "rate": "triangle", "lr1": 0.1, "lr2": 0.02}
    assert about == said | {"cycle": 1.2, "cycles": None, "epochs_used": 5.0}
    assert members == [{n: row[n] for n in ("iteration", "epoch", "lr", "distance")} for row in found[1::2]]
    names = bench.problem(problem).state(bench.problem(problem).initial(Stream.of("any")), 0)
    assert {*bench.results["run0"].tensors} == {f"member_{j}.{name}" for j in range(3) for name in names}


def test_rows_and_what_is_said_of_cosine_cycles_the_last_one_short() -> None:
    """Fifteen steps in four cycles: four, four, four, three."""
    problem = problem_spec()
    bench = DictBench()
    bench.do("trajectory", [trajectory(problem, 0, **COSINE | {"cycles": 4}, epochs=3, looks=1)])
    assert_rows_fit(bench.results["run0"])
    found = rows(bench, "run0")
    assert [row["iteration"] for row in found] == [0, 4, 8, 12, 15]
    assert [row["member"] for row in found] == [None, 0, 1, 2, 3]
    expected = [plain.snapshot(i, 15, 4, 0.1) for i in (1, 4, 8, 12, 15)]
    assert [row["lr"] for row in found] == pytest.approx(expected, rel=1e-14)
    said = {"parent_id": None, "rate": "cosine", "start": 0, "lr1": 0.1, "lr2": None, "cycle": None, "cycles": 4}
    assert all(said.items() <= row.items() for row in found)
    about = told(bench, "run0")
    assert (about["lr2"], about["cycle"], about["cycles"], about["epochs_used"]) == (None, None, 4, 3.0)
    assert [member["iteration"] for member in about["members"]] == [4, 8, 12, 15]


@pytest.mark.parametrize("how", ["triangle", "cosine", "stretches"])
@pytest.mark.parametrize("seeds", [1, 2])
def test_every_step_is_made_with_the_published_rate(how: str, seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates that the optimizer is given, of each network of a pack that has its own."""
    problem, used = problem_spec(dtype="float64"), []
    step = Sgd.step

    def noting(self: Sgd, state: Tensor, grad: Tensor, lr: float | Tensor) -> None:
        used.append([lr] * seeds if isinstance(lr, float) else lr.flatten().tolist())
        step(self, state, grad, lr)

    monkeypatch.setattr(Sgd, "step", noting)
    pairs = [(0.1, 0.02), (0.3, 0.01)][:seeds]
    said: dict[str, dict[str, Any]] = {
        "triangle": {"cycle": 1.2, "epochs": 7},
        "cosine": {"rate": "cosine", "cycles": 4, "epochs": 3},
        "stretches": {"cycle": 1.2, "epochs": 5, "rates": ((0.2, 0.1), (0.05, 0.05), (0.3, 0.01), (0.2, 0.02))},
    }
    items = []
    for seed, (lr1, lr2) in enumerate(pairs):
        rates: dict[str, Any] = {"lr1": lr1} if how == "cosine" else {"lr1": lr1, "lr2": lr2}
        items.append(trajectory(problem, seed, **rates, **said[how]))
    DictBench().do("trajectory", items)
    if how == "triangle":
        expected = [[plain.triangle(i, 6, *pair) for pair in pairs] for i in range(1, 34)]
    elif how == "cosine":
        expected = [[plain.snapshot(i, 15, 4, pair[0]) for pair in pairs] for i in range(1, 16)]
    else:
        stretch = [0] * 3 + [1] * 6 + [2] * 6 + [3] * 6
        pair_of: Any = said[how]["rates"]
        expected = [[plain.triangle(i + 1, 6, *pair_of[j])] * seeds for i, j in enumerate(stretch)]
    assert len(used) == len(expected)
    for got, wanted in zip(used, expected, strict=True):
        assert got == pytest.approx(wanted, rel=1e-14)


@both
@pytest.mark.parametrize("start", [0, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seeds", [1, 2])
def test_with_the_usual_rate_it_is_the_end_point_to_the_bit(
    seeds: int, dtype: str, start: int, batch_norm: bool
) -> None:
    """From the seed in half a cycle of 8 epochs, from the trunk of 2 epochs in half a cycle of 4."""
    problem = problem_spec(dtype=dtype, batch_norm=batch_norm)
    usual = CONSTANT | {"weight_decay": 0.01}
    bench = with_starts(problem, seeds, **usual)
    how: dict[str, Any] = {
        "train": usual,
        "lr1": 0.1,
        "lr2": 0.1,
        "start": start,
        "cycle": 2.0 * (USUAL - start),
        "looks": 3,
    }
    parents = [f"trunk{seed}" if start else None for seed in range(seeds)]
    bench.do("trajectory", [trajectory(problem, seed, parents[seed], **how) for seed in range(seeds)])
    for seed in range(seeds):
        made = told(bench, f"run{seed}")["members"]
        assert [m["epoch"] for m in made] == [4.0]
        for name, tensor in bench.results[f"end{seed}"].tensors.items():
            assert torch.equal(bench.results[f"run{seed}"].tensors[f"member_0.{name}"], tensor), name
        last, end = rows(bench, f"run{seed}")[-1], bench.row(f"end{seed}", "endpoints")
        assert (last["test_nll"], last["test_error"]) == (end["test_loss"], end["test_error"])


@both
def test_members_on_the_way_are_shorter_end_points(batch_norm: bool) -> None:
    """After 1 and 3 epochs, by a rate that is constant."""
    problem = problem_spec(batch_norm=batch_norm)
    bench = DictBench()
    bench.do("trajectory", [trajectory(problem, 0, train=CONSTANT, lr1=0.1, lr2=0.1, cycle=2.0)])
    for j, epochs in enumerate((1, 3)):
        bench.do("endpoint", [endpoint(problem, 0, f"end of {epochs}", **CONSTANT | {"epochs": epochs})])
        for name, tensor in bench.results[f"end of {epochs}"].tensors.items():
            assert torch.equal(bench.results["run0"].tensors[f"member_{j}.{name}"], tensor), name


def plain_data() -> plain.Data:
    data, parts = digits(), []
    for split in (data.train, data.test):
        parts += [torch.from_numpy(split.inputs).double() / data.divisor, torch.from_numpy(split.targets)]
    return plain.Data(*parts)


def plain_members(start: int, epochs: int, rates: list[float], after: list[int]) -> tuple[nn.Module, list[nn.Module]]:
    """Where the cycles begin, and the members: the initial weights and batch orders are those of mcdist."""
    data, stream = plain_data(), Stream.of("endpoint", 0)
    torch.manual_seed(stream.child("init").seed())
    model = plain.network(hidden=12).double()
    n = len(data.train_y)
    orders = [torch.from_numpy(stream.child("order", e).generator().permutation(n)) for e in range(epochs)]
    walker = plain.optimizer_of(model, 0.9, 0.01)
    plain.train_usual(model, walker, data, orders[:start], plain.cosine(0.1, USUAL)[:start])
    if start == USUAL:  # from the end point, which does not keep the optimizer's memory
        walker = plain.optimizer_of(model, 0.9, 0.01)
    begun = copy.deepcopy(model)
    return begun, plain.train_cycles(model, walker, data, orders[start:], rates, after)


@pytest.mark.parametrize("start", [0, 2, USUAL])
@pytest.mark.parametrize("how", ["triangle", "cosine"])
def test_it_is_what_plain_pytorch_finds(how: str, start: int) -> None:
    """Weights and statistics of the members, how good they are and how far away; from a seed, a trunk, an end point."""
    problem = problem_spec(dtype="float64", batch_norm=True)
    bench = with_starts(problem, weight_decay=0.01)
    parent = {0: None, 2: "trunk0", USUAL: "end0"}[start]
    epochs = start + 3
    said: dict[str, Any] = {"train": {"epochs": USUAL, "weight_decay": 0.01}, "start": start, "epochs": epochs}
    bench.do("trajectory", [trajectory(problem, 0, parent, **said, **(TRIANGLE if how == "triangle" else COSINE))])
    if how == "triangle":
        after, rates = [3, 9, 15], [plain.triangle(i, 6, 0.1, 0.02) for i in range(1, 16)]
    else:
        after, rates = [5, 10, 15], [plain.snapshot(i, 15, 3, 0.1) for i in range(1, 16)]
    begun, members = plain_members(start, epochs, rates, after)
    stored, data = bench.results["run0"].tensors, plain_data()
    looks = [row for row in rows(bench, "run0") if row["member"] is not None]
    for j, (member, look) in enumerate(zip(members, looks, strict=True)):
        for name, tensor in member.state_dict().items():
            if "num_batches" not in name:
                assert torch.allclose(stored[f"member_{j}.{name}"], tensor, rtol=0, atol=CLOSE), name
        nll, error = plain.judged(plain.probabilities([member], data.test_x), data.test_y)
        assert look["test_nll"] == pytest.approx(nll, rel=CLOSE)
        assert look["test_error"] == pytest.approx(error, abs=1e-12)
        squares = [
            float((p - q).detach().square().sum()) for p, q in zip(member.parameters(), begun.parameters(), strict=True)
        ]
        assert look["distance"] == pytest.approx(sum(squares) ** 0.5, rel=1e-9)


def mixed(problem: ProblemSpec) -> list[Item]:
    """What a shape may differ in: seeds, rates, those of the usual training, momentum, decay."""
    how: dict[str, Any] = {"start": 2, "epochs": 5, "cycle": 1.2, "looks": 2}
    usual: dict[str, Any] = {"epochs": USUAL, "weight_decay": 0.01}
    return [
        trajectory(problem, 0, "trunk0", train=usual, **how),
        trajectory(problem, 1, "trunk1", train=usual | {"lr": 0.3}, lr1=0.2, **how),
        trajectory(problem, 0, "trunk0", "another", train=usual | {"momentum": 0.5}, lr1=0.3, lr2=0.3, **how),
    ]


@both
@pytest.mark.parametrize("traced", [False, True], ids=["plain", "traced"])
def test_a_pack_gives_what_each_gives_alone(traced: bool, batch_norm: bool) -> None:
    problem = problem_spec(dtype="float64", batch_norm=batch_norm)
    starts, graphs = with_starts(problem, 2, weight_decay=0.01), AsTraced()
    together = beside(starts, graphs if traced else None)
    together.do("trajectory", mixed(problem))
    assert bool(graphs.calls) == traced
    for item in mixed(problem):
        alone = beside(starts)
        alone.do("trajectory", [item])
        assert_same_results(together.results[item.id], alone.results[item.id], rel=CLOSE)
    assert len({told(together, item.id)["members"][0]["distance"] for item in mixed(problem)}) == 3


def test_a_pack_of_cosine_cycles_gives_what_each_gives_alone() -> None:
    problem = problem_spec(dtype="float64", batch_norm=True)
    items = [trajectory(problem, seed, **COSINE | {"lr1": lr1}) for seed, lr1 in enumerate((0.1, 0.2, 0.05))]
    together = DictBench()
    together.do("trajectory", items)
    for item in items:
        alone = DictBench()
        alone.do("trajectory", [item])
        assert_same_results(together.results[item.id], alone.results[item.id], rel=CLOSE)


def test_every_look_costs_one_pass_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics are re-estimated once, and the training split, which no column has, is not judged."""
    problem, calls = problem_spec(batch_norm=True), []
    settle, evaluate = Classification.settle, Classification.evaluate

    def settling(self: Classification, *args: Any, **said: Any) -> Any:
        calls.append("settle")
        return settle(self, *args, **said)

    def evaluating(self: Classification, *args: Any, **said: Any) -> Any:
        calls.append(said["splits"])
        return evaluate(self, *args, **said)

    monkeypatch.setattr(Classification, "settle", settling)
    monkeypatch.setattr(Classification, "evaluate", evaluating)
    bench = DictBench()
    bench.do("trajectory", [trajectory(problem, seed, **TRIANGLE) for seed in (0, 1)])
    assert calls == ["settle", ("val", "test")] * len(rows(bench, "run0"))


def test_what_it_starts_from_stays_as_it_was() -> None:
    problem = problem_spec(batch_norm=True)
    bench = with_starts(problem)
    before = {i: {n: t.clone() for n, t in bench.results[i].tensors.items()} for i in ("trunk0", "end0")}
    how: dict[str, Any] = {"train": {"epochs": USUAL}, **TRIANGLE}
    bench.do("trajectory", [trajectory(problem, 0, "trunk0", start=2, epochs=4, **how)])
    bench.do("trajectory", [trajectory(problem, 0, "end0", "on", start=USUAL, epochs=6, **how)])
    for name, tensors in before.items():
        assert all(torch.equal(bench.results[name].tensors[n], t) for n, t in tensors.items())
    assert rows(bench, "on")[0]["test_nll"] == bench.row("end0", "endpoints")["test_loss"]


def test_a_diverging_member_fails_alone_with_its_step() -> None:
    """Steps and epochs are counted from the beginning of the usual training."""
    problem = problem_spec()
    starts = with_starts(problem, 2)
    how: dict[str, Any] = {"train": {"epochs": USUAL}, "start": 2, "epochs": 5, "cycle": 1.2}
    fine, wild = (trajectory(problem, seed, f"trunk{seed}", lr1=lr1, **how) for seed, lr1 in ((0, 0.1), (1, 1e30)))
    bench = beside(starts)
    made, failed = bench.do("trajectory", [fine, wild])
    assert isinstance(made, Result)
    assert isinstance(failed, Diverged)
    assert failed.step is not None
    assert 10 < failed.step < 15
    assert f"at step {failed.step} (epoch 3)" in str(failed)
    alone = beside(starts)
    alone.do("trajectory", [fine])
    assert_same_results(made, alone.results["run0"], rel=1e-4)  # float32
    (failed_alone,) = beside(starts).do("trajectory", [wild])
    assert isinstance(failed_alone, Diverged)
    assert failed_alone.step == failed.step


@given(st.sampled_from(["triangle", "cosine"]), st.integers(0, 30), st.integers(1, 30), st.integers(1, 50), st.data())
def test_no_run_takes_more_epochs_than_it_may(
    rate: str, start: int, more: int, steps: int, data: st.DataObject
) -> None:
    """Whatever cycles there are: its last member is within the epochs, and as late as its cycles allow."""
    said: dict[str, Any] = {"start": start, "epochs": start + more, "rate": rate, "lr1": 0.1}
    if rate == "triangle":
        c = 2 * data.draw(st.integers(1, 40))
        said |= {"cycle": c / steps}
        assume(c <= more * steps)
    else:
        said |= {"cycles": data.draw(st.integers(1, more * steps))}
    spec = TrajectoryTask.model_validate({"problem": problem_spec(), "train": SGD, "seed": 0, **said})
    wave = cyclic_rate([spec], steps)
    members = wave.members(more * steps)
    used = start + members[-1] / steps
    assert used <= spec.epochs
    assert used > spec.epochs - wave.cycle / steps or rate == "cosine"
    if rate == "triangle":
        assert wave.cycle == c
    else:
        assert used == spec.epochs
