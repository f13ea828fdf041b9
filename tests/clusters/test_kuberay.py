"""`kuberay-rayjob.yaml` and the image, by the fields that KubeRay's RayJob v1 has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from clusters.checks import IMAGE, filled
from mcdist.spec import load_spec

FOLDER = Path(__file__).resolve().parent.parent.parent / "clusters"

# Fields of the API reference of KubeRay 1.5 (https://ray-project.github.io/kuberay/reference/api/), of Kubernetes 1.28
JOB = {
    *(
        "activeDeadlineSeconds",
        "backoffLimit",
        "clusterSelector",
        "deletionStrategy",
        "entrypoint",
        "entrypointNumCpus",
    ),
    *("entrypointNumGpus", "entrypointResources", "jobId", "managedBy", "metadata", "rayClusterSpec", "runtimeEnvYAML"),
    *("shutdownAfterJobFinishes", "submissionMode", "submitterConfig", "submitterPodTemplate", "suspend"),
    "ttlSecondsAfterFinished",
}
CLUSTER = {
    *("authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec"),
    *("headServiceAnnotations", "managedBy", "rayVersion", "suspend", "workerGroupSpecs"),
}
HEAD = {"enableIngress", "headService", "labels", "rayStartParams", "resources", "serviceType", "template"}
WORKERS = {
    *("groupName", "idleTimeoutSeconds", "labels", "maxReplicas", "minReplicas", "numOfHosts", "rayStartParams"),
    *("replicas", "resources", "scaleStrategy", "suspend", "template"),
}
AUTOSCALER = {
    *("env", "envFrom", "idleTimeoutSeconds", "image", "imagePullPolicy", "resources", "securityContext"),
    *("upscalingMode", "version", "volumeMounts"),
}
POD = {
    *("affinity", "containers", "initContainers", "nodeSelector", "restartPolicy", "serviceAccountName"),
    *("terminationGracePeriodSeconds", "tolerations", "volumes"),
}
CONTAINER = {
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "name",
    "ports",
    "resources",
    "volumeMounts",
}


@pytest.fixture
def job() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(filled((FOLDER / "kuberay-rayjob.yaml").read_text()))
    return loaded


@pytest.fixture
def cluster(job: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["rayClusterSpec"]
    return spec


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_every_field_is_known(job: dict[str, Any], cluster: dict[str, Any]) -> None:
    """KubeRay refuses none that it does not know: it drops them."""
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert job["spec"].keys() <= JOB
    assert cluster.keys() <= CLUSTER
    assert cluster["headGroupSpec"].keys() <= HEAD
    assert cluster["autoscalerOptions"].keys() <= AUTOSCALER
    assert all(group.keys() <= WORKERS for group in cluster["workerGroupSpecs"])
    for pod in pods(cluster):
        assert pod.keys() <= POD
        assert all(container.keys() <= CONTAINER for container in pod["containers"])


def test_parameters_of_ray_start_are_strings_that_it_knows(cluster: dict[str, Any]) -> None:
    from ray.scripts.scripts import cli

    known = {option for parameter in cli.commands["start"].params for option in parameter.opts}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        for name, value in group["rayStartParams"].items():
            assert isinstance(value, str)
            assert f"--{name}" in known


def test_the_head_takes_no_work_and_the_workers_have_several_gpus(cluster: dict[str, Any]) -> None:
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    [group] = cluster["workerGroupSpecs"]
    assert 0 == group["minReplicas"] == group["replicas"] < group["maxReplicas"]  # none costs where there is no work
    [container] = group["template"]["spec"]["containers"]
    for amounts in container["resources"].values():  # what Kubernetes takes of GPUs: as many requested as allowed
        assert int(amounts["nvidia.com/gpu"]) > 1
        assert int(amounts["cpu"]) >= int(amounts["nvidia.com/gpu"])
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in group["template"]["spec"]["volumes"]}


def test_token_store_and_end(job: dict[str, Any], cluster: dict[str, Any]) -> None:
    assert cluster["authOptions"] == {"mode": "token"}
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert "generateName" in job["metadata"]  # created again and again
    assert all(pod["serviceAccountName"] == "fill-in-service-account" for pod in pods(cluster))
    assert all(pod["restartPolicy"] == "Never" for pod in pods(cluster))  # as Ray's autoscaler v2 wants it


def test_the_entry_point_asks_for_all_gpus_of_all_replicas(job: dict[str, Any], cluster: dict[str, Any]) -> None:
    """Of Kubernetes mcdist knows nothing: how many workers there may be is said, and that pods are started for them."""
    words = job["spec"]["entrypoint"].partition("mcdist run ")[2].split()
    settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    resources = load_spec(FOLDER.parent / words[0].removeprefix("/home/ray/mcdist/"), settings).resources
    assert words[1:3] == ["--store", "fill-in-store"]
    [group] = cluster["workerGroupSpecs"]
    [container] = group["template"]["spec"]["containers"]
    gpus = int(container["resources"]["limits"]["nvidia.com/gpu"])
    assert (resources.workers, resources.gpus) == (group["maxReplicas"] * gpus, 1)
    assert resources.autoscaling == "on"


def test_one_version_of_ray_everywhere(cluster: dict[str, Any]) -> None:
    assert cluster["rayVersion"] == ray.__version__
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    [base] = [line.removeprefix("FROM ") for line in lines if line.startswith("FROM ")]
    match = IMAGE.fullmatch(base)
    assert match is not None
    assert match["ray"] == ray.__version__
    assert f"ray=={ray.__version__}" in (FOLDER.parent / "constraints.txt").read_text()


def test_the_image_copies_what_is_there() -> None:
    copied = [
        line.split()[2:-1] for line in (FOLDER / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")
    ]
    assert {"mcdist", "jobs", "pyproject.toml", "constraints.txt"} <= {name for names in copied for name in names}
    for names in copied:
        assert all((FOLDER.parent / name).exists() for name in names)
