"""The specifications of tasks: what one unit of work is, whoever asked for it.

A task's id is a hash of its kind, the kind's version, its canonical specification and the ids of its inputs. Raise a
version when the same specification comes to mean other numbers (a changed default, a mended formula).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mcdist.spec.base import SCALAR, Real, Seed, SpecModel
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.sections import PathSpec, ProfileSpec
from mcdist.spec.training import TrainSpec

__all__ = ["TASK_SPECS", "EndpointTask", "PathTask", "PauseTask", "ProblemTask", "ProfileTask", "TaskSpec"]


class TaskSpec(SpecModel):
    """Base of all task specifications."""

    kind: ClassVar[str]
    version: ClassVar[int]


class ProblemTask(TaskSpec):
    """Base of the tasks of a sweep: they work on a problem."""

    problem: ProblemSpec


class EndpointTask(ProblemTask):
    """Train one network from a seed. No inputs."""

    kind = "endpoint"
    version = 1

    train: TrainSpec
    seed: Seed = Field(json_schema_extra=SCALAR, description="seed of initial weights and data order")


class PathTask(ProblemTask):
    """Connect two end points. Inputs: end point a, end point b."""

    kind = "path"
    version = 1

    path: PathSpec


class ProfileTask(ProblemTask):
    """Metrics along a path, and its barriers. Input: the path."""

    kind = "profile"
    version = 1

    profile: ProfileSpec


class PauseTask(TaskSpec):
    """Wait, and give nothing: a stand-in for work, to measure what the machinery around it costs. No inputs.

    No section of a sweep asks for it.
    """

    kind = "pause"
    version = 1

    seconds: Real = Field(ge=0, json_schema_extra=SCALAR, description="how long")
    number: Seed = Field(json_schema_extra=SCALAR, description="tells pauses of one length apart")


TASK_SPECS: dict[str, type[TaskSpec]] = {spec.kind: spec for spec in (EndpointTask, PathTask, ProfileTask, PauseTask)}
