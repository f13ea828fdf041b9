"""Task kind `join`: paths through several end points, made of those between two."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from mcdist.science.paths.arclength import arclength
from mcdist.spec.problem import ProblemSpec
from mcdist.tasks.stored_path import LoadedPath, load_path
from mcdist.tasks.work import Item, Result

from .bench import (
    SGD,
    DictBench,
    align,
    assert_rows_fit,
    assert_same_results,
    bench_with,
    beside,
    join,
    path,
    problem_spec,
    profile,
)

TRAIN = SGD | {"epochs": 1}
NEB = {"cycles": [{"steps": 6, "lr": 0.3}] * 2, "batch_size": 32, "pivots": 2, "threshold": 0.05, "insert": 1}
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear"},
    "bezier2": {"kind": "bezier", "bends": 2, "train": TRAIN},
    "chain": {"kind": "chain", "train": TRAIN},
    "autoneb": {"kind": "autoneb", "neb": NEB},
    "repaired": {"kind": "linear", "repair": True},
}
METRICS = [f"{split}_{m}" for split in ("train", "val", "test") for m in ("loss", "error")] + ["l2_norm"]
POINTS = 7  # of each leg's profile

every_kind = pytest.mark.parametrize("kind", KINDS)
whether_aligned = pytest.mark.parametrize("method", [None, "weights"], ids=["plain", "aligned"])

# A tour 0 - 2 - 1 - 3: its second leg is walked backwards. Legs as they are stored, and whether they are turned round.
LEGS = ((0, 2), (1, 2), (1, 3))
BACK = (False, True, False)
WAYS: dict[str, tuple[tuple[tuple[int, int], ...], tuple[bool, ...]]] = {
    "0213": (LEGS, BACK),
    "0123": (((0, 1), (1, 2), (2, 3)), (False, False, False)),
    "3210": (((2, 3), (1, 2), (0, 1)), (True, True, True)),
    "2103": (((1, 2), (0, 1), (0, 3)), (True, True, False)),
}
"""Tours by the positions of their end points."""

# Float64: what is left is the order of sums. Permuted units are summed in another order, too.
CLOSE = 1e-9


@cache
def ends(batch_norm: bool, hidden: tuple[int, ...] = (12,)) -> tuple[DictBench, ProblemSpec]:
    """Four end points. To be left as they are."""
    args = {"hidden": list(hidden), "batch_norm": batch_norm}
    problem = problem_spec(dtype="float64", model={"name": "mlp", "args": args})
    return bench_with(problem, 4, epochs=2), problem


@cache
def toured(
    kind: str,
    method: str | None = None,
    batch_norm: bool = False,
    legs: Sequence[tuple[int, int]] = LEGS,
    back: Sequence[bool] = BACK,
    hidden: tuple[int, ...] = (12,),
) -> tuple[DictBench, ProblemSpec]:
    """Legs, the path `tour` made of them, and profiles of all. To be left as it is."""
    first, problem = ends(batch_norm, hidden)
    bench = beside(first)
    said = KINDS[kind] | ({} if method is None else {"align": method})
    names, alignments = [f"leg{i}{j}" for i, j in legs], [f"align{i}{j}" for i, j in legs]
    for name, alignment, (i, j) in zip(names, alignments, legs, strict=True):
        pair = (f"end{i}", f"end{j}")
        item = path(problem, name, pair, **said)
        if method is not None:
            bench.do("align", [align(problem, alignment, pair, method=method)])
            item = Item(name, item.spec, (*pair, alignment))
        bench.do("path", [item])
    bench.do("join", [join(problem, "tour", names, back, alignments if method else (), **said)])
    bench.do("profile", [profile(problem, name, POINTS) for name in dict.fromkeys(names)])
    bench.do("profile", [profile(problem, "tour", len(legs) * (POINTS - 1) + 1)])
    return bench, problem


def loaded(bench: DictBench, problem: ProblemSpec, name: str) -> LoadedPath:
    return load_path(bench.stored(name), bench.problem(problem))


def walked(bench: DictBench, name: str, back: bool) -> list[dict[str, Any]]:
    rows = bench.results[f"profile of {name}"].rows["path_points"]
    return rows[::-1] if back else rows


@whether_aligned
@every_kind
def test_rows_fit_their_tables(kind: str, method: str | None) -> None:
    bench, _ = toured(kind, method)
    assert_rows_fit(bench.results["tour"])
    assert_rows_fit(bench.results["profile of tour"])
    row = bench.row("tour", "paths")
    assert (row["path_id"], row["kind"], row["via"]) == ("tour", KINDS[kind]["kind"], ["end2", "end1"])
    assert (row["endpoint_a"], row["endpoint_b"]) == ("end0", "end3")
    assert (row["aligned"], row["alignment"]) == (method is not None, method)
    assert row["repair"] == KINDS[kind].get("repair", False)
    legs = [bench.row(f"leg{i}{j}", "paths") for i, j in LEGS]
    assert row["n_points"] == sum(leg["n_points"] for leg in legs) - 2
    for barrier in bench.results["profile of tour"].rows["barriers"]:
        assert (barrier["path_id"], barrier["via"]) == ("tour", ["end2", "end1"])


@whether_aligned
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "batch_norm"),
    [(kind, False) for kind in KINDS] + [("bezier2", True)],
)
def test_a_joined_paths_profile_is_that_of_its_legs_one_after_the_other(
    kind: str, batch_norm: bool, way: str, method: str | None
) -> None:
    """Also where aligned: a leg that stood in other units than the one before it would be another path."""
    legs, back = WAYS[way]
    bench, _ = toured(kind, method, batch_norm, legs, back)
    rows = bench.results["profile of tour"].rows["path_points"]
    for leg, ((i, j), turned) in enumerate(zip(legs, back, strict=True)):
        own = walked(bench, f"leg{i}{j}", turned)
        here = rows[leg * (POINTS - 1) : (leg + 1) * (POINTS - 1) + 1]
        for got, expected in zip(here, own, strict=True):
            t = 1 - expected["t"] if turned else expected["t"]
            assert got["t"] == pytest.approx((leg + t) / len(legs), abs=1e-12)
            for metric in METRICS:
                assert got[metric] == pytest.approx(expected[metric], rel=CLOSE, abs=CLOSE), (leg, metric)


@whether_aligned
@every_kind
def test_length_is_that_of_all_legs_and_arclength_goes_on(kind: str, method: str | None) -> None:
    bench, problem = toured(kind, method)
    lengths = [bench.row(f"leg{i}{j}", "paths")["length"] for i, j in LEGS]
    assert bench.row("tour", "paths")["length"] == pytest.approx(sum(lengths), rel=CLOSE)
    rows = bench.results["profile of tour"].rows["path_points"]
    reached = torch.tensor([0.0, *lengths], dtype=torch.float64).cumsum(0) / sum(lengths)
    assert [rows[i * (POINTS - 1)]["s"] for i in range(4)] == pytest.approx(reached.tolist(), abs=1e-9)
    tour = loaded(bench, problem, "tour")
    theta = tour.controls.theta
    assert bench.row("tour", "paths")["chord"] == pytest.approx(float((theta[-1] - theta[0]).norm()), rel=1e-12)
    whole = arclength(tour.family, theta, torch.tensor([0.0, 1.0]))[-1]
    assert float(whole) == pytest.approx(sum(lengths), rel=CLOSE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "hidden"), [(kind, (12,)) for kind in KINDS] + [("linear", (8, 6))], ids=str)
def test_aligned_legs_meet_at_the_end_points_between(kind: str, hidden: tuple[int, ...], way: str) -> None:
    """Close to either side of a joint the weights are close; and each joint is the end point, its units permuted."""
    legs, back = WAYS[way]
    bench, problem = toured(kind, "weights", legs=legs, back=back, hidden=hidden)
    stops = [f"end{i}" for i in way]
    assert bench.row("tour", "paths")["via"] == stops[1:3]
    tour = loaded(bench, problem, "tour")
    at = bench.problem(problem)
    step = 1e-7
    for joint in (1, 2):
        t = joint / 3 + torch.tensor([-step, 0.0, step], dtype=torch.float64)
        before, here, after = tour.family.at(tour.controls.theta, t)
        speed = 3 * 10 * float(bench.row("tour", "paths")["length"])
        assert float((before - here).norm()) < step * speed
        assert float((after - here).norm()) < step * speed
        end = at.point(bench.results[stops[joint]].tensors).theta[0]
        assert torch.equal(here.sort().values, end.sort().values)  # the same numbers at other places
        assert not torch.equal(here, end)
    first, last = (at.point(bench.results[end].tensors).theta[0] for end in (stops[0], stops[-1]))
    assert torch.equal(tour.controls.theta[0], first)
    assert torch.equal(tour.controls.theta[-1].sort().values, last.sort().values)


def test_a_leg_that_is_walked_backwards_first_begins_as_its_end_was_stored() -> None:
    """Not permuted back: the path begins at the end point itself, as every path does."""
    bench, problem = toured("linear", "weights", legs=((1, 2), (1, 3)), back=(True, False))
    theta = loaded(bench, problem, "tour").controls.theta
    start = bench.problem(problem).point(bench.results["end2"].tensors).theta[0]
    assert torch.equal(theta[0], start)
    row = bench.row("tour", "paths")
    assert (row["endpoint_a"], row["endpoint_b"], row["via"]) == ("end2", "end3", ["end1"])
    points = bench.results["profile of tour"].rows["path_points"]
    for metric in METRICS:
        assert points[0][metric] == bench.row("end2", "endpoints")[metric]
        assert points[-1][metric] == bench.row("end3", "endpoints")[metric]


@whether_aligned
@every_kind
def test_there_and_back_is_the_path_and_its_mirror_image(kind: str, method: str | None) -> None:
    bench, problem = toured(kind, method, legs=((0, 2), (0, 2)), back=(False, True))
    theta = loaded(bench, problem, "tour").controls.theta
    assert torch.equal(theta, theta.flip(0))
    row = bench.row("tour", "paths")
    assert (row["endpoint_a"], row["endpoint_b"], row["chord"]) == ("end0", "end0", 0.0)
    rows = bench.results["profile of tour"].rows["path_points"]
    for one, other in zip(rows, rows[::-1], strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=CLOSE)


def test_legs_of_an_autoneb_may_have_different_numbers_of_pivots() -> None:
    """As they come to have where one leg bulges more than another; here, because they began so."""
    first, problem = ends(False)
    bench = beside(first)
    pivots = (2, 5, 3)
    for (i, j), number in zip(LEGS, pivots, strict=True):
        neb = {"cycles": [{"steps": 4, "lr": 0.1}], "batch_size": 32, "pivots": number}
        bench.do("path", [path(problem, f"leg{i}{j}", (f"end{i}", f"end{j}"), kind="autoneb", neb=neb)])
    bench.do("join", [join(problem, "tour", [f"leg{i}{j}" for i, j in LEGS], BACK, kind="autoneb")])
    bench.do("profile", [profile(problem, name, POINTS) for name in ("leg02", "leg12", "leg13")])
    bench.do("profile", [profile(problem, "tour", 3 * (POINTS - 1) + 1)])
    assert loaded(bench, problem, "tour").sizes == (4, 7, 5)
    losses = [
        [row["train_loss"] for row in walked(bench, f"leg{i}{j}", b)] for (i, j), b in zip(LEGS, BACK, strict=True)
    ]
    expected = losses[0] + losses[1][1:] + losses[2][1:]
    assert [row["train_loss"] for row in walked(bench, "tour", False)] == pytest.approx(expected, rel=CLOSE)


def stacked(bench: DictBench, name: str, of: str) -> Tensor:
    return torch.stack([t for n, t in bench.results[name].tensors.items() if n.endswith(f".{of}")])


def test_what_is_stored_is_the_legs_control_points_the_joints_once() -> None:
    bench, _ = toured("bezier2")
    legs = [stacked(bench, f"leg{i}{j}", "1.weight") for i, j in LEGS]
    expected = torch.cat([legs[0], legs[1].flip(0)[1:], legs[2][1:]])
    assert torch.equal(stacked(bench, "tour", "1.weight"), expected)


@pytest.mark.parametrize("way", ["0213", "3210"])
def test_both_ends_have_their_own_statistics(way: str) -> None:
    legs, back = WAYS[way]
    bench, _ = toured("linear", None, True, legs, back)
    tensors = bench.results["tour"].tensors
    for point, end in ((0, f"end{way[0]}"), (3, f"end{way[-1]}")):
        own = bench.results[end].tensors["2.running_mean"]
        assert torch.equal(tensors[f"point_{point}.2.running_mean"], own)


@whether_aligned
def test_a_pack_gives_what_each_tour_gives_alone(method: str | None) -> None:
    first, problem = toured("linear", method)
    said = KINDS["linear"] | ({} if method is None else {"align": method})
    orders = {"x": ((0, 2), (1, 2)), "y": ((1, 3), (1, 2))}
    items = [
        join(
            problem,
            name,
            [f"leg{i}{j}" for i, j in legs],
            back,
            [f"align{i}{j}" for i, j in legs] if method else (),
            **said,
        )
        for (name, legs), back in zip(orders.items(), ((False, True), (True, False)), strict=True)
    ]
    together = beside(first)
    together.do("join", items)
    for item in items:
        alone = beside(first)
        alone.do("join", [item])
        assert isinstance(alone.results[item.id], Result)
        assert_same_results(together.results[item.id], alone.results[item.id], rel=0.0)
