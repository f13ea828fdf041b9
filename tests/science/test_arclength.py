"""Lengths: closed forms, an independent quadrature, and laws of every family."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from mcdist.science.paths import FAMILIES, PathFamily, on_chord
from mcdist.science.paths.arclength import arclength, fraction, gram

from .test_paths import controls_of, every_path

ENDS = torch.tensor([0.0, 1.0])


def length(family: PathFamily, controls: Tensor) -> float:
    return float(arclength(family, controls, ENDS)[-1])


def chord(controls: Tensor) -> float:
    return float((controls[-1].double() - controls[0].double()).norm())


def quadratic_length(controls: Tensor) -> float:
    """Of a quadratic Bezier curve: int_0^1 sqrt(A t^2 + B t + C) dt, in closed form (A > 0)."""
    a, b, c = controls.double()
    p, q = 2 * (a - 2 * b + c), 2 * (b - a)  # phi' = p t + q
    A, B, C = float(p @ p), 2 * float(p @ q), float(q @ q)
    root = math.sqrt(A)

    def primitive(t: float) -> float:
        speed = math.sqrt(A * t * t + B * t + C)
        log = math.log(2 * root * speed + 2 * A * t + B)
        return (2 * A * t + B) / (4 * A) * speed + (4 * A * C - B * B) / (8 * A * root) * log

    return primitive(1.0) - primitive(0.0)


@pytest.mark.parametrize("seed", range(10))
def test_a_quadratic_bezier_curve_against_the_closed_form(seed: int) -> None:
    controls = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert length(FAMILIES["bezier"], controls) == pytest.approx(quadratic_length(controls), rel=1e-9)


def test_a_curve_that_nearly_turns_on_the_spot() -> None:
    """Almost flat, with its bend beyond the end: |phi'| all but vanishes on the way, the hard case of a quadrature."""
    controls = torch.tensor([[0.0, 0.0], [2.0, 1e-2], [1.0, 0.0]], dtype=torch.float64)
    assert length(FAMILIES["bezier"], controls) == pytest.approx(quadratic_length(controls), rel=1e-6)


def test_there_and_back_on_one_line() -> None:
    """phi(t) = 4 t (1 - t) goes to 1 and back: |phi'| has a kink that no break tells of."""
    controls = torch.tensor([[0.0], [2.0], [0.0]], dtype=torch.float64)
    assert length(FAMILIES["bezier"], controls) == pytest.approx(2.0, rel=1e-9)


@every_path
def test_every_path_against_adaptive_quadrature(family: PathFamily, M: int) -> None:
    controls, until = controls_of(M), 0.73

    def speed(u: float) -> float:
        return float((family.velocities(torch.tensor([u], dtype=torch.float64), M) @ controls).norm())

    kinks = [float(b) for b in family.breaks(M) if 0 < b < until]
    expected, _ = quad(speed, 0.0, until, points=kinks or None, epsabs=1e-11, epsrel=1e-11)
    assert float(arclength(family, controls, torch.tensor([0.0, until]))[1]) == pytest.approx(expected, rel=1e-7)


@every_path
def test_no_path_is_shorter_than_its_chord(family: PathFamily, M: int) -> None:
    controls = controls_of(M)
    assert length(family, controls) >= chord(controls) * (1 - 1e-14)


@every_path
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_straight_line_is_as_long_as_its_chord(family: PathFamily, M: int, dtype: torch.dtype) -> None:
    """Far from the origin too, where squared norms would lose all digits of a small difference."""
    a = 1e3 * controls_of(3, dtype)[:1]
    controls = on_chord(a, a + 0.1 * controls_of(4, dtype)[:1], M - 2)[0]
    rounding = 1e-12 if dtype == torch.float64 else 1e-3  # bends of 1e3 in float32 are off the chord by 1e-4
    assert length(family, controls) == pytest.approx(chord(controls), rel=rounding)


