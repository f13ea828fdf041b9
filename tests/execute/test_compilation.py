"""Compiled programs: the plain numbers, made once per shape and machine, and never in the way."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from science.examples import normed, problem, starts
from support.sweeps import assert_same_tables, small_sweep, tables
from torch import Tensor

import mcdist
from mcdist.execute import compilation
from mcdist.execute.compilation import Compiler, cache_folder
from mcdist.execute.programs import Programs
from mcdist.science.motion import CurveBends
from mcdist.science.optimizers import Sgd, per_point
from mcdist.science.paths import FAMILIES, on_chord
from mcdist.science.schedules import Cosine
from mcdist.science.tracing import Accelerate, Trace, trace
from mcdist.science.training import Recipe, Trained, train
from mcdist.tasks.work import Way

COMPILED = Way(compiled=True)


def twice(x: Tensor) -> tuple[Tensor]:
    return (x * 2,)


def thrice(x: Tensor) -> tuple[Tensor]:
    return (x * 3,)


def of(function: Callable[..., Any], *inputs: Tensor) -> tuple[Trace, list[Tensor]]:
    """What a compiler takes: a trace and its inputs."""
    traced = trace(function, inputs)
    return traced, [*inputs, *traced.captured]


class Forge:
    """In the place of torch's compiler: a library is the text of its trace. `fails`: what it raises instead."""

    def __init__(self) -> None:
        self.made: list[Path] = []
        self.loaded: list[Path] = []
        self.fails: Exception | None = None
        self.takes_s = 0.0

    def make(self, traced: Trace, inputs: Sequence[Tensor], file: Path) -> None:
        self.made.append(file)
        time.sleep(self.takes_s)
        if self.fails is not None:
            raise self.fails
        file.write_text(traced.text())

    def load(self, file: Path) -> Callable[..., list[Tensor]]:
        if not file.read_text().startswith("graph()"):
            raise RuntimeError("failed finding central directory")
        self.loaded.append(file)
        return lambda *tensors: [tensors[0] * 2]


@pytest.fixture
def forge(monkeypatch: pytest.MonkeyPatch) -> Forge:
    forge = Forge()
    monkeypatch.setattr(compilation, "_make", forge.make)
    monkeypatch.setattr(compilation, "_load", forge.load)
    return forge


# Names


