"""The node types of a cluster file under Ray's autoscaler, on this machine: nodes come for a sweep, and go after it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.loopback import Head, head
from support.sweeps import small_sweep

import mcdist
from clusters.checks import filled

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

FOLDER = Path(__file__).resolve().parent.parent.parent / "clusters"
LOOK = "import ray; ray.init(log_to_driver=False); print([n['Resources'] for n in ray.nodes() if n['Alive']])"


def node_types() -> dict[str, Any]:
    """Of the file for AWS. Their GPUs are not there, so the sweep asks for none; two CPUs each are."""
    config = yaml.safe_load(filled((FOLDER / "aws-gpu.yaml").read_text()))
    types: dict[str, Any] = config["available_node_types"]
    del types[config["head_node_type"]]
    for kind, node in types.items():
        node["resources"] |= {"CPU": 2, kind: 1}  # a resource by which the kind is known
        node["node_config"] = {}
    return types


@pytest.fixture(scope="module")
def growing() -> Iterator[Head]:
    with head(cpus=0, dashboard=False, environment={"RAY_AUTH_MODE": "disabled"}, node_types=node_types()) as found:
        yield found


def nodes(growing: Head) -> str:
    code, output = growing.command("python", "-c", LOOK, RAY_ADDRESS=growing.address)
    assert code == 0, output
    return output.splitlines()[-1]


def test_nodes_come_for_a_sweep_spot_first_and_go_after_it(growing: Head, tmp_path: Path) -> None:
    assert "gpu_" not in nodes(growing)
    sweep = small_sweep(pairs="none", paths=[], measure={"profile": []})
    (tmp_path / "sweep.yaml").write_text(json.dumps(sweep))
    line = ["python", "-m", "mcdist", "run", str(tmp_path / "sweep.yaml"), "--store", str(tmp_path / "store")]
    line += ["--address", growing.address, "--set", "resources.gpus=0", "--set", "resources.workers=2"]
    code, output = growing.command(*line)
    assert code == 0, output
    assert "no node has 1 CPU and 0 GPU now: waiting for one that has" in output
    assert "all 4 tasks done" in output
    log = (growing.folder / "ray" / "session_latest" / "logs" / "monitor.log").read_text()
    assert set(re.findall(r"Adding \d+ node\(s\) of type (\w+)", log)) == {"gpu_spot"}
    assert mcdist.open_store(tmp_path / "store").table("tasks")["status"].eq("done").all()

    deadline = time.monotonic() + 180
    while "gpu_" in nodes(growing):
        assert time.monotonic() < deadline, "idle nodes stay"
        time.sleep(2)
