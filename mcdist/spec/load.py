"""From a YAML file (or plain data) and `--set` changes to a `SweepSpec`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mcdist.errors import RequestError
from mcdist.spec.base import SpecModel
from mcdist.spec.explain import explain, shown
from mcdist.spec.grid import AXES, expand, refuse_grids
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.walk import model_at
from mcdist.spec.yaml_source import Keys, Source, parse_value, parse_yaml, plain, write_yaml

__all__ = ["dump_spec", "load_spec", "read_source"]


def load_spec(source: str | Path | Mapping[str, Any], changes: Sequence[str] = ()) -> SweepSpec:
    """The sweep that a YAML file, or a mapping of the same form, describes, every grid expanded.

    changes: `key.inner=value` each, applied first (`endpoints.train.epochs=2`; list positions are numbers; the value
    is YAML). Raises RequestError, one line for each thing that is wrong: where, what was got, what is allowed.
    """
    parsed = read_source(source, changes, "a sweep is a mapping (name: ..., problem: ...)")
    if "space" in parsed.data and parsed.data.keys() & {"search", "ensemble"}:
        raise RequestError(f"{parsed.name}: is a study, with a space to be searched: for 'mcdist tune', not 'run'")
    data, origins = _expanded(parsed)
    try:
        return SweepSpec.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise RequestError(explain(error, data, origins, parsed)) from error


def read_source(
    source: str | Path | Mapping[str, Any], changes: Sequence[str], what: str, root: type[SpecModel] = SweepSpec
) -> Source:
    """The mapping that a YAML file or a mapping holds, with the changes made. what: what it should be, for messages."""
    parsed = _given(source) if isinstance(source, Mapping) else _read(Path(source))
    if not isinstance(parsed.data, dict):
        raise RequestError(f"{parsed.where(())}: {what}; got {shown(parsed.data)}")
    for change in changes:
        _apply(change, parsed, root)
    return parsed


def dump_spec(spec: SweepSpec, notes: Sequence[str] = ()) -> str:
    """YAML of a sweep with every default filled in, which `load_spec` reads back as the same sweep.

    notes: lines put in front as comments.
    """
    data = spec.model_dump(mode="json")
    pairs = data["pairs"]
    short = {"random": {"random": pairs["random"], "seed": pairs["seed"]}, "list": pairs["pairs"]}
    data["pairs"] = short.get(pairs["kind"], pairs["kind"])
    return "".join(f"# {line}\n" for note in notes for line in note.splitlines()) + write_yaml(data)


def _given(data: Mapping[str, Any]) -> Source:
    return Source("spec", plain(dict(data), "spec"))


def _read(path: Path) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RequestError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read as text: {error}") from error
    return parse_yaml(text, str(path))


def _apply(change: str, source: Source, root: type[SpecModel]) -> None:
    """Set one value; mappings on the way are made where they are missing, short forms written out."""
    name = f"--set {change}"
    where, sign, text = change.partition("=")
    names = where.strip().split(".")
    if not sign or not all(names):
        raise RequestError(f"{name}: must be key=value, such as endpoints.train.epochs=2")
    value = parse_value(text, name)
    at, keys = source.data, Keys()
    for step in names[:-1]:
        key = _key(at, step, keys, name)
        inner = at.get(key) if isinstance(at, dict) else at[key]
        keys = (*keys, key)
        if inner is None:
            inner = at[key] = {}
        elif isinstance(inner, str) and (model := model_at(keys, root=root)) is not None and model.short is not None:
            inner = at[key] = {model.short: inner}
        at = inner
    key = _key(at, names[-1], keys, name)
    at[key] = value
    source.replaced((*keys, key), name)


def _key(at: Any, step: str, keys: Keys, name: str) -> Any:
    """The key or position that `step` names in the value `at`, which stands at `keys`."""
    if isinstance(at, dict):
        return step
    where = ".".join(map(str, keys))
    if not isinstance(at, list):
        raise RequestError(f"{name}: {where} is {shown(at)} and has no {step!r} in it; set {where} as a whole")
    if not (step.isdecimal() and int(step) < len(at)):
        raise RequestError(f"{name}: {where} is a list of {len(at)}: give a position from 0 in place of {step!r}")
    return int(step)


def _expanded(source: Source) -> tuple[dict[str, Any], dict[Keys, Keys]]:
    """The data with each axis a list of grid-free mappings, and where in the source each part came from."""
    data, origins = plain(source.data, source.name), dict[Keys, Keys]()
    for axis in AXES:
        holder = data.get(axis[0]) if len(axis) == 2 else data
        if not isinstance(holder, dict) or axis[-1] not in holder:
            continue
        given = holder[axis[-1]]
        whole: list[Any] = []
        for i, item in enumerate(given) if isinstance(given, list) else [(None, given)]:
            origin = axis if i is None else (*axis, i)
            for one, inner in expand(item, origin, source):
                place = (*axis, len(whole))
                origins |= {place: origin} | {place + keys: at for keys, at in inner.items()}
                whole.append(one)
        holder[axis[-1]] = whole
    refuse_grids(data, (), source)  # the axes have none left
    return data, origins
