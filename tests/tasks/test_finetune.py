"""Task kind `finetune`: end points trained on, as a path's interior was."""

from __future__ import annotations

import json
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
    bench_with,
    beside,
    digits,
    finetune,
    plain_model,
    problem_spec,
)

TRAIN: dict[str, Any] = {"epochs": 3, "lr": 0.05, "batch_size": 32, "weight_decay": 0.01, "schedule": "cosine"}
NEB: dict[str, Any] = {
    "cycles": [{"steps": 5, "lr": 0.1}, {"steps": 7, "lr": 0.02}],
    "batch_size": 32,
    "weight_decay": 0.01,
}
STEPS = 5  # per epoch: of 150 examples, 32 at a time
EPOCHS = {"train": 3, "neb": 1 + 2}
HOW: dict[str, dict[str, Any]] = {"train": {"train": TRAIN}, "neb": {"neb": NEB}}

both_ways = pytest.mark.parametrize("how", HOW)
both = pytest.mark.parametrize("batch_norm", [False, True])

# Float64 on both sides: what is left is the order of sums, some 1e-16, a little amplified by 15 steps.
CLOSE = 1e-10


def tuned(how: str, seeds: int = 1, **options: Any) -> tuple[DictBench, ProblemSpec]:
    """End points end0, ... and what became of them: tuned0, ..."""
    problem = problem_spec(**{"dtype": "float64", **options})
    bench = bench_with(problem, seeds, epochs=1)
    bench.do("finetune", [finetune(problem, f"tuned{k}", f"end{k}", **HOW[how]) for k in range(seeds)])
    return bench, problem


@both_ways
@both
def test_rows_fit_their_tables(how: str, batch_norm: bool) -> None:
    bench, _ = tuned(how, batch_norm=batch_norm)
    made = bench.results["tuned0"]
    assert_rows_fit(made)
    assert set(made.rows) == {"endpoints", "history"}
    row = bench.row("tuned0", "endpoints")
    assert (row["endpoint_id"], row["parent_id"], row["problem"]) == ("tuned0", "end0", "digits/mlp")
    said = {"epochs": EPOCHS[how], "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01, "batch_size": 32}
    said |= {"train": {"lr": 0.05, "schedule": "cosine"}, "neb": {"lr": 0.1, "schedule": "autoneb"}}[how]
    assert said.items() <= row.items()
    history = made.rows["history"]
    assert {h["endpoint_id"] for h in history} == {"tuned0"}
    assert [h["epoch"] for h in history] == [1, 2, 3]
    rates = {"train": [0.05, 0.0375, 0.0125], "neb": [0.1, 0.02, 0.02]}[how]
    assert [h["lr"] for h in history] == pytest.approx(rates, rel=1e-14)


def plain_steps(
    weights: dict[str, Tensor], problem: ProblemSpec, parts: list[tuple[Stream, int, list[float]]]
) -> dict[str, Tensor]:
    """Plain PyTorch from these weights on; parts: stream, epochs, rates, each with a fresh optimizer."""
    data = digits()
    x, y = torch.from_numpy(data.train.inputs / data.divisor).double(), torch.from_numpy(data.train.targets)
    model = plain_model(problem, weights).train()
    for stream, epochs, rates in parts:
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, weight_decay=0.01)
        for epoch in range(epochs):
            optimizer.param_groups[0]["lr"] = rates[epoch]
            order = torch.from_numpy(stream.child("order", epoch).generator().permutation(len(y)))
            for rows in order.split(32):
                optimizer.zero_grad()
                F.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
    return {name: p.detach() for name, p in model.named_parameters()}


@both_ways
@both
def test_it_is_what_plain_pytorch_makes_of_the_end_point(how: str, batch_norm: bool) -> None:
    """A schedule; or cycles, each a fresh optimizer at its rate, 5 and 7 steps rounded up to 1 and 2 epochs of 5."""
    bench, problem = tuned(how, batch_norm=batch_norm)
    stream = Stream.of("finetune", 0, "end0")
    parts = {
        "train": [(stream.child("cycle", 0), 3, [0.05, 0.0375, 0.0125])],
        "neb": [(stream.child("cycle", 0), 1, [0.1]), (stream.child("cycle", 1), 2, [0.02, 0.02])],
    }[how]
    weights = dict(bench.results["end0"].tensors)
    expected = plain_steps({k: v.clone() for k, v in weights.items()}, problem, parts)
    for name, tensor in expected.items():
        assert torch.allclose(bench.results["tuned0"].tensors[name], tensor, rtol=0, atol=CLOSE), name
        assert not torch.allclose(weights[name], tensor, rtol=0, atol=1e-6), name  # it went somewhere


