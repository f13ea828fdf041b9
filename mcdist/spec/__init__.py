"""What a sweep is: frozen models, YAML, the JSON schema."""

from mcdist.spec.base import SpecModel, canonical
from mcdist.spec.dynamics import DriftSpec, RelaxationSpec
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.load import dump_spec, load_spec
from mcdist.spec.load_ensemble_study import dump_ensemble_study, load_any_study, load_ensemble_study
from mcdist.spec.load_study import dump_study, load_study
from mcdist.spec.measures import CurvatureSpec, MeasureSpec, PlaneSpec, ProfileSpec
from mcdist.spec.paths import AlignSpec, CycleSpec, NebSpec, PathSpec
from mcdist.spec.problem import AnyProblem, DataSpec, ModelSpec, ProblemSpec, ValleySpec
from mcdist.spec.resources import ResourcesSpec
from mcdist.spec.schema import any_study_schema, ensemble_study_schema, json_schema, study_schema
from mcdist.spec.sections import EndpointsSpec, PairsSpec
from mcdist.spec.study import SearchSpec, StudySpec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.training import ScheduleSpec, TrainSpec

__all__ = [
    "AlignSpec",
    "AnyProblem",
    "CurvatureSpec",
    "CycleSpec",
    "DataSpec",
    "DriftSpec",
    "EndpointsSpec",
    "EnsembleSpec",
    "EnsembleStudySpec",
    "MeasureSpec",
    "ModelSpec",
    "NebSpec",
    "PairsSpec",
    "PathSpec",
    "PlaneSpec",
    "ProblemSpec",
    "ProfileSpec",
    "RelaxationSpec",
    "ResourcesSpec",
    "ScheduleSpec",
    "SearchSpec",
    "SpecModel",
    "StudySpec",
    "SweepSpec",
    "TrainSpec",
    "ValleySpec",
    "any_study_schema",
    "canonical",
    "dump_ensemble_study",
    "dump_spec",
    "dump_study",
    "ensemble_study_schema",
    "json_schema",
    "load_any_study",
    "load_ensemble_study",
    "load_spec",
    "load_study",
    "study_schema",
]
