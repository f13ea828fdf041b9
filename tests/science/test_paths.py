"""What holds for every family of paths."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mcdist.science.paths import FAMILIES, Joined, PathFamily, on_chord

ALL = [(name, M) for name in FAMILIES for M in ((2,) if name == "linear" else (3, 4, 6))]

JOINED = [
    Joined(FAMILIES[name], (M,) * L)
    for name, M, L in (("linear", 2, 4), ("bezier", 3, 2), ("chain", 3, 2), ("three_pieces", 4, 2))
]

every_path = pytest.mark.parametrize(
    ("family", "M"),
    [(FAMILIES[n], M) for n, M in ALL] + [(family, family.size) for family in JOINED],
    ids=[*map(str, ALL), *(f"{len(family.sizes)} of {type(family.family).__name__}" for family in JOINED)],
)
inside = st.floats(0.0, 1.0)


def controls_of(M: int, dtype: torch.dtype = torch.float64, P: int = 7) -> Tensor:
    return torch.randn(M, P, dtype=dtype, generator=torch.Generator().manual_seed(M))


@every_path
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("t_dtype", [torch.float32, torch.float64, torch.int64])
def test_the_ends_are_reproduced_bit_for_bit(
    family: PathFamily, M: int, dtype: torch.dtype, t_dtype: torch.dtype
) -> None:
    controls = 1e3 * controls_of(M, dtype)
    theta = family.at(controls, torch.tensor([0, 1], dtype=t_dtype))
    assert theta.dtype == dtype
    assert torch.equal(theta, controls[[0, -1]])


@every_path
@given(t=inside)
def test_coefficients_are_a_partition_of_one(family: PathFamily, M: int, t: float) -> None:
    c = family.coefficients(torch.tensor([t], dtype=torch.float64), M)
    assert c.shape == (1, M)
    assert float(c.min()) >= 0.0
    assert abs(float(c.sum()) - 1.0) < 1e-14


@every_path
@given(t=inside)
def test_velocities_sum_to_zero(family: PathFamily, M: int, t: float) -> None:
    v = family.velocities(torch.tensor([t], dtype=torch.float64), M)
    assert v.shape == (1, M)
    assert abs(float(v.sum())) < 1e-13


@every_path
def test_velocities_are_the_derivative(family: PathFamily, M: int) -> None:
    """Central differences, away from kinks: h = 1e-5 leaves h^2 c''' / 6 and eps / h, both below 1e-8."""
    h, t = 1e-5, torch.linspace(0.013, 0.987, 50, dtype=torch.float64)
    difference = (family.coefficients(t + h, M) - family.coefficients(t - h, M)) / (2 * h)
    assert (family.velocities(t, M) - difference).abs().max() < 1e-8


@every_path
def test_velocities_at_kinks_and_ends_are_one_sided(family: PathFamily, M: int) -> None:
    h, breaks = 1e-7, family.breaks(M)
    right = (family.coefficients(breaks[:-1] + h, M) - family.coefficients(breaks[:-1], M)) / h
    left = (family.coefficients(breaks[-1:], M) - family.coefficients(breaks[-1:] - h, M)) / h
    assert (family.velocities(breaks, M) - torch.cat([right, left])).abs().max() < 1e-5


@every_path
def test_breaks_run_from_0_to_1(family: PathFamily, M: int) -> None:
    breaks = family.breaks(M)
    assert breaks.dtype == torch.float64
    assert (float(breaks[0]), float(breaks[-1])) == (0.0, 1.0)
    assert (breaks.diff() > 0).all()


@every_path
def test_a_path_is_continuous(family: PathFamily, M: int) -> None:
    """No step is longer than the greatest speed allows, kinks included."""
    controls = controls_of(M)
    t = torch.linspace(0.0, 1.0, 2001, dtype=torch.float64)
    fastest = (family.velocities(t, M) @ controls).norm(dim=1).max()
    assert family.at(controls, t).diff(dim=0).norm(dim=1).max() <= 1.01 * fastest / 2000


@every_path
def test_the_type_of_t_changes_no_bit(family: PathFamily, M: int) -> None:
    """Coefficients are float64 whatever t is: eighths are exact in both types."""
    t = torch.arange(9) / 8
    controls = controls_of(M, torch.float32)
    assert torch.equal(family.at(controls, t.float()), family.at(controls, t.double()))


@every_path
def test_a_path_turned_round_is_the_same_path(family: PathFamily, M: int) -> None:
    controls, t = controls_of(M), torch.linspace(0.0, 1.0, 33, dtype=torch.float64)
    assert torch.allclose(family.at(controls, t), family.at(controls.flip(0), 1 - t), rtol=0, atol=1e-14)


@every_path
def test_bends_on_the_chord_make_the_straight_line(family: PathFamily, M: int) -> None:
    a, b = controls_of(5)[:2].split(1)
    controls = on_chord(a, b, M - 2)[0]
    t = torch.linspace(0.0, 1.0, 33, dtype=torch.float64)
    line = (1 - t[:, None]) * a + t[:, None] * b
    assert torch.allclose(family.at(controls, t), line, rtol=0, atol=1e-14)


def test_on_chord_keeps_the_ends_and_divides_evenly() -> None:
    a, b = torch.rand(2, 5, 7).split(1)
    a, b = a[0], b[0]
    controls = on_chord(a, b, 3)
    assert controls.shape == (5, 5, 7)
    assert torch.equal(controls[:, 0], a)
    assert torch.equal(controls[:, -1], b)
    assert torch.allclose(controls.diff(dim=1), ((b - a) / 4)[:, None].expand(5, 4, 7), atol=1e-6)


def test_a_chain_passes_through_its_bends() -> None:
    controls = controls_of(5)
    assert torch.allclose(FAMILIES["chain"].at(controls, torch.arange(5) / 4), controls, rtol=0, atol=1e-15)


def test_a_bezier_curve_is_de_casteljaus() -> None:
    controls = controls_of(5)
    for t in torch.linspace(0.0, 1.0, 11, dtype=torch.float64):
        level = controls
        while len(level) > 1:
            level = (1 - t) * level[:-1] + t * level[1:]
        assert torch.allclose(FAMILIES["bezier"].at(controls, t[None]), level, rtol=0, atol=1e-14)


def test_a_joined_path_is_its_legs_one_after_the_other() -> None:
    """Legs of different sizes too: what AutoNEB gives."""
    chain, bezier = FAMILIES["autoneb"], FAMILIES["bezier"]
    u = torch.linspace(0.0, 1.0, 9, dtype=torch.float64)
    for family, sizes in ((chain, (3, 5, 2)), (bezier, (4, 3))):
        joined = Joined(family, sizes)
        controls, start = controls_of(joined.size), 0
        for leg, m in enumerate(sizes):
            own = family.at(controls[start : start + m], u)
            assert torch.allclose(joined.at(controls, (u + leg) / len(sizes)), own, rtol=0, atol=1e-13)
            start += m - 1
        assert len(joined.breaks(joined.size)) == (8 if family is chain else 3)


def test_a_joined_path_wants_all_its_control_points() -> None:
    with pytest.raises(ValueError, match=r"legs of \(3, 3\) control points have 5 in all, not 4"):
        Joined(FAMILIES["bezier"], (3, 3)).at(controls_of(4), torch.zeros(1))


IN_PIECES = [name for name, family in FAMILIES.items() if family.pieces is not None]


@pytest.mark.parametrize("name", IN_PIECES)
@given(legs=st.integers(1, 4), intervals=st.integers(1, 40))
def test_pieces_are_counted_from_1_and_a_corner_begins_one(name: str, legs: int, intervals: int) -> None:
    """At positions as a profile has them, whose rounding must not put a corner into the piece before it."""
    family, pieces = FAMILIES[name], FAMILIES[name].pieces
    assert pieces is not None
    path = Joined(family, (pieces + 1,) * legs) if legs > 1 else family
    t = torch.linspace(0.0, 1.0, legs * pieces * intervals + 1, dtype=torch.float64)
    found = path.piece(t, legs * pieces + 1)
    assert found is not None
    assert found.tolist() == [*(i // intervals + 1 for i in range(len(t) - 1)), legs * pieces]
    assert path.pieces == legs * pieces
    assert path.made
    assert not path.trained


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in IN_PIECES])
def test_other_paths_have_no_pieces(name: str) -> None:
    t = torch.linspace(0.0, 1.0, 5)
    assert FAMILIES[name].piece(t, 3) is None
    assert Joined(FAMILIES[name], (2, 2)).piece(t, 3) is None


def test_how_many_pieces() -> None:
    assert {name: FAMILIES[name].pieces for name in IN_PIECES} == {"three_pieces": 3, "five_pieces": 5, "large_menu": 5}
