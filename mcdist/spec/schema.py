"""The JSON schema of a sweep as a user may write it, for editors that check and complete YAML."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from mcdist.spec.base import MARKS, SpecModel
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.ensemble_study import TRIED, EnsembleStudySpec
from mcdist.spec.ensembles import EnsembleSpec
from mcdist.spec.grid import AXES
from mcdist.spec.study import SEARCHED, StudySpec
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.walk import model_at, models_in
from mcdist.spec.yaml_source import Keys

__all__ = ["any_study_schema", "ensemble_study_schema", "json_schema", "study_schema"]

Schema = dict[str, Any]

_ABOUT = ("description", "default")
"""Keywords that restrict nothing; they stay outermost, where editors look for them."""


def json_schema() -> Schema:
    """The schema (draft 2020-12) of what `load_spec` reads: grids, short forms, one mapping in place of a list.

    It knows names, types and bounds. What takes two fields to see (momentum for adam, a pair out of range) and the
    names of the registries (models, path kinds) are checked when a sweep is loaded or planned.
    """
    schema = _tidy(SweepSpec.model_json_schema())
    definitions: dict[str, Schema] = schema["$defs"]
    _add_counts_and_lists(definitions)
    short = {m.__name__: definitions[m.__name__]["properties"][m.short] for m in _models(SweepSpec) if m.short}
    for model in {inner for axis in AXES for inner in _all_at(axis)}:
        if "properties" not in definitions[model.__name__]:
            continue  # pairs, which stand in the sweep too, where no grid may be
        fields = definitions[model.__name__]["properties"]
        fields.update({name: _or_grid(field) for name, field in fields.items()})
    for axis in AXES:
        owner = model_at(axis[:-1])
        holder = definitions[owner.__name__] if owner and owner is not SweepSpec else schema
        field, entry = holder["properties"][axis[-1]], _or_grid(holder["properties"][axis[-1]]["items"])
        holder["properties"][axis[-1]] = _any_of({**field, "items": entry}, entry)
    for name, text in short.items():
        definitions[name] = _any_of(definitions[name], text)
    schema["properties"]["pairs"]["default"] = "all"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mcdist sweep", **schema}


def study_schema() -> Schema:
    """The schema of what `load_study` reads. What takes two fields to see is checked when a study is loaded."""
    schema = _tidy(StudySpec.model_json_schema())
    subject = _tidy(RelaxationSpec.model_json_schema())
    schema["$defs"] |= subject.pop("$defs", {})
    fields: dict[str, Schema] = {name: field for name, field in subject["properties"].items() if name != "kinds"}
    fields["starts"] = _any_of({**fields["starts"], "minItems": 1}, {"type": "integer", "minimum": 1})
    schema["properties"]["relaxation"] |= {"properties": fields, "additionalProperties": False}
    _search_over(schema, SEARCHED)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mcdist study", **schema}


def ensemble_study_schema() -> Schema:
    """The schema of what `load_ensemble_study` reads, likewise."""
    schema = _tidy(EnsembleStudySpec.model_json_schema())
    subject = _tidy(EnsembleSpec.model_json_schema())["properties"]
    fields = {name: subject[name] for name in dict.fromkeys(itertools.chain(*TRIED.values()))}
    method = {"enum": list(TRIED), "description": subject["method"]["description"]}
    properties, definitions = schema["properties"], schema["$defs"]
    properties["ensemble"] |= {"properties": {"method": method, **fields}, "additionalProperties": False}
    properties["ensemble"]["required"] = ["method"]
    final = definitions["FinalSpec"]["properties"]
    final["published"] |= {"properties": fields, "additionalProperties": False}
    budget = {"type": "integer", "minimum": 1, "maximum": EnsembleSpec.BUDGETS}
    final["budgets"] = _any_of({**final["budgets"], "items": budget, "minItems": 1, "uniqueItems": True}, budget)
    _add_switches(definitions)
    _add_seeds(definitions)
    for model in set(_models(EnsembleStudySpec)):
        if model.short:
            text = definitions[model.__name__]["properties"][model.short]
            definitions[model.__name__] = _any_of(definitions[model.__name__], text)
    _search_over(schema, fields)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mcdist study of ensembles", **schema}


def any_study_schema() -> Schema:
    """The schema of what `load_any_study` reads: with `ensemble` a study of ensembles, else one of noise."""
    noise, ensembles = study_schema(), ensemble_study_schema()
    definitions = noise.pop("$defs") | ensembles.pop("$defs")
    return {
        "$schema": noise.pop("$schema"),
        "title": "mcdist study",
        "if": {"required": ["ensemble"]},
        "then": {name: part for name, part in ensembles.items() if name != "$schema"},
        "else": noise,
        "$defs": definitions,
    }


def _search_over(schema: Schema, names: Iterable[str]) -> None:
    """A study's space has ranges for these fields, each in one of the forms."""
    spread, ranges = schema["$defs"]["RangeSpec"], {name: {"$ref": "#/$defs/RangeSpec"} for name in names}
    schema["properties"]["space"] |= {"properties": ranges, "additionalProperties": False, "minProperties": 1}
    spread |= {"minProperties": 1, "maxProperties": 1}
    spread["properties"] = {name: _given(field) for name, field in spread["properties"].items()}
    schema["properties"]["settings"]["items"] = {"type": "object"}


