"""What a study of ensembles asks of its data and its model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from mcdist.errors import RequestError
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.tasks import TrajectoryTask
from mcdist.tasks.checks import at
from mcdist.tasks.checks_ensembles import check_cycle
from mcdist.tasks.cycling import cyclic_rate
from mcdist.tasks.problem_kinds.kind import Facts

__all__ = ["check_ensemble_study", "members_of"]

_MOST_CORNERS = 512


def check_ensemble_study(study: EnsembleStudySpec, facts: Facts) -> None:
    """Raise RequestError where a trial could not be, whatever its setting, or the final run."""
    if "likelihood" in facts.lacks:
        raise RequestError(f"problem: an ensemble averages probabilities: it {facts.lacks['likelihood']}")
    if "val" not in facts.splits:
        raise RequestError(
            "problem.data.validation: there is no validation data, by which trials are judged: hold a part out of "
            "training, such as validation: 0.2"
        )
    for corner in itertools.islice(study.corners(), _MOST_CORNERS):
        setting = {name: value for name, (value, _) in corner.items()}
        places = {name: ".".join(map(str, ("space", name, *place))) for name, (_, place) in corner.items()}
        _check(study, study.at(setting), facts, {name: places.get(name, f"ensemble.{name}") for name in _CHECKED})
    if study.final is not None:
        published = EnsembleSpec.model_validate({"method": study.method, **study.final.published})
        _check(study, published, facts, {name: f"final.published.{name}" for name in _CHECKED})


_CHECKED = ("cycle", "cycles")


def _check(study: EnsembleStudySpec, ensemble: EnsembleSpec, facts: Facts, places: Mapping[str, str]) -> None:
    """Raise where cycles are not made up of the steps that there are. places: where they are said."""
    B, steps = study.endpoints.train.epochs, facts.steps(study.endpoints.train.batch_size)
    if ensemble.cycle is not None:
        with at(places["cycle"]):
            check_cycle(ensemble.cycle, steps, B - ensemble.begins(B, 1))
    if ensemble.cycles is not None and ensemble.cycles > B * steps:
        raise RequestError(f"{places['cycles']}: {ensemble.cycles} are more than the {B * steps} steps of a run")


def members_of(way: TrajectoryTask, facts: Facts) -> list[float]:
    """The epochs, those before the cycles included, after which a trajectory has its members."""
    steps = facts.steps(way.train.batch_size)
    return [way.start + i / steps for i in cyclic_rate([way], steps).members((way.epochs - way.start) * steps)]
