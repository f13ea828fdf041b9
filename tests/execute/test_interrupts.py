"""Ctrl-C and SIGTERM, wherever they strike."""

from __future__ import annotations

import io
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.sweeps import small_sweep

import mcdist
from mcdist.execute.choice import Choice
from mcdist.execute.executor import Ended, Executor, Lost
from mcdist.execute.job import Job
from mcdist.execute.trials import Tuning


class Wrapping(Executor):
    """Is interrupted while it waits, and makes another error of it, as Ray does."""

    closed = False

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def start(self, store: str, todo: Mapping[str, int]) -> int:
        return 1

    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        return [Choice(1) for _ in tunings]

    def workers(self, kind: str) -> int:
        return 1

    def free(self, ready: int, crew: int = 0) -> bool:
        return True

    def submit(self, job: Job) -> None: ...

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        try:
            signal.raise_signal(self._number)
        except BaseException as error:
            raise SystemError("returned a result with an exception set") from error
        return []

    def close(self) -> None:
        signal.raise_signal(self._number)  # an impatient second Ctrl-C
        self.closed = True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_that_a_library_wraps_is_an_interrupt(
    number: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, before = Wrapping(number), signal.getsignal(number)
    monkeypatch.setattr("mcdist.execute.sweep._executor", lambda *_: executor)
    summary = mcdist.run(small_sweep(), store=str(tmp_path), executor="serial", out=io.StringIO())
    assert summary.exit_code == code
    assert executor.closed
    assert signal.getsignal(number) is before
