"""Task kinds `drift` and `twin`: from a path to the rows of table `drifts`."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcdist.science.paths import FAMILIES
from mcdist.science.paths.arclength import arclength, fraction
from mcdist.science.streams import Stream
from mcdist.spec.dynamics import DriftSpec
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import DriftTask, TwinTask
from mcdist.tasks.stored_path import load_path
from mcdist.tasks.work import Item, Result

from .bench import (
    SGD,
    DictBench,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    digits,
    path,
    plain_model,
    problem_spec,
)

TRAIN = SGD | {"epochs": 1}
STARTS = (0.2, 0.5, 0.9)
HOW: dict[str, Any] = {"starts": STARTS, "lr": 0.05, "batch_size": 32, "replicas": 3, "steps": [2, 5], "samples": None}


@cache
def made() -> tuple[DictBench, ProblemSpec]:
    """Two paths between end points, in float64, on a problem with weight decay. To be left as it is."""
    problem = problem_spec(dtype="float64", weight_decay=0.01)
    bench = bench_with(problem, 3, epochs=2)
    bench.do("path", [path(problem, f"curve{k}", ("end0", f"end{k}"), kind="bezier", train=TRAIN) for k in (1, 2)])
    bench.do("path", [path(problem, "line", ("end0", "end1"), kind="linear")])
    return bench, problem


def items(problem: ProblemSpec, of: str, **said: Any) -> tuple[Item, Item]:
    """A twin and its drift."""
    spec = DriftSpec(**HOW | said)
    twin = Item(f"twin of {of}", TwinTask(problem=problem, drift=spec.twin), (of,))
    return twin, Item(f"drift on {of}", DriftTask(problem=problem, drift=spec), (of, twin.id))


def measured(*of: str, **said: Any) -> list[dict[str, Any]]:
    bench, problem = made()
    bench = beside(bench)
    twins, drifts = zip(*(items(problem, path, **said) for path in of), strict=True)
    bench.do("twin", twins)
    bench.do("drift", drifts)
    return [row for item in drifts for row in bench.results[item.id].rows["drifts"]]


def plain_walk(start: dict[str, Tensor], steps: int, lr: float, decay: float, stream: Stream | None) -> Tensor:
    """Weights after torch.optim.SGD on a plain module: minibatches of 32 in shuffled order, or all examples."""
    _, problem = made()
    model = plain_model(problem, start).train()
    data = digits()
    inputs = torch.from_numpy(data.train.inputs).double()
    shape = (-1,) + (1,) * (inputs.dim() - 1)
    mean, std = (torch.tensor(v, dtype=torch.float64).reshape(shape[1:] or (1,)) for v in (data.mean, data.std))
    inputs = (inputs / data.divisor - mean) / std
    targets = torch.from_numpy(data.train.targets)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=decay)
    epoch = made_steps = 0
    while made_steps < steps:
        order = torch.arange(len(targets))
        if stream is not None:
            order = torch.from_numpy(stream.child("order", epoch).generator().permutation(len(targets)))
        for rows in order.split(len(order) if stream is None else 32):
            if made_steps == steps or (stream is not None and len(rows) < 32):
                continue
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()
            made_steps += 1
        epoch += 1
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_every_number_against_a_plain_script() -> None:
    """On the straight line, where point and tangent are at hand: displacements of plain modules, to 1e-9."""
    bench, _ = made()
    ends = [bench.results[name].tensors for name in ("end0", "end1")]
    flat = [torch.cat([t.flatten() for t in end.values()]) for end in ends]
    length = float((flat[1] - flat[0]).norm())
    tau = (flat[1] - flat[0]) / length
    rows = measured("line", weight_decay=0.02)
    assert [(row["s"], row["steps"]) for row in rows] == [(s, m) for s in STARTS for m in (2, 5)]
    for row in rows:
        s, sign = row["s"], row["outward"] or 1
        start = {name: (1 - s) * ends[0][name] + s * ends[1][name] for name in ends[0]}
        origin = torch.cat([t.flatten() for t in start.values()])

        def along(
            stream: Stream | None, row: dict[str, Any] = row, start: Any = start, origin: Tensor = origin
        ) -> Tensor:
            moved = plain_walk(start, row["steps"], 0.05, 0.03, stream) - origin
            on = moved @ tau
            return torch.stack([on, (moved - on * tau).norm()]) / length

        replicas = torch.stack([along(Stream.of("drift", 0, "line", repr(s), r)) for r in range(3)])
        twin = along(None)
        assert row["drift_full_batch"] == pytest.approx(sign * float(twin[0]), abs=1e-9)
        assert row["excursion_full_batch"] == pytest.approx(float(twin[1]), abs=1e-9)
        assert row["drift_noise"] == pytest.approx(sign * float(replicas[:, 0].mean() - twin[0]), abs=1e-9)
        assert row["stderr"] == pytest.approx(float(replicas[:, 0].std()) / 3**0.5, abs=1e-9)
        assert row["spread"] == pytest.approx(float(replicas[:, 0].std()), abs=1e-9)
        assert row["excursion"] == pytest.approx(float(replicas[:, 1].square().mean().sqrt()), abs=1e-9)
        assert row["path_length"] == pytest.approx(length, rel=1e-9)


def test_what_a_row_says() -> None:
    rows = measured("curve1", momentum=0.5, weight_decay=0.02)
    assert_rows_fit(Result(rows={"drifts": rows}))
    row = rows[0]
    assert row["problem"] == "digits/mlp, weight decay 0.01"
    assert row["weight_decay"] == pytest.approx(0.03), "the problem's own and what is asked for on top"
    assert (row["lr"], row["batch_size"], row["momentum"], row["noise"]) == (0.05, 32, 0.5, "minibatch")
    assert (row["sampling"], row["replicas"], row["diverged"]) == ("shuffled", 3, 0)
    assert row["t_eff"] == pytest.approx(2 * 0.05 / 0.5)
    assert row["t_nominal"] == pytest.approx(0.05 / 0.5 / 32)
    assert row["t_measured"] == pytest.approx(row["t_nominal"] * row["gradient_noise"] / (2 * row["n_params"]))
    assert [r["outward"] for r in rows[::2]] == [-1, None, 1], "the nearer end; in the middle neither"


def test_starts_are_at_arclengths() -> None:
    bench, problem = made()
    loaded = load_path(bench.stored("curve1"), bench.problem(problem))
    for row in measured("curve1", segments=512)[::2]:
        t = torch.tensor([row["t"], 1.0], dtype=torch.float64)
        s = fraction(FAMILIES["bezier"], loaded.controls.theta, t)[0]
        assert float(s) == pytest.approx(row["s"], abs=1e-4)  # of 512 pieces
    length = float(arclength(FAMILIES["bezier"], loaded.controls.theta, torch.tensor([0.0, 1.0]))[-1])
    assert measured("curve1")[0]["path_length"] == pytest.approx(length, rel=1e-3)


def test_a_pack_changes_rounding_alone() -> None:
    bench, problem = made()
    both, one = beside(bench), beside(bench)
    twins, drifts = zip(*(items(problem, of) for of in ("curve1", "curve2")), strict=True)
    both.do("twin", twins)
    both.do("drift", drifts)
    for twin, drift in zip(twins, drifts, strict=True):
        one.do("twin", [twin])
        one.do("drift", [drift])
        assert_same_results(one.results[twin.id], both.results[twin.id])
        assert_same_results(one.results[drift.id], both.results[drift.id], rel=1e-7)


def test_a_twin_is_shared_by_all_that_differs_in_noise_alone() -> None:
    base = DriftSpec(**HOW)
    for change in ({"batch_size": 4}, {"noise": "isotropic", "temperature": 0.1}, {"replicas": 9}, {"seed": 3}):
        assert DriftSpec(**HOW | change).twin == base.twin
    for change in ({"lr": 0.1}, {"momentum": 0.9}, {"weight_decay": 0.1}, {"steps": [3]}, {"starts": [0.3]}):
        assert DriftSpec(**HOW | change).twin != base.twin


def test_isotropic_noise_of_a_given_temperature() -> None:
    """sqrt(2 T eta m) is the spread of a step without force; T is what the row says."""
    (row, *_) = measured(
        "line", starts=[0.3], steps=[1], noise="isotropic", temperature=1e-4, batch_size=None, replicas=400
    )
    expected = (2 * 1e-4 * 0.05) ** 0.5 / row["path_length"]
    assert row["spread"] == pytest.approx(expected, rel=4 / 800**0.5)
    assert (row["t_nominal"], row["t_measured"], row["batch_size"], row["gradient_noise"]) == (1e-4, 1e-4, None, None)


def test_matched_noise_has_the_trace_of_minibatches() -> None:
    """One step: E |noise|^2 = 2 T eta P = eta^2 tr Sigma / B."""
    (row, *_) = measured("line", starts=[0.3], steps=[1], noise="isotropic", replicas=200)
    across = (row["excursion"] * row["path_length"]) ** 2 - (row["excursion_full_batch"] * row["path_length"]) ** 2
    assert across == pytest.approx(0.05**2 * row["gradient_noise"] / 32, rel=0.05)


def test_replicas_that_diverge_are_counted_and_left_out() -> None:
    rows = measured("line", lr=1e6, steps=[40], replicas=3)
    assert {row["diverged"] for row in rows} == {3}
    assert {row["drift_noise"] for row in rows} == {None}
