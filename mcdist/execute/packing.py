"""How many tasks make up a pack."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal, cast

from mcdist.plan.graph import Plan
from mcdist.plan.packs import groups
from mcdist.spec.base import canonical
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import ProblemTask
from mcdist.store import Store
from mcdist.tasks.problems import Facts

__all__ = ["pack_sizes"]

_MOST = 16


def pack_sizes(
    plan: Plan, facts: Sequence[Facts], wanted: int | Literal["auto"], store: Store | None
) -> dict[str, int]:
    """The greatest pack of each shape, by group.

    auto: convolutional networks alone (on a CPU stacks of them are no faster), others in at least two parts of at most
    16, whatever the number of workers: packs, and so the last bits of every result, must not depend on it. The
    most that was chosen for a shape is kept in the store, so that a sweep resumed by a later version has the packs it
    began with.
    """
    if wanted != "auto":
        return dict.fromkeys(groups(plan), wanted)
    known: Mapping[str, Facts] = {_key(problem): fact for problem, fact in zip(plan.spec.problem, facts, strict=True)}
    sizes = {}
    for group, tasks in groups(plan).items():
        most = 1 if known[_key(cast(ProblemTask, tasks[0].blueprint.spec).problem)].convolutional else _MOST
        if store is not None:
            held = store.read_choice(group) or store.write_choice(group, {"most": most})
            most = int(held["most"])
        sizes[group] = min(most, -(-len(tasks) // 2))
    return sizes


def _key(problem: ProblemSpec) -> str:
    return json.dumps(canonical(problem), sort_keys=True)
