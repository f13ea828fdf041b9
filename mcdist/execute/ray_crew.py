"""Workers of one size on Ray: as many as there should be, and others in the place of those that go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from mcdist.execute.executor import ExecutorError
from mcdist.execute.job import Job
from mcdist.execute.placement import Placement
from mcdist.execute.roster import Roster

__all__ = ["HELD", "Crew", "Held", "Member"]

HELD = 2
"""Jobs that an actor has at a time."""

_STILLBORN = 3  # failed starts in a row, for each worker wanted, after which the run is given up if there is no worker
_RESPITE_S = 30.0  # seconds without new starts after so many if there are workers


@dataclass(eq=False)
class Held:
    """A job that an actor has. reached, report: references that resolve when its turn comes, and when it has ended."""

    job: Job
    place: int
    reached: Any
    report: Any
    taken_back: bool = False


@dataclass(eq=False)
class Member:
    """An actor that is ready. death: the reference that resolves when it dies; node: the id of the node that it is on;
    given: how many jobs it was sent.
    """

    crew: Crew
    actor: Any
    death: Any
    node: str
    held: list[Held] = field(default_factory=list)
    given: int = 0


class Crew:
    """Actors of one size. make: starts one.

    members: those that are ready. starting: the reference that resolves once one is ready -> the actor. most: how many
    are of use; size: how many there should be. empty_since: when it last had a member, if it has none.
    """

    def __init__(self, placement: Placement, make: Callable[[Placement], Any]) -> None:
        self.placement, self._make = placement, make
        self.members = Roster[Member](HELD)
        self.starting: dict[Any, Any] = {}
        self.most, self.size, self._stillborn, self._starts_from = 0, 0, 0, 0.0
        self.empty_since: float | None = time.monotonic()

    def staff(self) -> None:
        """Have `size` actors, ready or starting."""
        missing = self.size - len(self.members) - len(self.starting)
        for _ in range(missing if time.monotonic() >= self._starts_from else 0):
            actor = self._make(self.placement)
            self.starting[actor.ready.remote()] = actor
        for _ in range(min(len(self.starting), len(self.members) + len(self.starting) - self.size)):
            _, actor = self.starting.popitem()  # the last one: its node has left before it could start
            ray.kill(actor)

    def started(self, reference: Any) -> Member | None:
        """The member whose reference this is; None where it does not start.

        Raises ExecutorError where none of the crew does, time and again.
        """
        actor = self.starting.pop(reference, None)
        if actor is None:  # it was told not to, meanwhile
            return None
        try:
            node: str = ray.get(reference)
        except RayError as error:
            self._failed(error)
            return None
        self._stillborn, self.empty_since = 0, None
        member = Member(self, actor, actor.live.remote(), node)
        self.members.add(member)
        return member

    def _failed(self, error: RayError) -> None:
        self._stillborn += 1
        if self._stillborn < _STILLBORN * self.size:
            return
        reason = str(error).strip().splitlines()[-1]  # before it, Ray's account and a traceback
        if not self.members:
            raise ExecutorError(f"workers do not start; the last one: {reason}") from error
        self.placement.note(f"some workers do not start; the last one: {reason}")
        self._starts_from, self._stillborn = time.monotonic() + _RESPITE_S, 0

    def lost(self, member: Member) -> None:
        """A member is gone."""
        self.members.remove(member)
        if not self.members:
            self.empty_since = time.monotonic()

    def take_back(self) -> None:
        """Where actors have nothing to do, there is nothing else to start: they get what others keep for later."""
        idle = self.members.idle()
        for member in self.members.full() if idle else ():
            if idle and not member.held[-1].taken_back:
                member.actor.take_back.remote(member.held[-1].place)
                member.held[-1].taken_back = True
                idle -= 1

    def actors(self) -> list[Any]:
        """All of them, ready or not."""
        return [*self.starting.values(), *(member.actor for member in self.members)]