def test_a_name_is_of_all_that_could_make_another_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.zeros(4, 6)
    compiler = Compiler(tmp_path)

    def name(function: Callable[..., Any], given: Tensor) -> str:
        return compiler._file(*of(function, given)).name

    names = {
        "itself": name(twice, x),
        "another function": name(thrice, x),
        "another shape": name(twice, torch.zeros(4, 7)),
        "another layout": name(twice, torch.zeros(6, 4).T),
        "another type": name(twice, x.double()),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    names["other threads"] = name(twice, x)
    torch.set_num_threads(threads)
    for what, module, attribute in (
        ("another torch", torch, "__version__"),
        ("another version of ours", compilation, "_VERSION"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, attribute, "99")
            names[what] = name(twice, x)
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another kind of processor")
        names["another processor"] = name(twice, x)
    assert len(set(names.values())) == len(names), names


def test_a_name_is_of_nothing_else(tmp_path: Path) -> None:
    """Not of the numbers, the folder, the compiler, nor of data that the trace took from elsewhere."""
    data = [torch.arange(6.0), torch.ones(6)]

    def looking_at(elsewhere: Tensor) -> Callable[..., Any]:
        return lambda x: (x + elsewhere,)

    one = Compiler(tmp_path / "a")._file(*of(looking_at(data[0]), torch.zeros(4, 6)))
    other = Compiler(tmp_path / "b")._file(*of(looking_at(data[1]), torch.ones(4, 6)))
    assert one.name == other.name
    assert (one.parent, other.parent) == (tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"MCDIST_CACHE": "{tmp}/mine", "XDG_CACHE_HOME": "{tmp}/xdg"}, "{tmp}/mine"),
        ({"XDG_CACHE_HOME": "{tmp}/xdg"}, "{tmp}/xdg/mcdist"),
        ({"MCDIST_CACHE": "", "XDG_CACHE_HOME": "{tmp}/xdg"}, "{tmp}/xdg/mcdist"),
        ({"MCDIST_CACHE": "~/here"}, "{tmp}/home/here"),
        ({}, "{tmp}/home/.cache/mcdist"),
    ],
)
def test_where_libraries_are_kept(
    said: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("MCDIST_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
        if variable in said:
            monkeypatch.setenv(variable, said[variable].replace("{tmp}", str(tmp_path)))
    assert str(cache_folder()) == expected.replace("{tmp}", str(tmp_path))


# Made once


def test_a_library_is_made_once_for_all_compilers_on_a_folder(tmp_path: Path, forge: Forge) -> None:
    what = of(twice, torch.ones(3))
    assert not Compiler(tmp_path / "cache").has(*what)
    for _ in range(2):
        compiler = Compiler(tmp_path / "cache")
        program = compiler(*what)
        assert program is not None
        assert program(torch.ones(3))[0].tolist() == [2.0, 2.0, 2.0]
        assert compiler.has(*what)
        assert compiler.notes == []
    assert len(forge.made) == 1
    assert len(forge.loaded) == 2


def test_the_time_that_compiling_takes_is_known(tmp_path: Path, forge: Forge) -> None:
    forge.takes_s = 0.05
    compiler = Compiler(tmp_path)
    compiler(*of(twice, torch.ones(3)))
    assert compiler.seconds >= 0.05


def test_of_several_that_need_the_same_library_at_once_one_makes_it(tmp_path: Path, forge: Forge) -> None:
    forge.takes_s = 0.2
    what, got = of(twice, torch.ones(3)), []
    threads = [threading.Thread(target=lambda: got.append(Compiler(tmp_path)(*what))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(forge.made) == 1
    assert len(got) == 4
    assert None not in got


def test_libraries_of_different_kinds_do_not_wait_for_each_other(tmp_path: Path, forge: Forge) -> None:
    what = of(twice, torch.ones(3))
    compiler = Compiler(tmp_path)
    with compilation._alone(compiler._file(*what).with_suffix(".lock")):
        assert compiler(*of(thrice, torch.ones(3))) is not None


_PROCESS = """
import sys, time
from pathlib import Path
import torch
from mcdist.execute import compilation
from mcdist.science.tracing import trace

def make(traced, inputs, file):
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    time.sleep(0.5)
    file.write_text("library")

compilation._make, compilation._load = make, lambda file: file.read_text
x = torch.ones(3)
Path(sys.argv[3]).touch()
while not Path(sys.argv[4]).exists():
    time.sleep(0.01)
assert compilation.Compiler(Path(sys.argv[1]))(trace(lambda x: (x * 2,), (x,)), [x])() == "library"
"""


@pytest.mark.long
def test_of_two_processes_that_need_the_same_library_one_makes_it(tmp_path: Path) -> None:
    """The other one waits for it."""
    (tmp_path / "cache").mkdir()
    log, go = tmp_path / "log", tmp_path / "go"
    ready = [tmp_path / f"ready{n}" for n in range(2)]
    processes = [
        subprocess.Popen([sys.executable, "-c", _PROCESS, *map(str, (tmp_path / "cache", log, here, go))])
        for here in ready
    ]
    deadline = time.monotonic() + 60
    while not all(here.exists() for here in ready) and time.monotonic() < deadline:
        time.sleep(0.01)
    go.touch()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert log.read_text() == "made\n"


# What goes wrong


def test_a_damaged_library_is_made_anew(tmp_path: Path, forge: Forge) -> None:
    what = of(twice, torch.ones(3))
    compiler = Compiler(tmp_path)
    compiler(*what)
    compiler._file(*what).write_text("half a li")
    assert compiler(*what) is not None
    assert len(forge.made) == 2
    assert compiler(*what) is not None
    assert len(forge.made) == 2
    assert compiler.notes == []


def test_a_library_that_stays_damaged_is_given_up(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "_make", lambda traced, inputs, file: file.write_text("half a li"))
    compiler = Compiler(tmp_path)
    assert compiler(*of(twice, torch.ones(3))) is None
    assert compiler.notes == [
        "not compiled, done the plain way instead: RuntimeError: failed finding central directory"
    ]


def test_a_compiler_that_fails_says_so_once_in_one_line(tmp_path: Path, forge: Forge) -> None:
    forge.fails = OSError("g++: no such file\nand a page of other things")
    compiler = Compiler(tmp_path)
    assert compiler(*of(twice, torch.ones(3))) is None
    assert compiler(*of(thrice, torch.ones(3))) is None
    assert compiler.notes == ["not compiled, done the plain way instead: OSError: g++: no such file"]


@pytest.mark.parametrize(
    ("error", "said"), [(RuntimeError("x" * 1000), "RuntimeError: " + "x" * 300), (KeyError(), "KeyError: KeyError")]
)
def test_what_is_said_is_short_and_never_empty(error: Exception, said: str, tmp_path: Path, forge: Forge) -> None:
    forge.fails = error
    compiler = Compiler(tmp_path)
    compiler(*of(twice, torch.ones(3)))
    assert compiler.notes == [f"not compiled, done the plain way instead: {said}"]


def test_a_folder_that_cannot_be_made_is_no_failure_of_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    compiler = Compiler(tmp_path / "file" / "cache")
    assert compiler(*of(twice, torch.ones(3))) is None
    assert len(compiler.notes) == 1
    assert "NotADirectoryError" in compiler.notes[0]


def test_what_a_failed_compilation_wrote_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(program: Any, package_path: str) -> None:
        Path(package_path).write_text("half a li")
        raise RuntimeError("no space left on device")

    monkeypatch.setattr("torch._inductor.aoti_compile_and_package", half)
    assert Compiler(tmp_path)(*of(twice, torch.ones(3))) is None
    assert [file for file in os.listdir(tmp_path) if not file.endswith(".lock")] == []


def run(uri: Path, how: str) -> str:
    out = io.StringIO()
    summary = mcdist.run(small_sweep(resources={"pack": 3, "compile": how}), store=str(uri), executor="serial", out=out)
    assert summary.counts == {"done": 28}
    return out.getvalue()


def comparable(uri: Path) -> dict[str, pd.DataFrame]:
    """The tables, without what says how they were computed. A rate has the type of the weights where it is a tensor."""
    found = tables(uri)
    found["tasks"] = found["tasks"].drop(columns="way")
    found["history"] = found["history"].assign(lr=found["history"]["lr"].round(7))
    return found


def test_a_sweep_whose_compiler_fails_has_the_bits_of_the_plain_way_and_one_note(tmp_path: Path, forge: Forge) -> None:
    forge.fails = OSError("g++: no such file")
    said = run(tmp_path / "failing", "on")
    assert forge.made
    assert said.count("note: ") == 1
    assert "note: not compiled, done the plain way instead: OSError: g++: no such file" in said
    assert "note: " not in run(tmp_path / "plain", "off")
    assert_same_tables(comparable(tmp_path / "failing"), comparable(tmp_path / "plain"))


# For real

LR, MOMENTUM, DECAY = [0.1, 0.05, 0.2], [0.9, 0.5, 0.0], [0.0, 1e-2, 0.1]


def trained(accelerate: Accelerate | None) -> tuple[list[Tensor], Trained]:
    """Control points and BatchNorm statistics of three curves after three epochs of minibatches 8, 8 and 6; the record.

    Each curve has its own rate, momentum and weight decay.
    """
    small = problem(normed)
    (points, streams), (ends, _) = starts(small, range(3)), starts(small, range(100, 103))
    controls = on_chord(points.theta, ends.theta, 2)
    lr, momentum, decay = (per_point(values, controls, always=True) for values in (LR, MOMENTUM, DECAY))
    recipe = Recipe(3, 8, Sgd(momentum), lr, decay, Cosine())
    record = train(
        small, CurveBends(FAMILIES["bezier"], controls, streams), points.buffers, recipe, streams, accelerate
    )
    return [controls, *points.buffers.values()], record


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Tensor], Trained]]:
    """The folder with the library of that training's step, and what it gave when it was new."""
    folder, threads = tmp_path_factory.mktemp("library"), torch.get_num_threads()
    torch.set_num_threads(1)
    compiler = Compiler(folder)
    moved, record = trained(Programs(compiler).accelerate("shape", COMPILED))
    assert compiler.notes == []
    yield folder, moved, record
    torch.set_num_threads(threads)


Library = tuple[Path, list[Tensor], Trained]


@pytest.mark.long
def test_a_compiled_training_is_the_plain_one(library: Library) -> None:
    """Float64: another order of operations, some 1e-16 a step; the short minibatch goes the plain way."""
    _, got, record = library
    expected, plainly = trained(None)
    for a, b in zip(got, expected, strict=True):
        assert torch.allclose(a.double(), b.double(), rtol=0, atol=1e-10)
    bends, a = got[0][:, 1:-1], got[0][:, :1]
    assert not torch.allclose(bends.diff(dim=1), bends[:, :1] - a, rtol=0, atol=1e-2), "still on the chord"
    for one, other in zip(record.history, plainly.history, strict=True):
        assert one.lr == other.lr
        assert one.loss == pytest.approx(other.loss, abs=1e-10)
        assert one.error == pytest.approx(other.error, abs=1e-10)


@pytest.mark.long
def test_a_library_that_is_there_is_loaded_and_gives_the_same_bits(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, expected, _ = library
    monkeypatch.setattr(compilation, "_make", lambda *_: pytest.fail("compiled again"))
    compiler = Compiler(folder)
    got, _ = trained(Programs(compiler).accelerate("another shape", COMPILED))
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))
    assert compiler.notes == []


