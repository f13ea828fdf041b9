"""A bench without a store: results of tasks in a dictionary, the digits, a few epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from mcdist.problems.data import Dataset, load_dataset
from mcdist.problems.models import build_model
from mcdist.science.problem import Problem
from mcdist.science.tracing import Accelerate
from mcdist.spec.measures import CurvatureSpec, PlaneSpec, ProfileSpec
from mcdist.spec.paths import AlignSpec, PathSpec
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import (
    AlignTask,
    BranchTask,
    CurvatureTask,
    EndpointTask,
    FinetuneTask,
    JoinTask,
    PathTask,
    PlaneTask,
    ProfileTask,
    TrajectoryTask,
    TrunkTask,
)
from mcdist.store.schemas import TABLES
from mcdist.tasks.problems import build_problem
from mcdist.tasks.registry import KINDS
from mcdist.tasks.work import Item, Outcome, Result, Stored

SGD = {"epochs": 3, "lr": 0.1, "batch_size": 32, "schedule": "cosine"}


@cache
def digits() -> Dataset:
    """A part of the digits, with a validation split."""
    return load_dataset("digits", train_size=150, test_size=60, validation=0.05)


def problem_spec(*, batch_norm: bool = False, dtype: str = "float32", **options: Any) -> ProblemSpec:
    """A small perceptron on the digits."""
    model = {"name": "mlp", "args": {"hidden": [12], "batch_norm": batch_norm}}
    return ProblemSpec.model_validate({"data": "digits", "model": model, "dtype": dtype} | options)


class DictBench:
    """See `Bench`. Does tasks, and keeps what they give."""

    def __init__(self, accelerate: Accelerate | None = None) -> None:
        self.accelerate = accelerate
        self.results: dict[str, Result] = {}
        self._problems: dict[str, Problem] = {}

    def problem(self, spec: ProblemSpec) -> Problem:
        key = spec.model_dump_json()
        if key not in self._problems:
            self._problems[key] = build_problem(spec, lambda key: digits(), torch.device("cpu"))
        return self._problems[key]

    def stored(self, task_id: str) -> Stored:
        return Stored(self.results[task_id].tensors, self.results[task_id].about)

    def do(self, kind: str, items: Sequence[Item]) -> list[Outcome]:
        outcomes = KINDS[kind](items, self)
        assert len(outcomes) == len(items)
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, Result):
                self.results[item.id] = outcome
        return outcomes

    def row(self, task_id: str, table: str) -> dict[str, Any]:
        """The only row of a task in a table."""
        (row,) = self.results[task_id].rows[table]
        return row


def endpoint(problem: ProblemSpec, seed: int, name: str | None = None, **train: Any) -> Item:
    spec = EndpointTask(problem=problem, train=SGD | train, seed=seed)
    return Item(name or f"end{seed}", spec, ())


def trunk(problem: ProblemSpec, seed: int, spawn: Sequence[int], **train: Any) -> Item:
    return Item(f"trunk{seed}", TrunkTask(problem=problem, train=SGD | train, seed=seed, spawn=tuple(spawn)), ())


def branch(problem: ProblemSpec, seed: int, epoch: int, number: int, **train: Any) -> Item:
    """Of the trunk of its seed."""
    spec = BranchTask(problem=problem, train=SGD | train, seed=seed, epoch=epoch, branch=number)
    return Item(f"branch{seed}.{epoch}.{number}", spec, (f"trunk{seed}",))


def trajectory(
    problem: ProblemSpec, seed: int, parent: str | None = None, name: str | None = None, **said: Any
) -> Item:
    """Triangular unless said otherwise. parent: a trunk or an end point; else it is from the seed. said: train, ..."""
    cycle = {"cycle": 2.0, "lr2": 0.01} if said.get("rate", "triangle") == "triangle" else {}
    usual = {"seed": seed, "start": 0, "epochs": 4, "rate": "triangle", "lr1": 0.1, **cycle}
    train = SGD | said.pop("train", {})
    spec = TrajectoryTask.model_validate({"problem": problem, **usual, **said, "train": train})
    return Item(name or f"run{seed}", spec, () if parent is None else (parent,))


def path(problem: ProblemSpec, name: str, pair: tuple[str, str], **said: Any) -> Item:
    return Item(name, PathTask(problem=problem, path=PathSpec.model_validate(said)), pair)


def profile(problem: ProblemSpec, of: str, points: int = 11) -> Item:
    return Item(f"profile of {of}", ProfileTask(problem=problem, profile=ProfileSpec(points=points)), (of,))


def align(problem: ProblemSpec, name: str, pair: tuple[str, str], **said: Any) -> Item:
    return Item(name, AlignTask(problem=problem, align=AlignSpec(**{"method": "weights", **said})), pair)


def join(
    problem: ProblemSpec,
    name: str,
    legs: Sequence[str],
    back: Sequence[bool],
    alignments: Sequence[str] = (),
    **said: Any,
) -> Item:
    """said: of the path that each leg is."""
    spec = JoinTask(problem=problem, path=PathSpec.model_validate(said), reversed=tuple(back))
    return Item(name, spec, (*legs, *alignments))


def finetune(problem: ProblemSpec, name: str, end: str, seed: int = 0, **how: Any) -> Item:
    """how: train or neb."""
    return Item(name, FinetuneTask.model_validate({"problem": problem, "seed": seed, **how}), (end,))


def curvature(problem: ProblemSpec, name: str, of: str, *controls: str, **said: Any) -> Item:
    """Of a path with its controls, or of an end point: what begins with "end" is one."""
    where: Any = "endpoint" if of.startswith("end") else "path"
    spec = CurvatureSpec(**{"samples": 40, "points": 3, **said})
    return Item(name, CurvatureTask(problem=problem, curvature=spec, of=where), (of, *controls))


def plane(problem: ProblemSpec, name: str, *of: str, **said: Any) -> Item:
    """Of a path, or through three end points."""
    where: Any = "path" if len(of) == 1 else "endpoints"
    return Item(name, PlaneTask(problem=problem, plane=PlaneSpec(**{"points": 4, **said}), of=where), of)


def bench_with(problem: ProblemSpec, seeds: int = 2, accelerate: Accelerate | None = None, **train: Any) -> DictBench:
    """End points end0, end1, ..."""
    bench = DictBench(accelerate)
    bench.do("endpoint", [endpoint(problem, seed, **train) for seed in range(seeds)])
    return bench


def beside(bench: DictBench, accelerate: Accelerate | None = None) -> DictBench:
    """Another bench with what this one has."""
    other = DictBench(accelerate)
    other.results, other._problems = dict(bench.results), bench._problems
    return other


def plain_model(problem: ProblemSpec, weights: Mapping[str, Tensor]) -> torch.nn.Module:
    """Stored weights in a module of their own."""
    data = digits()
    model = build_model(problem.model.name, problem.model.args, data.input_shape, data.n_classes)
    model = model.to(next(t.dtype for t in weights.values() if t.is_floating_point()))
    model.load_state_dict(dict(weights))
    return model.eval()


def assert_same_results(got: Result, expected: Result, rel: float = 1e-9) -> None:
    """The same tensors and rows, up to the order of sums."""
    assert got.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.allclose(got.tensors[name], tensor, rtol=0, atol=rel, equal_nan=True), name
    assert got.rows.keys() == expected.rows.keys()
    for table, rows in expected.rows.items():
        for one, other in zip(got.rows[table], rows, strict=True):
            assert_close(one, other, rel)


def assert_close(row: dict[str, Any], expected: dict[str, Any], rel: float) -> None:
    """Two rows agree: reals to `rel`, everything else exactly."""
    assert row.keys() == expected.keys()
    for name, value in expected.items():
        assert row[name] == (pytest.approx(value, rel=rel) if isinstance(value, float) else value), name


def assert_rows_fit(result: Result) -> None:
    """Every key of a row is a column of its table, and every value of its type; the store adds the table's keys."""
    for table, rows in result.rows.items():
        schema = TABLES[table].schema
        keys = {column.name for column in TABLES[table].keys}
        for row in rows:
            assert set(row) <= set(schema.names) - keys, table
            for name, value in row.items():
                kinds = {"string": str, "int64": int, "double": float, "bool": bool, "list<element: string>": list}
                assert value is None or type(value) is kinds[str(schema.field(name).type)], (table, name, value)
                assert not isinstance(value, list) or all(type(v) is str for v in value), (table, name, value)
