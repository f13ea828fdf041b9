"""What a sweep is: frozen models, YAML, the JSON schema."""

from mcdist.spec.base import SpecModel, canonical
from mcdist.spec.load import dump_spec, load_spec
from mcdist.spec.measures import CurvatureSpec, MeasureSpec, PlaneSpec, ProfileSpec
from mcdist.spec.paths import AlignSpec, CycleSpec, NebSpec, PathSpec
from mcdist.spec.problem import DataSpec, ModelSpec, ProblemSpec
from mcdist.spec.schema import json_schema
from mcdist.spec.sections import EndpointsSpec, PairsSpec, ResourcesSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.training import ScheduleSpec, TrainSpec

__all__ = [
    "AlignSpec",
    "CurvatureSpec",
    "CycleSpec",
    "DataSpec",
    "EndpointsSpec",
    "MeasureSpec",
    "ModelSpec",
    "NebSpec",
    "PairsSpec",
    "PathSpec",
    "PlaneSpec",
    "ProblemSpec",
    "ProfileSpec",
    "ResourcesSpec",
    "ScheduleSpec",
    "SpecModel",
    "SweepSpec",
    "TrainSpec",
    "canonical",
    "dump_spec",
    "json_schema",
    "load_spec",
]
