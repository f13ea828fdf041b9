"""From a YAML file (or plain data) and `--set` changes to a `SweepSpec`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mcdist.errors import RequestError
from mcdist.spec.explain import explain
from mcdist.spec.grid import expand, refuse_grids
from mcdist.spec.sweep import SweepSpec
from mcdist.spec.yaml_source import Keys, Source, parse_yaml

__all__ = ["dump_spec", "load_spec"]

_AXES: tuple[Keys, ...] = (("problem",), ("endpoints",), ("paths",), ("measure", "profile"))
"""Sections that may be one mapping or a list of them, and may hold grids."""

_SHORT = {"data": "name", "model": "name", "schedule": "kind"}
"""Mappings that a plain name stands for, and the key of that name."""


def load_spec(source: str | Path | Mapping[str, Any], changes: Sequence[str] = ()) -> SweepSpec:
    """The sweep that a YAML file, or a mapping of the same form, describes, every grid expanded.

    changes: `key.inner=value` each, applied first (`endpoints.train.epochs=2`; list positions are numbers; the value
    is YAML). Raises RequestError, one line for each thing that is wrong: where, what was got, what is allowed.
    """
    parsed = (
        Source("spec", json.loads(json.dumps(source))) if isinstance(source, Mapping) else _read(Path(source))
    )
    if not isinstance(parsed.data, dict):
        raise RequestError(
            f"{parsed.name}: a sweep is a mapping (name: ..., problem: ...); got {parsed.data!r:.60}"
        )
    for change in changes:
        _apply(change, parsed)
    data, origins = _expanded(parsed)
    try:
        return SweepSpec.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise RequestError(explain(error, data, origins, parsed)) from error


def dump_spec(spec: SweepSpec, notes: Sequence[str] = ()) -> str:
    """YAML of a sweep with every default filled in, which `load_spec` reads back as the same sweep.

    notes: lines put in front as comments.
    """
    head = "".join(f"# {line}\n" for line in notes)
    body: str = yaml.safe_dump(
        _writable(spec.model_dump(mode="json")), sort_keys=False, allow_unicode=True, width=110
    )
    return head + body


def _writable(data: dict[str, Any]) -> dict[str, Any]:
    if data["pairs"]["kind"] == "random":
        data["pairs"] = {"random": data["pairs"]["random"], "seed": data["pairs"]["seed"]}
    else:
        data["pairs"] = data["pairs"]["pairs"] if data["pairs"]["kind"] == "list" else data["pairs"]["kind"]
    return data


def _read(path: Path) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RequestError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: cannot be read as text: {error}") from error
    return parse_yaml(text, str(path))


def _apply(change: str, source: Source) -> None:
    """Set one value; mappings on the way are made where they are missing, short forms written out."""
    where, sign, text = change.partition("=")
    if not sign or not where.strip():
        raise RequestError(f"--set {change}: must be key=value, such as endpoints.train.epochs=2")
    value = parse_yaml(text, f"--set {change}").data if text.strip() else None
    keys = where.strip().split(".")
    at = source.data
    for n, key in enumerate(keys):
        if isinstance(at, list) and key.isdigit() and int(key) < len(at):
            position: str | int = int(key)
        elif isinstance(at, dict):
            position = key
        else:
            what = f"a list of {len(at)}: give a position from 0" if isinstance(at, list) else f"{at!r:.40}"
            raise RequestError(f"--set {change}: {'.'.join(keys[:n])} is {what}")
        if n == len(keys) - 1:
            at[position] = value  # type: ignore[index]
            return
        if isinstance(at, dict):
            inner = at.setdefault(key, {})
            if isinstance(inner, str) and key in _SHORT:
                at[key] = {_SHORT[key]: inner}
        at = at[position]  # type: ignore[index]


def _expanded(source: Source) -> tuple[dict[str, Any], dict[Keys, Keys]]:
    """The data with each axis a list of grid-free mappings, and where in the source each came from."""
    data, origins = json.loads(json.dumps(source.data, default=str)), dict[Keys, Keys]()
    for axis in _AXES:
        holder = data.get(axis[0]) if len(axis) == 2 else data
        if not isinstance(holder, dict) or axis[-1] not in holder:
            continue
        given = holder[axis[-1]]
        items = given if isinstance(given, list) else [given]
        whole: list[Any] = []
        for i, item in enumerate(items):
            origin = (*axis, i) if isinstance(given, list) else axis
            for one in expand(item, origin, source):
                origins[(*axis, len(whole))] = origin
                whole.append(one)
        holder[axis[-1]] = whole
    refuse_grids({k: v for k, v in data.items() if (k,) not in _AXES}, (), source)
    return data, origins
