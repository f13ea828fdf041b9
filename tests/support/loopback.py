"""A Ray head on this machine's loopback, as `ray start --head` gives it, away from any other Ray there is."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Head", "free_ports", "head"]

_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Head:
    """address: of its GCS; jobs: where it takes jobs; folder: its own temporary one; environment: of its clients."""

    address: str
    jobs: str
    folder: Path
    environment: dict[str, str]

    def command(self, *words: str, cwd: Path | None = None, **environment: str | None) -> tuple[int, str]:
        """Run a command as a client of this head would: exit code, what it said. A variable that is None is not set."""
        env = {name: value for name, value in (self.environment | environment).items() if value is not None}
        done = subprocess.run(
            [str(_BIN / words[0]), *words[1:]], cwd=cwd, env=env, timeout=900.0,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def job(self, verb: str, *words: str, cwd: Path | None = None, **environment: str | None) -> tuple[int, str]:
        """Run `ray job VERB` against it."""
        return self.command("ray", "job", verb, "--address", self.jobs, *words, cwd=cwd, **environment)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on right now."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def head(cpus: int = 2, dashboard: bool = True, environment: Mapping[str, str] | None = None) -> Iterator[Head]:
    """Start one, stop it at the end. `environment` is the head's and its clients'.

    It takes no part in `ray stop`, which stops every Ray of the machine: it is ended by its own process.
    """
    folder = Path(tempfile.mkdtemp(prefix="mc-ray-", dir="/tmp"))  # short: it holds Unix sockets
    gcs, board, agent, client = free_ports(4)
    env = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "PYTHONPATH")}
    env |= {"PATH": f"{_BIN}:{env['PATH']}", "HOME": str(folder), "NO_COLOR": "1", "COLUMNS": "200"}
    env |= environment or {}
    line = [
        str(_BIN / "ray"), "start", "--head", "--block", f"--num-cpus={cpus}", "--num-gpus=0",
        f"--temp-dir={folder}/ray", "--node-ip-address=127.0.0.1", f"--port={gcs}",
        f"--ray-client-server-port={client}",
        f"--include-dashboard={'true' if dashboard else 'false'}", f"--dashboard-port={board}",
        f"--dashboard-agent-listen-port={agent}", "--object-store-memory=200000000", "--disable-usage-stats",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(line, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        found = Head(f"127.0.0.1:{gcs}", f"http://127.0.0.1:{board}", folder, env)
        _wait(process, gcs, f"http://127.0.0.1:{agent}/api/healthz" if dashboard else None, folder / "log")
        yield found
    finally:
        _stop(process, folder)


def _wait(process: subprocess.Popen[bytes], port: int, agent: str | None, log: Path) -> None:
    """Until the GCS listens, and, where jobs are to be taken, the agent that runs them answers."""
    deadline = time.monotonic() + 90
    while not (_listens(port) and (agent is None or _answers(agent))):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"no head of Ray: {log.read_text()}")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
    left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False).stdout.split()
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
