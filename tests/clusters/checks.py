"""What is wrong with a cluster file that Ray's own schema lets through: a message each, none for a file in order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

__all__ = ["filled", "named_placeholders", "problems"]

Config = dict[str, Any]

PLACEHOLDER = re.compile(r"FILL_IN_[A-Z_]+")
IMAGE = re.compile(r"rayproject/ray:(?P<ray>\d+\.\d+\.\d+)-py311-(cpu|gpu)")

_AWS = {  # parameters of EC2's RunInstances, and SubnetIds, which Ray takes
    *("BlockDeviceMappings", "EbsOptimized", "IamInstanceProfile", "ImageId", "InstanceMarketOptions", "InstanceType"),
    *("KeyName", "LaunchTemplate", "MetadataOptions", "NetworkInterfaces", "Placement", "SecurityGroupIds", "SubnetId"),
    *("SubnetIds", "TagSpecifications", "UserData"),
}
_GCP = {  # fields of an instance of Compute Engine v1
    *("disks", "guestAccelerators", "labels", "machineType", "metadata", "minCpuPlatform", "networkInterfaces"),
    *("reservationAffinity", "scheduling", "serviceAccounts", "shieldedInstanceConfig", "tags"),
}
_GCP_SCHEDULING = {
    *("automaticRestart", "instanceTerminationAction", "maxRunDuration", "onHostMaintenance", "preemptible"),
    "provisioningModel",
}
_CLOUD = {"type", "cache_stopped_nodes", "use_internal_ips", "availability_zone"}
_PROVIDER = {
    "aws": _CLOUD | {"region", "security_group"},
    "gcp": _CLOUD | {"region", "project_id"},
    "azure": _CLOUD | {"location", "resource_group", "subscription_id", "msi_name", "msi_resource_group", "tags"},
    "local": {"type", "head_ip", "worker_ips"},
}


def filled(text: str) -> str:
    """The file with something in every placeholder."""
    return PLACEHOLDER.sub(lambda found: found[0].lower().replace("_", "-"), text)


def named_placeholders(text: str) -> tuple[set[str], set[str]]:
    """Those that the opening comment names, those that the rest has."""
    lines = text.splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("#") or line.startswith("#SBATCH"))
    head, body = "\n".join(lines[:end]), "\n".join(lines[end:])
    return set(PLACEHOLDER.findall(head)), set(PLACEHOLDER.findall(body))


def problems(config: Config) -> list[str]:
    """All of them, of a file for `ray up`."""
    kind = config["provider"]["type"]
    found = [*_provider(config), *_commands(config), *_files(config)]
    if kind != "local":
        found += [*_images(config), *_head(config), *_workers(config), *_nodes(config, kind)]
    return found


def _provider(config: Config) -> Iterator[str]:
    kind = config["provider"]["type"]
    for key in config["provider"].keys() - _PROVIDER[kind]:
        yield f"provider: {kind} has no {key!r}"
    if kind != "local" and config["provider"].get("cache_stopped_nodes", True):
        yield "provider: stopped nodes are kept, and cost"
    if not 1 <= config.get("idle_timeout_minutes", 5) <= 60:
        yield "idle_timeout_minutes: a node without work should go within the hour, not within the minute"


def _images(config: Config) -> Iterator[str]:
    for key in ("image", "head_image"):
        name = config["docker"].get(key, "")
        match = IMAGE.fullmatch(name)
        if match is None:
            yield f"docker.{key}: {name!r} is no exact tag of Ray's images for Python 3.11"
        elif match["ray"] != ray.__version__:
            yield f"docker.{key}: Ray {match['ray']}, tested with {ray.__version__}"
    if not config["docker"].get("image", "").endswith("-gpu"):
        yield "docker.image: the workers' has no CUDA"


def _head(config: Config) -> Iterator[str]:
    head = config["available_node_types"][config["head_node_type"]]
    for what in ("CPU", "GPU"):
        if head["resources"].get(what) != 0:
            yield f"head: takes work: its {what} is {head['resources'].get(what)}, not 0"
    if head.get("max_workers", 0) != 0 or head.get("min_workers", 0) != 0:
        yield "head: there is one"


def _workers(config: Config) -> Iterator[str]:
    workers = {name: t for name, t in config["available_node_types"].items() if name != config["head_node_type"]}
    for name, node in workers.items():
        if node["resources"].get("GPU", 0) < 2:
            yield f"{name}: has not several GPUs"
        if node["resources"].get("CPU", 0) < node["resources"].get("GPU", 0):
            yield f"{name}: has fewer CPUs than GPUs, and a worker takes one of each"
        if not node["min_workers"] <= node["max_workers"] <= config["max_workers"]:
            yield f"{name}: min_workers <= max_workers <= those of the cluster does not hold"
    if any(node["min_workers"] for node in workers.values()):
        yield "workers: some are there, and cost, where there is no work"
    spot = {name: _is_spot(node["node_config"]) for name, node in workers.items()}
    if set(spot.values()) != {True, False}:
        yield "workers: not both spot and on demand"
    ranks = {is_spot: workers[name].get("priority", 0) for name, is_spot in spot.items()}
    if ranks.get(True, 0) <= ranks.get(False, 0):
        yield "workers: those on demand are not the last choice"


def _is_spot(node: Config) -> bool:
    return (
        node.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        or node.get("scheduling", {}).get("provisioningModel") == "SPOT"
        or node.get("azure_arm_parameters", {}).get("priority") == "Spot"
    )


def _nodes(config: Config, kind: str) -> Iterator[str]:
    """Keys that the cloud does not know, and the right to the store."""
    for name, node_type in config["available_node_types"].items():
        node, is_head = node_type["node_config"], name == config["head_node_type"]
        if kind == "aws":
            yield from (f"{name}: EC2 has no {key!r}" for key in node.keys() - _AWS)
            if not node.get("IamInstanceProfile", {}).keys() & {"Arn", "Name"}:
                yield f"{name}: no instance profile: no right to the store"
        elif kind == "gcp":
            yield from (f"{name}: an instance has no {key!r}" for key in node.keys() - _GCP)
            yield from _gcp_scheduling(name, node)
            if not is_head and not node.get("serviceAccounts"):  # the head's is made by `ray up`
                yield f"{name}: no service account: no right to the store"
        else:
            extra = node.keys() - {"azure_arm_parameters"}
            known = {*_arm_template(), "availability_zone"}
            extra |= node["azure_arm_parameters"].keys() - known
            yield from (f"{name}: Ray's template of a machine has no {key!r}" for key in extra)
    if kind == "azure" and not {"msi_name", "msi_resource_group"} <= config["provider"].keys():
        yield "provider: no managed identity: no right to the store"


def _gcp_scheduling(name: str, node: Config) -> Iterator[str]:
    scheduling = node.get("scheduling", {})
    yield from (f"{name}: scheduling has no {key!r}" for key in scheduling.keys() - _GCP_SCHEDULING)
    has_gpus = node["machineType"].startswith(("g2-", "a2-", "a3-", "a4-")) or "guestAccelerators" in node
    if has_gpus and scheduling.get("onHostMaintenance") != "TERMINATE":
        yield f"{name}: GPUs cannot be migrated: onHostMaintenance is not TERMINATE"


def _arm_template() -> dict[str, Any]:
    """Parameters of the template that Ray ships and fills from azure_arm_parameters."""
    folder = Path(ray.__file__).parent / "autoscaler" / "_private" / "_azure"
    parameters: dict[str, Any] = json.loads((folder / "azure-vm-template.json").read_text())["parameters"]
    return parameters


def _commands(config: Config) -> Iterator[str]:
    """Every start of Ray has the token's mode; the head's no resources, its dashboard no door to the world."""
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        starts = [line for line in config[key] if "ray start" in line]
        if len(starts) != 1:
            yield f"{key}: starts Ray {len(starts)} times"
        for line in starts:
            if "RAY_AUTH_MODE=token" not in line.partition("ray start")[0]:
                yield f"{key}: starts Ray without a token"
            if "--dashboard-host" in line:
                yield f"{key}: opens the dashboard beyond the head"
            if "head" in key and not all(
                word in line for word in ("--num-cpus=0", "--num-gpus=0", "--autoscaling-config")
            ):
                yield f"{key}: the head takes work, or does not scale"
            if "worker" in key and ("$RAY_HEAD_IP:6379" not in line or "--num-" in line):
                yield f"{key}: does not join the head with what the machine has"


def _files(config: Config) -> Iterator[str]:
    """The token and mcdist come onto the nodes."""
    mounts: dict[str, str] = config["file_mounts"]
    if not any(
        remote.endswith("/.ray/auth_token") and local == "~/.ray/auth_token" for remote, local in mounts.items()
    ):
        yield "file_mounts: the token does not come onto the nodes"
    for local in ("mcdist", "pyproject.toml", "constraints.txt", "README.md"):
        if local not in mounts.values():
            yield f"file_mounts: {local} does not come onto the nodes, and mcdist cannot be installed"
    if not any("--editable" in line and "--constraint" in line for line in config["setup_commands"]):
        yield "setup_commands: mcdist is not installed, or not with the pinned versions"
