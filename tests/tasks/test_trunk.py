"""Task kind `trunk`: networks trained as far as they are split."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.tracing import AsTraced
from torch import Tensor

from mcdist.errors import Diverged
from mcdist.science.streams import Stream
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks.work import Result

from .bench import (
    DictBench,
    assert_rows_fit,
    assert_same_results,
    endpoint,
    plain_model,
    problem_spec,
    trunk,
)

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "momentum": {},
    "sgd": {"momentum": 0.0},
    "nesterov": {"nesterov": True},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01},
}
MEMORY = {"momentum": ["velocity"], "sgd": [], "nesterov": ["velocity"]}
MEMORY |= {name: ["first", "second", "steps"] for name in ("adam", "adamw")}


def kept(bench: DictBench, name: str, epoch: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The module's state after an epoch, and the optimizer's memory."""
    head = f"epoch_{epoch}."
    own = {n.removeprefix(head): t for n, t in bench.results[name].tensors.items() if n.startswith(head)}
    memory = {n.removeprefix("optimizer."): t for n, t in own.items() if n.startswith("optimizer.")}
    return {n: t for n, t in own.items() if not n.startswith("optimizer.")}, memory


def names(result: Result) -> set[str]:
    return {name.split(".")[0] for name in result.tensors}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_after_each_epoch_of_splitting_state_and_memory_are_kept(optimizer: str) -> None:
    problem, bench = problem_spec(batch_norm=True), DictBench()
    bench.do("trunk", [trunk(problem, seed, (0, 1, 3), epochs=5, **OPTIMIZERS[optimizer]) for seed in (0, 1)])
    assert names(bench.results["trunk1"]) == {"epoch_0", "epoch_1", "epoch_3"}
    size = 64 * 12 + 12 + 24 + 12 * 10 + 10
    for epoch in (0, 1, 3):
        state, memory = kept(bench, "trunk1", epoch)
        plain_model(problem, state)  # it fits
        assert list(memory) == MEMORY[optimizer]
        assert {tuple(t.shape) for name, t in memory.items() if name != "steps"} <= {(1, size)}
        assert all(bool(t.any()) == (epoch > 0) for t in memory.values())
        assert memory.get("steps", torch.tensor(epoch * 5.0)) == epoch * 5  # of 150 examples, 32 at a time


def test_its_rows_are_its_history_alone() -> None:
    problem, bench = problem_spec(), DictBench()
    bench.do("trunk", [trunk(problem, 0, (1, 2), epochs=3)])
    made = bench.results["trunk0"]
    assert_rows_fit(made)
    assert set(made.rows) == {"history"}
    assert {row["endpoint_id"] for row in made.rows["history"]} == {"trunk0"}
    assert [row["epoch"] for row in made.rows["history"]] == [1, 2]
    rates = [row["lr"] for row in made.rows["history"]]
    assert rates == pytest.approx([0.1, 0.075], rel=1e-14), "the schedule is that of all three epochs"


def test_split_at_the_very_beginning_alone_it_is_not_trained() -> None:
    problem, bench = problem_spec(), DictBench()
    bench.do("trunk", [trunk(problem, 0, (0,))])
    assert bench.results["trunk0"].rows == {}
    state, memory = kept(bench, "trunk0", 0)
    start = bench.problem(problem)
    expected = start.state(start.initial(Stream.of("endpoint", 0)), 0)
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
    assert not memory["velocity"].any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_is_what_the_end_point_of_the_seed_was_at_that_epoch(batch_norm: bool, optimizer: str) -> None:
    """A training at a constant rate, so that one of k epochs is the beginning of one of more: the same bits."""
    problem, bench = problem_spec(batch_norm=batch_norm), DictBench()
    how = {"schedule": "constant", **OPTIMIZERS[optimizer]}
    bench.do("trunk", [trunk(problem, 0, (1, 3), epochs=7, **how)])
    for epoch in (1, 3):
        bench.do("endpoint", [endpoint(problem, 0, epochs=epoch, **how)])
        state, _ = kept(bench, "trunk0", epoch)
        for name, _ in plain_model(problem, state).named_parameters():
            assert torch.equal(state[name], bench.results["end0"].tensors[name]), name
        history = bench.results["end0"].rows["history"]
        assert [row | {"endpoint_id": ""} for row in history] == [
            row | {"endpoint_id": ""} for row in bench.results["trunk0"].rows["history"][:epoch]
        ]


def items(problem: ProblemSpec, optimizer: str) -> list[Any]:
    said = OPTIMIZERS[optimizer]
    more: list[dict[str, Any]] = [{"weight_decay": 1e-3}, {"lr": 0.02}, {}]
    if said.get("optimizer") is None and not said.get("nesterov"):
        more[1]["momentum"] = 0.0 if "momentum" not in said else 0.5  # where some have a velocity and others do not
    return [trunk(problem, seed, (0, 2, 3), epochs=4, **said | change) for seed, change in enumerate(more)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_pack_gives_what_each_gives_alone(optimizer: str) -> None:
    """A velocity of a network that has no momentum apart: kept or not, it is of no use.

    Adam without BatchNorm, before which a bias has gradients of rounding alone, and Adam makes steps of those.
    """
    problem = problem_spec(dtype="float64", batch_norm="adam" not in optimizer)
    together = DictBench()
    together.do("trunk", items(problem, optimizer))
    for item in items(problem, optimizer):
        alone = DictBench()
        alone.do("trunk", [item])
        mine, one = (bench.results[item.id] for bench in (together, alone))
        if item.spec.train.momentum == 0.0:
            mine, one = without_velocity(mine), without_velocity(one)
        assert_same_results(mine, one, rel=1e-10)


def without_velocity(result: Result) -> Result:
    return Result(rows=result.rows, tensors={n: t for n, t in result.tensors.items() if "velocity" not in n})


def test_by_programs_it_is_the_same() -> None:
    problem, graphs = problem_spec(dtype="float64", batch_norm=True), AsTraced()
    plain, traced = DictBench(), DictBench(graphs)
    for bench in (plain, traced):
        bench.do("trunk", items(problem, "momentum"))
    assert graphs.calls > 0
    for item in items(problem, "momentum"):
        assert_same_results(traced.results[item.id], plain.results[item.id])


def test_a_diverging_member_fails_alone_with_its_step() -> None:
    """At whatever part of the training it was: a later part does not put it at a later step."""
    problem, bench = problem_spec(), DictBench()
    pair = [trunk(problem, 0, (1, 2), epochs=4), trunk(problem, 1, (1, 2), epochs=4, lr=1e30)]
    fine, failed = bench.do("trunk", pair)
    assert isinstance(fine, Result)
    assert isinstance(failed, Diverged)
    assert failed.step is not None
    assert failed.step < 5
    assert f"not finite at step {failed.step} (epoch 1)" in str(failed)
    assert "trunk1" not in bench.results
