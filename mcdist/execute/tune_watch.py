"""What every study does while Tune's loop runs: ends it where a signal came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray
from ray import tune

from mcdist.execute.driver import Signals

__all__ = ["Interrupt", "Watch", "why_lost"]


class Interrupt(Exception):
    """A signal came; out of Tune's loop, which cleans up."""


class Watch(tune.Callback):
    """Ends Tune's loop once a signal came: trials are killed first, so that none is waited for."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def on_step_begin(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        """See the class; called many times a second."""
        if self._signals.number is None:
            return
        for trial in trials:
            if trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)
        raise Interrupt

    def __getstate__(self) -> dict[str, Any]:
        return {}


def why_lost(trial: Any) -> str:
    """The last line of what Tune knows of a trial whose process is gone."""
    error = trial.get_pickled_error() or trial.get_error()
    return str(error).strip().splitlines()[-1]
