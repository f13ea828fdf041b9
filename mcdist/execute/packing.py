"""How the tasks of each shape are packed and computed: as the spec says, as the store remembers, or as it turns out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from mcdist.execute.choice import Choice, Wishes
from mcdist.execute.executor import Executor
from mcdist.execute.trials import Tuning
from mcdist.execute.tuning import by_rule
from mcdist.plan.graph import Plan
from mcdist.plan.packs import groups
from mcdist.plan.task import Task
from mcdist.store import Store

__all__ = ["choices"]

_SPECS = 512  # specifications that a trial is given: no pack is larger


def choices(
    plan: Plan,
    wishes: Wishes,
    store: Store,
    todo: Collection[str],
    workers: Executor | None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Choice]:
    """The choice for each shape, by name; made by the workers where it is open and there is something to do.

    What was chosen for a shape is kept in the store: a sweep that is resumed, by whatever version, on however many
    workers, has the packs and ways it began with. What the spec says counts more.
    """
    shapes = groups(plan)
    settled = wishes.settled()
    if settled is not None:
        return dict.fromkeys(shapes, settled)
    held = {shape: record for shape in shapes if (record := store.read_choice(shape)) is not None}
    found = {shape: _said(Choice.of(record), wishes) for shape, record in held.items()}
    wanting = [
        _tuning(shape, tasks, wishes)
        for shape, tasks in shapes.items()
        if shape not in found and any(task.id in todo for task in tasks)
    ]
    if workers is not None and wanting:
        say(f"trying how {len(wanting)} shape(s) of tasks are computed best; what is found is kept in the store")
        for tuning, choice in zip(wanting, workers.tune(wanting), strict=True):
            holds = Choice.of(store.write_choice(tuning.shape, choice.record()))  # another driver may have been first
            found[tuning.shape] = _said(holds, wishes)
    rule = {shape: by_rule(wishes, len(tasks)) for shape, tasks in shapes.items()}
    chosen = rule | found
    if wishes.pack == "auto":  # two workers at least have something to do, also where a shape has few tasks now
        chosen = {s: replace(c, most=min(c.most, -(-len(shapes[s]) // 2))) for s, c in chosen.items()}
    return chosen


def _said(choice: Choice, wishes: Wishes) -> Choice:
    """A choice made earlier, but for what the spec now says."""
    switches: Mapping[str, str] = {
        "compiled": wishes.compiled,
        "graphed": wishes.graphed,
        "channels_last": wishes.channels_last,
    }
    said = {name: value == "on" for name, value in switches.items() if value != "auto"}
    most = choice.most if wishes.pack == "auto" else wishes.pack
    return replace(choice, most=most, way=replace(choice.way, **said))


def _tuning(shape: str, tasks: list[Task], wishes: Wishes) -> Tuning:
    texts = {id(task.blueprint): task.blueprint.spec.model_dump_json() for task in tasks[:_SPECS]}
    specs = tuple(texts[id(task.blueprint)] for task in tasks[:_SPECS])
    return Tuning(shape, tasks[0].kind, specs, len(tasks), wishes)
