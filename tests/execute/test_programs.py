"""The programs of a worker: one for each shape, name and kind of inputs, made when first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tasks.bench import DictBench, assert_close, digits, endpoint, path, problem_spec, profile
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from mcdist.execute import programs as module
from mcdist.execute.compilation import Compiler
from mcdist.execute.programs import Programs
from mcdist.problems.classification import Classification
from mcdist.science.problem import Problem
from mcdist.science.tracing import Program, Trace, trace
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks.work import Item, Way

COMPILED = Way(compiled=True)


class Uncompiled(Compiler):
    """Gives the trace itself for a library, and notes what it was asked for. `works`: whether it does."""

    def __init__(self, folder: Path, works: bool = True) -> None:
        super().__init__(folder)
        self.works = works
        self.asked: list[tuple[Trace, list[Tensor]]] = []

    def _load_or_make(self, traced: Trace, inputs: Sequence[Tensor]) -> Program:
        self.asked.append((traced, list(inputs)))
        if not self.works:
            raise RuntimeError("no compiler here")
        run: Program = traced.graph
        return run


@pytest.fixture
def compiler(tmp_path: Path) -> Uncompiled:
    return Uncompiled(tmp_path)


class Follow:
    """Follows a function of a state and some rows, counting how often."""

    def __init__(self, *inputs: Tensor) -> None:
        self.inputs, self.times = inputs, 0
        self.data = torch.arange(10.0)

    def __call__(self) -> Trace:
        self.times += 1

        def function(state: Tensor, rows: Tensor) -> tuple[Tensor]:
            state.add_(self.data[rows])
            return (state * 2,)

        return trace(function, tuple(t.clone() for t in self.inputs))


STATE, ROWS = torch.zeros(2), torch.tensor([4, 5])


def test_the_plain_way_has_no_programs(compiler: Uncompiled) -> None:
    assert Programs(compiler).accelerate("shape", Way(channels_last=True)) is None


def test_a_program_does_what_was_followed_to_other_tensors_too(compiler: Uncompiled) -> None:
    """What was taken from elsewhere goes along."""
    accelerate = Programs(compiler).accelerate("shape", COMPILED)
    assert accelerate is not None
    run = accelerate("step", Follow(STATE, ROWS), [STATE], [ROWS])
    assert run is not None
    state = torch.ones(2)
    (found,) = run(state, torch.tensor([9, 1]))
    assert state.tolist() == [10.0, 2.0]
    assert found.tolist() == [20.0, 4.0]
    ((traced, inputs),) = compiler.asked
    assert [t.shape for t in inputs] == [(2,), (2,), (10,)]
    assert [t.data_ptr() for t in inputs[2:]] == [t.data_ptr() for t in traced.captured]


def test_a_program_is_made_once_per_shape_and_name_and_kind_of_inputs(compiler: Uncompiled) -> None:
    """For all packs of a shape, each of which asks anew."""
    programs = Programs(compiler)
    wanted = {
        "the first": ("shape", "step", STATE, ROWS, 1),
        "other numbers": ("shape", "step", STATE + 1, ROWS - 1, 0),
        "another name": ("shape", "sums", STATE, ROWS, 1),
        "another shape of tasks": ("other shape", "step", STATE, ROWS, 1),
        "other sizes": ("shape", "step", torch.zeros(3), torch.tensor([1, 2, 3]), 1),
        "another type": ("shape", "step", STATE.double(), ROWS, 1),
        "another layout": ("shape", "step", torch.zeros(4)[::2], ROWS, 1),
    }
    for again in (False, True):
        for what, (shape, name, state, rows, new) in wanted.items():
            accelerate = programs.accelerate(shape, COMPILED)
            assert accelerate is not None
            follow = Follow(state, rows)
            assert accelerate(name, follow, [state], [rows]) is not None
            assert follow.times == (0 if again else new), what
    assert len(compiler.asked) == 6


@pytest.mark.parametrize("cause", ["compiler", "trace"])
def test_what_cannot_be_made_is_tried_once_and_noted_once(cause: str, compiler: Uncompiled) -> None:
    compiler.works = cause != "compiler"
    follow, programs = Follow(STATE, ROWS), Programs(compiler)

    def asked() -> Trace:
        traced = follow()
        if cause == "trace":
            raise RuntimeError("no trace of this")
        return traced

    for name in ("step", "step", "sums"):
        accelerate = programs.accelerate("shape", COMPILED)
        assert accelerate is not None
        assert accelerate(name, asked, [STATE], [ROWS]) is None
    assert follow.times == 2
    assert len(compiler.notes) == 1


def test_graphs_of_launches_are_left_out_where_there_is_no_gpu(
    compiler: Uncompiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for or not: the work is done all the same."""
    monkeypatch.setattr(module, "CudaGraph", lambda *_: pytest.fail("a graph on a CPU"))
    follow = Follow(STATE, ROWS)
    graphed = Programs(compiler).accelerate("shape", Way(graphed=True))
    assert graphed is not None
    assert graphed("step", follow, [STATE], [ROWS]) is None
    assert follow.times == 0
    both = Programs(compiler).accelerate("shape", Way(compiled=True, graphed=True))
    assert both is not None
    run = both("step", follow, [STATE], [ROWS])
    assert run is not None
    assert [t.tolist() for t in run(torch.ones(2), ROWS)] == [[10.0, 12.0]]


