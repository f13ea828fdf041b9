"""From a YAML file (or plain data) and `--set` changes to an `EnsembleStudySpec`; which kind of study a file is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mcdist.errors import RequestError
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.explain import explain
from mcdist.spec.load import read_source
from mcdist.spec.load_study import load_study
from mcdist.spec.ranges import Scalar
from mcdist.spec.study import Setting, StudySpec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.yaml_source import Keys, Source, plain, write_yaml

__all__ = ["dump_ensemble_study", "load_any_study", "load_ensemble_study"]

_MOST_CORNERS = 4096
_NOISE = ("relaxation", "sweep", "kinds")
_ENSEMBLES = ("ensemble", "ensembles", "final")


def load_any_study(
    source: str | Path | Mapping[str, Any], changes: Sequence[str] = ()
) -> StudySpec | EnsembleStudySpec:
    """The study that a file or a mapping describes: of noise (`relaxation`) or of ensembles (`ensemble`).

    Raises RequestError as `load_study` and `load_ensemble_study` do, and for a file that is of both kinds.
    """
    data = read_source(source, (), "a study is a mapping (name: ..., space: ...)", StudySpec).data
    said = data.keys() | {change.partition("=")[0].split(".")[0].strip() for change in changes}
    if {"ensemble", "relaxation"} <= said:
        name = source if isinstance(source, (str, Path)) else "study"
        raise RequestError(f"{name}: has both 'ensemble' and 'relaxation': a study tries one of them; leave one out")
    own = any(key in said for key in _ENSEMBLES) or {"problem", "endpoints", "space"} <= said
    if own and not any(key in data for key in _NOISE):
        return load_ensemble_study(source, changes)
    return load_study(source, changes)


def load_ensemble_study(source: str | Path | Mapping[str, Any], changes: Sequence[str] = ()) -> EnsembleStudySpec:
    """The study that a YAML file, or a mapping of the same form, describes.

    changes: `key.inner=value` each, applied first. Raises RequestError, one line for each thing that is wrong: where,
    what was got, what is allowed. Every combination of listed values and of bounds must be a possible ensemble, and so
    must the published setting and all budgets of the final run.
    """
    what = "a study of ensembles is a mapping (name: ..., problem: ..., ensemble: ..., space: ...)"
    parsed = read_source(source, changes, what, EnsembleStudySpec)
    if "space" not in parsed.data and "ensembles" in parsed.data:
        raise RequestError(f"{parsed.name}: is a sweep, with nothing to be searched: for 'mcdist run', not 'tune'")
    try:
        study = EnsembleStudySpec.model_validate_json(json.dumps(parsed.data))
    except ValidationError as error:
        raise RequestError(explain(error, parsed.data, {}, parsed, EnsembleStudySpec, "the study")) from error
    for corner in itertools.islice(study.corners(), _MOST_CORNERS):
        _check_trial(study, corner, parsed)
    if study.final is not None:
        _check_final(study, parsed)
    return study


def _check_trial(
    study: EnsembleStudySpec, corner: Mapping[str, tuple[Scalar, tuple[str, int]]], source: Source
) -> None:
    """Raise where there is no ensemble of this setting; the message names the places in the file."""
    entry = {**study.ensemble, **{name: value for name, (value, _) in corner.items()}}
    places: dict[Keys, Keys] = {("ensembles", 0): ("ensemble",)}
    places |= {("ensembles", 0, name): ("space", name, *place) for name, (_, place) in corner.items()}
    if "start" not in entry and study.method == "fge":
        places[("ensembles", 0, "start")] = ("ensemble",)
    _check_sweep(study, study.endpoints.seeds, [entry], places, source)


def _check_final(study: EnsembleStudySpec, source: Source) -> None:
    """Raise where the final run cannot be, whatever wins."""
    assert study.final is not None
    budgets = {"budgets": list(study.final.budgets)}
    entries = [{"method": study.method, **study.final.published, **budgets}, {"method": "independent", **budgets}]
    places: dict[Keys, Keys] = {("ensembles", 0): ("final", "published"), ("ensembles", 1): ("final",)}
    places |= {("ensembles", at, "budgets"): ("final", "budgets") for at in range(2)}
    places[("endpoints", 0, "seeds")] = ("final", "seeds")
    _check_sweep(study, study.final.fresh(study.endpoints.seeds), entries, places, source)


def _check_sweep(
    study: EnsembleStudySpec,
    seeds: Sequence[int],
    entries: Sequence[Mapping[str, Any]],
    places: Mapping[Keys, Keys],
    source: Source,
) -> None:
    """Raise where a sweep cannot have these ensembles. places: where its parts stand in the study."""
    data = {
        "name": study.name,
        "problem": [study.problem.model_dump(mode="json")],
        "endpoints": [study.endpoints.model_dump(mode="json") | {"seeds": list(seeds)}],
        "pairs": "none",
        "ensembles": [dict(entry) for entry in entries],
    }
    try:
        SweepSpec.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise RequestError(explain(error, data, places, source)) from error


def dump_ensemble_study(study: EnsembleStudySpec, settings: Sequence[Setting], notes: Sequence[str] = ()) -> str:
    """YAML of a study with every default filled in, which `load_ensemble_study` reads back.

    settings: those that were begun, in order. notes: lines put in front as comments.
    """
    data = study.model_dump(mode="json")
    data["space"] = {name: {given.form: data["space"][name][given.form]} for name, given in study.space.items()}
    data["settings"] = [dict(setting) for setting in settings]
    data = plain(data, study.name)
    return "".join(f"# {line}\n" for note in notes for line in note.splitlines()) + write_yaml(data)
