"""Laws of valuations: samples have the moments and the places that they should, and are known by their stream."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdist.errors import RequestError
from mcdist.science.auctions import (
    Atoms,
    Beta,
    Exponential,
    Items,
    Law,
    Marginal,
    Scaled,
    Steps,
    Triangle,
    Uniform,
    box,
    profiles,
)
from mcdist.science.streams import Stream

N = 20_000
Z = 4.5  # standard errors; the streams are fixed, so that a test that passes always does

GAP = Steps((0.0, 0.25, 0.5, 1.0), (2.0, 0.0, 1.0))

MARGINALS: dict[str, tuple[Marginal, float, float]] = {  # with mean and variance
    "uniform": (Uniform(2.0, 3.0), 2.5, 1 / 12),
    "beta, a = 1": (Beta(1.0, 2.0), 1 / 3, 1 / 18),
    "beta, b = 1": (Beta(3.0, 1.0), 3 / 4, 3 / 80),
    "beta": (Beta(2.0, 3.0), 2 / 5, 1 / 25),
    "exponential": (Exponential(2.0), 0.5, 0.25),
    # halves of the mass uniform on [0, 1/4] and [1/2, 1]
    "steps": (GAP, 0.5 * (1 / 8 + 3 / 4), 0.5 * (1 / 48 + 7 / 12) - (7 / 16) ** 2),
}

LAWS: dict[str, Law] = {
    **{name: Items((marginal, marginal)) for name, (marginal, _, _) in MARGINALS.items()},
    "box": box([0.0, 2.0, 1.0], [1.0, 3.0, 5.0]),
    "mixed": Items((Uniform(), Beta(1.0, 2.0), GAP)),
    "triangle": Triangle(),
    "atoms": Atoms(((0.25, 1.0), (0.5, 0.5), (3.0, 0.0)), (1.0, 0.0, 3.0)),
    "scaled": Scaled(box([0.0, 0.0], [1.0, 1.0]), 0.5),
}


@pytest.mark.parametrize("name", MARGINALS)
def test_mean_and_variance(name: str) -> None:
    marginal, mean, variance = MARGINALS[name]
    v = Items((marginal,)).sample(Stream.of(name), N)[:, 0]
    assert abs(float(v.mean()) - mean) < Z * math.sqrt(variance / N)
    fourth = float((v - v.mean()).pow(4).mean())
    assert abs(float(v.var()) - variance) < Z * math.sqrt(fourth / N)


@pytest.mark.parametrize("name", MARGINALS)
@settings(max_examples=25)
@given(u=st.floats(0, 1 - 1e-9))
def test_quantiles_invert_the_distribution_function(name: str, u: float) -> None:
    marginal = MARGINALS[name][0]
    value = float(marginal.quantile(np.array([u]))[0])
    assert marginal.low <= value <= marginal.high
    assert marginal.below(value) == pytest.approx(u, abs=1e-12)
    assert marginal.below(marginal.low) == marginal.below(-1.0) == 0.0
    assert marginal.below(1e6) == 1.0


def test_nothing_falls_where_the_density_is_0() -> None:
    v = LAWS["steps"].sample(Stream.of("gap"), N)
    assert not ((v > 0.25) & (v < 0.5)).any()
    assert GAP.below(0.25) == GAP.below(0.4) == GAP.below(0.5) == 0.5


@pytest.mark.parametrize("name", LAWS)
def test_a_sample_is_known_by_its_stream(name: str) -> None:
    law = LAWS[name]
    v = law.sample(Stream.of("a"), 50)
    assert v.dtype == torch.float64
    assert v.shape == (50, law.items)
    assert torch.equal(v, law.sample(Stream.of("a"), 50))
    assert torch.equal(v[:20], law.sample(Stream.of("a"), 20))
    assert not torch.equal(v, law.sample(Stream.of("b"), 50))


@pytest.mark.parametrize("name", LAWS)
def test_no_valuation_is_above_the_bound_or_below_0(name: str) -> None:
    law = LAWS[name]
    v = law.sample(Stream.of("bound"), 2000)
    assert (v >= 0.0).all()
    assert (v.sum(1) <= law.bound).all()
    if math.isfinite(law.bound):
        assert float(v.sum(1).max()) > 0.7 * law.bound
        unit = Scaled(law, 1.0 / law.bound)
        assert unit.bound == pytest.approx(1.0, rel=1e-15)
        assert torch.allclose(unit.sample(Stream.of("bound"), 2000), v / law.bound, rtol=1e-14, atol=0)


def test_items_are_independent() -> None:
    v = box([0.0, 0.0], [1.0, 1.0]).sample(Stream.of("independent"), N)
    assert abs(float(torch.corrcoef(v.T)[0, 1])) < Z / math.sqrt(N)


def test_the_triangle() -> None:
    """Means 1/3, and 1/4 of the mass in the half as large triangle at the corner (1, 0)."""
    v = Triangle().sample(Stream.of("triangle"), N)
    assert (v.sum(1) <= 1.0).all()
    assert (v.mean(0) - 1 / 3).abs().max() < Z * math.sqrt(1 / 18 / N)
    assert abs(float((v[:, 0] > 0.5).double().mean()) - 0.25) < Z * math.sqrt(3 / 16 / N)


def test_atoms_come_as_often_as_they_weigh() -> None:
    v = LAWS["atoms"].sample(Stream.of("atoms"), N)
    assert abs(float((v[:, 0] == 0.25).double().mean()) - 0.25) < Z * math.sqrt(3 / 16 / N)
    assert {tuple(row) for row in v.tolist()} == {(0.25, 1.0), (3.0, 0.0)}


def test_bidders_are_independent_of_each_other() -> None:
    law = box([0.0], [1.0])
    v = profiles([law, law, Scaled(law, 2.0)], Stream.of("bidders"), N)
    assert v.shape == (N, 3, 1)
    assert torch.equal(v[:9], profiles([law, law, Scaled(law, 2.0)], Stream.of("bidders"), 9))
    correlation = torch.corrcoef(v[..., 0].T) - torch.eye(3, dtype=torch.float64)
    assert float(correlation.abs().max()) < Z / math.sqrt(N)
    assert abs(float(v[:, 2].mean()) - 1.0) < Z * 2.0 * math.sqrt(1 / 12 / N)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: box([0.0, 1.0], [1.0, 0.5]), r"0 <= low < high, not low 1\.0, high 0\.5"),
        (lambda: box([0.0], [0.0]), "low < high"),
        (lambda: box([0.0], [math.inf]), "low < high"),
        (lambda: box([0.0], [1.0, 2.0]), "1 lower and 2 upper"),
        (lambda: Uniform(-1.0, 1.0), "0 <= low"),
        (lambda: Beta(0.0, 1.0), "above 0"),
        (lambda: Exponential(-1.0), "above 0"),
        (lambda: Steps((0.0, 1.0), (1.0, 1.0)), "2 steps need 3 edges"),
        (lambda: Steps((0.0, 1.0, 1.0), (1.0, 1.0)), "edges must rise"),
        (lambda: Steps((0.0, 1.0), (0.0,)), "one must be positive"),
        (lambda: Steps((0.0, 1.0, 2.0), (1.0, -1.0)), "no step may be negative"),
        (lambda: Atoms(((0.0,), (1.0, 2.0)), (1.0, 1.0)), "same items"),
        (lambda: Atoms(((0.0,), (-1.0,)), (1.0, 1.0)), "0 or more"),
        (lambda: Atoms(((0.0,), (1.0,)), (1.0, -1.0)), "no weight may be negative"),
        (lambda: Atoms(((0.0,), (1.0,)), (0.0, 0.0)), "one must be positive"),
        (lambda: Scaled(Triangle(), 0.0), "above 0"),
        (lambda: Items(()), "0 items"),
        (lambda: profiles([Triangle(), box([0.0], [1.0])], Stream.of(0), 1), "all need the same"),
    ],
)
def test_what_is_no_law(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(RequestError, match=message):
        make()
