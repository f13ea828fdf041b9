"""The whole way, end points to barriers, against plain PyTorch fed with the same random numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from reference import digits_plain as plain
from torch import Tensor

from mcdist.problems.data import Dataset
from mcdist.science.streams import Stream

from .bench import DictBench, digits, endpoint, path, problem_spec, profile

EPOCHS, CURVE_EPOCHS, BATCH, POINTS = 4, 4, 32, 13

# Float64 on both sides: what is left is the order of sums, some 1e-16, a little amplified by 40 steps.
CLOSE = 1e-9


def plain_data(data: Dataset) -> plain.Data:
    parts = []
    for split in (data.train, data.test):
        parts += [torch.from_numpy(split.inputs).double() / data.divisor, torch.from_numpy(split.targets)]
    return plain.Data(*parts)


def orders(stream: Stream, epochs: int) -> list[Tensor]:
    n = len(digits().train)
    return [torch.from_numpy(stream.child("order", e).generator().permutation(n)) for e in range(epochs)]


def positions(stream: Stream, epochs: int) -> list[Tensor]:
    steps = -(-len(digits().train) // BATCH)
    return [torch.from_numpy(stream.child("t", e).generator().random((steps, 1)))[:, 0] for e in range(epochs)]


def plain_endpoint(seed: int) -> plain.Weights:
    stream = Stream.of("endpoint", seed)
    torch.manual_seed(stream.child("init").seed())
    model = plain.network().double()
    rates = plain.cosine(0.1, EPOCHS)
    return plain.train_endpoint(model, plain_data(digits()), orders(stream, EPOCHS), rates, BATCH)


def plain_bend(a: plain.Weights, b: plain.Weights) -> plain.Weights:
    stream = Stream.of("path", 0, "end0", "end1")
    draws = orders(stream, CURVE_EPOCHS), positions(stream, CURVE_EPOCHS)
    rates = plain.piecewise(0.05, CURVE_EPOCHS)
    return plain.train_bezier(plain.network().double(), a, b, plain_data(digits()), *draws, rates, BATCH)


def done() -> DictBench:
    """The job in small, by mcdist: a straight line and a curve between two end points."""
    model = {"name": "mlp", "args": {"hidden": [64, 64]}}
    problem, bench = problem_spec(dtype="float64", model=model), DictBench()
    train: dict[str, Any] = {"batch_size": BATCH, "lr": 0.1, "epochs": EPOCHS, "momentum": 0.9, "schedule": "cosine"}
    bench.do("endpoint", [endpoint(problem, seed, **train) for seed in (0, 1)])
    curve = train | {"lr": 0.05, "epochs": CURVE_EPOCHS, "schedule": "piecewise"}
    ends = ("end0", "end1")
    bench.do("path", [path(problem, "bezier", ends, kind="bezier", bends=1, train=curve)])
    bench.do("path", [path(problem, "linear", ends, kind="linear")])
    bench.do("profile", [profile(problem, kind, POINTS) for kind in ("linear", "bezier")])
    return bench


def assert_close(got: dict[str, Tensor], expected: plain.Weights) -> None:
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.allclose(got[name], tensor, rtol=0, atol=CLOSE), name


def test_everything_is_what_plain_pytorch_finds() -> None:
    bench = done()
    a, b = plain_endpoint(0), plain_endpoint(1)
    assert_close(dict(bench.results["end0"].tensors), a)
    assert_close(dict(bench.results["end1"].tensors), b)
    bend = plain_bend(a, b)
    stored = bench.results["bezier"].tensors
    assert_close({name: stored[f"point_1.{name}"] for name in bend}, bend)

    ts = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    points = {
        "linear": [plain.line(t, a, b) for t in ts.tolist()],
        "bezier": [plain.bezier(t, a, bend, b) for t in ts.tolist()],
    }
    for kind, weights in points.items():
        expected = plain.profile(plain.network().double(), weights, plain_data(digits()))._asdict()
        rows = bench.results[f"profile of {kind}"].rows
        barriers = {row["metric"]: row["barrier_linear"] for row in rows["barriers"]}
        for metric, values in expected.items():
            assert [row[metric] for row in rows["path_points"]] == pytest.approx(values.tolist(), abs=CLOSE)
            assert barriers[metric] == pytest.approx(plain.barrier(ts, values), abs=CLOSE)
