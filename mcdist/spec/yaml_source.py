"""YAML text as plain data that knows its lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from mcdist.errors import RequestError

__all__ = ["Keys", "Source", "parse_yaml"]

Keys = tuple[str | int, ...]
"""Where a value is: mapping keys and list positions from the top."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1, but 1e-3 is a number (as in YAML 1.2)."""


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


@dataclass
class Source:
    """Parsed data, the name of the file it came from, and the line of every value (from 1)."""

    name: str
    data: Any
    lines: dict[Keys, int] = field(default_factory=dict)

    def where(self, keys: Keys) -> str:
        """`file:line` of a value, or of the nearest thing around it that has a line."""
        for end in range(len(keys), -1, -1):
            if keys[:end] in self.lines:
                return f"{self.name}:{self.lines[keys[:end]]}"
        return self.name


def parse_yaml(text: str, name: str) -> Source:
    """Data and lines of one YAML document.

    Raises RequestError where the text is no YAML, is empty, or has a key twice (plain YAML would drop the first).
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise RequestError(f"{name}: the file is empty")
        source = Source(name, None)
        _note_lines(root, (), source)
        source.data = loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise RequestError(f"{name}{line}: not YAML: {problem}") from error
    return source


def _note_lines(node: yaml.Node, keys: Keys, source: Source) -> None:
    source.lines[keys] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*keys, str(key.value))
            if inner in source.lines:
                raise RequestError(
                    f"{source.name}:{key.start_mark.line + 1}: the key {key.value!r} is here twice"
                )
            _note_lines(value, inner, source)
            source.lines[inner] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _note_lines(value, (*keys, i), source)
