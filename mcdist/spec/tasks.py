"""The specifications of tasks: what one unit of work is, whoever asked for it.

A task's id is a hash of its kind, the kind's version, its canonical specification and the ids of its inputs. Raise a
version when the same specification comes to mean other numbers (a changed default, a mended formula).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mcdist.spec.base import SCALAR, Flag, Int, Real, Seed, SpecModel
from mcdist.spec.dynamics import DriftSpec, RelaxationSpec
from mcdist.spec.ensembles import Method
from mcdist.spec.measures import CurvatureSpec, PlaneSpec, ProfileSpec
from mcdist.spec.paths import AlignSpec, NebSpec, PathSpec
from mcdist.spec.problem import AnyProblem
from mcdist.spec.training import TrainSpec

__all__ = [
    "TASK_SPECS",
    "AlignTask",
    "BranchTask",
    "CurvatureTask",
    "DriftTask",
    "EndpointTask",
    "EnsembleTask",
    "EnsembleTrialTask",
    "FinetuneTask",
    "JoinTask",
    "PathTask",
    "PauseTask",
    "PlaneTask",
    "ProblemTask",
    "ProfileTask",
    "RelaxationTask",
    "TaskSpec",
    "TrajectoryTask",
    "TrialTask",
    "TrunkTask",
    "TwinTask",
]


class TaskSpec(SpecModel):
    """Base of all task specifications."""

    kind: ClassVar[str]
    version: ClassVar[int]


class ProblemTask(TaskSpec):
    """Base of the tasks of a sweep: they work on a problem."""

    problem: AnyProblem


class EndpointTask(ProblemTask):
    """Train one network from a seed. No inputs."""

    kind = "endpoint"
    version = 1

    train: TrainSpec
    seed: Seed = Field(json_schema_extra=SCALAR, description="seed of initial weights and data order")


class TrunkTask(ProblemTask):
    """Train one network from a seed, as an end point, as far as the last epoch at which it is split. No inputs.

    What is kept: weights, buffers and the optimiser's memory after each of these epochs.
    """

    kind = "trunk"
    version = 1

    train: TrainSpec
    seed: Seed = Field(json_schema_extra=SCALAR, description="seed of initial weights and data order")
    spawn: tuple[Int, ...]


class BranchTask(ProblemTask):
    """Train a network on to the end from where it was split, with a data order of its own. Input: the trunk."""

    kind = "branch"
    version = 1

    train: TrainSpec
    seed: Seed = Field(json_schema_extra=SCALAR, description="the trunk's seed, and part of the data order's name")
    epoch: Int = Field(ge=0, description="epochs of the trunk, of all that the training has")
    branch: Int = Field(ge=0, json_schema_extra=SCALAR, description="which of the branches; names the data order")


class FinetuneTask(ProblemTask):
    """Train an end point on, as the interior of a path was trained. Input: the end point.

    train: the path's; neb: that of an AutoNEB, whose cycles are then the end point's.
    """

    kind = "finetune"
    version = 1

    train: TrainSpec | None = None
    neb: NebSpec | None = None
    seed: Seed = Field(0, json_schema_extra=SCALAR, description="seed of the data order")


class AlignTask(ProblemTask):
    """Permute the hidden units of end point b to match end point a. Inputs: end point a, end point b."""

    kind = "align"
    version = 1

    align: AlignSpec


class PathTask(ProblemTask):
    """Connect two end points. Inputs: end point a, end point b, and where b is permuted, its alignment to a."""

    kind = "path"
    version = 1

    path: PathSpec


class JoinTask(ProblemTask):
    """One path after another, through several end points.

    Inputs: the legs, in order; then, where they are aligned, the alignment of each. reversed: whether a leg is walked
    from its end b to its end a.
    """

    kind = "join"
    version = 1

    path: PathSpec
    reversed: tuple[Flag, ...]


class ProfileTask(ProblemTask):
    """Metrics along a path, and its barriers. Input: the path."""

    kind = "profile"
    version = 1

    profile: ProfileSpec


class CurvatureTask(ProblemTask):
    """Curvature along a path, or at an end point.

    Inputs: the path and, for the controls, its two ends trained on; or the end point.
    """

    kind = "curvature"
    version = 1

    curvature: CurvatureSpec
    of: Literal["path", "endpoint"] = "path"


class PlaneTask(ProblemTask):
    """Losses on the plane through three points. Inputs: a path (its ends and its middle), or three end points."""

    kind = "plane"
    version = 1

    plane: PlaneSpec
    of: Literal["path", "endpoints"] = "path"


class TwinTask(ProblemTask):
    """The noise-free twins of drifts: the same steps from the same points on full batches. Input: the path.

    drift: a `DriftSpec.twin`.
    """

    kind = "twin"
    version = 1

    drift: DriftSpec


class DriftTask(ProblemTask):
    """Mean drift of noisy dynamics from points of a path. Inputs: the path, its twins."""

    kind = "drift"
    version = 1

    drift: DriftSpec


class RelaxationTask(ProblemTask):
    """Noisy dynamics from points of a path, held to it. Input: the path."""

    kind = "relaxation"
    version = 1

    relaxation: RelaxationSpec


class TrialTask(ProblemTask):
    """One trial of a study of noise: the relaxation of many paths, summed up. Inputs: the relaxations."""

    kind = "trial"
    version = 1

    relaxation: RelaxationSpec


class TrajectoryTask(ProblemTask):
    """Train a network with a cyclic rate, and keep a member at the low point of each cycle.

    Input: the trunk split at epoch `start`; the end point, where `start` is its last epoch; none for `start` 0, which
    is from the seed. Data order and initial weights are those of the end point of the same seed: only the rate differs.
    """

    kind = "trajectory"
    version = 1

    train: TrainSpec
    seed: Seed = Field(json_schema_extra=SCALAR, description="seed of initial weights and data order")
    start: Int = Field(ge=0, description="epochs before the cycles")
    epochs: Int = Field(ge=1, description="most epochs, those before the cycles included")
    rate: Literal["triangle", "cosine"]
    lr1: Real = Field(gt=0.0, json_schema_extra=SCALAR, description="highest rate")
    lr2: Real = Field(0.0, ge=0.0, json_schema_extra=SCALAR, description="triangle: lowest rate")
    cycle: Real | None = Field(None, gt=0.0, description="triangle: epochs of a cycle")
    cycles: Int | None = Field(None, ge=1, description="cosine: cycles")
    rates: tuple[tuple[Real, Real], ...] = Field(
        (), description="triangle: lr1 and lr2 of each stretch that ends in a member, where they change on the way"
    )
    looks: Int = Field(4, ge=1, description="evaluations on each cycle")


class EnsembleTask(ProblemTask):
    """Several networks that predict together. Inputs: end points (independent), trajectories, or a curve."""

    kind = "ensemble"
    version = 1

    method: Method
    seed: Seed = Field(json_schema_extra=SCALAR, description="of its first network")
    budget: Int = Field(ge=1, description="multiples of the epochs that train one end point")
    epochs: Int = Field(ge=1, description="epochs that train one end point")
    spent: Int | None = Field(None, description="epochs that the inputs took; null: trajectories say it themselves")
    points: Int | None = Field(None, ge=2, description="curve: members")
    predictions: Flag = False


class EnsembleTrialTask(ProblemTask):
    """One trial of a study of ensembles: as many cycles as it was given, of networks from several seeds.

    Inputs: what the trajectories start from, in the order of the seeds; none for a start from the seeds themselves.
    The trajectory's own seed is not used.
    """

    kind = "ensemble_trial"
    version = 1

    trajectory: TrajectoryTask
    seeds: tuple[Seed, ...] = Field(min_length=1)
    cycles: Int = Field(ge=1, description="members of each trajectory until it was broken off, or all there are")


class PauseTask(TaskSpec):
    """Wait, and give nothing: a stand-in for work, to measure what the machinery around it costs. No inputs.

    No section of a sweep asks for it.
    """

    kind = "pause"
    version = 1

    seconds: Real = Field(ge=0, json_schema_extra=SCALAR, description="how long")
    number: Seed = Field(json_schema_extra=SCALAR, description="tells pauses of one length apart")


TASK_SPECS: dict[str, type[TaskSpec]] = {
    spec.kind: spec
    for spec in (
        EndpointTask,
        TrunkTask,
        BranchTask,
        FinetuneTask,
        AlignTask,
        PathTask,
        JoinTask,
        ProfileTask,
        CurvatureTask,
        PlaneTask,
        TwinTask,
        DriftTask,
        RelaxationTask,
        TrialTask,
        TrajectoryTask,
        EnsembleTask,
        EnsembleTrialTask,
        PauseTask,
    )
}
