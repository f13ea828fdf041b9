"""Which pack can be done next: the logic of a sweep's progress, without any machinery."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from mcdist.execute.halving import Halvings, halves
from mcdist.execute.job import Job, Verdict, job_of
from mcdist.plan.packs import Pack, pack_of
from mcdist.plan.task import Task
from mcdist.tasks.work import Way

__all__ = ["Scheduler"]

_EXCUSES = 10  # losses that are not counted against a pack, lest one that somehow causes them is tried for ever


class Scheduler:
    """Packs wait for their inputs, run, are tried again when their worker is lost, and fail apart.

    packs: of the whole sweep, inputs before what needs them. settled: task ids already decided, "done", "failed" or
    "blocked". retries: how often a pack whose worker was lost is started again. halvings: packs that an earlier run
    halved, and where this one keeps those that it does. ways: how the packs of each shape are computed. crew_of: the
    workers that do tasks of a kind; what is ready waits in a queue for each.

    A pack of several tasks that raises, or loses its worker too often, is done over task by task, so that only the one
    to blame fails. One that is too large for a worker's memory is done as two halves, each a pack of its own, and so on
    down to single tasks. Tasks whose input failed are `blocked`, and so are theirs in turn.
    """

    def __init__(
        self,
        packs: Iterable[Pack],
        settled: Mapping[str, str],
        retries: int,
        halvings: Halvings | None = None,
        ways: Mapping[str, Way] | None = None,
        crew_of: Callable[[str], int] = lambda kind: 0,
    ) -> None:
        self.status: dict[str, str] = dict(settled)
        self._ways = ways or {}
        self._retries, self._halvings = retries, {} if halvings is None else halvings
        self._started: Counter[str] = Counter()
        self._excused: Counter[str] = Counter()
        self._packs: dict[str, Pack] = {}
        self._origin: dict[str, str] = {}  # what is left of a pack -> the pack that every run finds in the plan
        self._unmet: dict[str, int] = {}
        self._waiting: dict[str, list[str]] = defaultdict(list)  # input task -> packs that need it
        self._crew_of = crew_of
        self._ready: dict[int, deque[str]] = defaultdict(deque)  # by crew
        self._blocked: list[tuple[Pack, dict[str, list[str]]]] = []
        for pack in packs:
            self._admit(pack)

    def _admit(self, pack: Pack) -> None:
        """What is left of a pack; of one that was halved, the same halves as then."""
        halved = self._halvings.get(pack.id)
        if halved is None:
            self._add([task for task in pack.tasks if task.id not in self.status], pack.id)
            return
        then = set(halved)
        for half in halves([task for task in pack.tasks if task.id in then]):
            self._admit(half)
        self._add([task for task in pack.tasks if task.id not in then and task.id not in self.status])

    def _add(self, tasks: Sequence[Task], origin: str | None = None) -> None:
        if not tasks:
            return
        pack = pack_of(tasks)
        if origin is not None and origin != pack.id:
            self._origin[pack.id] = origin
        self._packs[pack.id] = pack
        unmet = [i for i in pack.inputs if i not in self.status]
        self._unmet[pack.id] = len(unmet)
        for i in unmet:
            self._waiting[i].append(pack.id)
        if not unmet:
            self._release(pack)

    def _release(self, pack: Pack) -> None:
        """All inputs of the pack are settled: it is ready, but for tasks whose inputs did not succeed."""
        bad = {t.id: [i for i in t.inputs if self.status[i] != "done"] for t in pack.tasks}
        blocked = {i: causes for i, causes in bad.items() if causes}
        if not blocked:
            self._queue(pack).append(pack.id)
            return
        del self._packs[pack.id]
        stuck = pack_of(t for t in pack.tasks if t.id in blocked)
        self._blocked.append((stuck, blocked))
        rest = [t for t in pack.tasks if t.id not in blocked]
        if rest:
            smaller = pack_of(rest)
            self._origin[smaller.id] = self._origin.get(pack.id, pack.id)
            self._packs[smaller.id] = smaller
            self._queue(smaller).append(smaller.id)
        for task_id in blocked:
            self._settle(task_id, "blocked")

    def _queue(self, pack: Pack) -> deque[str]:
        return self._ready[self._crew_of(pack.kind)]

    def _settle(self, task_id: str, status: str) -> None:
        self.status[task_id] = status
        for pack_id in self._waiting.pop(task_id, ()):
            self._unmet[pack_id] -= 1
            if self._unmet[pack_id] == 0:
                self._release(self._packs[pack_id])

    def next(self, crew: int = 0) -> Job | None:
        """A job of a crew that can start now, None while there is none."""
        if not self._ready[crew]:
            return None
        pack = self._packs[self._ready[crew].popleft()]
        self._started[pack.id] += 1
        return job_of(pack, self._started[pack.id], self._ways)

    def ready(self, crew: int = 0) -> int:
        """How many jobs of a crew can start now."""
        return len(self._ready[crew])

    def pack_ids(self) -> list[str]:
        """The packs that are ready, running or waiting."""
        return list(self._packs)

    def pending(self) -> bool:
        """Whether anything is ready, running or waiting."""
        return bool(self._packs)

    def ended(self, pack_id: str, verdicts: Mapping[str, Verdict]) -> None:
        """A pack was committed."""
        del self._packs[pack_id]
        for task_id, verdict in verdicts.items():
            self._settle(task_id, verdict.status)

    def raised(self, pack_id: str) -> None:
        """A pack of several tasks raised: do them one by one."""
        for task in self._packs.pop(pack_id).tasks:
            alone = pack_of([task])
            self._packs[alone.id] = alone
            self._queue(alone).append(alone.id)

    def halve(self, pack_id: str) -> None:
        """A pack of several tasks is too large: do its halves."""
        pack = self._packs[pack_id]
        self._halvings[self._origin.get(pack_id, pack_id)] = [task.id for task in pack.tasks]
        del self._packs[pack_id]
        for half in reversed(halves(pack.tasks)):
            self._packs[half.id] = half
            self._queue(half).appendleft(half.id)

    def lost(self, pack_id: str, blamed: bool = True, harmless: bool = False) -> bool:
        """A pack's worker was lost. Whether it is given up: a single task that was lost too often.

        blamed: whether this start counts; if not, it is still not forgiven without end, unless the loss is `harmless`.
        """
        if harmless or (not blamed and self._excused[pack_id] < _EXCUSES):
            self._excused[pack_id] += not harmless
            self._started[pack_id] -= 1
            self._queue(self._packs[pack_id]).appendleft(pack_id)
            return False
        if self._started[pack_id] <= self._retries:
            self._queue(self._packs[pack_id]).appendleft(pack_id)
            return False
        if len(self._packs[pack_id].tasks) > 1:
            self.raised(pack_id)
            return False
        return True

    def take_blocked(self) -> list[tuple[Pack, dict[str, list[str]]]]:
        """Tasks that were blocked since the last call, with the inputs that did not succeed."""
        taken, self._blocked = self._blocked, []
        return taken
