"""What a sweep asks of noisy dynamics against its paths, its data and its models."""

from __future__ import annotations

from collections.abc import Sequence

from mcdist.errors import RequestError
from mcdist.spec.dynamics import DriftSpec, DynamicsSpec
from mcdist.spec.paths import PathSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at, check_kinds, check_samples, of_problems
from mcdist.tasks.problem_kinds.kind import Facts

__all__ = ["check_dynamics", "check_walk"]


def check_dynamics(spec: SweepSpec, facts: Sequence[Facts], source: str) -> None:
    """Raise RequestError for drifts and relaxations that cannot be."""
    places: list[tuple[str, DynamicsSpec]] = [
        (f"measure.drift.{i}", drift) for i, drift in enumerate(spec.measure.drift)
    ]
    places += [(f"relaxations.{i}", relaxation) for i, relaxation in enumerate(spec.relaxations)]
    for place, how in places:
        with at(f"{source}: {place}"):
            _check_paths(how, spec.paths)
            for name, fact in of_problems(facts):
                with at(name):
                    check_walk(how, fact)


def check_walk(how: DynamicsSpec, facts: Facts) -> None:
    """Raise RequestError for dynamics that a problem has not."""
    if "examples" in facts.lacks:
        if how.noise == "minibatch":
            raise RequestError(f"noise: minibatch {facts.lacks['examples']}; say noise: isotropic and a temperature")
        if how.noise == "isotropic" and how.temperature is None:
            raise RequestError(
                f"temperature: is missing: one that stands for minibatches {facts.lacks['examples']}; say which"
            )
    elif how.noise == "minibatch" or (how.noise == "isotropic" and how.temperature is None):
        if how.batch_size is not None and not facts.unlimited and how.batch_size > facts.train:
            raise RequestError(f"batch_size: {how.batch_size} is more than the {facts.train} training examples")
        check_samples(how.samples, facts)  # for the temperature
    exact = isinstance(how, DriftSpec) or how.noise != "minibatch"
    if exact and (why := facts.noisy()) is not None:
        what = "the noise-free twin of a drift" if isinstance(how, DriftSpec) else f"noise: {how.noise}"
        raise RequestError(f"{what} follows the gradient of all training examples, without any noise; {why}")


def _check_paths(how: DynamicsSpec, paths: Sequence[PathSpec]) -> None:
    """Raise where there is no path to start from."""
    if not paths:
        raise RequestError("there are no paths: say at least one under paths")
    check_kinds(how.kinds, list(dict.fromkeys(path.kind for path in paths)))
    if all(path.repair for path in paths if not how.kinds or path.kind in how.kinds):
        raise RequestError(
            "every path that is meant is a repaired line (repair: true), whose networks are not the points of a line: "
            "there is nothing to walk on"
        )
