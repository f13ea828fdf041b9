"""Work in processes of its own: for its own memory, or as a user would start it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mcdist.errors import McdistError
from mcdist.execute.room import bytes_said

__all__ = ["Finished", "peak_bytes", "resident_bytes", "run_python"]

_GRACE_S = 30.0
_STATUS = "/proc/self/status"


@dataclass(frozen=True)
class Finished:
    """A process that came to its end: wall time from its start, and what it printed."""

    seconds: float
    output: str


def run_python(*words: object, extra: Mapping[str, str] | None = None, folder: Path | None = None) -> Finished:
    """Run this Python with these words, in `folder`; extra: environment variables. McdistError where it fails.

    torch gets one thread unless the process sets another number, Ray a machine of its own without a token.
    """
    fixed = {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {name: text for name, text in os.environ.items() if name != "RAY_ADDRESS"} | fixed | dict(extra or {})
    command = [sys.executable, *map(str, words)]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        output, errors = process.communicate()
    finally:
        _stop(process)
    if process.returncode != 0:
        raise McdistError(f"{' '.join(command[1:])} ended with {process.returncode}: {_tail(errors)}")
    return Finished(time.perf_counter() - started, output)


def _stop(process: subprocess.Popen[str]) -> None:
    """After an interrupt: let it stop what it started itself, then make it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-5:])


def resident_bytes() -> int:
    """Memory of this process that is in RAM now; 0 where the system does not say."""
    return bytes_said(_STATUS, "VmRSS")


def peak_bytes() -> int:
    """The most memory of this process that was in RAM at any moment.

    Not `getrusage` where /proc is there: after a fork that begins with the parent's peak.
    """
    scale = 1 if sys.platform == "darwin" else 1024
    return bytes_said(_STATUS, "VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
