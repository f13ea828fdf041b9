"""What a sweep asks of ensembles against its data and its models."""

from __future__ import annotations

from collections.abc import Sequence

from mcdist.errors import RequestError
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at, check_path, check_possible, of_problems
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
        raise RequestError(f"an ensemble averages probabilities of classes, and {facts.lacks['likelihood']}")
    if ensemble.path is not None:
        with at("path"):
            check_possible((ensemble.path,), facts)
    for group in spec.endpoints:
        steps = facts.steps(group.train.batch_size)
        if ensemble.cycle is not None:
            with at("cycle"):
                check_cycle(ensemble.cycle, steps)
        if ensemble.cycles is not None:
            total = min(ensemble.run_epochs(group.train.epochs, budget) for budget in ensemble.budgets) * steps
            if ensemble.cycles > total:
                raise RequestError(f"cycles: {ensemble.cycles} are more than the {total} steps of a run")


def check_cycle(cycle: float, steps: int) -> None:
    """Raise RequestError for a triangular cycle whose middle, where the rate is lowest, is no step.

    steps: of an epoch.
    """
    asked = cycle * steps
    if abs(asked - round(asked)) > _WHOLE or round(asked) < 2 or round(asked) % 2:
        below = max(2, 2 * int(asked // 2))
        near = " or ".join(f"{c / steps:.6g} ({c} steps)" for c in (below, below + 2))
        raise RequestError(
            f"{cycle:g} epochs are {asked:g} steps ({steps} in an epoch): a cycle needs an even number "
            f"of them, so that its lowest rate is in the middle; near it are {near}"
        )
