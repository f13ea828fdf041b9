"""Task kinds `path`, `align`, `join`, `profile`, `plane` of auctions: from stored ends to stored paths, and back."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import mcdist
from mcdist.errors import RequestError, TaskError
from mcdist.problems.auctions import Auction
from mcdist.science.auctions import match
from mcdist.science.paths import FAMILIES
from mcdist.spec.auctions import AffineMaximizerSpec, RochetNetSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.problems import prepare
from mcdist.tasks.stored_path import LoadedPath, load_path
from mcdist.tasks.work import Item, Result

from .bench import (
    DictBench,
    align,
    assert_rows_fit,
    assert_same_results,
    beside,
    curvature,
    endpoint,
    join,
    path,
    plane,
    profile,
)

ADAM: dict[str, Any] = {"epochs": 4, "lr": 0.05, "optimizer": "adam", "batch_size": 64, "schedule": "cosine"}
TRAIN = ADAM | {"epochs": 6, "lr": 0.02, "batch_size": 128}
NEB = {"cycles": [{"steps": 20, "lr": 0.02}], "batch_size": 64, "pivots": 2, "most": 4, "dense": 2}
SMALL = {"samples": 1500, "fit_samples": 1000, "iterations": 25, "menu_size": 15}
KINDS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear"},
    "matched": {"kind": "linear", "align": "weights"},
    "logits": {"kind": "logits"},
    "bezier": {"kind": "bezier", "bends": 2, "train": TRAIN},
    "chain": {"kind": "chain", "train": TRAIN},
    "autoneb": {"kind": "autoneb", "neb": NEB},
    "three_pieces": {"kind": "three_pieces"},
    "three_matched": {"kind": "three_pieces", "align": "weights"},
    "five_pieces": {"kind": "five_pieces"},
    "large_menu": {"kind": "large_menu", "eps": 1.0},  # 4^2 - 1 options of one item are enough
}
PROBLEMS: dict[str, Any] = {
    "one item": RochetNetSpec(kind="rochetnet", setting="uniform_1", **SMALL),
    "float32": RochetNetSpec(kind="rochetnet", setting="uniform_1", dtype="float32", **SMALL),
    "bidders": AffineMaximizerSpec(kind="affine_maximizer", setting="bidders_2_items_2", **SMALL),
}
POSSIBLE = [(of, kind) for of in PROBLEMS for kind in KINDS if kind != "large_menu" or of != "bidders"]

ENDS = ("end0", "end1")
POINTS = 31
every_path = pytest.mark.parametrize(("of", "kind"), POSSIBLE)


@cache
def ends(of: str) -> tuple[DictBench, Any]:
    """Two end points and their matching. To be left as it is."""
    problem, bench = PROBLEMS[of], DictBench()
    bench.do("endpoint", [endpoint(problem, seed, **ADAM) for seed in range(3)])
    bench.do("align", [align(problem, f"align{i}{j}", (f"end{i}", f"end{j}")) for i, j in ((0, 1), (1, 2))])
    return bench, problem


def between(problem: Any, kind: str, i: int = 0, j: int = 1) -> Item:
    said = KINDS[kind]
    item = path(problem, f"{kind}{i}{j}", (f"end{i}", f"end{j}"), **said)
    return Item(item.id, item.spec, (*item.inputs, f"align{i}{j}")) if "align" in said else item


@cache
def connected(of: str, kind: str) -> tuple[DictBench, Any, str]:
    """A path between the ends, and its profile. To be left as it is."""
    first, problem = ends(of)
    bench, item = beside(first), between(problem, kind)
    bench.do("path", [item])
    bench.do("profile", [profile(problem, item.id, POINTS)])
    return bench, problem, item.id


def loaded(bench: DictBench, problem: Any, name: str) -> tuple[LoadedPath, Auction]:
    at = bench.problem(problem)
    assert isinstance(at, Auction)
    return load_path(bench.stored(name), at), at


def points(bench: DictBench, name: str) -> list[dict[str, Any]]:
    return bench.results[f"profile of {name}"].rows["path_points"]


@every_path
def test_rows_fit_their_tables(of: str, kind: str) -> None:
    bench, _, name = connected(of, kind)
    made, measured = bench.results[name], bench.results[f"profile of {name}"]
    assert_rows_fit(made)
    assert_rows_fit(measured)
    row, family = bench.row(name, "paths"), FAMILIES[KINDS[kind]["kind"]]
    assert (row["kind"], row["aligned"]) == (KINDS[kind]["kind"], "align" in KINDS[kind])
    assert row.get("pieces") == family.pieces
    assert ("promise_kept" in row) == (family.pieces is not None)
    intervals = (POINTS - 1) // (family.pieces or 1)
    pieces = [min(i // intervals + 1, family.pieces) if family.pieces else None for i in range(POINTS)]
    assert [point.get("piece") for point in points(bench, name)] == pieces
    metrics = {row["metric"]: row for row in measured.rows["barriers"]}
    exact = ["revenue_exact"] if of != "bidders" else []
    assert list(metrics) == ["train_loss", "revenue", *exact]
    assert metrics["train_loss"]["stderr"] is None
    assert all(metrics[name]["stderr"] is None for name in exact)
    assert metrics["revenue"]["stderr"] >= 0.0


@every_path
def test_ends_are_the_end_points_bit_for_bit(of: str, kind: str) -> None:
    """As stored, and as loaded and evaluated at t = 0 and 1; a matched end b is so in another order."""
    bench, problem, name = connected(of, kind)
    one, at = loaded(bench, problem, name)
    n = bench.row(name, "paths")["n_points"]
    a, b = (bench.results[end].tensors for end in ENDS)
    tensors = bench.results[name].tensors
    phi = one.family.at(one.controls.theta, torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert phi.dtype == at.dtype
    assert torch.equal(phi[:1], at.point(a).theta)
    for part, tensor in a.items():
        assert torch.equal(tensors[f"point_0.{part}"], tensor)
        assert tensors[f"point_{n - 1}.{part}"].dtype == tensor.dtype == at.dtype
        last, end = tensors[f"point_{n - 1}.{part}"], b[part]
        assert torch.equal(last, end) or "align" in KINDS[kind]
        assert torch.equal(last.flatten().sort().values, end.flatten().sort().values)
    if "align" not in KINDS[kind]:
        assert torch.equal(phi[1:], at.point(b).theta)


@every_path
def test_ends_of_a_profile_have_the_numbers_of_the_end_points(of: str, kind: str) -> None:
    bench, problem, name = connected(of, kind)
    at = bench.problem(problem)
    rows = points(bench, name)
    for row, end in ((rows[0], "end0"), (rows[-1], "end1")):
        own = at.evaluate(at.point(bench.results[end].tensors))
        for metric, value in own.items():
            assert row[metric] == float(value), metric


@every_path
def test_the_profile_is_what_a_reader_of_the_store_finds(of: str, kind: str) -> None:
    """Combine, take the mechanism, have all held-out bidders choose; every position is a mechanism."""
    bench, problem, name = connected(of, kind)
    one, at = loaded(bench, problem, name)
    rows = points(bench, name)
    theta = one.family.at(one.controls.theta, torch.tensor([row["t"] for row in rows], dtype=torch.float64))
    options = at.options(theta.double())
    assert float(options.excess().max()) <= 4 * torch.finfo(at.dtype).eps
    revenue = options.outcome(at.held_out).revenue
    assert [row["revenue"] for row in rows] == pytest.approx(revenue.mean(1).tolist(), abs=1e-12)
    assert [row["stderr"] for row in rows] == pytest.approx((revenue.std(1) / 1500**0.5).tolist(), abs=1e-12)
    (barrier,) = (b for b in bench.results[f"profile of {name}"].rows["barriers"] if b["metric"] == "revenue")
    mean, t = revenue.mean(1), torch.linspace(0.0, 1.0, POINTS, dtype=torch.float64)
    worst, end = int(mean.argmin()), 0 if mean[0] <= mean[-1] else -1
    assert barrier["barrier_max"] == pytest.approx(float(mean[end] - mean.min()), abs=1e-12)
    assert barrier["stderr"] == pytest.approx(float((revenue[end] - revenue[worst]).std()) / 1500**0.5, abs=1e-9)
    assert float(mean[round(barrier["argmin_t"] * (POINTS - 1))]) == pytest.approx(float(mean.min()), abs=1e-12)
    assert barrier["argmin_t"] in t.tolist()


@pytest.mark.parametrize(("of", "kind"), [(of, kind) for of, kind in POSSIBLE if FAMILIES[KINDS[kind]["kind"]].pieces])
def test_promises_are_kept_and_barriers_are_no_greater(of: str, kind: str) -> None:
    """All corners are positions of the profile and of what is measured for the promise: 10 against 8 to a piece."""
    bench, _, name = connected(of, kind)
    row = bench.row(name, "paths")
    assert row["promise_kept"] is True
    barriers = {b["metric"]: b for b in bench.results[f"profile of {name}"].rows["barriers"]}
    assert barriers["revenue"]["barrier_max"] <= row["eps_promised"] + 3 * barriers["revenue"]["stderr"] + 1e-6
    assert row["middle_deviation"] < 1e-12  # in float64, whatever the type of the ends


@pytest.mark.parametrize("of", PROBLEMS)
def test_alignment_by_weights_is_the_optimal_matching_of_options(of: str) -> None:
    bench, problem = ends(of)
    at = bench.problem(problem)
    assert isinstance(at, Auction)
    a, b = (at.options(at.point(bench.results[end].tensors).theta) for end in ENDS)
    order = match(a, b)[0]
    expected = b.pick(order)
    found, _ = loaded(connected(of, "matched")[0], problem, "matched01")
    matched = at.options(found.controls.theta)
    distance = (a.rows() - expected.rows()).double().norm()
    assert float((matched[0].rows() - matched[1].rows()).double().norm()) == pytest.approx(float(distance), rel=1e-12)
    # of options that are the same several orders are the best
    assert torch.equal(matched[1].rows(), expected.rows()) or of != "bidders"
    row = bench.row("align01", "alignments")
    assert row["distance_after"] == pytest.approx(float(distance), rel=1e-12)
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        other = b.pick(torch.randperm(15, generator=draw) + 1)
        assert float((a.rows() - other.rows()).double().norm()) >= float(distance)


@pytest.mark.parametrize("of", ["one item", "bidders"])
@pytest.mark.parametrize("kind", ["bezier", "chain"])
def test_trained_paths_have_less_surrogate_loss_than_the_straight_line(of: str, kind: str) -> None:
    """On average over the path, and at its worst position."""

    def loss(kind: str) -> dict[str, Any]:
        bench, _, name = connected(of, kind)
        found: dict[str, Any] = bench.results[f"profile of {name}"].rows["barriers"][0]
        assert found["metric"] == "train_loss"
        return found

    trained, straight = loss(kind), loss("linear")
    assert trained["mean"] < straight["mean"] - 1e-3
    assert trained["max"] < straight["max"] - 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_pack_gives_what_each_path_gives_alone(kind: str) -> None:
    first, problem = ends("one item")
    items = [between(problem, kind, 0, 1), between(problem, kind, 1, 2)]
    together = beside(first)
    together.do("path", items)
    together.do("profile", [profile(problem, item.id, 16) for item in items])
    for item in items:
        alone = beside(first)
        alone.do("path", [item])
        alone.do("profile", [profile(problem, item.id, 16)])
        for name in (item.id, f"profile of {item.id}"):
            assert_same_results(together.results[name], alone.results[name], rel=1e-9)


def test_maximizers_of_weights_of_their_own_fail_alone() -> None:
    """One path of a pack has no way; the others are made."""
    problem: Any = AffineMaximizerSpec(kind="affine_maximizer", setting="bidders_2_items_2", weights="learned", **SMALL)
    bench = DictBench()
    bench.do("endpoint", [endpoint(problem, seed, **ADAM) for seed in range(2)])
    fine, failed = bench.do(
        "path",
        [
            path(problem, "same", ("end0", "end0"), kind="three_pieces"),
            path(problem, "other", ENDS, kind="three_pieces"),
        ],
    )
    assert isinstance(fine, Result)
    assert isinstance(failed, TaskError)
    assert "these end points have no path of kind 'three_pieces'" in str(failed)
    assert "affine maximizers of the same weights" in str(failed)


# other tasks along such paths


@pytest.mark.parametrize("kind", ["matched", "logits", "three_pieces", "three_matched", "five_pieces", "large_menu"])
def test_a_tour_is_its_legs_one_after_the_other(kind: str) -> None:
    first, problem = ends("one item")
    bench = beside(first)
    legs = [between(problem, kind, 0, 1), between(problem, kind, 1, 2)]
    bench.do("path", legs)
    names = [leg.id for leg in legs]
    alignments = ["align01", "align12"] if "align" in KINDS[kind] else []
    bench.do("join", [join(problem, "tour", names, [False, False], alignments, **KINDS[kind])])
    bench.do("profile", [profile(problem, name, 16) for name in names])
    bench.do("profile", [profile(problem, "tour", 31)])
    assert_rows_fit(bench.results["tour"])
    tour, parts = points(bench, "tour"), [points(bench, name) for name in names]
    # options in another order are summed in another order, and may part a tie
    assert [row["revenue"] for row in tour] == pytest.approx(
        [row["revenue"] for row in (*parts[0], *parts[1][1:])], abs=1e-6
    )
    n = FAMILIES[KINDS[kind]["kind"]].pieces
    assert bench.row("tour", "paths")["pieces"] == (None if n is None else 2 * n)
    expected = [None] * 31 if n is None else [min(i * n // 15 + 1, 2 * n) for i in range(31)]
    assert [row.get("piece") for row in tour] == expected


@pytest.mark.parametrize("kind", ["chain", "three_pieces"])
def test_planes_have_revenue_where_there_are_mechanisms(kind: str) -> None:
    """The plane of a path reaches beyond it: to prices below 0, and more of an item than there is."""
    bench, problem, name = connected("one item", kind)
    bench = beside(bench)
    bench.do("plane", [plane(problem, "plane", name, points=9)])
    assert_rows_fit(bench.results["plane"])
    rows = bench.results["plane"].rows["planes"]
    some = [row for row in rows if "revenue" in row]
    assert 0 < len(some) < len(rows)
    assert all(0.0 <= row["revenue"] <= 0.25 + 5 * row["stderr"] for row in some)  # of U[0, 1] no menu earns more


@pytest.mark.parametrize("kind", ["logits", "three_pieces"])
def test_curvature_is_measured_along_made_paths(kind: str) -> None:
    bench, problem, name = connected("one item", kind)
    bench = beside(bench)
    item = curvature(problem, "curvature", name, measures=["lambda_max", "hessian_trace"], samples=50, points=4)
    bench.do("curvature", [item])
    assert_rows_fit(bench.results["curvature"])
    values = [row["value"] for row in bench.results["curvature"].rows["curvature"]]
    assert len(values) == 8
    assert np.isfinite(np.array(values, dtype=float)).all()


# what cannot be, before any work


def sweep(problem: dict[str, Any], *paths: dict[str, Any], points: int = 31, tours: Any = ()) -> SweepSpec:
    return SweepSpec.model_validate(
        {
            "name": "s",
            "problem": [problem],
            "endpoints": [{"seeds": 3, "train": ADAM}],
            "paths": list(paths),
            "tours": tours,
            "measure": {"profile": ({"points": points},)},
        }
    )


UNIFORM = {"kind": "rochetnet", "setting": "uniform_1", "menu_size": 15}
FREE = {"kind": "rochetnet", "valuation": {"law": "exponential", "items": 2}, "menu_size": 15}
LEARNED = {"kind": "affine_maximizer", "setting": "bidders_2_items_2", "menu_size": 15, "weights": "learned"}


@pytest.mark.parametrize(
    ("problem", "kind", "reason"),
    [
        (FREE, {"kind": "five_pieces"}, r"paths.0: five_pieces closes options by a price above all .* no bound"),
        (FREE, {"kind": "large_menu", "eps": 0.5}, "paths.0: .* bounded"),
        (LEARNED, {"kind": "three_pieces"}, "paths.0: three_pieces .* same weights: these learn weights of their own"),
        (LEARNED, {"kind": "five_pieces"}, "paths.0: five_pieces .* same weights"),
        (UNIFORM, {"kind": "large_menu", "eps": 0.5}, "255 options for n = 1 items .*menu_size is 15"),
    ],
)
def test_paths_that_no_two_mechanisms_have_are_refused(problem: Any, kind: Any, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        prepare(sweep(problem, kind))


def test_paths_that_some_have_are_not() -> None:
    prepare(sweep(FREE, {"kind": "three_pieces"}, {"kind": "logits"}))
    prepare(sweep(LEARNED | {"weights": [1.0, 2.0]}, {"kind": "three_pieces"}, {"kind": "five_pieces"}))


def test_a_profile_that_misses_corners_is_refused() -> None:
    three, five = {"kind": "three_pieces"}, {"kind": "five_pieces"}
    for points in (31, 61):
        prepare(sweep(UNIFORM, three, five, {"kind": "logits"}, points=points))
    prepare(sweep(UNIFORM, five, points=21))
    prepare(sweep(UNIFORM, {"kind": "logits"}, points=20))
    with pytest.raises(
        RequestError, match=r"measure.profile.0: points: 21 positions miss corners of three_pieces; .*15, .*: 31"
    ):
        prepare(sweep(UNIFORM, three, five, points=21))
    with pytest.raises(RequestError, match=r"points: 22 positions miss corners of three_pieces; .*6, .*: 25"):
        prepare(sweep(UNIFORM, three, points=22, tours=[[0, 1, 2]]))
    prepare(sweep(UNIFORM, three, points=25, tours=[[0, 1, 2]]))


# a pair with a true barrier, as a whole sweep


def test_a_pair_with_a_true_barrier_is_connected_by_three_pieces_once_there_is_room(tmp_path: Any) -> None:
    """Density 3/2 on (0, 29/60] and (49/60, 1], nothing between: an item for p earns p (1 - 3p/2), 11 p / 40, and
    3 p (1 - p) / 2. Prices .36 and .84 earn .1656 and .2016; on the line between them the least is at 29/60, at
    t = 37/144: 319/2400. With two spare options three pieces lose nothing."""
    law = {"law": "steps", "items": 1, "edges": [0.0, 29 / 60, 49 / 60, 1.0], "density": [1.0, 0.0, 1.0]}
    start = [{"allocations": [[1.0]], "prices": [p]} for p in (0.36, 0.84)]
    problem = {"kind": "rochetnet", "valuation": law, "start": start, "samples": 4000, "fit_samples": 2000}
    sweep = {
        "name": "barrier",
        "problem": [problem | {"menu_size": size} for size in (1, 3)],
        "endpoints": {"seeds": 2, "train": "none"},
        "paths": [{"kind": "linear"}, {"kind": "three_pieces"}],
        "measure": {"profile": {"points": 145}},
    }
    summary = mcdist.run(sweep, store=str(tmp_path), executor="serial", out=io.StringIO())
    assert not summary.failed
    store = mcdist.open_store(str(tmp_path))
    barriers: Any = store.table("barriers").query("metric == 'revenue_exact'")
    barriers["room"] = ~barriers["problem"].str.contains("rochetnet 1,")
    for row in barriers.query("kind == 'linear'").itertuples():
        assert sorted((row.value_a, row.value_b)) == pytest.approx([0.1656, 0.2016], abs=1e-14)
        assert row.min == pytest.approx(319 / 2400, abs=1e-14)
        assert row.barrier_max == pytest.approx(0.1656 - 319 / 2400, abs=1e-14)
        assert row.argmin_t == pytest.approx(37 / 144, abs=1e-14)
    cramped, joined = (barriers.query(f"kind == 'three_pieces' and room == {room}").iloc[0] for room in (False, True))
    assert cramped.barrier_max == pytest.approx(0.1656, abs=1e-14)  # of one option nothing but the default is kept
    assert joined.barrier_max == pytest.approx(0.0, abs=1e-15)
    rows = store.table("path_points").query("path_id == @joined.path_id").sort_values("t")
    revenue = rows.revenue_exact.to_numpy()
    assert abs(revenue[:49] - 0.1656).max() < 1e-14
    assert abs(revenue[48:97] - np.linspace(0.1656, 0.2016, 49)).max() < 1e-14
    assert abs(revenue[96:] - 0.2016).max() < 1e-14
    assert rows.piece.tolist() == [1] * 48 + [2] * 48 + [3] * 49
    paths = store.table("paths").set_index("path_id")
    assert paths.loc[[cramped.path_id, joined.path_id], "promise_kept"].tolist() == [True, True]
    assert paths.loc[cramped.path_id, "eps_promised"] > 0.4
    assert paths.loc[joined.path_id, ["eps_promised", "shortfall", "outer_changed"]].tolist() == [0.0, 0.0, 0.0]
    stored = store.weights(joined.path_id)
    for j, (option, price) in {0: (1.0, 0.36), 3: (1.0, 0.84)}.items():
        assert stored[f"point_{j}.allocations"].tolist() == [[option], [0.0], [0.0]]
        assert stored[f"point_{j}.prices"].tolist() == [price, 0.0, 0.0]
