"""Processes of their own: what they took, what they had."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcdist.bench.processes import peak_bytes, resident_bytes, run_python
from mcdist.errors import McdistError


def test_a_process_is_timed_from_its_start() -> None:
    done = run_python("-c", "import time; time.sleep(0.3); print('done')")
    assert done.output == "done\n"
    assert 0.3 < done.seconds < 30


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(McdistError, match=r"ended with 1: (?s:.*)ValueError: no such thing"):
        run_python("-c", "raise ValueError('no such thing')")


def test_a_process_has_one_thread_no_ray_of_others_and_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:1")
    names = ["OMP_NUM_THREADS", "RAY_ADDRESS", "COLOUR"]
    done = run_python("-c", f"import os; print([os.environ.get(n) for n in {names}])", extra={"COLOUR": "blue"})
    assert done.output == "['1', None, 'blue']\n"


def test_memory_is_that_of_this_process() -> None:
    before = resident_bytes()
    held = bytearray(b"x" * 50_000_000)
    assert resident_bytes() > before + 40_000_000
    assert peak_bytes() >= resident_bytes() * 0.99
    assert len(held) == 50_000_000


def test_a_process_is_stopped_with_the_one_that_waits_for_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    child = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60)"
    waiting = (
        "import signal, sys; from mcdist.bench.processes import run_python; "
        f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); run_python('-c', {child!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", waiting])
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(30) == 9
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
