"""What a specification names by `package.module:attribute`: the user's own models, losses, samplers."""

from __future__ import annotations

import importlib
from operator import attrgetter
from typing import Any

from mcdist.errors import RequestError

__all__ = ["imported"]


def imported(name: str, who: str, expected: str) -> Any:
    """What stands under the name `package.module:attribute`.

    who: what messages call it; expected: what it should be. Raises RequestError where it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        return attrgetter(attribute)(importlib.import_module(module))
    except Exception as error:  # whatever the module's own code raises
        raise RequestError(
            f"{who} cannot be imported ({type(error).__name__}: {error}); expected {expected}, installed or on "
            "PYTHONPATH"
        ) from error