def test_the_chord_of_float32_weights_is_exact() -> None:
    controls = 1e3 * controls_of(2, torch.float32, P=1000)
    assert length(FAMILIES["linear"], controls) == pytest.approx(chord(controls), rel=1e-14)


@pytest.mark.parametrize("M", [3, 4, 7])
def test_a_chain_is_as_long_as_its_segments(M: int) -> None:
    controls = controls_of(M)
    segments = controls.diff(dim=0).norm(dim=1)
    reached = arclength(FAMILIES["chain"], controls, torch.arange(M).double() / (M - 1))
    assert torch.allclose(reached[1:], segments.cumsum(0), rtol=1e-12, atol=0)
    assert length(FAMILIES["chain"], controls) == pytest.approx(float(segments.sum()), rel=1e-12)


@every_path
def test_length_increases_and_adds_up(family: PathFamily, M: int) -> None:
    controls = controls_of(M)
    fine = torch.linspace(0.0, 1.0, 61, dtype=torch.float64)
    reached = arclength(family, controls, fine)
    assert reached[0] == 0.0
    assert (reached.diff() > 0).all()
    assert torch.allclose(arclength(family, controls, fine[::7].clone()), reached[::7], rtol=1e-9, atol=1e-12)
    assert float(reached[-1]) == pytest.approx(length(family, controls), rel=1e-9)


@every_path
def test_a_path_turned_round_is_as_long(family: PathFamily, M: int) -> None:
    controls = controls_of(M)
    assert length(family, controls.flip(0)) == pytest.approx(length(family, controls), rel=1e-9)


@every_path
def test_along_the_arclength_every_path_has_one_speed(family: PathFamily, M: int) -> None:
    """|dphi/ds| = length: small steps of phi over small steps of s, away from kinks."""
    controls, h = controls_of(M), 1e-6
    t = torch.linspace(0.013, 0.987, 20, dtype=torch.float64)
    around = torch.stack([t - h, t + h], dim=1).flatten()
    s = fraction(family, controls, torch.cat([around, torch.ones(1)]))[:-1].reshape(-1, 2)
    steps = family.at(controls, around).reshape(len(t), 2, -1).diff(dim=1).norm(dim=2)[:, 0]
    speed = steps / s.diff(dim=1)[:, 0]
    assert torch.allclose(speed, torch.full_like(speed, length(family, controls)), rtol=1e-6, atol=0)


@every_path
def test_fractions_go_from_0_to_1(family: PathFamily, M: int) -> None:
    s = fraction(family, controls_of(M), torch.linspace(0.0, 1.0, 61))
    assert s.dtype == torch.float64
    assert (float(s[0]), float(s[-1])) == (0.0, 1.0)
    assert (s.diff() > 0).all()


@every_path
def test_a_path_of_length_0(family: PathFamily, M: int) -> None:
    """All control points the same: no length, and s = t, which has no meaning but no holes either."""
    controls = controls_of(2)[:1].expand(M, -1)
    t = torch.linspace(0.0, 1.0, 5)
    assert arclength(family, controls, t).tolist() == [0.0] * 5
    assert fraction(family, controls, t).tolist() == t.tolist()


def test_ends_that_coincide_with_a_bend_elsewhere() -> None:
    """A loop is no path of length 0: a closed chain is twice its only segment."""
    a, bend = controls_of(2)
    assert length(FAMILIES["chain"], torch.stack([a, bend, a])) == pytest.approx(2 * float((bend - a).norm()))


@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_a_bend_at_an_end_leaves_the_straight_line(kind: str, end: int) -> None:
    a, b = controls_of(2)
    controls = torch.stack([a, (a, b)[end], b])
    assert length(FAMILIES[kind], controls) == pytest.approx(chord(controls), rel=1e-12)


def test_the_gram_matrix_knows_no_origin() -> None:
    controls = controls_of(4)
    offsets = controls - controls[0]
    assert torch.allclose(gram(controls), offsets @ offsets.T, rtol=1e-14, atol=0)
    assert torch.allclose(gram(controls + 100.0), gram(controls), rtol=0, atol=1e-11)
