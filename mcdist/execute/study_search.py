"""Which setting a study tries next: a function of the study and of what it has tried, and of nothing else.

Whatever drew them, the same trials before give the same setting: a study that was killed goes on as if it had not been.
"""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcdist.science.streams import Stream
from mcdist.spec.ranges import RangeSpec, Scalar
from mcdist.spec.study import Setting, StudySpec, is_integer

__all__ = ["Tried", "drawn", "next_setting", "rounded", "setting_key"]

_DIGITS = 3  # significant digits of what is drawn from a continuous range: it can be typed, repeated and shared
_DRAWS = 200  # until a setting is drawn that was not tried before
_STARTUP = 5


@dataclass(frozen=True)
class Tried:
    """A trial that was begun. running: it has not ended; steepness: how much the time changes there, None where that is
    not known (it runs, it failed, it has no noise level).
    """

    setting: Setting
    running: bool = False
    steepness: float | None = None


def next_setting(study: StudySpec, tried: Sequence[Tried]) -> Setting | None:
    """A setting that was not tried yet; None where there is none left, or enough were."""
    known = {setting_key(one.setting) for one in tried}
    wanted = study.search.trials
    if wanted is not None and len(tried) >= wanted:
        return None
    for setting in study.settings:
        if setting_key(setting) not in known:
            return dict(setting)
    return _METHODS[study.search.method](study, tried, known)


def _grid(study: StudySpec, tried: Sequence[Tried], known: set[str]) -> Setting | None:
    """The first of all combinations, the last setting varying fastest."""
    lists = [given.values or () for given in study.space.values()]
    every = (dict(zip(study.space, values, strict=True)) for values in itertools.product(*lists))
    return next((setting for setting in every if setting_key(setting) not in known), None)


def _random(study: StudySpec, tried: Sequence[Tried], known: set[str]) -> Setting | None:
    """Drawn by a stream of its own for each trial; of a space nearly used up, one of what is left."""
    numbers = Stream.of("study", study.search.seed, len(tried)).generator()

    def draw() -> Setting:
        return {name: drawn(given, is_integer(name), numbers) for name, given in study.space.items()}

    return _new(draw, study, known)


def _optuna(study: StudySpec, tried: Sequence[Tried], known: set[str]) -> Setting | None:
    """By a tree-structured Parzen estimator (Bergstra et al. 2011) of where the time is steepest.

    It is made anew for each trial: the steepness of all earlier ones changes as neighbours are tried. Trials that run
    count as bad ones, so that others at the same time go elsewhere.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = Stream.of("study", study.search.seed, len(tried)).seed() % 2**32
    startup = study.search.startup or _STARTUP
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(n_startup_trials=startup, seed=seed, constant_liar=True)
    space = {name: _distribution(given, is_integer(name)) for name, given in study.space.items()}
    search = optuna.create_study(sampler=sampler, direction="maximize")
    states = optuna.trial.TrialState
    for one in tried:
        if one.running or (one.steepness is not None and math.isfinite(one.steepness)):
            state, value = (states.RUNNING, None) if one.running else (states.COMPLETE, one.steepness)
            search.add_trial(
                optuna.trial.create_trial(state=state, value=value, params=dict(one.setting), distributions=space)
            )

    def ask() -> Setting:
        asked = search.ask(space)
        search.tell(asked, state=states.FAIL)  # or it would count as running when the next one is asked for
        return {name: rounded(asked.params[name], given, is_integer(name)) for name, given in study.space.items()}

    return _new(ask, study, known) or _random(study, tried, known)


def _new(draw: Callable[[], Setting], study: StudySpec, known: set[str]) -> Setting | None:
    """The first that is drawn and was not tried before; else the first of a space of lists that was not."""
    for _ in range(_DRAWS):
        setting = draw()
        if setting_key(setting) not in known:
            return setting
    listed = all(given.values is not None for given in study.space.values())
    return _grid(study, (), known) if listed else None


def drawn(given: RangeSpec, whole: bool, numbers: np.random.Generator) -> Scalar:
    """One value of a range, uniform in it or in its logarithm."""
    if given.values is not None:
        return given.values[int(numbers.integers(len(given.values)))]
    low, high = given.bounds
    if whole:  # each integer has the part of the range that is rounded to it
        low, high = low - 0.5, high + 0.5
    value = math.exp(numbers.uniform(math.log(low), math.log(high))) if given.log else numbers.uniform(low, high)
    return rounded(value, given, whole)


def rounded(value: Any, given: RangeSpec, whole: bool) -> Scalar:
    """As it is tried: a listed value as listed, an integer, or a number of few digits, within its bounds."""
    if given.values is not None:
        return next(one for one in given.values if type(one) is type(value) and one == value)
    low, high = given.bounds
    if whole:
        return int(min(max(round(value), low), high))
    return float(min(max(float(f"{value:.{_DIGITS}g}"), low), high))


def _distribution(given: RangeSpec, whole: bool) -> Any:
    import optuna

    if given.values is not None:
        return optuna.distributions.CategoricalDistribution(given.values)
    low, high = given.bounds
    if whole:
        return optuna.distributions.IntDistribution(int(low), int(high), log=given.log is not None)
    return optuna.distributions.FloatDistribution(low, high, log=given.log is not None)


def setting_key(setting: Mapping[str, Scalar]) -> str:
    """The same for settings that are the same: 1 and 1.0 are."""
    return json.dumps({k: float(v) if type(v) is int else v for k, v in setting.items()}, sort_keys=True)


_METHODS: dict[str, Callable[[StudySpec, Sequence[Tried], set[str]], Setting | None]] = {
    "grid": _grid,
    "random": _random,
    "optuna": _optuna,
}
