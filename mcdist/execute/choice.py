"""How the tasks of one shape are computed: what is chosen once, and kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from mcdist.spec.resources import ResourcesSpec
from mcdist.tasks.work import Way

__all__ = ["Choice", "Switch", "Wishes", "wishes_of"]

Switch = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class Choice:
    """most: tasks in a pack, at most. way: how a pack is computed. measured: what that rests on, for the curious."""

    most: int
    way: Way = field(default_factory=Way)
    measured: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As the store keeps it: plain data."""
        return {"most": self.most, **asdict(self.way), "measured": dict(self.measured)}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Choice:
        """From the store's record; what an earlier version did not write is off."""
        way = Way(**{f.name: bool(record.get(f.name, False)) for f in fields(Way)})
        return cls(int(record["most"]), way, dict(record.get("measured", {})))


@dataclass(frozen=True)
class Wishes:
    """What the user left open ("auto") and what not."""

    pack: int | Literal["auto"]
    compiled: Switch
    graphed: Switch
    channels_last: Switch

    def settled(self) -> Choice | None:
        """The choice, where nothing is left open."""
        switches = (self.compiled, self.graphed, self.channels_last)
        if self.pack == "auto" or "auto" in switches:
            return None
        return Choice(self.pack, Way(*(switch == "on" for switch in switches)))


def wishes_of(resources: ResourcesSpec) -> Wishes:
    """What a spec's resources say."""
    return Wishes(resources.pack, resources.compile, resources.cuda_graphs, resources.channels_last)
