"""mcdist: distributed sweeps of mode-connectivity experiments on Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcdist.errors import McdistError, RequestError
from mcdist.version import __version__

if TYPE_CHECKING:
    from mcdist.api import plan, run
    from mcdist.spec import load_spec
    from mcdist.store import open_store

__all__ = ["McdistError", "RequestError", "__version__", "load_spec", "open_store", "plan", "run"]

_HOMES = {"plan": "mcdist.api", "run": "mcdist.api", "load_spec": "mcdist.spec", "open_store": "mcdist.store"}


def __getattr__(name: str) -> Any:
    """Public names, imported when first used: reading a store should not load all of torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mcdist' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