@both_ways
def test_the_weights_in_a_plain_module_give_the_row(how: str) -> None:
    """BatchNorm's statistics are those of all training data at these weights."""
    bench, problem = tuned(how, batch_norm=True)
    data, made = digits(), bench.results["tuned0"]
    model = plain_model(problem, made.tensors)
    x, y = torch.from_numpy(data.test.inputs / data.divisor).double(), torch.from_numpy(data.test.targets)
    with torch.no_grad():
        outputs = model(x)
    row = bench.row("tuned0", "endpoints")
    assert row["test_loss"] == pytest.approx(float(F.cross_entropy(outputs, y)), rel=1e-10)
    assert row["test_error"] == pytest.approx(float((outputs.argmax(1) != y).double().mean()), abs=1e-12)
    hidden = model[1](model[0](torch.from_numpy(data.train.inputs / data.divisor).double()))
    assert torch.allclose(made.tensors["2.running_mean"], hidden.mean(0), rtol=1e-9)
    kept = json.loads(bench.stored("tuned0").about["metrics"])
    assert {metric: row[metric] for metric in kept} == kept


@both_ways
def test_the_end_point_itself_stays_as_it_was(how: str) -> None:
    problem = problem_spec(dtype="float64", batch_norm=True)
    bench = bench_with(problem, 1, epochs=1)
    before = {name: tensor.clone() for name, tensor in bench.results["end0"].tensors.items()}
    bench.do("finetune", [finetune(problem, "tuned0", "end0", **HOW[how])])
    assert all(torch.equal(bench.results["end0"].tensors[name], tensor) for name, tensor in before.items())


def items(problem: ProblemSpec, how: str) -> list[Item]:
    """Three that differ in what a shape may differ in: end point, seed, and of a training the rates."""
    more = [{}, {"lr": 0.1, "momentum": 0.0}, {"weight_decay": 0.0}]
    said = [{"train": TRAIN | change} for change in more] if how == "train" else [{"neb": NEB}] * 3
    where = [("end0", 0), ("end1", 5), ("end0", 5)]
    return [
        finetune(problem, f"t{k}", end, seed, **s) for k, ((end, seed), s) in enumerate(zip(where, said, strict=True))
    ]


@both_ways
@both
def test_a_pack_gives_what_each_gives_alone(how: str, batch_norm: bool) -> None:
    problem = problem_spec(dtype="float64", batch_norm=batch_norm)
    ends = bench_with(problem, 2, epochs=1)
    together = beside(ends)
    together.do("finetune", items(problem, how))
    for item in items(problem, how):
        alone = beside(ends)
        alone.do("finetune", [item])
        assert_same_results(together.results[item.id], alone.results[item.id])
    weights = [together.results[f"t{k}"].tensors["1.weight"] for k in range(3)]
    assert not torch.allclose(weights[0], weights[2], atol=1e-3), "another seed is another order"


@both_ways
def test_it_is_the_same_every_time(how: str) -> None:
    first, second = (tuned(how)[0].results["tuned0"] for _ in range(2))
    assert_same_results(first, second, rel=0.0)


@both_ways
def test_by_programs_it_is_the_same(how: str) -> None:
    problem = problem_spec(dtype="float64")
    ends = bench_with(problem, 2, epochs=1)
    plain, graphs = beside(ends), AsTraced()
    traced = beside(ends, graphs)
    for bench in (plain, traced):
        bench.do("finetune", items(problem, how))
    assert graphs.calls > 0
    for name in ("t0", "t1", "t2"):
        assert_same_results(traced.results[name], plain.results[name])


def test_a_diverging_member_fails_alone_with_its_step() -> None:
    problem = problem_spec()
    bench = bench_with(problem, 2, epochs=1)
    wild = finetune(problem, "wild", "end1", train=TRAIN | {"lr": 1e30})
    fine, failed = bench.do("finetune", [finetune(problem, "fine", "end0", train=TRAIN), wild])
    assert isinstance(fine, Result)
    assert isinstance(failed, Diverged)
    assert failed.step is not None
    assert f"not finite at step {failed.step} (epoch {failed.step // STEPS + 1})" in str(failed)
    assert "wild" not in bench.results


def test_an_end_point_that_diverges_in_a_later_cycle_fails_with_the_step_counted_from_the_beginning() -> None:
    problem = problem_spec()
    bench = bench_with(problem, 1, epochs=1)
    neb = NEB | {"cycles": [{"steps": 7, "lr": 1e-3}, {"steps": 10, "lr": 1e30}]}
    (failed,) = bench.do("finetune", [finetune(problem, "wild", "end0", neb=neb)])
    assert isinstance(failed, Diverged)
    assert failed.step is not None
    assert 2 * STEPS <= failed.step < 3 * STEPS  # the first cycle took two epochs
    assert f"at step {failed.step} (epoch 3)" in str(failed)


def test_weights_that_are_spoilt_already_fail_alone() -> None:
    problem = problem_spec()
    bench = bench_with(problem, 2, epochs=1)
    tensors = dict(bench.results["end1"].tensors)
    tensors["1.weight"] = tensors["1.weight"] * float("nan")
    bench.results["spoilt"] = Result(tensors=tensors)
    pair = [finetune(problem, "a", "end0", neb=NEB), finetune(problem, "b", "spoilt", neb=NEB)]
    fine, failed = bench.do("finetune", pair)
    assert isinstance(failed, Diverged)
    assert failed.step == 0
    alone = beside(bench)
    alone.do("finetune", pair[:1])
    assert isinstance(fine, Result)
    assert_close(fine.rows["endpoints"][0], alone.row("a", "endpoints"), rel=1e-5)  # float32, another order of sums
