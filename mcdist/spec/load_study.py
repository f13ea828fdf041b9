"""From a YAML file (or plain data) and `--set` changes to a `StudySpec`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mcdist.errors import RequestError
from mcdist.spec.base import SpecModel
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.explain import explain
from mcdist.spec.load import read_source
from mcdist.spec.ranges import Scalar
from mcdist.spec.study import StudySpec
from mcdist.spec.yaml_source import Keys, Source, write_yaml

__all__ = ["dump_study", "load_study"]

_MOST_CORNERS = 4096


def load_study(source: str | Path | Mapping[str, Any], changes: Sequence[str] = ()) -> StudySpec:
    """The study that a YAML file, or a mapping of the same form, describes.

    changes: `key.inner=value` each, applied first. Raises RequestError, one line for each thing that is wrong: where,
    what was got, what is allowed. Every combination of listed values and of bounds must be a possible relaxation.
    """
    parsed = read_source(source, changes, "a study is a mapping (name: ..., sweep: ..., space: ...)", StudySpec)
    if "endpoints" in parsed.data and "space" not in parsed.data:
        raise RequestError(f"{parsed.name}: is a sweep, with nothing to be searched: for 'mcdist run', not 'tune'")
    try:
        study = StudySpec.model_validate_json(json.dumps(parsed.data))
    except ValidationError as error:
        raise RequestError(explain(error, parsed.data, {}, parsed, StudySpec, "the study")) from error
    for corner in itertools.islice(study.corners(), _MOST_CORNERS):
        _check(study, corner, parsed)
    return study


class _Subject(SpecModel):
    """What the subject of a study comes to at one setting."""

    relaxation: RelaxationSpec


def _check(study: StudySpec, corner: Mapping[str, tuple[Scalar, tuple[str, int]]], source: Source) -> None:
    """Raise where the relaxation at this setting is none; the message names the places in the file."""
    data = {"relaxation": {**study.relaxation, **{name: value for name, (value, _) in corner.items()}}}
    origins: dict[Keys, Keys] = {("relaxation", name): ("space", name, *place) for name, (_, place) in corner.items()}
    try:
        _Subject.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise RequestError(explain(error, data, origins, source, _Subject)) from error


def dump_study(study: StudySpec, settings: Sequence[Mapping[str, Scalar]], notes: Sequence[str] = ()) -> str:
    """YAML of a study with every default filled in, which `load_study` reads back.

    settings: those that were begun, in order. notes: lines put in front as comments.
    """
    data = study.model_dump(mode="json")
    data["space"] = {name: {given.form: data["space"][name][given.form]} for name, given in study.space.items()}
    data["settings"] = [dict(setting) for setting in settings]
    return "".join(f"# {line}\n" for note in notes for line in note.splitlines()) + write_yaml(data)
