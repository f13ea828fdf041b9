"""Task kind `branch`: networks trained on to the end from where they were split."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support.tracing import AsTraced
from torch import Tensor

from mcdist.errors import Diverged
from mcdist.science.streams import Stream
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks.work import Item, Result

from .bench import (
    DictBench,
    assert_close,
    assert_rows_fit,
    assert_same_results,
    beside,
    branch,
    digits,
    plain_model,
    problem_spec,
    trunk,
)

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "momentum": {"weight_decay": 0.01},
    "nesterov": {"nesterov": True},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01},
}
PLAIN: dict[str, Any] = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.01),
}
EPOCHS, SPAWN = 5, (0, 2, 3)
both = pytest.mark.parametrize("batch_norm", [False, True])

# Float64 on both sides: what is left is the order of sums, some 1e-16, a little amplified by 25 steps.
CLOSE = 1e-10
IDLE = {"1.bias"}  # BatchNorm takes it away: its true gradient is 0, and Adam makes steps of the rounding instead


def with_trunks(problem: ProblemSpec, seeds: int = 1, **train: Any) -> DictBench:
    """Networks trunk0, trunk1, ..."""
    bench = DictBench()
    bench.do("trunk", [trunk(problem, seed, SPAWN, epochs=EPOCHS, **train) for seed in range(seeds)])
    return bench


@both
def test_rows_fit_their_tables(batch_norm: bool) -> None:
    problem = problem_spec(batch_norm=batch_norm)
    bench = with_trunks(problem, 2)
    bench.do("branch", [branch(problem, 1, 2, b, epochs=EPOCHS) for b in (0, 1)])
    made = bench.results["branch1.2.1"]
    assert_rows_fit(made)
    assert set(made.rows) == {"endpoints", "history"}
    row = bench.row("branch1.2.1", "endpoints")
    said = {"endpoint_id": "branch1.2.1", "parent_id": "trunk1", "spawn_epoch": 2, "branch": 1, "seed": 1}
    said |= {"problem": "digits/mlp", "epochs": EPOCHS, "optimizer": "sgd", "lr": 0.1, "schedule": "cosine"}
    assert said.items() <= row.items()
    history = made.rows["history"]
    assert {h["endpoint_id"] for h in history} == {"branch1.2.1"}
    assert [h["epoch"] for h in history] == [3, 4, 5]
    whole = DictBench()
    whole.do("trunk", [trunk(problem, 1, (4,), epochs=EPOCHS)])
    assert [h["lr"] for h in history[:2]] == [h["lr"] for h in whole.results["trunk1"].rows["history"][2:]]


def plain_training(
    problem: ProblemSpec, optimizer: str, weights: dict[str, Tensor], parts: list[tuple[Stream, range]]
) -> dict[str, Tensor]:
    """Plain PyTorch from these weights; before each part the network is deep-copied, with its optimizer's state."""
    data = digits()
    x, y = torch.from_numpy(data.train.inputs / data.divisor).double(), torch.from_numpy(data.train.targets)
    model = plain_model(problem, weights).train()
    walker = PLAIN[optimizer](model.parameters())
    base = walker.param_groups[0]["lr"]
    for stream, epochs in parts:
        memory = copy.deepcopy(walker.state_dict())
        model = copy.deepcopy(model)
        walker = PLAIN[optimizer](model.parameters())
        walker.load_state_dict(memory)
        for epoch in epochs:
            walker.param_groups[0]["lr"] = base * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2
            order = torch.from_numpy(stream.child("order", epoch).generator().permutation(len(y)))
            for rows in order.split(32):
                walker.zero_grad()
                F.cross_entropy(model(x[rows]), y[rows]).backward()
                walker.step()
    return {name: p.detach() for name, p in model.named_parameters()}


@both
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("epoch", [0, 3])
def test_it_is_what_plain_pytorch_makes_of_a_copy(epoch: int, optimizer: str, batch_norm: bool) -> None:
    """Trained on the trunk's order to the epoch, copied with the optimizer's state, trained on in the branch's."""
    problem = problem_spec(dtype="float64", batch_norm=batch_norm)
    bench = with_trunks(problem, **OPTIMIZERS[optimizer])
    bench.do("branch", [branch(problem, 0, epoch, 1, epochs=EPOCHS, **OPTIMIZERS[optimizer])])
    own = bench.problem(problem)
    start = own.state(own.initial(Stream.of("endpoint", 0)), 0)
    parts = [(Stream.of("endpoint", 0), range(epoch)), (Stream.of("branch", 0, epoch, 1), range(epoch, EPOCHS))]
    made = bench.results[f"branch0.{epoch}.1"].tensors
    for name, tensor in plain_training(problem, optimizer, start, parts).items():
        if not (name in IDLE and batch_norm and "adam" in optimizer):
            assert torch.allclose(made[name], tensor, rtol=0, atol=CLOSE), name


def test_the_weights_in_a_plain_module_give_the_row() -> None:
    """BatchNorm's statistics are those of all training data at these weights."""
    problem = problem_spec(dtype="float64", batch_norm=True)
    bench = with_trunks(problem)
    bench.do("branch", [branch(problem, 0, 2, 0, epochs=EPOCHS)])
    data, made = digits(), bench.results["branch0.2.0"]
    model = plain_model(problem, made.tensors)
    x, y = torch.from_numpy(data.test.inputs / data.divisor).double(), torch.from_numpy(data.test.targets)
    with torch.no_grad():
        outputs = model(x)
    row = bench.row("branch0.2.0", "endpoints")
    assert row["test_loss"] == pytest.approx(float(F.cross_entropy(outputs, y)), rel=1e-10)
    assert row["test_error"] == pytest.approx(float((outputs.argmax(1) != y).double().mean()), abs=1e-12)
    kept = json.loads(bench.stored("branch0.2.0").about["metrics"])
    assert {metric: row[metric] for metric in kept} == kept


