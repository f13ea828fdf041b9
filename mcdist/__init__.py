"""mcdist: distributed sweeps of mode-connectivity experiments on Ray."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mcdist.errors import McdistError, RequestError
from mcdist.version import __version__

if TYPE_CHECKING:
    from mcdist.api import plan, run, tune
    from mcdist.spec import load_spec, load_study
    from mcdist.store import open_store

__all__ = [
    "McdistError",
    "RequestError",
    "__version__",
    "load_spec",
    "load_study",
    "open_store",
    "plan",
    "run",
    "tune",
]

_HOMES = {
    "plan": "mcdist.api",
    "run": "mcdist.api",
    "tune": "mcdist.api",
    "load_spec": "mcdist.spec",
    "load_study": "mcdist.spec",
    "open_store": "mcdist.store",
}


class _Package(ModuleType):
    """The function `mcdist.plan` has the name of a subpackage, whose import must not put itself in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Public names, imported when first used: reading a store should not load all of torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mcdist' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
