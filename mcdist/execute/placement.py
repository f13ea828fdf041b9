"""Where workers find room: on the nodes there are, and on those that an autoscaler may yet start."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml

from mcdist.errors import RequestError
from mcdist.spec.sections import ResourcesSpec

__all__ = ["BOOTSTRAP", "Node", "Placement", "alive", "check_feasible", "gpus_per_worker", "nodes", "room", "startable"]

BOOTSTRAP = "~/ray_bootstrap_config.yaml"
"""What `ray up` leaves on the head, where jobs run: the cluster file, with what each type of node has filled in."""


@dataclass(frozen=True)
class Node:
    """A node, or `many` of a type that may be started. cpus, gpus: all that it has, whoever uses them; type: its name,
    where it is one that may be started.
    """

    cpus: float
    gpus: float
    many: int = 1
    type: str = ""

    def fits(self, cpus: float, gpus: float) -> int:
        """How many workers it holds that ask for so much."""
        most = min(self.cpus / cpus, self.gpus / gpus if gpus else math.inf)
        # one that says nothing of what it has may hold a worker, but nobody knows of more; 0.3 / 0.1 is less than 3
        return self.many if math.isinf(most) else self.many * int(most + 1e-9)

    def __str__(self) -> str:
        has = "unknown" if math.isinf(self.cpus) else f"{self.cpus:g} CPU, {self.gpus:g} GPU"
        return f"{f'{self.many} x ' if self.many > 1 else ''}{has}{f' ({self.type})' if self.type else ''}"


def nodes() -> list[Node]:
    """The nodes that are alive."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(resources.get("CPU", 0), resources.get("GPU", 0)) for resources in alive]


def alive(node_id: str) -> bool:
    """Whether Ray takes the node of that id for alive."""
    return any(node["Alive"] for node in ray.nodes() if node["NodeID"] == node_id)


def startable(file: str = BOOTSTRAP) -> list[Node]:
    """The types of nodes that Ray's autoscaler may start, by its file; none where there is none (or none of Ray's).

    How many of each: as the file says at most, those that run already included.
    """
    try:
        config = yaml.safe_load(Path(file).expanduser().read_text())
        types: Mapping[str, Any] = config["available_node_types"]
        limit = int(config.get("max_workers", 0))
        many = {name: min(limit, int(kind.get("max_workers", limit))) for name, kind in types.items()}
        many[config.get("head_node_type", "")] = 0
        has = {name: kind.get("resources") or {"CPU": math.inf, "GPU": math.inf} for name, kind in types.items()}
        return [Node(has[t].get("CPU", 0), has[t].get("GPU", 0), many[t], t) for t in types if many[t]]
    except (OSError, yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError):
        return []


def gpus_per_worker(resources: ResourcesSpec, more: Iterable[Node] = ()) -> float:
    """GPUs of each worker: as asked for, or one where there are any."""
    if resources.gpus != "auto":
        return resources.gpus
    return 1.0 if any(node.gpus >= 1 for node in (*nodes(), *more)) else 0.0


def check_feasible(cpus: float, gpus: float, more: Iterable[Node] = ()) -> None:
    """Raise RequestError where no node could ever hold one worker: Ray itself would wait without end."""
    there, more = nodes(), tuple(more)
    if any(node.fits(cpus, gpus) for node in (*there, *more)):
        return
    alike = [Node(*has, many) for has, many in sorted(Counter((node.cpus, node.gpus) for node in there).items())]
    said = "; ".join(map(str, alike)) or "none"
    if more:
        said += f"; that may be started: {'; '.join(map(str, more))}"
    raise RequestError(
        f"resources: a worker asks for {cpus:g} CPU and {gpus:g} GPU, and no node has that; there are: {said}. Ask for "
        "less (resources.cpus, resources.gpus), or, where an autoscaler starts such nodes, say resources.autoscaling: "
        "on"
    )


def room(resources: ResourcesSpec, gpus: float, more: Iterable[Node] = (), there: Iterable[Node] | None = None) -> int:
    """The number of workers: as asked for, or as many as fit on the nodes there are, or on `more` where that is more.

    Workers without a GPU are kept off nodes with GPUs where others can hold them. Ray does so as well, as far as there
    is room; a number of workers that was asked for may therefore be placed on such nodes, too.
    """
    if resources.workers != "auto":
        return resources.workers
    return max(
        _fitting(nodes() if there is None else there, resources.cpus, gpus), _fitting(more, resources.cpus, gpus)
    )


def _fitting(those: Iterable[Node], cpus: float, gpus: float) -> int:
    fits = dict.fromkeys((True, False), 0)
    for node in those:
        fits[node.gpus > 0] += node.fits(cpus, gpus)
    return fits[True] if gpus else fits[False] or fits[True]


class Placement:
    """What each worker of a sweep asks for, and how many there are to be, as nodes come and go.

    own: the Ray was started here: no node will ever come. Raises RequestError where no node could ever hold a worker.
    """

    def __init__(self, resources: ResourcesSpec, own: bool) -> None:
        self._resources, self._size, self._notes = resources, 0, list[str]()
        self._more = [] if own or resources.autoscaling == "off" else startable()
        self._unknown = resources.autoscaling == "on" and not own and not self._more
        self.cpus, self.gpus = resources.cpus, gpus_per_worker(resources, self._more)
        if not self._unknown:
            check_feasible(self.cpus, self.gpus, self._more)

    def workers(self, most: int) -> int:
        """How many workers there should be by now, at least one, and no more than `most`."""
        there = nodes()  # once: hundreds of them take Ray a while
        size = max(1, min(most, room(self._resources, self.gpus, self._more, there)))
        if not any(node.fits(self.cpus, self.gpus) for node in there):
            self._notes.append(f"no node has {self.cpus:g} CPU and {self.gpus:g} GPU now: waiting for one that has")
        elif self._size not in (0, size):
            self._notes.append(f"nodes have come or gone: {size} worker(s) now, before {self._size}")
        self._size = size
        return size

    def note(self, line: str) -> None:
        """Something else that the user should know."""
        self._notes.append(line)

    def take_notes(self) -> list[str]:
        """What the user should know of it since the last call."""
        taken, self._notes = self._notes, []
        return taken