def first_loss(bench: DictBench, item: Item) -> float:
    bench.do("branch", [item])
    return float(bench.results[item.id].rows["history"][0]["train_loss"])


def test_each_branch_has_an_order_of_its_own_and_keeps_it_under_every_rate() -> None:
    """From one snapshot at rates next to 0, means over epochs of unequal minibatches differ by the order alone."""
    problem = problem_spec(dtype="float64")
    bench = with_trunks(problem, schedule="constant", lr=1e-9)

    def of(seed: int, epoch: int, number: int, lr: float = 1e-3) -> float:
        spec = branch(problem, seed, epoch, number, epochs=EPOCHS, schedule="constant", lr=lr)
        return first_loss(bench, Item("b", spec.spec, ("trunk0",)))

    losses = [of(0, 0, 0), of(0, 0, 1), of(0, 2, 0), of(0, 3, 0), of(1, 0, 0)]
    apart = min(abs(a - b) for i, a in enumerate(losses) for b in losses[:i])
    assert apart > 1e-7
    assert of(0, 0, 0) == losses[0]
    slow = [of(0, 0, 0, lr=lr) for lr in (1e-9, 2e-9)]
    assert abs(slow[0] - slow[1]) < 1e-7


def items(problem: ProblemSpec) -> list[Item]:
    """What a shape may differ in: the trunk, the branch, rates, momentum (none at all among them)."""
    same: dict[str, Any] = {"epochs": EPOCHS, "weight_decay": 0.01}
    return [
        branch(problem, 0, 2, 0, **same),
        branch(problem, 1, 2, 1, **same | {"lr": 0.05, "momentum": 0.0}),
        branch(problem, 2, 2, 1, **same | {"momentum": 0.5, "weight_decay": 0.0}),
    ]


def with_mixed_trunks(problem: ProblemSpec, *, apart: bool) -> DictBench:
    """The trunks of these items, each in a pack of its own or all in one."""
    bench, same = DictBench(), {"epochs": EPOCHS, "weight_decay": 0.01}
    trunks = [
        trunk(problem, 0, SPAWN, **same),
        trunk(problem, 1, SPAWN, **same | {"lr": 0.05, "momentum": 0.0}),
        trunk(problem, 2, SPAWN, **same | {"momentum": 0.5, "weight_decay": 0.0}),
    ]
    for pack in [[t] for t in trunks] if apart else [trunks]:
        bench.do("trunk", pack)
    return bench


@both
@pytest.mark.parametrize("apart", [False, True])
def test_a_pack_gives_what_each_gives_alone(apart: bool, batch_norm: bool) -> None:
    """Whatever packs the trunks were in: one alone without momentum has no velocity, in company it has."""
    problem = problem_spec(dtype="float64", batch_norm=batch_norm)
    trunks = with_mixed_trunks(problem, apart=apart)
    assert ("epoch_2.optimizer.velocity" in trunks.results["trunk1"].tensors) != apart
    together = beside(trunks)
    together.do("branch", items(problem))
    for item in items(problem):
        alone = beside(trunks)
        alone.do("branch", [item])
        assert_same_results(together.results[item.id], alone.results[item.id])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_packs_of_every_optimizer(optimizer: str) -> None:
    problem, said = problem_spec(dtype="float64"), OPTIMIZERS[optimizer]
    trunks = with_trunks(problem, 2, **said)
    pack = [branch(problem, seed, 3, b, epochs=EPOCHS, **said) for seed, b in ((0, 0), (1, 0), (0, 1))]
    together = beside(trunks)
    together.do("branch", pack)
    for item in pack:
        alone = beside(trunks)
        alone.do("branch", [item])
        assert_same_results(together.results[item.id], alone.results[item.id])


def test_by_programs_it_is_the_same() -> None:
    problem, graphs = problem_spec(dtype="float64", batch_norm=True), AsTraced()
    trunks = with_mixed_trunks(problem, apart=True)
    plain, traced = beside(trunks), beside(trunks, graphs)
    for bench in (plain, traced):
        bench.do("branch", items(problem))
    assert graphs.calls > 0
    for item in items(problem):
        assert_same_results(traced.results[item.id], plain.results[item.id])


def test_the_trunk_itself_stays_as_it_was() -> None:
    problem = problem_spec(batch_norm=True)
    bench = with_trunks(problem)
    before = {name: tensor.clone() for name, tensor in bench.results["trunk0"].tensors.items()}
    bench.do("branch", [branch(problem, 0, 2, 0, epochs=EPOCHS)])
    assert all(torch.equal(bench.results["trunk0"].tensors[name], tensor) for name, tensor in before.items())


def test_a_diverging_member_fails_alone_with_its_step() -> None:
    """Steps and epochs are counted from the beginning of the trunk."""
    problem = problem_spec()
    bench = with_trunks(problem, 2)
    pair = [branch(problem, 0, 3, 0, epochs=EPOCHS), branch(problem, 1, 3, 0, epochs=EPOCHS, lr=1e30)]
    fine, failed = bench.do("branch", pair)
    assert isinstance(failed, Diverged)
    assert failed.step is not None
    assert 15 <= failed.step < 20
    assert f"at step {failed.step} (epoch 4)" in str(failed)
    alone = beside(bench)
    alone.do("branch", pair[:1])
    assert isinstance(fine, Result)
    assert_close(fine.rows["endpoints"][0], alone.row("branch0.3.0", "endpoints"), rel=1e-5)  # float32