# Real tasks


class Shy(nn.Module):
    """Stacks well, and does not let itself be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 10))

    def forward(self, x: Tensor) -> Tensor:
        if get_proxy_mode() is not None:
            raise RuntimeError("being watched")
        out: Tensor = self.layers(x)
        return out


class ShyBench(DictBench):
    """Of whatever problem it is asked for, it gives that of the shy module."""

    def problem(self, spec: ProblemSpec) -> Problem:
        if "shy" not in self._problems:
            self._problems["shy"] = Classification(Shy, digits(), dtype=torch.float64)
        return self._problems["shy"]


def work(bench: DictBench, problem: ProblemSpec) -> list[Any]:
    """Two end points, two curves and their profiles, and all that came of them."""
    bench.do("endpoint", [endpoint(problem, 0), endpoint(problem, 1, lr=0.05, momentum=0.5, weight_decay=1e-3)])
    curve = {"kind": "bezier", "train": {"epochs": 2, "lr": 0.1, "batch_size": 32}}
    pairs = (("end0", "end1"), ("end1", "end0"))
    bench.do("path", [path(problem, f"p{n}", pair, **curve) for n, pair in enumerate(pairs)])
    bench.do("profile", [profile(problem, f"p{n}", points=5) for n in range(2)])
    return [(name, bench.results[name].rows, bench.results[name].tensors) for name in sorted(bench.results)]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("works", [True, False])
def test_a_module_that_stacks_but_cannot_be_traced_is_done_the_plain_way_with_a_note(
    works: bool, tmp_path: Path
) -> None:
    """Bit for bit, whatever its compiler could have done."""
    compiler, problem = Uncompiled(tmp_path, works), problem_spec(dtype="float64")
    got = work(ShyBench(Programs(compiler).accelerate("shape", COMPILED)), problem)
    assert same(got, work(ShyBench(), problem))
    assert compiler.asked == []
    assert compiler.notes == ["not compiled, done the plain way instead: RuntimeError: being watched"]


def test_packs_of_a_shape_share_their_programs_whatever_their_scalars(compiler: Uncompiled) -> None:
    """Rates, momenta, decays and seeds are inputs; the second pack gives what it would without the first."""
    problem = problem_spec(dtype="float64", batch_norm=True)
    programs = Programs(compiler)

    def pack(seeds: Sequence[int], **train: Any) -> list[Item]:
        return [endpoint(problem, seed, **train | {"lr": 0.05 * (1 + seed)}) for seed in seeds]

    first, second = pack((0, 1, 2)), pack((3, 4, 5), momentum=0.5)
    together = DictBench(programs.accelerate("shape", COMPILED))
    together.do("endpoint", first)
    together.accelerate = programs.accelerate("shape", COMPILED)  # as the next job has it
    together.do("endpoint", second)
    assert len(compiler.asked) == 1
    alone = DictBench()
    alone.do("endpoint", second)
    for item in second:
        for name, tensor in alone.results[item.id].tensors.items():
            got = together.results[item.id].tensors[name]
            assert torch.allclose(got.double(), tensor.double(), rtol=0, atol=1e-10), name


def test_profiles_of_a_shape_share_their_programs(compiler: Uncompiled) -> None:
    """Statistics and sums, each once for all splits, points and packs."""
    problem, programs = problem_spec(dtype="float64", batch_norm=True), Programs(compiler)
    bench, plain = DictBench(), DictBench()
    work(plain, problem)
    bench.results = {name: result for name, result in plain.results.items() if "profile" not in name}
    for n in range(2):
        bench.accelerate = programs.accelerate("shape", COMPILED)
        bench.do("profile", [profile(problem, f"p{n}", points=5)])
    assert len(compiler.asked) == 2
    for n in range(2):
        rows = (b.results[f"profile of p{n}"].rows["path_points"] for b in (bench, plain))
        for got, expected in zip(*rows, strict=True):
            assert_close(got, expected, rel=1e-9)
