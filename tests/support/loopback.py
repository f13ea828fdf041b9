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
from typing import Any

import yaml
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE

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
def head(
    cpus: int = 2,
    dashboard: bool = True,
    environment: Mapping[str, str] | None = None,
    node_types: Mapping[str, Any] | None = None,
) -> Iterator[Head]:
    """Start one, stop it at the end. `environment` is the head's and its clients'.

    node_types: of a cluster file, which Ray's autoscaler then starts as further nodes on this machine, whatever they
    say that they have. The head takes no part in `ray stop`, which stops every Ray of the machine: it is ended by its
    own process.
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
    if node_types is not None:
        line.append(f"--autoscaling-config={_autoscaling(folder, gcs, node_types)}")
        env |= {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_enable_autoscaler_v2": "1"}
        env |= {"RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(line, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        found = Head(f"127.0.0.1:{gcs}", f"http://127.0.0.1:{board}", folder, env)
        _wait(process, gcs, f"http://127.0.0.1:{agent}/api/healthz" if dashboard else None, folder / "log")
        yield found
    finally:
        _stop(process, folder)


def _autoscaling(folder: Path, gcs: int, node_types: Mapping[str, Any]) -> Path:
    """The file that `ray up` would leave in the head's home. The provider is the one of Ray's own tests, reached as a
    foreign one: by its name it needs a file that Ray's package lacks.
    """
    module = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
    provider = {"type": "external", "module": module, "launch_multiple": True, "head_node_id": FAKE_HEAD_NODE_ID}
    config = {
        "cluster_name": "fake",
        "max_workers": 8,
        "idle_timeout_minutes": 0.1,
        "provider": provider
        | {"gcs_address": f"127.0.0.1:{gcs}", "disable_node_updaters": True, "disable_launch_config_check": True},
        "head_node_type": FAKE_HEAD_NODE_TYPE,
        "auth": {},
        "available_node_types": {FAKE_HEAD_NODE_TYPE: {"resources": {"CPU": 0}, "node_config": {}}, **node_types},
    }
    lists = ("setup", "head_setup", "worker_setup", "initialization", "head_start_ray", "worker_start_ray")
    config |= {f"{name}_commands": [] for name in lists}
    config |= {"file_mounts": {}, "cluster_synced_files": []}
    path = folder / "ray_bootstrap_config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


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
