"""Task kind `endpoint`."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F

from mcdist.errors import Diverged
from mcdist.problems.models import build_model
from mcdist.science.streams import Stream
from mcdist.spec.auctions import RochetNetSpec
from mcdist.tasks.work import Result

from .bench import DictBench, assert_close, assert_rows_fit, digits, endpoint, problem_spec


@pytest.mark.parametrize("batch_norm", [False, True])
def test_rows_fit_their_tables(batch_norm: bool) -> None:
    problem, bench = problem_spec(batch_norm=batch_norm), DictBench()
    for outcome in bench.do("endpoint", [endpoint(problem, 0), endpoint(problem, 1, lr=0.05)]):
        assert isinstance(outcome, Result)
        assert set(outcome.rows) == {"endpoints", "history"}
        assert_rows_fit(outcome)
    row = bench.row("end1", "endpoints")
    said = {"endpoint_id": "end1", "problem": "digits/mlp", "dataset": "digits", "model": "mlp", "seed": 1}
    said |= {"epochs": 3, "optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.0, "batch_size": 32}
    assert said.items() <= (row | {"schedule": "cosine"}).items()
    assert row["n_params"] == 64 * 12 + 12 + 12 * 10 + 10 + (24 if batch_norm else 0)
    history = bench.results["end1"].rows["history"]
    assert [h["epoch"] for h in history] == [1, 2, 3]
    assert [h["lr"] for h in history] == pytest.approx([0.05, 0.0375, 0.0125], rel=1e-14)
    assert history[-1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_weights_are_a_plain_modules_and_give_the_row(batch_norm: bool) -> None:
    problem, bench = problem_spec(batch_norm=batch_norm), DictBench()
    bench.do("endpoint", [endpoint(problem, 0), endpoint(problem, 1)])
    data = digits()
    model = build_model(problem.model.name, problem.model.args, data.input_shape, data.n_classes)
    model.load_state_dict(dict(bench.results["end1"].tensors))
    model.eval()
    row = bench.row("end1", "endpoints")
    for name, split in (("train", data.train), ("val", data.validation), ("test", data.test)):
        assert split is not None
        x, y = torch.from_numpy(split.inputs / data.divisor).float(), torch.from_numpy(split.targets)
        with torch.no_grad():
            outputs = model(x)
        assert row[f"{name}_loss"] == pytest.approx(float(F.cross_entropy(outputs, y)), rel=1e-5)
        assert row[f"{name}_error"] == pytest.approx(float((outputs.argmax(1) != y).double().mean()), abs=1e-12)
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert row["l2_norm"] == pytest.approx(float(flat.norm()), rel=1e-6)


def test_what_is_not_trained_is_as_it_began() -> None:
    """No history, and of how it was trained that it was for no epoch; the bits that a training begins with."""
    problem, bench = problem_spec(batch_norm=True), DictBench()
    bench.do("endpoint", [endpoint(problem, seed, epochs=0) for seed in (0, 1)])
    row = bench.row("end1", "endpoints")
    assert row["epochs"] == 0
    assert not {"optimizer", "lr", "momentum", "weight_decay", "batch_size", "schedule"} & row.keys()
    assert bench.results["end1"].rows["history"] == []
    initial = bench.problem(problem).initial(Stream.of("endpoint", 1))
    began = bench.problem(problem).point(bench.results["end1"].tensors).theta
    assert torch.equal(began, initial.theta)
    assert row["train_error"] > 0.5


@pytest.mark.parametrize("allocation", ["projection", "sigmoid"])
def test_a_given_menu_that_is_not_trained_is_as_it_was_given(allocation: str) -> None:
    """Seed i has the i-th; allocations of 0 and 1, whose logits are infinite, too."""
    menus = [{"allocations": [[0.3, 1.0], [0.0, 0.1]], "prices": [0.7, p]} for p in (0.1, 0.2)]
    said = {"kind": "rochetnet", "setting": "uniform_2", "menu_size": 3, "samples": 100, "fit_samples": 100}
    problem = RochetNetSpec.model_validate(said | {"start": menus, "allocation": allocation})
    bench = DictBench()
    bench.do("endpoint", [endpoint(problem, seed, epochs=0) for seed in (1, 0)])
    for seed, price in ((0, 0.1), (1, 0.2)):
        stored = bench.results[f"end{seed}"].tensors
        assert stored["allocations"].tolist() == [[0.3, 1.0], [0.0, 0.1], [0.0, 0.0]]
        assert stored["prices"].tolist() == [0.7, price, 0.0]


def test_a_seed_means_the_same_start_and_order_under_every_rate() -> None:
    """With rates next to 0, two settings of one seed stay together and two seeds do not."""
    problem, bench = problem_spec(dtype="float64"), DictBench()
    near = {"schedule": "constant", "epochs": 1}
    items = [endpoint(problem, 0, "a", lr=1e-9, **near), endpoint(problem, 0, "b", lr=2e-9, **near)]
    bench.do("endpoint", [*items, endpoint(problem, 1, "c", lr=1e-9, **near)])
    a, b, c = (bench.results[name].rows["history"][0]["train_loss"] for name in "abc")
    assert a == pytest.approx(b, abs=1e-6)
    assert a != pytest.approx(c, abs=1e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_pack_gives_what_each_task_gives_alone(optimizer: str) -> None:
    problem = problem_spec(dtype="float64")
    items = [
        endpoint(problem, seed, optimizer=optimizer, lr=lr, weight_decay=decay)
        for seed, lr, decay in ((0, 0.01, 0.0), (1, 0.02, 1e-2), (2, 0.01, 1e-3))
    ]
    together = DictBench()
    together.do("endpoint", items)
    for item in items:
        alone = DictBench()
        alone.do("endpoint", [item])
        for name, tensor in alone.results[item.id].tensors.items():
            assert torch.allclose(together.results[item.id].tensors[name], tensor, rtol=0, atol=1e-9), name
        assert_close(together.row(item.id, "endpoints"), alone.row(item.id, "endpoints"), rel=1e-9)


MODELS = {
    "plain": {},
    "BatchNorm": {"batch_norm": True},
    "Dropout": {"dropout": 0.3},
    "BatchNorm and Dropout": {"batch_norm": True, "dropout": 0.3},
}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_whatever_tasks_of_a_shape_differ_in_each_is_as_alone(model: str, nesterov: bool) -> None:
    """Seed, rate, momentum, none at all among them, weight decay; in any company."""
    args = {"hidden": [12], **MODELS[model]}
    problem = problem_spec(dtype="float64", model={"name": "mlp", "args": args})
    scalars = [(0, 0.1, 0.9, 0.0), (5, 0.02, 0.5, 1e-2), (2, 0.05, 0.9 if nesterov else 0.0, 1e-3)]
    items = [
        endpoint(problem, seed, lr=lr, momentum=momentum, weight_decay=decay, nesterov=nesterov, epochs=2)
        for seed, lr, momentum, decay in scalars
    ]
    alone = DictBench()
    for item in items:
        alone.do("endpoint", [item])
    for company in (items, items[::-1], items[1:]):
        together = DictBench()
        together.do("endpoint", company)
        for item in company:
            for name, tensor in alone.results[item.id].tensors.items():
                assert torch.allclose(together.results[item.id].tensors[name], tensor, rtol=0, atol=1e-9), name
            assert_close(together.row(item.id, "endpoints"), alone.row(item.id, "endpoints"), rel=1e-9)
            rows = (bench.results[item.id].rows["history"] for bench in (together, alone))
            for got, expected in zip(*rows, strict=True):
                assert_close(got, expected, rel=1e-9)


def test_what_was_measured_is_kept_beside_the_weights_to_the_bit() -> None:
    """So that nobody needs to measure it again."""
    problem, bench = problem_spec(batch_norm=True), DictBench()
    bench.do("endpoint", [endpoint(problem, 0), endpoint(problem, 1)])
    for name in ("end0", "end1"):
        kept = json.loads(bench.stored(name).about["metrics"])
        assert list(kept) == [f"{s}_{m}" for s in ("train", "val", "test") for m in ("loss", "error")] + ["l2_norm"]
        assert {metric: bench.row(name, "endpoints")[metric] for metric in kept} == kept


def test_a_diverging_member_fails_alone_with_its_step() -> None:
    problem, bench = problem_spec(), DictBench()
    fine, failed = bench.do("endpoint", [endpoint(problem, 0), endpoint(problem, 1, lr=1e30)])
    assert isinstance(fine, Result)
    assert isinstance(failed, Diverged)
    assert failed.step is not None
    assert f"not finite at step {failed.step} (epoch 1)" in str(failed)
    assert "end1" not in bench.results


def test_an_npz_file_is_named_by_its_content() -> None:
    spec = problem_spec()
    data = spec.data.model_copy(update={"name": "npz:f", "digest": "0123456789abcdef"})
    spec = spec.model_copy(update={"data": data})
    assert spec.columns() == {"problem": "npz:0123456789ab/mlp", "dataset": "npz:f", "model": "mlp"}
