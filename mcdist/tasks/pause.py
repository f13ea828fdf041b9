"""Task kind `pause`: wait. What is left of the time that a sweep of them takes is the machinery's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from mcdist.spec.tasks import PauseTask
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result

__all__ = ["KIND"]


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """Each pause after the other: a pack takes the sum of their seconds, and gives no rows."""
    for item in items:
        time.sleep(cast(PauseTask, item.spec).seconds)
    return [Result() for _ in items]


KIND = Kind(_run)