def _given(field: Schema) -> Schema:
    """A field that is left out or has a value, not null."""
    value = next(inner for inner in field["anyOf"] if inner.get("type") != "null")
    return {"description": field["description"], **value, "minItems": value.get("minItems", 1)}


def _all_at(axis: Keys) -> Iterator[type[SpecModel]]:
    """The models that an axis may hold, and all inside them."""
    owner = model_at(axis[:-1])
    assert owner is not None
    for model in models_in(owner.model_fields[str(axis[-1])].annotation):
        yield from _models(model)


def _models(model: type[SpecModel] | None) -> Iterator[type[SpecModel]]:
    """A model and all models inside it."""
    if model is not None:
        yield model
        for field in model.model_fields.values():
            for inner in models_in(field.annotation):
                yield from _models(inner)


def _tidy(node: Schema) -> Schema:
    """Without pydantic's titles and the field marks."""
    tidy: Schema = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):
            tidy[key] = {name: _tidy(inner) for name, inner in value.items()}
        elif key in ("anyOf", "oneOf", "prefixItems"):
            tidy[key] = [_tidy(inner) for inner in value]
        elif key == "items":
            tidy[key] = _tidy(value)
        elif key != "title" and key not in MARKS:
            tidy[key] = value
    return tidy


def _add_counts_and_lists(definitions: dict[str, Schema]) -> None:
    """The short forms that are no plain names: `seeds: 8`, `starts: 9`, `budgets: 2`, `pairs: all`, `pairs: [[0, 1]]`,
    `train: none`, one `valuation` or `start` in place of a list; and on and off, which are true and false to YAML.
    """
    _add_switches(definitions)
    _add_seeds(definitions)
    endpoints = definitions["EndpointsSpec"]["properties"]
    endpoints["train"] = _any_of(endpoints["train"], {"const": "none"})
    for auction in ("RochetNetSpec", "AffineMaximizerSpec"):
        fields = definitions[auction]["properties"]
        for listed in ("valuation", "start"):
            fields[listed] = _any_of(fields[listed], fields[listed]["items"])
    pairs = definitions["PairsSpec"]
    budgets = definitions["EnsembleSpec"]["properties"]
    budget = {"type": "integer", "minimum": 1, "maximum": EnsembleSpec.BUDGETS}
    budgets["budgets"] = _any_of({**budgets["budgets"], "items": budget, "minItems": 1, "uniqueItems": True}, budget)
    for name, count in (("DriftSpec", "starts"), ("DriftSpec", "steps"), ("RelaxationSpec", "starts")):
        field = definitions[name]["properties"][count]
        definitions[name]["properties"][count] = _any_of({**field, "minItems": 1}, {"type": "integer", "minimum": 1})
    given = {key: value for key, value in pairs["properties"]["pairs"].items() if key not in _ABOUT}
    definitions["PairsSpec"] = _any_of(pairs, {"enum": ["all", "chain", "none"]}, {**given, "minItems": 1})


def _add_switches(definitions: dict[str, Schema]) -> None:
    resources = definitions["ResourcesSpec"]["properties"]
    for switch in ("compile", "cuda_graphs", "channels_last", "autoscaling"):
        resources[switch] = _any_of(resources[switch], {"type": "boolean"})


def _add_seeds(definitions: dict[str, Schema]) -> None:
    endpoints = definitions["EndpointsSpec"]["properties"]
    endpoints["seeds"] = _any_of({**endpoints["seeds"], "minItems": 1}, {"type": "integer", "minimum": 1})


def _any_of(field: Schema, *others: Schema) -> Schema:
    """What `field` allows or one of the others does, with what is said about `field`."""
    about = {key: field[key] for key in _ABOUT if key in field}
    return {**about, "anyOf": [{k: v for k, v in field.items() if k not in _ABOUT}, *others]}


def _or_grid(field: Schema) -> Schema:
    """What `field` allows, or a grid of that; in a list, each entry may be a grid too."""
    value = _with_grids_inside({k: v for k, v in field.items() if k not in _ABOUT})
    grid = {
        "type": "object",
        "properties": {"grid": {"type": "array", "items": value, "minItems": 1}},
        "required": ["grid"],
        "additionalProperties": False,
    }
    return _any_of({**field, **value}, grid)


def _with_grids_inside(value: Schema) -> Schema:
    inside: Schema = {}
    if "anyOf" in value:
        inside["anyOf"] = [_with_grids_inside(inner) for inner in value["anyOf"]]
    if "items" in value:
        inside["items"] = _or_grid(value["items"])
    if "prefixItems" in value:
        inside["prefixItems"] = [_or_grid(inner) for inner in value["prefixItems"]]
    return {**value, **inside}
