"""Schedules against closed forms, torch.optim.lr_scheduler and published values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mcdist.science.schedules import SCHEDULES, Cosine, Piecewise, Step

progress = st.floats(0.0, 1.0, exclude_max=True)


def of_torch(make: object, epochs: int) -> list[float]:
    """The rates that a scheduler of torch gives each epoch, for the base rate 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)  # type: ignore[operator]
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("epochs", [1, 7, 80])
def test_cosine_is_torchs(epochs: int) -> None:
    rates = of_torch(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, epochs), epochs)
    assert [Cosine().at(e, epochs) for e in range(epochs)] == pytest.approx(rates, abs=1e-14)


@pytest.mark.parametrize("epochs", [4, 10, 200])
@pytest.mark.parametrize("milestones", [(0.5, 0.75), (0.3, 0.6, 0.9)])
def test_step_is_torchs(epochs: int, milestones: tuple[float, ...]) -> None:
    at = [math.ceil(round(m * epochs, 9)) for m in milestones]
    rates = of_torch(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, at, gamma=0.2), epochs)
    assert [Step(milestones, 0.2).at(e, epochs) for e in range(epochs)] == pytest.approx(rates, rel=1e-14)


def test_piecewise_has_the_published_values() -> None:
    """Garipov et al. 2018: the base rate until half, linear to a hundredth at 90 %, a hundredth after."""
    schedule = Piecewise()
    got = [schedule(p) for p in (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.999)]
    assert got == pytest.approx([1.0, 1.0, 1.0, 0.7525, 0.505, 0.2575, 0.01, 0.01, 0.01], abs=1e-14)
    rates = [0.03 * schedule.at(epoch - 1, 200) for epoch in (1, 100, 101, 140, 180, 200)]  # PreResNet-164, from 1
    assert rates == pytest.approx([0.03, 0.03, 0.03 * (1 - 0.99 / 80), 0.01515, 0.0003, 0.0003], abs=1e-14)


@given(st.floats(0.0, 1.0))
def test_piecewise_is_continuous_and_ends_at_its_floor(floor: float) -> None:
    schedule = Piecewise(floor)
    assert schedule(0.5 + 1e-12) == pytest.approx(1.0)
    assert schedule(0.9 - 1e-12) == pytest.approx(floor, abs=1e-9)
    assert schedule(0.95) == floor


@pytest.mark.parametrize("name", SCHEDULES)
@given(one=progress, other=progress)
def test_every_schedule_begins_at_the_base_rate_and_never_rises(name: str, one: float, other: float) -> None:
    schedule = SCHEDULES[name]()
    early, late = sorted((one, other))
    assert schedule(0.0) == 1.0
    assert 1.0 >= schedule(early) >= schedule(late) - 1e-15 >= -1e-15
