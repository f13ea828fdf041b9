"""Which settings a study of ensembles tries: listed beforehand, where nothing is learned on the way."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

from mcdist.execute.study_search import drawn, rounded, setting_key
from mcdist.science.streams import Stream
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.ranges import Scalar
from mcdist.spec.study import Setting

__all__ = ["listed_settings", "setting_of", "trial_name"]

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
    while len(settings) < study.search.trials and (setting := _new(study, settings)) is not None:
        settings[setting_key(setting)] = setting
    return list(settings.values())


def _new(study: EnsembleStudySpec, settings: Mapping[str, Setting]) -> Setting | None:
    """One that is not among these, drawn by a stream of its own; of a small space, one of those left."""
    numbers = Stream.of("ensemble study", study.search.seed, len(settings)).generator()
    for _ in range(_DRAWS):
        setting = {name: drawn(given, study.whole(name), numbers) for name, given in study.space.items()}
        if setting_key(setting) not in settings:
            return setting
    return next((setting for setting in _product(study) if setting_key(setting) not in settings), None)


def _product(study: EnsembleStudySpec) -> list[Setting]:
    """Every combination, the last setting varying fastest; none where one is continuous."""
    lists = [given.values or () for given in study.space.values()]
    return [dict(zip(study.space, values, strict=True)) for values in itertools.product(*lists)]


def setting_of(study: EnsembleStudySpec, config: dict[str, Scalar]) -> Setting:
    """What was drawn, as it is tried: in few digits, within its bounds."""
    return {name: rounded(config[name], given, study.whole(name)) for name, given in study.space.items()}


def trial_name(setting: Setting, others: Collection[str]) -> str:
    """What a trial is called among `others`: a searcher may ask for a setting once more."""
    name = setting_key(setting)
    while name in others:
        name += " again"
    return name
