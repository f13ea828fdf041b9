"""The polyline of a path: what holds for every family, against a dense search in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import Tensor

from mcdist.errors import TaskError
from mcdist.science.dynamics.polyline import Polyline
from mcdist.science.paths import FAMILIES, Joined, PathFamily
from mcdist.science.paths.arclength import arclength, fraction

SEGMENTS = 16
ALL: dict[str, tuple[PathFamily, int]] = {
    "linear": (FAMILIES["linear"], 2),
    "bezier 1": (FAMILIES["bezier"], 3),
    "bezier 3": (FAMILIES["bezier"], 5),
    "chain 1": (FAMILIES["chain"], 3),
    "chain 4": (FAMILIES["chain"], 6),
    "autoneb": (FAMILIES["autoneb"], 5),
    "lines": (Joined(FAMILIES["linear"], (2, 2, 2)), 4),
    "beziers": (Joined(FAMILIES["bezier"], (3, 3)), 5),
    "chains": (Joined(FAMILIES["chain"], (3, 4)), 6),
}

every = pytest.mark.parametrize("name", ALL)
seeds = st.integers(0, 10_000)
inside = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5)

# float64 sums of some ten products of numbers about 1: far below this
CLOSE = 1e-10


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def polyline(name: str, seed: int = 0, P: int = 6) -> Polyline:
    family, M = ALL[name]
    return Polyline.of(family, normal(M, P, seed=seed), SEGMENTS)


def vertices(line: Polyline) -> Tensor:
    return line.at(line._s)


def dense_nearest(line: Polyline, theta: Tensor) -> tuple[float, float]:
    """s and distance by the definition: every segment by itself, differences taken directly, no inner products kept."""
    corners = vertices(line).double().numpy()
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    best = (np.inf, 0.0)
    for i, d in enumerate(np.diff(corners, axis=0)):
        a = float(np.clip((theta.double().numpy() - corners[i]) @ d / (d @ d), 0.0, 1.0)) if lengths[i] else 0.0
        distance = float(np.linalg.norm(theta.double().numpy() - corners[i] - a * d))
        if distance < best[0]:
            best = distance, (reached[i] + a * lengths[i]) / reached[-1]
    return best[1], best[0]


@every
@given(seed=seeds, s=inside)
@settings(max_examples=30)
def test_what_is_on_it_is_nearest_to_itself(name: str, seed: int, s: list[float]) -> None:
    line, wanted = polyline(name, seed), torch.tensor(s, dtype=torch.float64)
    got, residual = line.nearest(line.at(wanted))
    assert got.dtype == residual.dtype == torch.float64
    assert (got - wanted).abs().max() < CLOSE
    assert residual.max() < CLOSE


@every
@given(seed=seeds, far=st.sampled_from([1e-3, 0.1, 1.0, 30.0]))
@settings(max_examples=30)
def test_the_nearest_point_is_that_of_every_segment_by_itself(name: str, seed: int, far: float) -> None:
    line = polyline(name, seed)
    theta = line.at(torch.tensor([0.1, 0.5, 0.77])) + far * normal(3, 6, seed=seed + 1)
    s, residual, away = line.project(theta)
    for k in range(3):
        expected_s, expected = dense_nearest(line, theta[k])
        assert float(residual[k]) == pytest.approx(expected, abs=CLOSE)
        assert float(s[k]) == pytest.approx(expected_s, abs=1e-9)
    assert (theta - line.at(s) - away).abs().max() < CLOSE
    assert (away.norm(dim=1) - residual).abs().max() < CLOSE


@every
def test_no_point_of_the_path_is_nearer(name: str) -> None:
    """A search by scipy over s, from a grid, uses `at` alone."""
    line = polyline(name, 3)
    theta = line.at(torch.tensor([0.42])) + 0.5 * normal(1, 6, seed=4)

    def distance(s: float) -> float:
        return float((line.at(torch.tensor([s], dtype=torch.float64)) - theta).norm())

    grid = np.linspace(0.0, 1.0, 401)
    at = int(np.argmin([distance(s) for s in grid]))
    bounds = grid[max(at - 1, 0)], grid[min(at + 1, 400)]
    found = minimize_scalar(distance, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    s, residual = line.nearest(theta)
    assert float(residual) <= found.fun + CLOSE
    assert float(residual) == pytest.approx(found.fun, abs=1e-7)
    assert float(s) == pytest.approx(found.x, abs=1e-5)


@every
@given(seed=seeds)
@settings(max_examples=20)
def test_no_vertex_is_nearer(name: str, seed: int) -> None:
    line, theta = polyline(name, seed), normal(4, 6, seed=seed + 1)
    _, residual = line.nearest(theta)
    assert (residual[:, None] <= torch.cdist(theta, vertices(line)) + CLOSE).all()


@every
@given(seed=seeds)
@settings(max_examples=20)
def test_turning_and_shifting_weight_space_changes_nothing(name: str, seed: int) -> None:
    family, M = ALL[name]
    controls, theta = normal(M, 6, seed=seed), normal(4, 6, seed=seed + 1)
    turn, shift = torch.linalg.qr(normal(6, 6, seed=seed + 2))[0], 10.0 * normal(6, seed=seed + 3)
    s, residual = Polyline.of(family, controls, SEGMENTS).nearest(theta)
    turned = Polyline.of(family, controls @ turn + shift, SEGMENTS)
    again, residual_again = turned.nearest(theta @ turn + shift)
    # the vertices of a curve follow from its arclength, whose table is read to some 1e-12
    assert (s - again).abs().max() < 1e-8
    assert (residual - residual_again).abs().max() < 1e-8


@every
@given(seed=seeds)
@settings(max_examples=20)
def test_points_do_not_know_of_each_other(name: str, seed: int) -> None:
    line, theta = polyline(name, seed), normal(5, 6, seed=seed + 1)
    together = line.project(theta)
    for k in range(5):
        for one, all_of_them in zip(line.project(theta[k : k + 1]), together, strict=True):
            assert (one[0] - all_of_them[k]).abs().max() < CLOSE


@every
def test_the_ends_are_the_ends_and_clip_what_is_beyond(name: str) -> None:
    family, M = ALL[name]
    controls = normal(M, 6)
    line = Polyline.of(family, controls, SEGMENTS)
    assert torch.equal(line.at(torch.tensor([0.0, 1.0])), controls[[0, -1]])
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    tau = line.tangents(ends)
    beyond = line.at(ends) + torch.tensor([[-0.1], [0.1]], dtype=torch.float64) * tau
    s, residual = line.nearest(beyond)
    assert s.tolist() == [0.0, 1.0]
    assert residual.tolist() == pytest.approx([0.1, 0.1], abs=CLOSE)


@every
def test_tangents_point_along_it_and_at_a_vertex_ahead(name: str) -> None:
    line, h = polyline(name), 1e-6
    s = torch.cat([torch.tensor([0.123, 0.5671, 0.9], dtype=torch.float64), line._s[:-1]])
    tau = line.tangents(s)
    ahead = (line.at(s + h) - line.at(s)) / (h * line.length)
    assert (tau - ahead).abs().max() < 1e-8
    assert (tau.norm(dim=1) - 1.0).abs().max() < 1e-14


@every
@pytest.mark.parametrize("step", [1e-8, 1e-10])
def test_close_to_a_vertex_the_right_segment_is_found(name: str, step: float) -> None:
    """The distances to both differ by step^2, which is lost beside those from the path's beginning."""
    line = polyline(name)
    for s in (line._s[:-1] + step, line._s[1:] - step):
        assert (line.nearest(line.at(s))[0] - s).abs().max() < 1e-14


