"""Compiled programs: a trace becomes a library on disk, made once per shape and machine, loaded by every worker."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mcdist.science.tracing import Program, Trace

__all__ = ["Compiler", "cache_folder"]

_VERSION = 1  # of what is made from a trace: raise it when other libraries would come of the same traces


def cache_folder() -> Path:
    """Where compiled programs are kept: $MCDIST_CACHE, else $XDG_CACHE_HOME/mcdist, else ~/.cache/mcdist."""
    named = os.environ.get("MCDIST_CACHE")
    if named:
        return Path(named).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser().resolve() / "mcdist"


class Compiler:
    """Makes a program from a trace, by torch's Inductor ahead of time.

    The library's name is a hash of the trace's text, the shapes, types and devices of its inputs, torch's version, the
    number of threads and the kind of device: whatever could make it another one. All workers of a machine share the
    folder, a lock lets one of them compile what several need, and it stays between runs.

    A compilation that fails gives None (the work is then done the plain way) and one note, for `notes`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.notes: list[str] = []
        self.seconds = 0.0  # spent on compiling, here, or on waiting for another worker that did
        self._failed = False

    def __call__(self, traced: Trace, inputs: Sequence[Tensor]) -> Program | None:
        """The program, for tensors like `inputs`, the trace's captured ones included."""
        began = time.perf_counter()
        try:
            return self._load_or_make(traced, inputs)
        except Exception as error:  # whatever a compiler, a linker or a file system can say
            self.give_up(error)
            return None
        finally:
            self.seconds += time.perf_counter() - began

    def give_up(self, error: Exception) -> None:
        """Note, once, that something is done the plain way, and why."""
        if not self._failed:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.notes.append(f"not compiled, done the plain way instead: {type(error).__name__}: {reason:.300}")
        self._failed = True

    def has(self, traced: Trace, inputs: Sequence[Tensor]) -> bool:
        """Whether the library is there already."""
        return self._file(traced, inputs).exists()

    def _load_or_make(self, traced: Trace, inputs: Sequence[Tensor]) -> Program:
        file = self._file(traced, inputs)
        if not file.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with _alone(file.with_suffix(".lock")):
                if not file.exists():
                    _make(traced, inputs, file)
        try:
            return _load(file)
        except Exception:  # half a disk, another libc: make it anew, once
            with _alone(file.with_suffix(".lock")):
                _make(traced, inputs, file)
            return _load(file)

    def _file(self, traced: Trace, inputs: Sequence[Tensor]) -> Path:
        kinds = [[list(t.shape), list(t.stride()), str(t.dtype), t.device.type] for t in inputs]
        parts = [_VERSION, torch.__version__, torch.get_num_threads(), _device(inputs), kinds, traced.text()]
        name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
        return self._folder / f"program-{name}.pt2"


def _device(inputs: Sequence[Tensor]) -> str:
    if any(t.device.type == "cuda" for t in inputs):
        return f"{torch.cuda.get_device_name()} {torch.version.cuda}"
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


class _Graph(nn.Module):
    """A graph without parameters of its own."""

    def __init__(self, traced: Trace) -> None:
        super().__init__()
        self.graph = traced.graph

    def forward(self, *inputs: Tensor) -> Any:
        return self.graph(*inputs)


def _make(traced: Trace, inputs: Sequence[Tensor], file: Path) -> None:
    """Compile, into a temporary name and then into place."""
    # imported here: it takes a second, and most runs compile nothing
    from torch._inductor import aoti_compile_and_package

    temporary = file.with_name(f"{file.stem}-{uuid.uuid4().hex}.pt2")
    examples = tuple(t.detach().clone() for t in inputs)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(_Graph(traced), examples)
            aoti_compile_and_package(program, package_path=str(temporary))
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _load(file: Path) -> Program:
    from torch._inductor import aoti_load_package

    run: Program = aoti_load_package(str(file))
    return run


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock among the processes of this machine; it is let go of when a process dies, too."""
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
