"""Which settings a study of ensembles tries: listed beforehand, where nothing is learned on the way."""

from __future__ import annotations

import itertools

from mcdist.execute.study_search import drawn, rounded, setting_key
from mcdist.science.streams import Stream
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.ranges import Scalar
from mcdist.spec.study import Setting

__all__ = ["listed_settings", "setting_of"]

_DRAWS = 200  # until a setting is drawn that is not listed yet


def listed_settings(study: EnsembleStudySpec, kept: list[Setting]) -> list[Setting]:
    """The settings of a study by grid or random, or the first ones of a population, in the order of the trials.

    kept: those that an earlier run began come first (of a population none: it begins anew). A function of the study and
    of these alone, whoever does the trials.
    """
    first = [] if study.search.method == "pbt" else kept
    settings = {setting_key(setting): setting for setting in [*study.settings, *first]}
    if study.search.method == "grid":
        return list((settings | {setting_key(setting): setting for setting in _product(study)}).values())
    assert study.search.trials is not None, "said where nothing is listed"
    for number in range(study.search.trials):
        if len(settings) >= study.search.trials:
            break
        numbers = Stream.of("ensemble study", study.search.seed, number).generator()
        for _ in range(_DRAWS):
            setting = {name: drawn(given, study.whole(name), numbers) for name, given in study.space.items()}
            if setting_key(setting) not in settings:
                settings[setting_key(setting)] = setting
                break
    for setting in _product(study) if all(given.values for given in study.space.values()) else ():
        if len(settings) < study.search.trials:  # a small space is used up
            settings.setdefault(setting_key(setting), setting)
    return list(settings.values())


def _product(study: EnsembleStudySpec) -> list[Setting]:
    """Every combination, the last setting varying fastest."""
    lists = [given.values or () for given in study.space.values()]
    return [dict(zip(study.space, values, strict=True)) for values in itertools.product(*lists)]


def setting_of(study: EnsembleStudySpec, config: dict[str, Scalar]) -> Setting:
    """What was drawn, as it is tried: in few digits, within its bounds."""
    return {name: rounded(config[name], given, study.whole(name)) for name, given in study.space.items()}