@pytest.mark.parametrize("seed", [0, 1, 138, 153])
def test_a_vertex_that_is_nearest_has_its_own_s_and_the_tangent_ahead(seed: int) -> None:
    """Each seen from its outer side: rounding must not decide whether the tangent is that before or behind.

    With seeds 138 and 153 the sum start + (end - start) is not the end, to the bit.
    """
    pieces = normal(3, 2, seed=seed).abs() * torch.tensor([[0.01], [1.0], [1.0]], dtype=torch.float64)
    line = Polyline.of(FAMILIES["chain"], torch.cat([torch.zeros_like(pieces[:1]), pieces.cumsum(0)]), 1)
    inner = line._s[1:-1]
    before, behind = line.tangents(inner - 1e-6), line.tangents(inner)
    s, _ = line.nearest(line.at(inner) + 1e-3 * (before - behind))
    assert torch.equal(s, inner)
    assert torch.equal(line.tangents(s), behind)


@every
def test_it_has_the_paths_own_corners_or_pieces_of_one_length(name: str) -> None:
    family, M = ALL[name]
    controls, line = normal(M, 6), polyline(name)
    kinks, cuts = family.breaks(M), line.t(line._s)
    if "bezier" in name:
        legs = len(kinks) - 1
        assert len(cuts) == SEGMENTS * legs + 1
        pieces = arclength(family, controls, cuts).diff().reshape(legs, SEGMENTS)
        # cut by linear interpolation between 1024 positions: relative error below some 1e-4
        assert (pieces / pieces.mean(1, keepdim=True) - 1.0).abs().max() < 1e-3
    else:
        assert (cuts - kinks).abs().max() < 1e-14
    assert (vertices(line) - family.at(controls, cuts)).abs().max() < 1e-12


