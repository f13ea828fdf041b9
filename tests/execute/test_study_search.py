"""Which setting a study tries next, whatever has drawn those before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mcdist.execute.study_search import Tried, next_setting
from mcdist.science.steepness import steepness
from mcdist.spec import StudySpec, load_study


def study(space: dict[str, Any], **search: Any) -> StudySpec:
    relaxation = {"starts": [0.5], "time": 1.0} | ({} if "lr" in space else {"lr": 0.1})
    return load_study({"name": "x", "sweep": "s", "relaxation": relaxation, "space": space, "search": search})


def all_of(spec: StudySpec) -> list[dict[str, Any]]:
    tried: list[Tried] = []
    while (setting := next_setting(spec, tried)) is not None:
        tried.append(Tried(setting, steepness=float(len(tried))))
    return [one.setting for one in tried]


WIDE = {
    "lr": {"log": [1e-3, 1.0]},
    "batch_size": {"log": [2, 64]},
    "momentum": {"uniform": [0.0, 0.9]},
    "project": {"choice": [1, 15, None]},
    "optimizer": {"choice": ["sgd"]},
}
BOTH = pytest.mark.parametrize("method", ["random", "optuna"])


def test_grid_is_the_product_the_last_varying_fastest() -> None:
    spec = study({"lr": {"grid": [0.1, 0.2]}, "project": {"choice": [5, None]}}, method="grid")
    assert all_of(spec) == [
        {"lr": 0.1, "project": 5},
        {"lr": 0.1, "project": None},
        {"lr": 0.2, "project": 5},
        {"lr": 0.2, "project": None},
    ]


@BOTH
def test_drawn_settings_are_in_their_ranges_different_and_can_be_typed(method: str) -> None:
    spec = study(WIDE, method=method, trials=30)
    settings = all_of(spec)
    assert len(settings) == 30
    assert all(spec.holds(setting) for setting in settings)
    assert len({str(setting) for setting in settings}) == 30
    for setting in settings:
        assert type(setting["batch_size"]) is int
        assert setting["lr"] == float(f"{setting['lr']:.3g}")


@BOTH
def test_they_are_a_function_of_seed_and_trials_alone(method: str) -> None:
    spec = study(WIDE, method=method, trials=12, seed=0)
    settings = all_of(spec)
    assert settings == all_of(spec)
    tried = [Tried(setting, steepness=float(i)) for i, setting in enumerate(settings)]
    assert [next_setting(spec, tried[:n]) for n in range(12)] == settings  # killed after any n, it goes on the same way
    assert settings[0] != all_of(study(WIDE, method=method, trials=1, seed=1))[0]


@BOTH
def test_a_small_space_is_used_up_before_anything_comes_twice(method: str) -> None:
    spec = study({"batch_size": {"choice": [2, 4, 8]}, "momentum": {"choice": [0, 0.5]}}, method=method, trials=6)
    assert len({str(setting) for setting in all_of(spec)}) == 6


def test_random_settings_cover_a_logarithmic_range_evenly() -> None:
    drawn = all_of(study({"lr": {"log": [1e-4, 1.0]}}, method="random", trials=400))
    decades = np.histogram([math.log10(setting["lr"]) for setting in drawn], bins=4, range=(-4, 0))[0]
    assert decades.min() > 70, "each decade should have a hundred"


def test_rounding_does_not_leave_the_range() -> None:
    spec = study({"lr": {"log": [0.123456, 0.1234567]}}, method="random", trials=2)
    setting = next_setting(spec, [])
    assert setting is not None
    assert spec.holds(setting)


def test_settings_that_are_given_come_first_and_count() -> None:
    spec = study({"lr": {"log": [1e-3, 1.0]}}, method="random", trials=4)
    spec = spec.model_copy(update={"settings": ({"lr": 0.5}, {"lr": 0.25})})
    settings = all_of(spec)
    assert settings[:2] == [{"lr": 0.5}, {"lr": 0.25}]
    assert len(settings) == 4


def test_enough_is_enough_however_much_was_tried() -> None:
    spec = study({"lr": {"log": [1e-3, 1.0]}}, method="random", trials=2)
    assert next_setting(spec, [Tried({"lr": 0.1}), Tried({"lr": 0.2}), Tried({"lr": 0.3})]) is None


@pytest.mark.parametrize("tried", [Tried({"lr": 0.1}), Tried({"lr": 0.1}, steepness=math.nan)])
def test_optuna_is_told_nothing_of_trials_that_failed_or_have_no_level(tried: Tried) -> None:
    spec = study({"lr": {"log": [1e-3, 1.0]}}, method="optuna", trials=9)
    assert next_setting(spec, [tried]) is not None


def test_optuna_goes_where_the_time_changes_most() -> None:
    """Times of 40 arrivals each, exp(-4 tanh(u / 0.4)) with u = ln(T / 0.1), T in [1e-3, 10]: the part |u| < 0.6 of the
    range, 13 % of it, has all of the change.
    """

    def share_of_the_steep_part(method: str, seed: int) -> float:
        spec = study({"lr": {"log": [1e-3, 10.0]}}, method=method, trials=24, seed=seed)
        rng, tried, levels, times = np.random.default_rng(seed), list[Tried](), list[float](), list[float]()
        while (setting := next_setting(spec, tried)) is not None:
            levels.append(float(setting["lr"] or 0.0))
            u = math.log(levels[-1] / 0.1)
            times.append(math.exp(-4.0 * math.tanh(u / 0.4) + rng.normal() / math.sqrt(40.0)))
            found = steepness(np.array(levels), np.array(times), np.full(len(times), 40.0))
            tried = [Tried({"lr": lr}, steepness=float(s)) for lr, s in zip(levels, found, strict=True)]
        return float(np.mean(np.abs(np.log(np.array(levels) / 0.1)) < 0.6))

    adaptive = [share_of_the_steep_part("optuna", seed) for seed in range(5)]
    blind = [share_of_the_steep_part("random", seed) for seed in range(5)]
    assert np.mean(adaptive) > 2.0 * np.mean(blind)
    assert min(adaptive) > 0.2


def test_others_at_the_same_time_go_elsewhere() -> None:
    """With one steep place known, trials that run there push the next ones away."""
    spec = study({"lr": {"log": [1e-3, 10.0]}}, method="optuna", trials=40)
    known = [Tried({"lr": 10.0 ** (i / 4 - 3)}, steepness=5.0 if 6 <= i <= 8 else 0.1) for i in range(16)]
    places = [0.028 + 0.001 * i for i in range(12)]

    def settings(running: bool) -> list[Any]:
        crowd = [Tried({"lr": lr}, running) for lr in places]  # not running: they failed, and say nothing
        return [next_setting(_seeded(spec, seed), known + crowd) for seed in range(15)]

    def near(found: list[Any]) -> float:
        return float(np.mean([0.028 <= one["lr"] < 0.04 for one in found]))

    assert near(settings(running=True)) < near(settings(running=False))


def _seeded(spec: StudySpec, seed: int) -> StudySpec:
    return spec.model_copy(update={"search": spec.search.model_copy(update={"seed": seed})})
