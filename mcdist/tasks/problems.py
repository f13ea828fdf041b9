"""From the specification of a problem to the problem, and to what is known of it before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from mcdist.problems.data import Dataset
from mcdist.science.problem import Problem
from mcdist.spec.problem import AnyProblem
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at, check_measures, check_paths, check_possible
from mcdist.tasks.checks_dynamics import check_dynamics
from mcdist.tasks.checks_ensembles import check_ensembles
from mcdist.tasks.problem_kinds.classification import data_key
from mcdist.tasks.problem_kinds.kind import Datasets, Facts
from mcdist.tasks.problem_kinds.registry import PROBLEM_KINDS

__all__ = ["Facts", "Prepared", "build_problem", "data_key", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """A sweep that was checked against the registries and the data.

    spec: with the digests of data files filled in. datasets: by name, for `build_problem`. facts: one per problem, in
    order.
    """

    spec: SweepSpec
    datasets: Mapping[str, Dataset]
    facts: tuple[Facts, ...]


def prepare(spec: SweepSpec, source: str = "spec") -> Prepared:
    """Load the data and check every name and argument. Raises RequestError; writes nothing.

    source: what messages call the spec.
    """
    datasets: dict[str, Dataset] = {}
    problems, facts = [], []
    check_paths(spec, source)
    for i, problem in enumerate(spec.problem):
        where = f"{source}: problem" + (f".{i}" if len(spec.problem) > 1 else "")
        resolved, found = PROBLEM_KINDS[problem.kind].prepare(problem, spec, datasets, where)
        with at(where):
            check_possible(spec.paths, found)
        problems.append(resolved)
        facts.append(found)
    check_measures(spec, facts, source)
    check_dynamics(spec, facts, source)
    check_ensembles(spec, facts, source)
    return Prepared(spec.model_copy(update={"problem": tuple(problems)}), datasets, tuple(facts))


def build_problem(spec: AnyProblem, datasets: Datasets, device: torch.device, channels_last: bool = False) -> Problem:
    """The problem, what data it has copied to the device. channels_last: images in that memory format."""
    return PROBLEM_KINDS[spec.kind].build(spec, datasets, device, channels_last)
