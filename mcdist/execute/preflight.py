"""Before any work: can every machine that will do some write into the store, and is it the same store everywhere?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcdist.errors import RequestError
from mcdist.store.location import locate
from mcdist.store.probe import probe, token, try_out

__all__ = ["preflight"]

_PATIENCE_S = 60.0  # for an answer: a node may have to start a process for it
_NAMED = 5  # nodes in a message
_SHARED = (
    "a folder must be the same one on every node: a file system that is mounted there at this path (NFS, EFS, Lustre), "
    "with rights to write. Or name a bucket: --store s3://BUCKET/FOLDER"
)
_RIGHTS = (
    "every node needs a way there and rights to write, read, list and delete: its own role, or keys in the environment "
    "of its workers (of a Ray job: env_vars in the runtime_env)"
)


def preflight(uri: str, *, on_ray: bool) -> None:
    """Raise RequestError unless this process, and with Ray every node that can be given work, can use the store.

    A node where this process runs is not asked again. Nothing is left in the store, nor where there is none yet if
    there is an error. Nodes that join later are not asked: a worker that cannot use the store does not start.
    """
    files = locate(uri)
    with token(files) as name:
        try_out(files)
        asked, refused = _ask_nodes(files.uri, name) if on_ray else (0, [])
        if refused:
            raise RequestError(_message(files.uri, asked, refused))


def _message(uri: str, asked: int, refused: Sequence[tuple[str, str]]) -> str:
    lines = [f"the store {uri} cannot be used from {len(refused)} of the {asked} other nodes:"]
    lines += [f"  node {node}: {reason}" for node, reason in refused[:_NAMED]]
    if len(refused) > _NAMED:
        lines.append(f"  and {len(refused) - _NAMED} more")
    return "\n".join([*lines, _RIGHTS if "://" in uri else _SHARED])


def _ask_nodes(uri: str, name: str) -> tuple[int, list[tuple[str, str]]]:
    """How many nodes were asked, and those that cannot use the store, with their reasons. Ray must be connected."""
    import ray
    from ray.exceptions import RayError

    from mcdist.execute.placement import alive

    nodes = _others()
    answers = {_asked(node["NodeID"], uri, name): node for node in nodes}
    if not answers:
        return 0, []
    ready, late = ray.wait(list(answers), num_returns=len(answers), timeout=_PATIENCE_S)
    refused = [(_label(answers[reference]), f"no answer within {_PATIENCE_S:g} s") for reference in late]
    for reference in late:
        ray.cancel(reference, force=True)
    for reference in ready:
        node = answers[reference]
        try:
            reason = ray.get(reference)
        except RayError as error:
            if not alive(node["NodeID"]):  # gone meanwhile, and with it the question
                continue
            reason = str(error).strip().splitlines()[-1]
        if reason is not None:
            refused.append((_label(node), reason))
    return len(nodes), sorted(refused)


def _others() -> list[dict[str, Any]]:
    """The nodes that could be given work, but for the one where this process runs."""
    import ray

    # a client of a Ray elsewhere (ray://) is on none of its nodes
    here = None if ray.util.client.ray.is_connected() else ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()
    return [n for n in nodes if n["Alive"] and n["NodeID"] != here and n["Resources"].get("CPU", 0) > 0]


def _asked(node: str, uri: str, name: str) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    ask: Any = ray.remote(probe)
    options = {"num_cpus": 0, "max_retries": 1, "scheduling_strategy": there, "name": "preflight"}
    return ask.options(**options).remote(uri, name)


def _label(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
