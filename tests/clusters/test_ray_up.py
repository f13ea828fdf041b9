"""The files for `ray up`: by Ray's own preparation and schema, and by checks of what those let through."""

from __future__ import annotations

import copy
import shlex
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli

from clusters.checks import filled, named_placeholders, problems
from mcdist.execute.placement import startable

FILES = ("aws-gpu.yaml", "gcp-gpu.yaml", "azure-gpu.yaml", "local.yaml")
CLOUDS = FILES[:3]
FOLDER = Path(__file__).resolve().parent.parent.parent / "clusters"


def load(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(filled((FOLDER / name).read_text()))
    return config


def of_ray(config: dict[str, Any]) -> dict[str, Any]:
    """As `ray up` sees it before it asks the cloud."""
    prepared: dict[str, Any] = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


@pytest.mark.parametrize("name", FILES)
def test_ray_takes_it(name: str) -> None:
    prepared = of_ray(load(name))
    if name in CLOUDS:
        assert set(prepared["available_node_types"]) == {"head", "gpu_spot", "gpu_on_demand"}
        assert prepared["available_node_types"]["head"]["max_workers"] == 0
    else:
        assert prepared["max_workers"] == 1


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_wrong_that_ray_lets_through(name: str) -> None:
    assert problems(load(name)) == []


@pytest.mark.parametrize("name", CLOUDS)
def test_a_sweep_knows_what_may_be_started(name: str, tmp_path: Path) -> None:
    """From the copy of the file that `ray up` leaves on the head: workers are asked for before there is any node."""
    (tmp_path / "bootstrap.yaml").write_text(yaml.safe_dump(of_ray(load(name))))
    more = {node.type: node for node in startable(str(tmp_path / "bootstrap.yaml"))}
    assert more.keys() == {"gpu_spot", "gpu_on_demand"}
    assert (more["gpu_spot"].many, more["gpu_spot"].fits(1, 1), more["gpu_spot"].fits(1, 0.5)) == (8, 32, 64)


@pytest.mark.parametrize("name", [*FILES, "kuberay-rayjob.yaml", "slurm.sh"])
def test_the_opening_comment_names_what_to_fill_in(name: str) -> None:
    text = (FOLDER / name).read_text()
    named, there = named_placeholders(text)
    assert named == there != set()
    assert text.removeprefix("#!/bin/bash\n").startswith("# ")
    assert "clusters/README.md" in text


@pytest.mark.parametrize("name", CLOUDS)
def test_the_store_can_be_reached_with_what_is_installed(name: str) -> None:
    """Each cloud's object store needs a package of its own."""
    package = {"aws-gpu.yaml": "mcdist[s3]", "gcp-gpu.yaml": "mcdist[gcs]", "azure-gpu.yaml": "adlfs"}[name]
    assert any(package in line for line in load(name)["setup_commands"])


@pytest.mark.parametrize("name", FILES)
def test_every_local_file_is_there_and_every_command_is_bash(name: str, tmp_path: Path) -> None:
    config = load(name)
    for local in config["file_mounts"].values():
        assert local == "~/.ray/auth_token" or (FOLDER.parent / local).exists()
    lists = [key for key in config if key.endswith("_commands")]
    assert "setup_commands" in lists
    for line in (line for key in lists for line in config[key]):
        assert shlex.split(line)


@pytest.mark.parametrize("name", FILES)
def test_ray_start_knows_its_options(name: str) -> None:
    """Parsed by the installed Ray, not run."""
    config = load(name)
    start = cli.commands["start"]
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        [line] = [line for line in config[key] if "ray start" in line]
        words = shlex.split(line.partition("ray start")[2])
        context = start.make_context("start", words)
        assert context.params["head"] == key.startswith("head")


GONE = object()
SPOT, DEMAND, HEAD = (f"available_node_types/{name}" for name in ("gpu_spot", "gpu_on_demand", "head"))

BROKEN: list[tuple[str, str, object, str]] = [  # file, what in it becomes what, what is said of that
    ("aws", f"{SPOT}/node_config/InstanceTyp", "x", "EC2 has no 'InstanceTyp'"),
    ("gcp", f"{SPOT}/node_config/schedulng", {}, "an instance has no 'schedulng'"),
    ("gcp", f"{SPOT}/node_config/scheduling/spot", True, "scheduling has no 'spot'"),
    ("azure", f"{HEAD}/node_config/azure_arm_parameters/vmsize", "x", "template of a machine has no 'vmsize'"),
    ("aws", "provider/regoin", "x", "aws has no 'regoin'"),
    ("aws", "docker/image", "rayproject/ray:2.9.0-py311-gpu", "Ray 2.9.0, tested with"),
    ("gcp", "docker/head_image", "rayproject/ray:latest-cpu", "no exact tag"),
    ("gcp", "docker/image", f"rayproject/ray:{ray.__version__}-py311-cpu", "has no CUDA"),
    ("azure", f"{HEAD}/resources/CPU", 4, "head: takes work: its CPU is 4, not 0"),
    ("azure", f"{HEAD}/max_workers", 2, "head: there is one"),
    ("local", "head_start_ray_commands", ["RAY_AUTH_MODE=token ray start --head"], "the head takes work"),
    ("aws", "worker_start_ray_commands", ["ray start --address=$RAY_HEAD_IP:6379"], "without a token"),
    ("aws", "worker_start_ray_commands", ["RAY_AUTH_MODE=token ray start"], "does not join the head"),
    ("aws", "worker_start_ray_commands", ["ray stop"], "starts Ray 0 times"),
    ("gcp", "head_start_ray_commands", ["ray start --dashboard-host=0.0.0.0"], "opens the dashboard beyond the head"),
    ("aws", "file_mounts", {}, "the token does not come onto the nodes"),
    ("gcp", "file_mounts", {}, "constraints.txt does not come onto the nodes"),
    ("aws", f"{SPOT}/resources/GPU", GONE, "gpu_spot: has not several GPUs"),
    ("aws", f"{SPOT}/resources/CPU", 2, "gpu_spot: has fewer CPUs than GPUs"),
    ("aws", f"{SPOT}/max_workers", 99, "gpu_spot: min_workers <= max_workers"),
    ("aws", f"{DEMAND}/min_workers", 1, "some are there, and cost"),
    ("gcp", f"{SPOT}/priority", GONE, "those on demand are not the last choice"),
    ("gcp", f"{DEMAND}/priority", 1, "those on demand are not the last choice"),
    ("aws", f"{SPOT}/node_config/InstanceMarketOptions", GONE, "not both spot and on demand"),
    ("aws", f"{SPOT}/node_config/IamInstanceProfile", GONE, "no right to the store"),
    ("gcp", f"{SPOT}/node_config/serviceAccounts", GONE, "no right to the store"),
    ("azure", "provider/msi_name", GONE, "no right to the store"),
    ("gcp", f"{SPOT}/node_config/scheduling/onHostMaintenance", GONE, "GPUs cannot be migrated"),
    ("aws", "provider/cache_stopped_nodes", GONE, "stopped nodes are kept"),
    ("aws", "idle_timeout_minutes", 600, "should go within the hour"),
    ("local", "setup_commands", ["pip install --editable ."], "not with the pinned versions"),
]


def put(config: dict[str, Any], path: str, value: object) -> None:
    *way, last = path.split("/")
    for key in way:
        config = config[key]
    if value is GONE:
        del config[last]
    else:
        config[last] = value


@pytest.mark.parametrize(("name", "path", "value", "message"), BROKEN, ids=[f"{b[0]}-{b[1]}-{b[3]}" for b in BROKEN])
def test_a_broken_file_is_found_out(name: str, path: str, value: object, message: str) -> None:
    """Ray's own schema takes each of these."""
    config = load("local.yaml" if name == "local" else f"{name}-gpu.yaml")
    put(config, path, value)
    of_ray(config)
    assert any(message in problem for problem in problems(config))


@pytest.mark.parametrize("path", ["max_wrokers", f"{SPOT}/GPU", "auth/user", "docker/head"])
def test_what_ray_itself_finds_out(path: str) -> None:
    """So that the above need not."""
    config = load("aws-gpu.yaml")
    put(config, path, 1)
    with pytest.raises(ValidationError):
        of_ray(config)
