"""What a sweep asks of ensembles against its data and its models."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mcdist.errors import RequestError
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.sections import EndpointsSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at, check_path, of_problems
from mcdist.tasks.problem_kinds.kind import Facts

__all__ = ["check_cycle", "check_ensembles"]

_WHOLE = 1e-3  # steps: a third of an epoch, as a decimal, is as many steps as was meant


def check_ensembles(spec: SweepSpec, facts: Sequence[Facts], source: str) -> None:
    """Raise RequestError for ensembles that cannot be."""
    for i, ensemble in enumerate(spec.ensembles):
        with at(f"{source}: ensembles.{i}"):
            if ensemble.path is not None:
                with at("path"):
                    check_path(ensemble.path)
            for name, fact in of_problems(facts):
                with at(name):
                    _check(spec, ensemble, fact)


def _check(spec: SweepSpec, ensemble: EnsembleSpec, facts: Facts) -> None:
    if "likelihood" in facts.lacks:
        raise RequestError(f"an ensemble averages probabilities: it {facts.lacks['likelihood']}")
    for group in spec.endpoints:
        if not group.spawn:
            _check_steps(ensemble, group, facts.steps(group.train.batch_size))


def _check_steps(ensemble: EnsembleSpec, group: EndpointsSpec, steps: int) -> None:
    """Raise RequestError for cycles that these steps an epoch do not make up."""
    B = group.train.epochs
    if ensemble.cycle is not None:
        with at("cycle"):
            left = min(ensemble.run_epochs(B, budget) - ensemble.begins(B, budget) for budget in ensemble.budgets)
            check_cycle(ensemble.cycle, steps, left)
    if ensemble.cycles is not None:
        total = min(ensemble.run_epochs(B, budget) for budget in ensemble.budgets) * steps
        if ensemble.cycles > total:
            raise RequestError(f"cycles: {ensemble.cycles} are more than the {total} steps of a run")


def check_cycle(cycle: float, steps: int, left: float = math.inf) -> None:
    """Raise RequestError for a triangular cycle whose middle, where the rate is lowest, is no step.

    cycle: epochs. steps: of an epoch. left: epochs that there are for cycles, of which the message names possible ones.
    """
    asked = cycle * steps
    if _is(asked, round(asked)) and round(asked) >= 2 and round(asked) % 2 == 0:
        return
    below = max(2, 2 * int(asked // 2))
    near = [f"{_typed(c, steps)} ({c} steps)" for c in (below, below + 2) if c <= left * steps]
    nearest = (
        f"near it {'is' if len(near) == 1 else 'are'} {' or '.join(near)}"
        if near
        else f"the {left:g} epochs that are left have no two steps"
    )
    raise RequestError(
        f"{cycle:g} epochs are {asked:g} steps ({steps} in an epoch): a cycle needs an even number of them, so that "
        f"its lowest rate is in the middle; {nearest}"
    )


def _is(asked: float, whole: int) -> bool:
    return abs(asked - whole) <= _WHOLE


def _typed(c: int, steps: int) -> str:
    """The epochs of c steps, in as few digits (of five or more) as say it."""
    texts = (f"{c / steps:.{digits}g}" for digits in range(5, 18))
    return next(text for text in texts if _is(float(text) * steps, c))
