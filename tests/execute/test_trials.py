"""Trials: a piece of the real work of K tasks, set up, timed, and without any trace."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tracing import AsTraced, refuse
from tasks.bench import DictBench, digits, endpoint, path, problem_spec, profile
from torch import Tensor

from mcdist.execute import trials
from mcdist.execute.choice import Choice, Wishes
from mcdist.execute.compilation import Compiler
from mcdist.execute.job import Job
from mcdist.execute.trials import TrialProbe, Tuning
from mcdist.execute.tuning import OutOfMemory, by_rule
from mcdist.execute.worker import Worker
from mcdist.problems.data import Dataset
from mcdist.problems.data.dataset import Split
from mcdist.science.problem import Problem
from mcdist.science.tracing import Accelerate, Program, Trace
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import TaskSpec
from mcdist.store import open_store
from mcdist.tasks.problems import build_problem
from mcdist.tasks.registry import KINDS
from mcdist.tasks.work import Bench, Item, Kind, Trial, Way

OPEN = Wishes("auto", "auto", "auto", "auto")
CURVE = {"kind": "bezier", "train": {"epochs": 2, "lr": 0.1, "batch_size": 32}}
COMPILED = Way(compiled=True)


@pytest.fixture(autouse=True)
def _one_thread_and_little_patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(trials, "_LONG_S", 0.01)
    monkeypatch.setattr(trials, "free_memory", lambda: None)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def images() -> Dataset:
    draw = np.random.default_rng(5)

    def split(n: int) -> Split:
        return Split(draw.standard_normal((n, 2, 6, 6)).astype(np.float32), draw.integers(0, 3, n))

    return Dataset("images", split(150), None, split(60), 3, 1.0, (0.0, 0.0), (1.0, 1.0), "noise")


def items(kind: str, problem: ProblemSpec, number: int = 3) -> list[Item]:
    """Tasks of one shape, which differ in their scalars."""
    if kind == "endpoint":
        return [endpoint(problem, seed, lr=0.1 / (1 + seed), weight_decay=1e-4 * seed) for seed in range(number)]
    if kind == "path":
        return [path(problem, f"p{k}", ("a", "b"), **CURVE | {"seed": k}) for k in range(number)]
    if kind == "line":
        return [path(problem, f"p{k}", ("a", "b"), kind="linear") for k in range(number)]
    return [profile(problem, f"p{k}", points=5) for k in range(number)]


def tuning(kind: str, problem: ProblemSpec, tasks: int = 100, wishes: Wishes = OPEN) -> Tuning:
    specs = tuple(item.spec.model_dump_json() for item in items(kind, problem))
    return Tuning(f"shape of {kind}", "path" if kind == "line" else kind, specs, tasks, wishes)


class Benches:
    """Makes benches that share their problems, as those of a worker do."""

    def __init__(self, data: Callable[[], Dataset] = digits) -> None:
        self._data = data
        self._problems: dict[tuple[str, bool], Problem] = {}

    def __call__(self, way: Way, accelerate: Accelerate | None) -> Bench:
        made = DictBench(accelerate)
        made.problem = lambda spec: self._problem(spec, way.channels_last)  # type: ignore[method-assign]
        return made

    def _problem(self, spec: ProblemSpec, channels_last: bool) -> Problem:
        key = spec.model_dump_json(), channels_last
        if key not in self._problems:
            self._problems[key] = build_problem(spec, lambda _: self._data(), torch.device("cpu"), channels_last)
        return self._problems[key]


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    return Compiler(tmp_path / "cache")


def probe_of(
    asked: Tuning,
    compiler: Compiler,
    data: Callable[[], Dataset] = digits,
    accelerate: Callable[[Way], Accelerate | None] = lambda way: None,
) -> TrialProbe:
    return TrialProbe(asked, Benches(data), accelerate, compiler, torch.device("cpu"))


CONVNET = {"model": {"name": "convnet", "args": {"channels": [3], "convs": 1, "hidden": [], "batch_norm": True}}}
PROBLEMS: dict[str, tuple[ProblemSpec, Callable[[], Dataset], bool, bool]] = {
    "perceptron": (problem_spec(), digits, True, False),
    "with BatchNorm": (problem_spec(batch_norm=True), digits, True, False),
    "perceptron on images": (problem_spec(), images, True, True),
    "convnet": (problem_spec(**CONVNET), images, False, True),
}


@pytest.mark.parametrize("kind", ["endpoint", "path", "profile"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_a_probe_learns_of_real_tasks(kind: str, problem: str, compiler: Compiler) -> None:
    spec, data, stacked, of_images = PROBLEMS[problem]
    probe = probe_of(tuning(kind, spec, 7), compiler, data)
    for K in (1, 4):
        taken = probe.seconds(K, Way(channels_last=K == 4))
        assert taken is not None
        assert 0 < taken < 60
    assert (probe.tasks, probe.stacked(), probe.images(), probe.graphs()) == (7, stacked, of_images, False)


def test_networks_that_draw_random_numbers_train_one_by_one_and_are_evaluated_as_stacks(compiler: Compiler) -> None:
    spec = problem_spec(model={"name": "mlp", "args": {"hidden": [8], "dropout": 0.2}})
    for kind, stacked in (("endpoint", False), ("profile", True)):
        probe = probe_of(tuning(kind, spec), compiler)
        assert probe.seconds(2, Way()) is not None
        assert probe.stacked() is stacked


def test_a_straight_line_takes_no_work(compiler: Compiler) -> None:
    probe = probe_of(tuning("line", problem_spec()), compiler)
    assert probe.seconds(1, Way()) is None
    assert probe.compiling(1, Way()) == math.inf


def test_so_many_steps_make_up_a_training() -> None:
    """150 examples by 32 are 4.6875 full minibatches, in 2 or 3 epochs."""
    for kind, epochs in (("endpoint", 3), ("path", 2)):
        asked = [item.spec for item in items(kind, problem_spec())]
        trial = KINDS[kind].rehearse(asked, DictBench())  # type: ignore[misc]
        assert trial is not None
        assert trial.steps == pytest.approx(epochs * len(digits().train) / 32)


@pytest.mark.parametrize("problem", ["perceptron", "convnet"])
def test_so_many_batches_make_up_a_profile(problem: str) -> None:
    """All points of K paths go through all splits; one by one where a stack is not the way."""
    spec, data, stacked, _ = PROBLEMS[problem]
    bench = Benches(data)(Way(), None)
    asked = [item.spec for item in items("profile", spec)]
    trial = KINDS["profile"].rehearse(asked, bench)  # type: ignore[misc]
    assert trial is not None
    splits = (data().train, data().validation, data().test)
    everything = sum(len(split) for split in splits if split is not None)
    glimpsed = len(data().train) if stacked else 128
    assert trial.steps == pytest.approx(everything / glimpsed * (1 if stacked else 3 * 5))


def test_seconds_are_the_least_of_a_few_steps_times_their_number(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_LONG_S", 0.1)
    clock, lasts = [0.0], iter([9.0, 0.03, 0.02, 0.06, 0.01])

    def step() -> None:
        clock[0] += next(lasts)

    monkeypatch.setattr(trials.time, "perf_counter", lambda: clock[0])
    monkeypatch.setitem(KINDS, "pause", Kind(lambda *_: [], lambda *_: Trial(step, 7.0, stacked=True, images=False)))
    asked = Tuning("pause", "pause", ('{"seconds": 1.0, "number": 0}',), 10, OPEN)
    assert probe_of(asked, compiler).seconds(1, Way()) == pytest.approx(7 * 0.02)
    assert list(lasts) == [0.01], "a tenth of a second is enough; the first step warms up and does not count"


def scripted(monkeypatch: pytest.MonkeyPatch, rehearse: Callable[[Sequence[TaskSpec], Bench], Trial | None]) -> Tuning:
    monkeypatch.setitem(KINDS, "pause", Kind(lambda *_: [], rehearse))
    return Tuning("pause", "pause", ('{"seconds": 1.0, "number": 0}', '{"seconds": 1.0, "number": 1}'), 10, OPEN)


def test_a_trial_has_as_many_tasks_as_are_asked_for(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ones again where there are not so many."""
    seen: list[list[Any]] = []

    def rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
        seen.append([spec.number for spec in specs])  # type: ignore[attr-defined]
        return Trial(lambda: None, 1.0, stacked=True, images=False)

    probe = probe_of(scripted(monkeypatch, rehearse), compiler)
    for K in (1, 5):
        probe.seconds(K, Way())
    assert seen == [[0], [0, 1, 0, 1, 0]]