@pytest.mark.long
@pytest.mark.parametrize("left", [0, 1000, -2000])
def test_half_a_library_is_noticed_and_made_anew(library: Library, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, expected, _ = library
    (file,) = folder.glob("*.pt2")
    whole, made = file.read_bytes(), []

    def make(traced: Trace, inputs: Sequence[Tensor], at: Path) -> None:
        made.append(at)
        at.write_bytes(whole)

    monkeypatch.setattr(compilation, "_make", make)
    file.write_bytes(whole[:left])
    got, _ = trained(Programs(Compiler(folder)).accelerate("shape", COMPILED))
    assert made == [file]
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.long
def test_a_compiled_sweep_has_the_tables_of_the_plain_one_and_is_resumed_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float64; a few dozen steps that each differ by some 1e-16."""
    monkeypatch.setenv("MCDIST_CACHE", str(tmp_path / "cache"))
    sweep = small_sweep(
        endpoints={"seeds": 3, "train": {"epochs": 2, "batch_size": 40, "lr": 0.1}}, paths=[{"kind": "linear"}]
    )
    model = {"name": "mlp", "args": {"hidden": [16], "batch_norm": True}}
    sweep["problem"] = sweep["problem"] | {"dtype": "float64", "model": model}
    open_ = {"pack": 3, "compile": "on", "cuda_graphs": "auto", "channels_last": "auto"}

    def of_way(name: str, **changes: Any) -> mcdist.store.Store:
        asked = {**sweep, "resources": open_} | changes
        out = io.StringIO()
        assert mcdist.run(asked, store=str(tmp_path / name), executor="serial", out=out).exit_code == 0
        assert "note: " not in out.getvalue()
        assert len(list((tmp_path / "cache").glob("*.pt2"))) == 3, "a step, statistics and sums, once for all runs"
        return mcdist.open_store(tmp_path / name)

    store = of_way("compiled")
    chosen = {(record := store.read_choice(shape) or {})["most"]: record["compiled"] for shape in store.choices()}
    assert chosen == {3: True}
    assert set(store.table("tasks")["way"]) == {"compiled"}
    of_way("plain", resources=open_ | {"compile": "off"})
    assert_same_tables(comparable(tmp_path / "compiled"), comparable(tmp_path / "plain"), rtol=1e-9, atol=1e-9)

    for endpoint_id in store.table("endpoints")["endpoint_id"]:
        plain = mcdist.open_store(tmp_path / "plain").weights(endpoint_id)
        for name, tensor in store.weights(endpoint_id).items():
            assert torch.allclose(tensor.double(), plain[name].double(), rtol=0, atol=1e-10), name

    of_way("resumed", pairs="none")
    of_way("resumed")
    assert_same_tables(
        {name: frame for name, frame in tables(tmp_path / "resumed").items() if name != "sweep_tasks"},
        {name: frame for name, frame in tables(tmp_path / "compiled").items() if name != "sweep_tasks"},
    )
