"""YAML text as plain data that knows its lines."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from mcdist.errors import RequestError

__all__ = ["Keys", "Source", "parse_value", "parse_yaml", "plain", "write_yaml"]

Keys = tuple[str | int, ...]
"""Where a value is: mapping keys and list positions from the top."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but 1e-3 is a number (as in YAML 1.2) and a date is text."""


class _Dumper(yaml.SafeDumper):
    """Quotes text that `_Loader` or a plain YAML 1.1 reader would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors: every value is written out."""
        return True


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )


@dataclass
class Source:
    """Parsed data, the name of the file it came from, and for its values where they stand: `file:line`."""

    name: str
    data: Any
    places: dict[Keys, str] = field(default_factory=dict)

    def where(self, keys: Keys) -> str:
        """Where a value stands, or the nearest thing around it of which that is known."""
        for end in range(len(keys), -1, -1):
            if keys[:end] in self.places:
                return self.places[keys[:end]]
        return self.name

    def replaced(self, keys: Keys, place: str) -> None:
        """Note that the value at `keys`, and all in it, now comes from `place`."""
        self.places = {k: v for k, v in self.places.items() if k[: len(keys)] != keys}
        self.places[keys] = place


def parse_yaml(text: str, name: str) -> Source:
    """Data and lines (from 1) of one YAML document; name: of the file, for messages.

    Raises RequestError where the text is no YAML, is empty, has a key twice (plain YAML would drop the first), or
    holds what JSON does not (binary data, sets, something within itself).
    """
    source = Source(name, None)
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise RequestError(f"{name}: the file is empty")
        _note_lines(root, (), source)
        source.data = plain(loader.construct_document(root), name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise RequestError(f"{name}{f':{mark.line + 1}' if mark else ''}: {_problem(error)}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{name}: {_problem(error)}") from error
    return source


def parse_value(text: str, name: str) -> Any:
    """The value that a short piece of YAML stands for, None for no text; name: for the RequestError it may raise."""
    try:
        return plain(yaml.load(text, _Loader), name)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RequestError(f"{name}: {_problem(error)}") from error


def plain(value: Any, name: str) -> Any:
    """A deep copy of `value` as JSON holds it; paths become text, numpy's scalars and arrays become numbers.

    Raises RequestError for what JSON has no form for.
    """

    def written(inner: Any) -> Any:
        if isinstance(inner, os.PathLike):
            return os.fspath(inner)
        if hasattr(inner, "tolist"):
            return inner.tolist()
        raise RequestError(f"{name}: {inner!r:.60} is no number, text, true, false, null, list or mapping")

    try:
        return json.loads(json.dumps(value, default=written))
    except (TypeError, ValueError) as error:  # a key that is no text, something within itself
        raise RequestError(f"{name}: not plain data: {error}") from error


def write_yaml(data: dict[str, Any]) -> str:
    """YAML that `parse_yaml` reads back as the same data."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=110)
    return text


def _problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "not YAML that can be read: something is within itself, or nested too deeply"
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    said = [part for part in (context, problem) if part] or str(error).splitlines()[:1]
    return f"not YAML: {', '.join(said)}"


def _note_lines(node: yaml.Node, keys: Keys, source: Source) -> None:
    source.places.setdefault(keys, f"{source.name}:{node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*keys, str(key.value))
            line = f"{source.name}:{key.start_mark.line + 1}"
            if inner in source.places:
                first = source.places[inner].rpartition(":")[2]
                raise RequestError(f"{line}: the key {key.value!r} is here twice, first in line {first}")
            source.places[inner] = line
            _note_lines(value, inner, source)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _note_lines(value, (*keys, i), source)