@pytest.mark.parametrize("where", ["setting up", "step"])
def test_memory_that_is_not_enough_is_no_other_error(
    where: str, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    error: list[Exception] = [MemoryError(), RuntimeError("a mistake")]

    def rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
        def step() -> None:
            raise error[0]

        if where == "setting up":
            step()
        return Trial(step, 1.0, stacked=True, images=False)

    probe = probe_of(scripted(monkeypatch, rehearse), compiler)
    with pytest.raises(OutOfMemory):
        probe.seconds(1, Way())
    error.pop(0)
    with pytest.raises(RuntimeError, match="a mistake"):
        probe.seconds(1, Way())


def test_tasks_that_would_take_more_than_half_of_the_memory_left_are_not_even_tried(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 tasks grew the process by 40: of 100 left (140 without them) 7 may take 70, and 8 not 80."""
    used = [1000]

    def rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
        used[0] = max(used[0], 1000 + 10 * len(specs))
        return Trial(lambda: None, 1.0, stacked=True, images=False)

    monkeypatch.setattr(trials, "peak", lambda device: used[0])
    monkeypatch.setattr(trials, "left", lambda device: 100)
    probe = probe_of(scripted(monkeypatch, rehearse), compiler)
    assert probe.seconds(4, Way()) is not None
    with pytest.raises(OutOfMemory):
        probe.seconds(8, Way())
    assert used[0] == 1040
    assert probe.seconds(7, Way()) is not None
    assert probe.seconds(2, Way()) is not None


class Tracing:
    """Ways that are compiled run traces, as they are; notes what was made."""

    def __init__(self) -> None:
        self.graphs = AsTraced()

    def __call__(self, way: Way) -> Accelerate | None:
        return self.graphs if way.compiled else None


@pytest.mark.parametrize("kind", ["endpoint", "path", "profile"])
def test_what_compiling_takes_is_reckoned_without_compiling(
    kind: str, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the size of the traces; little where the libraries are there. And then the program is what is timed."""
    monkeypatch.setattr("mcdist.execute.compilation._make", lambda *_: pytest.fail("something was compiled"))
    ways = Tracing()
    probe = probe_of(tuning(kind, problem_spec(batch_norm=True)), compiler, accelerate=ways)
    assert probe.seconds(3, Way()) is not None
    programs = 2 if kind == "profile" else 1  # statistics, and sums
    reckoned = probe.compiling(3, COMPILED)
    assert 6.0 * programs < reckoned < 60.0 * programs
    monkeypatch.setattr(compiler, "has", lambda *_: True)
    assert probe.compiling(3, COMPILED) == programs * 1.0
    assert ways.graphs.names == []
    assert probe.seconds(3, COMPILED) is not None
    assert ways.graphs.calls > 1
    assert {name.split()[0] for name in ways.graphs.names} == (
        {"statistics", "sums"} if kind == "profile" else {"step"}
    )


def test_what_cannot_be_compiled_takes_for_ever(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    dropping = problem_spec(model={"name": "mlp", "args": {"hidden": [8], "dropout": 0.2}})
    assert probe_of(tuning("endpoint", dropping), compiler).compiling(2, COMPILED) == math.inf

    def untraceable(*_: object) -> Trace:
        raise RuntimeError("no trace of this")

    monkeypatch.setattr("mcdist.science.acceleration.trace", untraceable)
    assert probe_of(tuning("endpoint", problem_spec()), compiler).compiling(2, COMPILED) == math.inf


@pytest.mark.parametrize("kind", ["endpoint", "path"])
def test_a_program_that_moves_things_elsewhere_takes_for_ever(kind: str, compiler: Compiler) -> None:
    """With a note of it; one that moves them where it should does not."""

    class Off(AsTraced):
        def __call__(
            self, name: str, follow: Callable[[], Trace], held: Sequence[Tensor], varying: Sequence[Tensor]
        ) -> Program:
            right = super().__call__(name, follow, held, varying)

            def wrong(*tensors: Tensor) -> Sequence[Tensor]:
                outputs = right(*tensors)
                held[0].add_(1e-3)
                return outputs

            return wrong

    for made, taken in ((AsTraced(), False), (Off(), True)):
        probe = probe_of(tuning(kind, problem_spec()), compiler, accelerate=lambda way, made=made: made)  # type: ignore[misc]
        assert (probe.seconds(3, COMPILED) == math.inf) is taken
        assert len(compiler.notes) == taken


# A worker tunes


@pytest.fixture
def make_worker(tmp_path: Path) -> Callable[[], Worker]:
    """Workers that share a store and the digits."""
    open_store(tmp_path / "store", create=True)
    return lambda: Worker(str(tmp_path / "store"), "cpu", 1, lambda key: digits())


NOT_COMPILED = Wishes("auto", "off", "off", "off")


def test_little_work_is_packed_by_rule(make_worker: Callable[[], Worker]) -> None:
    for kind in ("endpoint", "path", "profile", "line"):
        assert make_worker().tune(tuning(kind, problem_spec(), 9)) == Choice(5)
    assert make_worker().tune(tuning("line", problem_spec(), 10_000)) == Choice(16)


def test_much_work_is_measured(make_worker: Callable[[], Worker]) -> None:
    """Whatever comes of it on this machine, it is what was measured."""
    choice = make_worker().tune(tuning("profile", problem_spec(), 1_000_000, NOT_COMPILED))
    found = {int(K): seconds for K, seconds in choice.measured["seconds_per_task"].items()}
    assert {1, 2, 4} <= set(found) <= {2**n for n in range(10)}
    good = [K for K in sorted(found) if found[K] <= min(1.1 * min(found.values()), found[1])]
    assert 0.75 * good[0] <= choice.most <= good[0]
    assert choice.way == Way()


def ended(worker: Worker, tuned: bool) -> list[Tensor]:
    problem = problem_spec(batch_norm=True)
    if tuned:
        for kind in ("profile", "path", "endpoint"):
            worker.tune(tuning(kind, problem, 1000, NOT_COMPILED))
    (task,) = items("endpoint", problem, 1)
    job = Job("pack", "endpoint", ("e",), (task.spec.model_dump_json(),), ((),), 1)
    computed = worker.compute(job)
    assert computed.result is not None
    return list(computed.result.tensors["e"].values())


def test_trials_leave_no_trace_in_what_is_computed_afterwards(make_worker: Callable[[], Worker]) -> None:
    after, before = ended(make_worker(), tuned=True), ended(make_worker(), tuned=False)
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_tasks_that_raise_in_the_trial_are_packed_by_rule_and_fail_when_done(
    make_worker: Callable[[], Worker],
) -> None:
    problem = problem_spec(model={"name": "support.models:RaisesInTraining"})
    worker, asked = make_worker(), tuning("endpoint", problem, 40)
    assert worker.tune(asked) == by_rule(OPEN, 40)
    report = worker.compute(Job("pack", "endpoint", ("e",), asked.specs[:1], ((),), 1)).report
    assert report.verdicts["e"].error_kind == "raised"
    (note,) = report.notes
    assert note.startswith("endpoint: could not be tried, packed by rule: ")


def test_one_task_that_does_not_fit_goes_alone(
    make_worker: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rehearse(specs: Sequence[TaskSpec], bench: Bench) -> Trial:
        raise MemoryError

    assert make_worker().tune(scripted(monkeypatch, rehearse)) == Choice(1)


def test_where_no_program_is_made_the_plain_way_is_what_is_timed(compiler: Compiler) -> None:
    probe = probe_of(tuning("endpoint", problem_spec()), compiler, accelerate=lambda way: refuse)
    taken = probe.seconds(2, COMPILED)
    assert taken is not None
    assert taken < math.inf
    assert compiler.notes == []
