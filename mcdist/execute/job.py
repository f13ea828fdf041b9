"""What the driver sends to a worker, and what comes back: small, plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcdist.plan.packs import Pack
from mcdist.spec.tasks import TASK_SPECS
from mcdist.tasks.work import Item, Way

__all__ = ["Job", "Report", "Verdict", "job_of"]


@dataclass(frozen=True)
class Job:
    """A pack to do. specs: JSON of each task's specification. shape: its name in the plan; way: how to compute it."""

    pack_id: str
    kind: str
    ids: tuple[str, ...]
    specs: tuple[str, ...]
    inputs: tuple[tuple[str, ...], ...]
    attempt: int
    shape: str = ""
    way: Way = field(default_factory=Way)

    def items(self) -> list[Item]:
        """The tasks as their kind takes them."""
        model = TASK_SPECS[self.kind]
        return [
            Item(i, model.model_validate_json(spec), inputs)
            for i, spec, inputs in zip(self.ids, self.specs, self.inputs, strict=True)
        ]


def job_of(pack: Pack, attempt: int, ways: Mapping[str, Way] | None = None) -> Job:
    """The job of a pack, started for the `attempt`-th time (from 1). ways: by shape; the plain one if not said."""
    shape = pack.tasks[0].blueprint.group
    texts = {id(task.blueprint): task.blueprint.spec.model_dump_json() for task in pack.tasks}
    return Job(
        pack.id,
        pack.kind,
        tuple(task.id for task in pack.tasks),
        tuple(texts[id(task.blueprint)] for task in pack.tasks),
        tuple(task.inputs for task in pack.tasks),
        attempt,
        shape,
        (ways or {}).get(shape, Way()),
    )


@dataclass(frozen=True)
class Verdict:
    """What became of one task: status done or failed, and for a failed one its kind of error."""

    status: str
    error_kind: str | None = None


@dataclass(frozen=True)
class Report:
    """How a job ended on its worker.

    verdicts: by task id, once the pack is committed. raised: instead, the traceback of an exception that failed a pack
    of several tasks: nothing was committed, and which task is to blame is not known. memory: that exception says that
    memory was not enough, for which their number is to blame. notes: what the user should know of the worker. wall_s:
    seconds of computing; read_s, write_s: seconds at the store before and after.
    """

    pack_id: str
    verdicts: dict[str, Verdict]
    raised: str | None = None
    memory: bool = False
    wall_s: float = 0.0
    notes: tuple[str, ...] = ()
    read_s: float = 0.0
    write_s: float = 0.0