@every
def test_length_and_parameter_are_the_paths(name: str) -> None:
    """Chords are shorter than their arcs by (kappa h)^2 / 24: with many pieces the polyline is the path."""
    family, M = ALL[name]
    controls = normal(M, 6)
    line = Polyline.of(family, controls, 512)
    length = float(arclength(family, controls, torch.tensor([0.0, 1.0]))[-1])
    assert line.length == pytest.approx(length, rel=1e-4)
    t = torch.linspace(0.0, 1.0, 33, dtype=torch.float64)
    s = fraction(family, controls, t)
    assert (line.t(s) - t).abs().max() < 1e-3
    assert (line.at(s) - family.at(controls, t)).abs().max() < 1e-3 * length


def test_a_straight_line_in_closed_form() -> None:
    line = Polyline.of(FAMILIES["bezier"], torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), 8)
    assert line.length == pytest.approx(2.0)
    s, residual = line.nearest(torch.tensor([[0.5, 0.3], [-1.0, 0.0], [3.0, 4.0]]))
    assert s.tolist() == pytest.approx([0.25, 0.0, 1.0])
    assert residual.tolist() == pytest.approx([0.3, 1.0, 17**0.5])


def test_of_two_nearest_points_the_first_one_is_taken() -> None:
    """A hairpin, seen from its axis of symmetry."""
    controls = torch.tensor([[0.0, 1.0], [4.0, 1.0], [4.0, -1.0], [0.0, -1.0]])
    s, residual = Polyline.of(FAMILIES["chain"], controls, 1).nearest(torch.tensor([[1.0, 0.0]]))
    assert (float(s), float(residual)) == (0.1, 1.0)


@pytest.mark.parametrize("name", ["chain", "autoneb"])
def test_segments_of_length_0_are_passed_over(name: str) -> None:
    points = normal(3, 6)
    doubled = Polyline.of(FAMILIES[name], points[[0, 0, 1, 1, 1, 2, 2]], 4)
    plain = Polyline.of(FAMILIES[name], points, 4)
    theta, s = normal(20, 6, seed=1), torch.linspace(0, 1, 21, dtype=torch.float64)
    assert doubled.length == pytest.approx(plain.length, rel=1e-14)
    for got, expected in zip(doubled.project(theta), plain.project(theta), strict=True):
        assert (got - expected).abs().max() < CLOSE
    assert (doubled.at(s) - plain.at(s)).abs().max() < CLOSE
    assert (doubled.tangents(s) - plain.tangents(s)).abs().max() < CLOSE


def test_a_loop_from_a_point_to_itself_has_a_length() -> None:
    a, bend = normal(2, 6)
    line = Polyline.of(FAMILIES["bezier"], torch.stack([a, bend, a]), 16)
    assert line.length > 0.5
    assert float(line.nearest(line.at(torch.tensor([0.25])))[1]) < CLOSE


@every
def test_a_path_of_length_0_is_refused(name: str) -> None:
    family, M = ALL[name]
    with pytest.raises(TaskError, match="length 0"):
        Polyline.of(family, normal(1, 6).expand(M, 6), 4)


@every
def test_float32_weights_are_far_from_the_origin_and_s_is_known_to_a_millionth(name: str) -> None:
    """Weights around 100 are known to 4e-6 each: s of a path of length ~ 10 in 400 dimensions to some 1e-6."""
    family, M = ALL[name]
    controls = (100.0 + 0.3 * normal(M, 400)).float()
    line = Polyline.of(family, controls, SEGMENTS)
    s = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta = line.at(s)
    assert theta.dtype == torch.float32
    got, residual = line.nearest(theta)
    assert (got - s).abs().max() < 1e-5
    assert residual.max() < 1e-4


def test_what_is_not_finite_harms_no_other() -> None:
    line = polyline("bezier 1")
    theta = line.at(torch.tensor([0.2, 0.4, 0.6]))
    theta[1, 2] = float("nan")
    s, residual = line.nearest(theta)
    assert s[[0, 2]].tolist() == pytest.approx([0.2, 0.6], abs=1e-7)
    assert s[1].isnan()
    assert residual[1].isnan()
