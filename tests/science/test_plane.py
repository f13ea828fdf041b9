"""Planes through three points: coordinates, orthonormal axes, and what lies on a line."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mcdist.science.paths import FAMILIES
from mcdist.science.plane import through


def three(dtype: torch.dtype = torch.float64, P: int = 50) -> Tensor:
    return 3 + torch.randn(3, P, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_three_points_lie_where_their_coordinates_say(dtype: torch.dtype) -> None:
    points = three(dtype)
    plane = through(*points)
    back = plane.at(torch.tensor(plane.corners, dtype=torch.float64))
    assert back.dtype == dtype
    assert torch.allclose(back, points, rtol=0, atol=1e-12 if dtype == torch.float64 else 1e-6)
    marks = plane.marks(points)
    assert [(m["x"], m["y"]) for m in marks] == [pytest.approx(corner, abs=1e-12) for corner in plane.corners]
    assert max(m["distance"] for m in marks) < 1e-12


def test_coordinates_are_euclidean() -> None:
    points = three()
    plane = through(*points)
    axes = torch.stack([plane.e_x, plane.e_y])
    assert torch.allclose(axes @ axes.T, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-14)
    corners = torch.tensor(plane.corners, dtype=torch.float64)
    assert torch.allclose(torch.cdist(corners, corners), torch.cdist(points, points), rtol=1e-12, atol=1e-12)


def test_a_quadratic_curve_lies_in_the_plane_of_its_control_points() -> None:
    points = three()
    curve = FAMILIES["bezier"].at(points[[0, 2, 1]], torch.linspace(0, 1, 9))
    plane = through(*points)
    marks = plane.marks(curve)
    assert max(m["distance"] for m in marks) < 1e-12
    assert torch.allclose(
        plane.at(torch.tensor([(m["x"], m["y"]) for m in marks], dtype=torch.float64)), curve, rtol=0, atol=1e-12
    )


def test_what_is_off_the_plane_is_projected() -> None:
    a, b, c = torch.eye(4, dtype=torch.float64)[:3]
    (mark,) = through(a, b, c).marks(torch.tensor([[1.0, 0.0, 0.0, 2.0]]))
    assert mark == pytest.approx({"x": 0.0, "y": 0.0, "distance": 2.0}, abs=1e-15)


def test_the_grid_surrounds_the_points() -> None:
    plane = through(*three())
    x, y = plane.grid(5, 0.25)
    xs, ys = zip(*plane.corners, strict=True)
    room = 0.25 * max(max(xs) - min(xs), max(ys))
    assert (float(x[0]), float(x[-1])) == pytest.approx((min(xs) - room, max(xs) + room))
    assert (float(y[0]), float(y[-1])) == pytest.approx((-room, max(ys) + room))
    assert len(x) == len(y) == 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_on_a_line_span_no_plane(dtype: torch.dtype) -> None:
    a, b, _ = three(dtype)
    for c in (a, b, 0.3 * a + 0.7 * b, 5 * b - 4 * a):
        with pytest.raises(ValueError, match="three points on one line span no plane"):
            through(a, b, c)
    with pytest.raises(ValueError, match="the first two are the same"):
        through(a, a, b)
    assert through(a, b, 0.3 * a + 0.7 * b + 1e-3 * torch.arange(50, dtype=dtype)).corners[2][1] > 0
