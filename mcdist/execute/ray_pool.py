"""The executor on Ray: a pool of long-lived actors, each with its device and its copy of the data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    WorkerCrashedError,
)

from mcdist.errors import RequestError
from mcdist.execute.choice import Choice
from mcdist.execute.executor import Ended, Executor, ExecutorError, Lost
from mcdist.execute.job import Job, Report
from mcdist.execute.memory import ONE_ARENA
from mcdist.execute.placement import Placement, alive
from mcdist.execute.ray_actor import Actor
from mcdist.execute.ray_cluster import connect
from mcdist.execute.roster import Roster
from mcdist.execute.trials import Tuning
from mcdist.execute.tuning import by_rule
from mcdist.problems.data import Dataset
from mcdist.spec.sections import ResourcesSpec

__all__ = ["RayExecutor"]

_GONE = (RayActorError, ActorDiedError, ActorUnavailableError, OutOfMemoryError, WorkerCrashedError)
_STILLBORN = 3  # failed starts in a row, for each worker wanted, after which the run is given up if there is no worker
_RESPITE_S = 30.0  # seconds without new starts after so many if there are workers
_LOOK_S = 2.0  # seconds between looks at which nodes there are
_HELD = 2  # jobs that an actor has at a time
_CALLS = 2 * _HELD + 2  # calls that an actor answers at a time: `do` and `reached` for each job, `live`, one more
_REMOTE: Any = ray.remote(Actor)


@dataclass(eq=False)
class _Held:
    """A job that an actor has. reached, report: references that resolve when its turn comes, and when it has ended."""

    job: Job
    place: int
    reached: Any
    report: Any
    taken_back: bool = False


@dataclass(eq=False)
class _Member:
    """An actor that is ready. death: the reference that resolves when it dies; node: the id of the node that it is on;
    given: how many jobs it was sent.
    """

    actor: Any
    death: Any
    node: str
    held: list[_Held] = field(default_factory=list)
    given: int = 0


class RayExecutor(Executor):
    """Actors on the cluster at `address` (or $RAY_ADDRESS, as inside a Ray job), else on a Ray of this machine's own.

    Raises RequestError where there is no Ray to connect to, or no node that could hold one worker.
    """

    def __init__(
        self, resources: ResourcesSpec, datasets: Mapping[str, Dataset], address: str | None, sweep: str = "sweep"
    ) -> None:
        self._sweep = sweep
        self._resources, self._datasets = resources, datasets
        self._starting: dict[Any, Any] = {}  # reference that resolves once the actor is ready -> actor
        self._members = Roster[_Member](_HELD)
        self._of: dict[Any, _Member] = {}  # reference of a report or a death -> whose
        self._owns_ray = connect(address)
        try:
            self._placement = Placement(resources, self._owns_ray)
        except RequestError:
            self.close()
            raise

    def start(self, store: str, most: int) -> int:
        """See `Executor`."""
        self._store = store
        self._data = {key: ray.put(data) for key, data in self._datasets.items()}
        self._most, self._stillborn, self._starts_from = most, 0, 0.0
        self._staff()
        return self._size

    def _staff(self) -> None:
        """Have as many actors as there should be on the nodes that there are by now."""
        self._looked = time.monotonic()
        self._size = self._placement.workers(self._most)
        missing = self._size - len(self._members) - len(self._starting)
        for _ in range(missing if self._looked >= self._starts_from else 0):
            self._start_one()
        for _ in range(min(len(self._starting), len(self._members) + len(self._starting) - self._size)):
            _, actor = self._starting.popitem()  # the last one: its node has left before it could start
            ray.kill(actor)

    def _start_one(self) -> None:
        options = _REMOTE.options(
            num_cpus=self._placement.cpus,
            num_gpus=self._placement.gpus,
            max_restarts=0,
            max_concurrency=_CALLS,
            runtime_env={} if self._owns_ray else {"env_vars": ONE_ARENA},
        )
        actor = options.remote(
            self._store, self._resources.threads, self._placement.gpus, self._data, f"mcdist {self._sweep}"
        )
        self._starting[actor.ready.remote()] = actor

    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        """See `Executor`: one at a time on each actor. A trial that takes its worker with it is tried once more."""
        open_, found = [(i, 0) for i in range(len(tunings))], dict[int, Choice]()
        trying: dict[Any, tuple[_Member, int, int]] = {}
        while len(found) < len(tunings):
            busy = {id(member) for member, _, _ in trying.values()}
            for member in [m for m in self._members if id(m) not in busy][: len(open_)]:
                i, lost = open_.pop(0)
                trying[member.actor.tune.remote(tunings[i])] = member, i, lost
            ready, _ = ray.wait([*self._starting, *trying], num_returns=1, timeout=1.0)
            self._look()
            for reference in ready:
                if reference in self._starting:
                    self._started(reference)
                if reference not in trying:
                    continue
                member, i, lost = trying.pop(reference)
                try:
                    found[i] = ray.get(reference)
                except _GONE as error:
                    self._bury(member, error)
                    if lost:
                        found[i] = by_rule(tunings[i].wishes, 1)
                    else:
                        open_.append((i, lost + 1))
                except ray.exceptions.RayTaskError as error:
                    raise ExecutorError(f"a worker cannot go on: {error.cause!r}") from error
        return [found[i] for i in range(len(tunings))]

    def free(self, ready: int) -> bool:
        """See `Executor`: an actor gets work once it is ready; one that Ray has no room for (yet) gets none."""
        return self._members.next(keep=ready > len(self._members)) is not None

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        member = self._members.next(keep=True)
        assert member is not None, "no worker is free"
        place = member.given
        # asked before the job is sent, so that what the job may do to the actor cannot come before the answer
        reached = member.actor.reached.remote(place)
        # the name is a tag of Ray's own metrics: one for each kind and size, not for each pack
        named = member.actor.do.options(name=f"{job.kind} x{len(job.ids)} {self._sweep}")
        held = _Held(job, place, reached, named.remote(job, place))
        member.held.append(held)
        self._members.gave(member)
        member.given += 1
        self._of[held.report] = member

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        """See `Executor`."""
        self._look()
        self._take_back()
        references = [*self._starting, *self._of]
        ready, _ = ray.wait(references, num_returns=1, timeout=timeout_s)
        if ready:  # and what else there is by now
            ready, _ = ray.wait(references, num_returns=len(references), timeout=0)
        events: list[Ended | Lost] = []
        for reference in ready:
            if reference in self._starting:
                self._started(reference)
            elif reference in self._of:  # not of an actor buried for another of its references
                events += self._collect(self._of[reference], reference)
        return events

    def _take_back(self) -> None:
        """Where actors have nothing to do, there is nothing else to start: let them have what others keep for later."""
        idle = self._members.idle()
        for member in self._members if idle else ():
            if idle and len(member.held) > 1 and not member.held[-1].taken_back:
                member.actor.take_back.remote(member.held[-1].place)
                member.held[-1].taken_back = True
                idle -= 1

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            node: str = ray.get(reference)
        except RayError as error:
            self._stillborn += 1
            reason = str(error).strip().splitlines()[-1]  # before it, Ray's account and a traceback
            if self._stillborn >= _STILLBORN * self._size:
                if not self._members:
                    raise ExecutorError(f"workers do not start; the last one: {reason}") from error
                self._placement.note(f"some workers do not start; the last one: {reason}")
                self._starts_from, self._stillborn = time.monotonic() + _RESPITE_S, 0
            self._staff()
            return
        self._stillborn = 0
        member = _Member(actor, actor.live.remote(), node)
        self._members.add(member)
        self._of[member.death] = member

    def _collect(self, member: _Member, reference: Any) -> list[Ended | Lost]:
        try:
            report: Report | None = ray.get(reference)
        except _GONE as error:
            return self._bury(member, error)
        except ray.exceptions.RayTaskError as error:
            raise ExecutorError(f"a worker cannot go on: {error.cause!r}") from error
        del self._of[reference]
        held = next(held for held in member.held if held.report == reference)
        member.held.remove(held)
        self._members.gave_back(member)
        return [Lost(held.job, "taken back", begun=False, harmless=True) if report is None else Ended(held.job, report)]

    def _bury(self, member: _Member, error: RayError) -> list[Ended | Lost]:
        """Replace an actor that is gone. The last of its jobs whose turn had come is the one it was at."""
        ray.kill(member.actor)
        self._members.remove(member)
        for reference in (member.death, *(held.report for held in member.held)):
            del self._of[reference]
        self._staff()
        reports = {held.place: _value(held.report) for held in member.held}
        events: list[Ended | Lost] = [Ended(h.job, reports[h.place]) for h in member.held if reports[h.place]]
        lost = [held for held in member.held if not reports[held.place]]
        begun = [held.place for held in lost if _resolved(held.reached)]
        why = f"{type(error).__name__}: {str(error).strip()}"
        memory = isinstance(error, OutOfMemoryError)
        # Ray says of an actor that it is dead when it knows why; of one that it cannot reach, it does not know
        node = isinstance(error, ActorUnavailableError) or not alive(member.node)
        preempted = isinstance(error, RayActorError) and error.preempted
        return events + [Lost(h.job, why, h.place in begun[-1:], memory, node, preempted) for h in lost]

    def _look(self) -> None:
        if time.monotonic() - self._looked > _LOOK_S:
            self._staff()

    def notes(self) -> list[str]:
        """See `Executor`."""
        return self._placement.take_notes()

    def close(self) -> None:
        """See `Executor`: a Ray of our own is stopped, on a shared cluster our actors are."""
        if self._owns_ray:
            ray.shutdown()
            return
        for actor in [*self._starting.values(), *(member.actor for member in self._members)]:
            ray.kill(actor)


def _value(reference: Any) -> Any:
    """What a reference has resolved to; None where it has not, or failed."""
    try:
        return ray.get(reference, timeout=0)
    except (RayError, TimeoutError):
        return None


def _resolved(reference: Any) -> bool:
    """Whether the call has returned."""
    try:
        ray.get(reference, timeout=0)
    except (RayError, TimeoutError):
        return False
    return True
