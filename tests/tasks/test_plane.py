"""Task kind `plane`."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from mcdist.errors import Diverged, TaskError
from mcdist.science.plane import through
from mcdist.science.points import Points
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks import plane as module
from mcdist.tasks.work import Result

from .bench import (
    SGD,
    DictBench,
    assert_close,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    join,
    path,
    plane,
    problem_spec,
)

TRAIN = SGD | {"epochs": 1}
KINDS: dict[str, dict[str, Any]] = {
    "bezier": {"kind": "bezier", "train": TRAIN},
    "bezier2": {"kind": "bezier", "bends": 2, "train": TRAIN},
    "chain": {"kind": "chain", "train": TRAIN},
    "chain2": {"kind": "chain", "bends": 2, "train": TRAIN},
    "autoneb": {"kind": "autoneb", "neb": {"cycles": [{"steps": 4, "lr": 0.1}], "batch_size": 32}},
}
METRICS = [f"{split}_{m}" for split in ("train", "val", "test") for m in ("loss", "error")] + ["l2_norm"]

both = pytest.mark.parametrize("batch_norm", [False, True])

# the loss of float32 weights that went through float64 coordinates and back: rounding of the weights, some 1e-7
CLOSE = 1e-5


@cache
def made(batch_norm: bool = False, dtype: str = "float32") -> tuple[DictBench, ProblemSpec]:
    """Three end points, and a path of every kind from the first to the second. To be left as it is."""
    problem = problem_spec(batch_norm=batch_norm, dtype=dtype)
    bench = bench_with(problem, 3, epochs=1)
    for kind, said in KINDS.items():
        bench.do("path", [path(problem, kind, ("end0", "end1"), **said)])
    return bench, problem


def drawn(*of: str, batch_norm: bool = False, dtype: str = "float32", **said: Any) -> tuple[Result, DictBench]:
    first, problem = made(batch_norm, dtype)
    bench = beside(first)
    (outcome,) = bench.do("plane", [plane(problem, "plane", *of, **said)])
    assert isinstance(outcome, Result)
    return outcome, bench


def weights(bench: DictBench, task_id: str, prefix: str = "") -> Tensor:
    tensors = bench.results[task_id].tensors
    names = [n for n in tensors if n.startswith(prefix) and n.endswith(("weight", "bias"))]
    return torch.cat([tensors[name].flatten() for name in names])


def three(bench: DictBench, kind: str) -> list[Tensor]:
    """The ends, and the bend or the middle."""
    n = bench.row(kind, "paths")["n_points"]
    points = [weights(bench, kind, f"point_{j}.") for j in range(n)]
    if kind == "bezier2":
        middle = (points[0] + 3 * points[1] + 3 * points[2] + points[3]) / 8
    else:
        middle = points[n // 2] if n % 2 else (points[n // 2 - 1] + points[n // 2]) / 2
    return [points[0], points[-1], middle]


@both
@pytest.mark.parametrize("of", [*KINDS, ("end0", "end1", "end2")], ids=str)
def test_rows_fit_their_tables(of: str | tuple[str, ...], batch_norm: bool) -> None:
    names = (of,) if isinstance(of, str) else of
    found, _ = drawn(*names, batch_norm=batch_norm)
    assert_rows_fit(found)
    assert not found.tensors
    for row in found.rows["planes"]:
        assert row["plane_id"] == "plane"
        assert (row["endpoint_a"], row["endpoint_b"]) == ("end0", "end1")
        assert row.get("endpoint_c") == (None if isinstance(of, str) else "end2")
        assert row["path_id"] == (of if isinstance(of, str) else None)
        assert row["problem"] == "digits/mlp"


@pytest.mark.parametrize("margin", [0.0, 0.25, 1.0])
def test_the_grid_is_around_the_three_points_row_by_row(margin: float) -> None:
    found, bench = drawn("bezier", points=5, margin=margin)
    ((ax, ay), (bx, by), (cx, cy)) = through(*three(bench, "bezier")).corners
    room = margin * max(max(ax, bx, cx) - min(ax, bx, cx), cy)
    x, y = torch.linspace(min(0.0, cx) - room, max(bx, cx) + room, 5), torch.linspace(-room, cy + room, 5)
    assert (ax, ay, by) == (0.0, 0.0, 0.0)
    expected = [(float(u), float(v)) for v in y for u in x]
    got = [(row["x"], row["y"]) for row in found.rows["planes"]]
    assert torch.allclose(torch.tensor(got), torch.tensor(expected), rtol=1e-6, atol=1e-6)


@both
@pytest.mark.parametrize("of", ["bezier", "autoneb", "ends"])
def test_the_corners_have_the_end_points_metrics(of: str, batch_norm: bool) -> None:
    """Without a margin a and b are grid points wherever the third lies between them."""
    names = ("end0", "end1", "end2") if of == "ends" else (of,)
    found, bench = drawn(*names, batch_norm=batch_norm, margin=0.0, points=3)
    (_, (bx, _), (cx, _)) = ((m["x"], m["y"]) for m in found.rows["plane_marks"][:3])
    assert 0 < cx < bx
    rows = found.rows["planes"]
    for row, end in ((rows[0], "end0"), (rows[2], "end1")):
        expected = bench.row(end, "endpoints")
        assert row["x"] == pytest.approx(0.0 if end == "end0" else bx, abs=1e-9)
        for name in METRICS:
            assert row[name] == pytest.approx(expected[name], rel=CLOSE, abs=CLOSE), (end, name)


def test_a_grid_point_has_the_metrics_of_its_weights() -> None:
    """Weights from the corners by hand, in the order of Gram and Schmidt."""
    found, bench = drawn("bezier", batch_norm=True, dtype="float64")
    _, spec = made(True, "float64")
    problem = bench.problem(spec)
    a, b, c = three(bench, "bezier")
    e_x = (b - a) / (b - a).norm()
    up = (c - a) - ((c - a) @ e_x) * e_x
    e_y = up / up.norm()
    rows = found.rows["planes"]
    theta = torch.stack([a + row["x"] * e_x + row["y"] * e_y for row in rows])
    settled = problem.settle(problem.point(bench.results["end0"].tensors).at(theta))
    for name, values in problem.evaluate(settled).items():
        assert [row[name] for row in rows] == pytest.approx(values.tolist(), rel=1e-9), name


@pytest.mark.parametrize("kind", KINDS)
def test_marks_are_the_three_points_and_the_path(kind: str) -> None:
    found, bench = drawn(kind, dtype="float64")
    marks = found.rows["plane_marks"]
    assert [mark["role"] for mark in marks] == ["a", "b", "c"] + ["path"] * 61
    a, b, c, *on_path = marks
    # the bend of a Bezier curve is no point of it; everything else in the middle is
    assert [mark["t"] for mark in (a, b, c)] == [0.0, 1.0, None if kind == "bezier" else 0.5]
    assert [mark["t"] for mark in on_path] == pytest.approx([i / 60 for i in range(61)], abs=1e-12)
    chord = float((three(bench, kind)[1] - three(bench, kind)[0]).norm())
    assert (a["x"], a["y"], b["y"]) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert b["x"] == pytest.approx(chord, rel=1e-12)
    assert all(mark["distance"] == pytest.approx(0.0, abs=1e-9) for mark in (a, b, c))
    for mark, corner in ((on_path[0], a), (on_path[-1], b)):
        assert (mark["x"], mark["y"]) == pytest.approx((corner["x"], corner["y"]), abs=1e-9)
    away = max(mark["distance"] for mark in on_path)
    assert (away < 1e-9) == (kind in ("bezier", "chain"))  # with one bend the path lies in its plane
    if kind != "bezier":
        assert (on_path[30]["x"], on_path[30]["y"]) == pytest.approx((c["x"], c["y"]), abs=1e-9)


def test_planes_through_end_points_have_marks_without_t() -> None:
    found, bench = drawn("end2", "end0", "end1")
    marks = found.rows["plane_marks"]
    assert [(mark["role"], mark["t"]) for mark in marks] == [("a", None), ("b", None), ("c", None)]
    a, b, c = (weights(bench, f"end{i}") for i in (2, 0, 1))
    corners = [(mark["x"], mark["y"]) for mark in marks]
    for (p, q), (u, v) in (((0, 1), (a, b)), ((0, 2), (a, c)), ((1, 2), (b, c))):
        apart = torch.dist(torch.tensor(corners[p]), torch.tensor(corners[q]))
        assert float(apart) == pytest.approx(float((u - v).norm()), rel=1e-5)


def test_a_plane_through_the_same_weights_twice_fails_alone() -> None:
    first, problem = made()
    bench = beside(first)
    bench.results["twin"] = bench.results["end1"]
    flat = plane(problem, "flat", "end0", "end1", "twin")
    double = plane(problem, "double", "end0", "end0", "end1")
    fine, third, second = bench.do("plane", [plane(problem, "fine", "end0", "end1", "end2"), flat, double])
    assert isinstance(fine, Result)
    for failed, ends in ((third, "end0, end1, twin"), (second, "end0, end0, end1")):
        assert isinstance(failed, TaskError)
        assert not isinstance(failed, Diverged)
        assert "three points on one line span no plane" in str(failed)
        assert str(failed).endswith(f"the plane is through {ends}")
    assert "flat" not in bench.results


def test_a_path_that_is_straight_spans_no_plane() -> None:
    """A curve whose bend never left the chord: here, of training at a rate next to 0."""
    first, problem = made()
    bench = beside(first)
    still = {"kind": "bezier", "train": TRAIN | {"lr": 1e-30}}
    bench.do("path", [path(problem, "still", ("end0", "end1"), **still)])
    (failed,) = bench.do("plane", [plane(problem, "p", "still")])
    assert isinstance(failed, TaskError)
    assert "three points on one line span no plane" in str(failed)


def test_a_pack_gives_what_each_plane_gives_alone() -> None:
    first, problem = made(dtype="float64")
    items = [plane(problem, f"plane of {kind}", kind) for kind in ("bezier", "autoneb")]
    together = beside(first)
    together.do("plane", items)
    for item in items:
        alone = beside(first)
        alone.do("plane", [item])
        assert_same_results(together.results[item.id], alone.results[item.id])


@both
def test_how_many_grid_points_are_held_at_once_does_not_matter(
    batch_norm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = drawn("bezier", batch_norm=batch_norm, dtype="float64")
    monkeypatch.setattr(module, "at_once", lambda problem: 3)
    few, _ = drawn("bezier", batch_norm=batch_norm, dtype="float64")
    for row, expected in zip(few.rows["planes"], whole.rows["planes"], strict=True):
        assert_close(row, expected, rel=1e-12)


def test_points_of_the_plane_do_not_carry_the_statistics_of_an_end() -> None:
    """BatchNorm is re-estimated at every grid point: the numbers are not those with the statistics of end a."""
    found, bench = drawn("bezier", batch_norm=True, dtype="float64")
    _, spec = made(True, "float64")
    problem = bench.problem(spec)
    theta = through(*three(bench, "bezier")).at(
        torch.tensor([(row["x"], row["y"]) for row in found.rows["planes"]], dtype=torch.float64)
    )
    end = problem.point(bench.results["end0"].tensors)
    kept = problem.evaluate(Points(theta, end.at(theta).buffers))["train_loss"].tolist()
    assert [row["train_loss"] for row in found.rows["planes"]] != pytest.approx(kept, rel=1e-2)


def test_the_middle_of_a_path_of_several_legs_is_where_the_legs_meet() -> None:
    first, problem = made(dtype="float64")
    bench = beside(first)
    straight = {"kind": "linear"}
    bench.do(
        "path",
        [path(problem, name, ends, **straight) for name, ends in (("02", ("end0", "end2")), ("12", ("end1", "end2")))],
    )
    bench.do("join", [join(problem, "tour", ("02", "12"), (False, True), **straight)])
    (found,) = bench.do("plane", [plane(problem, "p", "tour")])
    assert isinstance(found, Result)
    through_ends, _ = drawn("end0", "end1", "end2", dtype="float64")
    for row, expected in zip(found.rows["planes"], through_ends.rows["planes"], strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-9)
