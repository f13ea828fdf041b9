"""Barriers: closed forms, and what holds for every metric."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mcdist.science.barriers import barrier

T = torch.linspace(0.0, 1.0, 61, dtype=torch.float64)

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20).map(lambda v: torch.tensor(v, dtype=torch.float64))


def at(m: Tensor) -> dict[str, float]:
    """The barrier of values at equally spaced t, s = t."""
    t = torch.linspace(0.0, 1.0, len(m), dtype=torch.float64)
    return barrier(t, t, m)


def test_a_parabola() -> None:
    """m = 1 + 4 h t (1 - t): height h over its ends, mean 1 + 2h/3."""
    found = barrier(T, T, 1.0 + 4.0 * 0.3 * T * (1.0 - T))
    assert found["value_a"] == found["value_b"] == found["min"] == 1.0
    assert found["max"] == pytest.approx(1.3, abs=1e-15)
    assert found["argmax_t"] == 0.5
    assert found["barrier_linear"] == found["barrier_mean"] == found["barrier_max"] == pytest.approx(0.3, abs=1e-15)
    assert found["integral"] == pytest.approx(1.2 - 0.2 / 60**2, abs=1e-13)  # the trapezoid rule errs by -h^2 m'' / 12


def test_a_parabola_on_a_slope() -> None:
    """m = t + 4 h t (1 - t), h = 1/2: over the slope by h at t = 1/2; the greatest value 9/8 is at t = 3/4."""
    found = barrier(T, T, T + 2.0 * T * (1.0 - T))
    assert found["barrier_linear"] == pytest.approx(0.5, abs=1e-15)
    assert found["argmax_t"] == 0.75
    assert found["barrier_max"] == pytest.approx(0.125, abs=1e-15)
    assert found["barrier_mean"] == pytest.approx(0.625, abs=1e-15)


@given(st.floats(-1e3, 1e3))
def test_a_constant_has_no_barrier_at_all(value: float) -> None:
    """Exactly none: of errors that are all the same, a barrier of 1e-18 would be no zero to count."""
    found = barrier(T, T, torch.full_like(T, value))
    assert found["barrier_linear"] == found["barrier_mean"] == found["barrier_max"] == 0.0
    assert found["integral"] == pytest.approx(value, rel=1e-13)


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_a_slope_has_no_linear_barrier(a: float, b: float) -> None:
    found = barrier(T, T, a + (b - a) * T)
    assert found["barrier_linear"] == pytest.approx(0.0, abs=1e-14)
    assert found["barrier_max"] == pytest.approx(0.0, abs=1e-14)
    assert found["barrier_mean"] == pytest.approx(abs(b - a) / 2, abs=1e-14)


@given(values)
def test_laws_of_every_metric(m: Tensor) -> None:
    found = at(m)
    assert found["barrier_linear"] >= 0.0
    assert found["barrier_max"] >= 0.0
    slack = 1e-9  # means and sums round
    assert found["barrier_mean"] >= found["barrier_max"] - slack
    assert found["barrier_linear"] >= found["barrier_max"] - slack
    assert found["min"] - slack <= found["mean"] <= found["max"] + slack
    assert found["min"] - slack <= found["integral"] <= found["max"] + slack
    assert found["max"] == float(m.max())


@given(values)
def test_going_the_other_way_changes_the_ends_alone(m: Tensor) -> None:
    forth, back = at(m), at(m.flip(0))
    assert (forth["value_a"], forth["value_b"]) == (back["value_b"], back["value_a"])
    for name in ("min", "max", "mean", "integral", "barrier_linear", "barrier_mean", "barrier_max"):
        assert forth[name] == pytest.approx(back[name], rel=1e-12, abs=1e-9), name


@given(values, st.floats(0.1, 10), st.floats(-10, 10))
def test_units_scale_a_barrier_and_offsets_do_not_count(m: Tensor, scale: float, offset: float) -> None:
    before, after = at(m), at(scale * m + offset)
    for name in ("barrier_linear", "barrier_mean", "barrier_max"):
        assert after[name] == pytest.approx(scale * before[name], rel=1e-9, abs=1e-9), name


def test_the_integral_is_over_arclength() -> None:
    """A path that does nine tenths of its way in the first half of t."""
    t = torch.tensor([0.0, 0.5, 1.0])
    s = torch.tensor([0.0, 0.9, 1.0], dtype=torch.float64)
    assert barrier(t, s, torch.tensor([0.0, 1.0, 0.0]))["integral"] == pytest.approx(0.5)
    assert barrier(t, s, torch.tensor([2.0, 2.0, 0.0]))["integral"] == pytest.approx(1.9)
    assert barrier(t, s, torch.tensor([0.0, 0.0, 1.0]))["integral"] == pytest.approx(0.05)


# gains: of which more is better


@given(values)
def test_the_barrier_of_a_gain_is_that_of_its_loss(m: Tensor) -> None:
    t = torch.linspace(0.0, 1.0, len(m), dtype=torch.float64)
    gain, loss = barrier(t, t, m, gain=True), barrier(t, t, -m)
    for name in ("barrier_linear", "barrier_mean", "barrier_max"):
        assert gain[name] == loss[name], name
    assert (gain["min"], gain["max"], gain["argmin_t"]) == (-loss["max"], -loss["min"], loss["argmax_t"])
    assert (gain["value_a"], gain["value_b"], gain["integral"]) == (
        -loss["value_a"],
        -loss["value_b"],
        -loss["integral"],
    )


def test_a_valley_of_a_gain() -> None:
    """m = 0.6 + 0.2 t - 4 h t (1 - t), h = 0.3: least at t = 5/12, 0.6 - 5/24 there, so 5/24 below the lesser end; h
    below the slope at t = 1/2."""
    t = torch.arange(61, dtype=torch.float64) / 60
    found = barrier(t, t, 0.6 + 0.2 * t - 1.2 * t * (1.0 - t), gain=True)
    assert found["barrier_max"] == pytest.approx(5 / 24, abs=1e-15)
    assert found["argmin_t"] == pytest.approx(5 / 12, abs=1e-15)
    assert found["barrier_linear"] == pytest.approx(0.3, abs=1e-15)
    assert found["barrier_mean"] == pytest.approx(5 / 24 + 0.1, abs=1e-15)
    assert found["argmax_t"] == 1.0


@given(st.floats(-1e3, 1e3))
def test_a_gain_that_is_constant_has_no_barrier_at_all(value: float) -> None:
    found = barrier(T, T, torch.full_like(T, value), gain=True)
    assert found["barrier_linear"] == found["barrier_mean"] == found["barrier_max"] == 0.0
