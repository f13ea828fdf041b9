"""The executor on Ray: a pool of long-lived actors, each with its device and its copy of the data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from mcdist.execute.placement import Placement, alive, apart, sizes
from mcdist.execute.ray_actor import Actor
from mcdist.execute.ray_cluster import connect
from mcdist.execute.ray_crew import HELD, Crew, Held, Member
from mcdist.execute.trials import Tuning
from mcdist.execute.tuning import by_rule
from mcdist.problems.data import Dataset
from mcdist.spec.resources import ResourcesSpec

__all__ = ["RayExecutor"]

_GONE = (RayActorError, ActorDiedError, ActorUnavailableError, OutOfMemoryError, WorkerCrashedError)
_LOOK_S = 2.0  # seconds between looks at which nodes there are
_PATIENCE_S = 60.0  # seconds that crews let others find their room, and are then waited for themselves
_CALLS = 2 * HELD + 2  # calls that an actor answers at a time: `do` and `reached` for each job, `live`, one more
_REMOTE: Any = ray.remote(Actor)


class RayExecutor(Executor):
    """Actors on the cluster at `address` (or $RAY_ADDRESS, as inside a Ray job), else on a Ray of this machine's own.

    Raises RequestError where there is no Ray to connect to, or no node that could hold one worker.
    """

    def __init__(
        self, resources: ResourcesSpec, datasets: Mapping[str, Dataset], address: str | None, sweep: str = "sweep"
    ) -> None:
        self._sweep, self._datasets = sweep, datasets
        self._of: dict[Any, Member] = {}  # reference of a report or a death -> whose
        self._crews: list[Crew] = []
        self._owns_ray = connect(address)
        try:
            placements = [Placement(own, self._owns_ray, kinds) for kinds, own in resources.crews()]
        except RequestError:
            self.close()
            raise
        self._crews = [Crew(placement, self._make) for placement in apart(placements)]
        self._crew_of = {kind: i for i, crew in enumerate(self._crews) for kind in crew.placement.kinds}

    @property
    def crews(self) -> int:
        """See `Executor`."""
        return len(self._crews)

    def crew_of(self, kind: str) -> int:
        """See `Executor`."""
        return self._crew_of.get(kind, 0)

    def workers(self, kind: str) -> int:
        """See `Executor`."""
        return self._crews[self.crew_of(kind)].size

    @property
    def _members(self) -> list[Member]:
        return [member for crew in self._crews for member in crew.members]

    @property
    def _starting(self) -> dict[Any, Crew]:
        return {reference: crew for crew in self._crews for reference in crew.starting}

    def start(self, store: str, todo: Mapping[str, int]) -> int:
        """See `Executor`."""
        self._store = store
        self._data = {key: ray.put(data) for key, data in self._datasets.items()}
        self._opened = time.monotonic()
        for crew in self._crews:
            crew.most = 0
        for kind, number in todo.items():
            self._crews[self.crew_of(kind)].most += number
        self._staff()
        return sum(crew.size for crew in self._crews)

    def _staff(self) -> None:
        """Have as many actors of each crew as there should be on the nodes that there are by now.

        Those with GPUs come first, and the others wait until these have found their room: they might take it, as Ray
        places actors one by one.
        """
        self._looked = time.monotonic()
        patient = self._looked - self._opened < _PATIENCE_S
        for crew, size in zip(self._crews, sizes([(c.placement, c.most) for c in self._crews]), strict=True):
            crew.size = size
        before: list[Crew] = []
        for crew in sorted(self._crews, key=lambda crew: -crew.placement.gpus):
            if not (patient and any(other.starting for other in before)):
                crew.staff()
            before.append(crew)

    def _at_work(self, number: int) -> Crew:
        """The crew that does the tasks of this one: itself, but where it has found no room for a while.

        Then one with as many GPUs at least does them as well: what there was room for when the sweep began may have
        gone with a node, or may be taken by others. For GPUs one waits.
        """
        crew = self._crews[number]
        if crew.empty_since is None or time.monotonic() - crew.empty_since < _PATIENCE_S:
            return crew
        gpus = crew.placement.gpus
        other = next((one for one in self._crews if len(one.members) and one.placement.gpus >= gpus), None)
        if other is None:
            return crew
        whose = ", ".join(crew.placement.kinds) or "all other tasks"
        crew.placement.note(f"workers for {whose} have found no room: others do that meanwhile")
        return other

    def _make(self, placement: Placement) -> Any:
        options = _REMOTE.options(
            num_cpus=placement.cpus,
            num_gpus=placement.gpus,
            max_restarts=0,
            max_concurrency=_CALLS,
            runtime_env={} if self._owns_ray else {"env_vars": ONE_ARENA},
        )
        return options.remote(
            self._store, placement.resources.threads, placement.gpus, self._data, f"mcdist {self._sweep}"
        )

    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        """See `Executor`: one at a time on each actor. A trial that takes its worker with it is tried once more."""
        open_, found = [(i, 0) for i in range(len(tunings))], dict[int, Choice]()
        trying: dict[Any, tuple[Member, int, int]] = {}
        while len(found) < len(tunings):
            busy = {id(member) for member, _, _ in trying.values()}
            for member in [m for m in self._members if id(m) not in busy]:
                mine = (one for one in open_ if self._at_work(self.crew_of(tunings[one[0]].kind)) is member.crew)
                if (one := next(mine, None)) is not None:
                    open_.remove(one)
                    trying[member.actor.tune.remote(tunings[one[0]])] = member, *one
            starting = self._starting
            ready, _ = ray.wait([*starting, *trying], num_returns=1, timeout=1.0)
            for reference in ready:
                if reference in starting:
                    self._started(starting[reference], reference)
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
            self._look()
        return [found[i] for i in range(len(tunings))]

    def free(self, ready: int, crew: int = 0) -> bool:
        """See `Executor`: an actor gets work once it is ready; one that Ray has no room for (yet) gets none."""
        members = self._at_work(crew).members
        return members.next(keep=ready > len(members)) is not None

    def submit(self, job: Job) -> None:
        """See `Executor`."""
        member = self._at_work(self.crew_of(job.kind)).members.next(keep=True)
        assert member is not None, "no worker is free"
        place = member.given
        # asked before the job is sent, so that what the job may do to the actor cannot come before the answer
        reached = member.actor.reached.remote(place)
        # the name is a tag of Ray's own metrics: one for each kind and size, not for each pack
        named = member.actor.do.options(name=f"{job.kind} x{len(job.ids)} {self._sweep}")
        held = Held(job, place, reached, named.remote(job, place))
        member.held.append(held)
        member.crew.members.gave(member)
        member.given += 1
        self._of[held.report] = member

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        """See `Executor`."""
        self._look()
        for crew in self._crews:
            crew.take_back()
        starting = self._starting
        references = [*starting, *self._of]
        ready, _ = ray.wait(references, num_returns=1, timeout=timeout_s)
        if ready:  # and what else there is by now
            ready, _ = ray.wait(references, num_returns=len(references), timeout=0)
        events: list[Ended | Lost] = []
        for reference in ready:
            if reference in starting:
                self._started(starting[reference], reference)
            elif reference in self._of:  # not of an actor buried for another of its references
                events += self._collect(self._of[reference], reference)
        return events

    def _started(self, crew: Crew, reference: Any) -> None:
        member = crew.started(reference)
        if member is not None:
            self._of[member.death] = member
        if member is None or not crew.starting:  # another one in its place, or those that waited for the crew
            self._staff()

    def _collect(self, member: Member, reference: Any) -> list[Ended | Lost]:
        try:
            report: Report | None = ray.get(reference)
        except _GONE as error:
            return self._bury(member, error)
        except ray.exceptions.RayTaskError as error:
            raise ExecutorError(f"a worker cannot go on: {error.cause!r}") from error
        del self._of[reference]
        held = next(held for held in member.held if held.report == reference)
        member.held.remove(held)
        member.crew.members.gave_back(member)
        return [Lost(held.job, "taken back", begun=False, harmless=True) if report is None else Ended(held.job, report)]

    def _bury(self, member: Member, error: RayError) -> list[Ended | Lost]:
        """Replace an actor that is gone. The last of its jobs whose turn had come is the one it was at."""
        ray.kill(member.actor)
        member.crew.lost(member)
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
        return [note for crew in self._crews for note in crew.placement.take_notes()]

    def close(self) -> None:
        """See `Executor`: a Ray of our own is stopped, on a shared cluster our actors are."""
        if self._owns_ray:
            ray.shutdown()
            return
        for crew in self._crews:
            for actor in crew.actors():
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
