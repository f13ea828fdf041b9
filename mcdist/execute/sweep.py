"""A sweep from its specification to its results in the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TextIO, cast

from mcdist.errors import RequestError, StoreError
from mcdist.execute.choice import wishes_of
from mcdist.execute.driver import Signals, Summary, drive
from mcdist.execute.executor import Executor, ExecutorError
from mcdist.execute.halving import StoredHalvings
from mcdist.execute.packing import choices
from mcdist.execute.preflight import preflight
from mcdist.execute.progress import ProgressDisplay, duration
from mcdist.execute.scheduler import Scheduler
from mcdist.execute.serial import SerialExecutor
from mcdist.execute.state import Remains, what_remains
from mcdist.plan.cost import ProblemSize, task_cost
from mcdist.plan.graph import Plan, make_plan
from mcdist.plan.packs import form_packs
from mcdist.spec.load import dump_spec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.tasks import ProblemTask
from mcdist.store import Store, TaskState, check_target, open_store
from mcdist.tasks.checks import at, check_resources
from mcdist.tasks.problems import Prepared, prepare
from mcdist.tasks.registry import KINDS

__all__ = ["ExecutorName", "KindOverview", "overview", "run_sweep", "scheduled", "task_costs"]

ExecutorName = Literal["ray", "serial"]


@dataclass(frozen=True)
class KindOverview:
    """Tasks of one kind: how many, how they stand, what is left to do.

    cost: forward passes of one example, for what is to do; seconds: of one worker, reckoned from the tasks of this
    kind that are done, None where there are none yet.
    """

    kind: str
    tasks: int
    done: int
    failed: int
    todo: int
    cost: float
    seconds: float | None


def overview(spec: SweepSpec, store_uri: str | None, source: str = "spec") -> list[KindOverview]:
    """What a sweep comes to and what of it is done. Raises RequestError for a wrong request; writes nothing."""
    prepared = prepare(spec, source)
    plan = _planned(prepared, source)
    uri = store_uri or spec.store
    states = {} if uri is None else _states(uri)
    remains = what_remains(plan, states)
    costs = task_costs(plan, prepared)
    return [_kind(kind, plan, states, remains, costs) for kind in plan.counts()]


def _states(uri: str) -> Mapping[str, TaskState]:
    """What became of the tasks in a store, none where there is no store yet. Raises StoreError for anything else."""
    return open_store(uri).tasks() if check_target(uri) else {}


def _kind(
    kind: str, plan: Plan, states: Mapping[str, TaskState], remains: Remains, costs: Mapping[str, float]
) -> KindOverview:
    ids = [task.id for task in plan.tasks.values() if task.kind == kind]
    count = Counter(remains.settled.get(i, "todo") for i in ids)
    todo = sum(costs[i] for i in ids if i not in remains.settled)
    measured = [(costs[i], states[i].wall_s or 0.0) for i in ids if remains.settled.get(i) == "done"]
    spent, wall = sum(c for c, _ in measured), sum(w for _, w in measured)
    seconds = todo * wall / spent if spent > 0 else None
    return KindOverview(kind, len(ids), count["done"], count["failed"] + count["blocked"], count["todo"], todo, seconds)


def _planned(prepared: Prepared, source: str) -> Plan:
    check_resources(prepared.spec, KINDS, source)
    with at(source):
        return make_plan(prepared.spec)


def task_costs(plan: Plan, prepared: Prepared) -> dict[str, float]:
    """What each task of a plan will cost, in forward passes of one example."""
    sizes = {
        id(problem): ProblemSize(fact.train, fact.evaluated)
        for problem, fact in zip(plan.spec.problem, prepared.facts, strict=True)
    }
    known: dict[int, float] = {}
    costs = {}
    for task in plan.tasks.values():
        blueprint = task.blueprint
        if id(blueprint) not in known:
            known[id(blueprint)] = task_cost(blueprint.spec, sizes[id(cast(ProblemTask, blueprint.spec).problem)])
        costs[task.id] = known[id(blueprint)]
    return costs


def run_sweep(
    spec: SweepSpec,
    *,
    store_uri: str | None,
    executor: ExecutorName,
    address: str | None,
    out: TextIO,
    source: str = "spec",
) -> Summary:
    """Do what is missing of a sweep. Raises RequestError, before anything is written, for a wrong request.

    source: what messages call the spec.
    """
    uri = store_uri or spec.store
    if uri is None:
        raise RequestError("no store: give --store, or a line 'store: FOLDER' in the spec")
    prepared = prepare(spec, source)
    plan = _planned(prepared, source)
    remains = what_remains(plan, _states(uri))
    with Signals() as signals:
        workers: Executor | None = None
        try:
            if len(remains.settled) < len(plan.tasks):
                workers = _executor(executor, prepared, address)
                signals.install()
            preflight(uri, on_ray=executor == "ray" and workers is not None)
            return _run(plan, prepared, remains, open_store(uri, create=True), workers, out)
        except BaseException:
            if signals.number is None:
                raise
            return Summary(interrupted=signals.number)
        finally:
            signals.ignore()  # a second Ctrl-C must not break off the stopping of the workers
            if workers is not None:
                workers.close()


def _executor(name: ExecutorName, prepared: Prepared, address: str | None) -> Executor:
    resources = prepared.spec.resources
    if name == "serial":
        return SerialExecutor(resources, prepared.datasets)
    # Ray takes seconds to import, and a finished sweep needs none
    from mcdist.execute.ray_metered import MeteredRay

    return MeteredRay(resources, prepared.datasets, address, prepared.spec.name)


def _run(
    plan: Plan, prepared: Prepared, remains: Remains, store: Store, workers: Executor | None, out: TextIO
) -> Summary:
    number = 0 if workers is None else workers.start(store.uri, _todo(plan, remains))

    def say(line: str) -> None:
        print(f"{plan.spec.name}: {line}", file=out, flush=True)

    for note in workers.notes() if workers is not None else ():
        say(note)
    scheduler = scheduled(plan, remains, store, workers, say)
    # only what is old: a pack that is done again replaces its own files, and another driver may be between its rows
    # and its commit right now
    store.clean()
    store.write_sweep(plan.spec.name, dump_spec(plan.spec, _notes(prepared)), list(plan.tasks))
    if workers is not None:
        _work(plan, prepared, remains, scheduler, store, workers, number, out)
    statuses = {i: scheduler.status[i] for i in plan.tasks}
    return Summary(Counter(statuses.values()), [i for i, status in statuses.items() if status != "done"])


def _todo(plan: Plan, remains: Remains) -> Counter[str]:
    return Counter(task.kind for i, task in plan.tasks.items() if i not in remains.settled)


def scheduled(
    plan: Plan,
    remains: Remains,
    store: Store,
    workers: Executor | None,
    say: Callable[[str], None] = lambda line: None,
) -> Scheduler:
    """The packs of a plan, ready to be done by workers that were started; what is tried again is forgotten first."""
    todo = plan.tasks.keys() - remains.settled.keys()
    chosen = choices(plan, wishes_of(plan.spec.resources), store, todo, workers, say)
    packs = form_packs(plan, {shape: choice.most for shape, choice in chosen.items()})
    ways = {shape: choice.way for shape, choice in chosen.items()}
    store.forget(remains.again)
    crew_of = (lambda kind: 0) if workers is None else workers.crew_of
    return Scheduler(packs, remains.settled, plan.spec.resources.retries, StoredHalvings(store), ways, crew_of)


def _work(
    plan: Plan,
    prepared: Prepared,
    remains: Remains,
    scheduler: Scheduler,
    store: Store,
    workers: Executor,
    number: int,
    out: TextIO,
) -> None:
    packs = len(scheduler.pack_ids())
    counts, done = plan.counts(), Counter(plan.tasks[i].kind for i in remains.settled)
    costs = task_costs(plan, prepared)
    kinds = {i: task.kind for i, task in plan.tasks.items() if i not in remains.settled}
    total = sum(counts.values())
    print(
        f"{plan.spec.name}: {total - done.total()} of {total} tasks to do, in {packs} packs on {number} worker(s); "
        f"results in {store.uri}",
        file=out,
        flush=True,
    )
    if packs < number and workers.crews == 1 and plan.spec.resources.pack == "auto":
        print(f"note: {packs} packs leave {number - packs} worker(s) idle; resources.pack makes smaller ones", file=out)
    progress = ProgressDisplay(counts, done, kinds, costs, workers.workers, out, workers.publish)
    try:
        drive(scheduler, workers, store, progress)
    except StoreError as error:  # no wrong request any more: something has been written
        raise ExecutorError(f"the sweep cannot go on: {error}") from error
    finally:
        progress.close()
    print(f"{progress.describe()} · took {duration(progress.elapsed())}", file=out, flush=True)


def _notes(prepared: Prepared) -> list[str]:
    notes = ["What was run, every default filled in; `mcdist run` takes this file as well.", "Data:"]
    return notes + [f"  {note}" for note in dict.fromkeys(fact.note for fact in prepared.facts)]
