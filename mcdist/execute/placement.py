"""Where workers find room: on the nodes there are, and on those that an autoscaler may yet start."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import yaml

from mcdist.errors import RequestError
from mcdist.execute.allotment import Node, Want, allot
from mcdist.spec.resources import ResourcesSpec

__all__ = [
    "BOOTSTRAP",
    "Placement",
    "alive",
    "apart",
    "check_feasible",
    "gpus_per_worker",
    "nodes",
    "room",
    "sizes",
    "startable",
]

BOOTSTRAP = "~/ray_bootstrap_config.yaml"
"""What `ray up` leaves on the head, where jobs run: the cluster file, with what each type of node has filled in."""


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


def check_feasible(cpus: float, gpus: float, more: Iterable[Node] = (), where: str = "resources") -> None:
    """Raise RequestError where no node could ever hold one worker: Ray itself would wait without end.

    where: what of the specification asks for it.
    """
    there, more = nodes(), tuple(more)
    if any(node.fits(cpus, gpus) for node in (*there, *more)):
        return
    alike = [Node(*has, many) for has, many in sorted(Counter((node.cpus, node.gpus) for node in there).items())]
    said = "; ".join(map(str, alike)) or "none"
    if more:
        said += f"; that may be started: {'; '.join(map(str, more))}"
    raise RequestError(
        f"{where}: a worker asks for {cpus:g} CPU and {gpus:g} GPU, and no node has that; there are: {said}. Ask for "
        f"less ({where}.cpus, {where}.gpus), or, where an autoscaler starts such nodes, say resources.autoscaling: on"
    )


def room(resources: ResourcesSpec, gpus: float, more: Iterable[Node] = ()) -> int:
    """The number of workers: as asked for, or as many as fit on the nodes there are, or on `more` where that is more.

    Workers without a GPU are kept off nodes with GPUs where others can hold them. Ray does so as well, as far as there
    is room; a number of workers that was asked for may therefore be placed on such nodes, too.
    """
    if resources.workers != "auto":
        return resources.workers
    [there], [started] = (allot(those, [Want(resources.cpus, gpus)]) for those in (nodes(), more))
    return max(there, started)


class Placement:
    """What each worker of a crew asks for. kinds: of the tasks that are theirs alone, none for the crew of all others.

    own: the Ray was started here: no node will ever come. Raises RequestError where no node could ever hold a worker.
    """

    def __init__(self, resources: ResourcesSpec, own: bool, kinds: Sequence[str] = ()) -> None:
        self.resources, self.kinds, self._size, self._notes = resources, tuple(kinds), 0, list[str]()
        self.more = [] if own or resources.autoscaling == "off" else startable()
        self.unknown = resources.autoscaling == "on" and not own and not self.more
        self.cpus, self.gpus = resources.cpus, gpus_per_worker(resources, self.more)
        if not self.unknown:
            check_feasible(self.cpus, self.gpus, self.more, f"resources.tasks.{kinds[0]}" if kinds else "resources")
        if self.gpus > 1:
            self._notes.append(f"each worker{self._of()} has {self.gpus:g} GPUs to itself, and computes on one of them")

    def _of(self) -> str:
        return f" for {', '.join(self.kinds)}" if self.kinds else ""

    def want(self, most: int) -> Want:
        """What is asked for where `most` workers are of use."""
        asked = self.resources.workers
        return Want(self.cpus, self.gpus, most if asked == "auto" else min(most, asked))

    def least(self) -> Want:
        """What it cannot do without: one worker, or as many as were asked for."""
        return Want(self.cpus, self.gpus, 1 if self.resources.workers == "auto" else self.resources.workers)

    def has(self, size: int, there: Iterable[Node]) -> None:
        """There should be so many workers by now, on these nodes: what of it is new is noted."""
        if not any(node.fits(self.cpus, self.gpus) for node in there):
            self.note(f"no node has {self.cpus:g} CPU and {self.gpus:g} GPU now: waiting for one that has")
        elif self._size not in (0, size):
            self.note(f"nodes have come or gone: {size} worker(s){self._of()} now, before {self._size}")
        self._size = size

    def note(self, line: str) -> None:
        """Something else that the user should know."""
        self._notes.append(line)

    def take_notes(self) -> list[str]:
        """What the user should know of it since the last call."""
        taken, self._notes = self._notes, []
        return taken


def apart(placements: Sequence[Placement]) -> list[Placement]:
    """Those of several crews, the one of all other tasks first, that are to be.

    No crew of its own is needed for tasks that the first's workers would do in the same way; nor can it be where it has
    no room beside the others, as on a small machine: the first's workers do its tasks then, and a note says so.
    """
    first, found = placements[0], [placements[0]]
    for one in placements[1:]:
        own, common = one.resources, first.resources
        alike = own.threads == common.threads and one.gpus == first.gpus and one.cpus == first.cpus
        if alike and own.workers == "auto":
            continue
        wants = [other.least() for other in (*found, one)]
        there, started = allot(nodes(), wants), allot(one.more, wants)
        if not one.unknown and any(max(a, b) < w.most for a, b, w in zip(there, started, wants, strict=True)):
            first.note(f"there is no room for workers for {', '.join(one.kinds)} alone: the others do that as well")
            continue
        found.append(one)
    return found


def sizes(crews: Sequence[tuple[Placement, int]]) -> list[int]:
    """How many workers each of several crews should have by now: at least one, and no more than are of use to it.

    crews: each with that number; none are made for one that has nothing to do. A number that was asked for is given,
    whether there is room now or not.
    """
    there = nodes()  # once: hundreds of them take Ray a while
    wants = [placement.want(most) for placement, most in crews]
    now, started = allot(there, wants), allot(crews[0][0].more, wants)
    found = []
    for (placement, most), want, fits, may in zip(crews, wants, now, started, strict=True):
        size = min(want.most, max(1, fits, may)) if placement.resources.workers == "auto" else want.most
        if most:
            placement.has(size, there)
        found.append(size)
    return found
