"""AutoNEB on landscapes whose saddles are known, and on small networks."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from mcdist.science.autoneb import SCHEDULES, Cycle, NebRecipe, autoneb, scaled
from mcdist.science.paths import on_chord
from mcdist.science.points import Points
from mcdist.science.streams import Stream

from .examples import Quadratic, normed, problem, starts
from .landscapes import MuellerBrown, Valley, distance, highest, pairs, stationary

SURFACE = NebRecipe((Cycle(200, 2e-4),) * 5 + (Cycle(100, 2e-5),), weight_decay=0.0, threshold=0.02)


def test_both_saddles_of_mueller_and_brown() -> None:
    """The path goes over the two saddles between the deep minima, and its top is the higher one.

    A chain errs by its corners: pivots lie on the curved path, the segments between them do not. With V'' near 1000 and
    segments of 0.1 about the saddle on a path bent by 1 / 0.5, that is some V'' (0.1^2 * 2 / 8)^2 / 2 = 0.003 above it.
    """
    of = MuellerBrown()
    (high, top), (low, lower) = stationary(of, [-0.8, 0.6]), stationary(of, [0.2, 0.3])
    assert top == pytest.approx(-40.6648, abs=1e-4)
    assert high.tolist() == pytest.approx([-0.8220, 0.6243], abs=1e-4)
    assert lower == pytest.approx(-72.2489, abs=1e-4)
    assert low.tolist() == pytest.approx([0.2125, 0.2930], abs=1e-4)
    (a, depth_a), (b, depth_b) = stationary(of, [-0.56, 1.44]), stationary(of, [0.62, 0.03])
    assert (depth_a, depth_b) == pytest.approx((-146.6995, -108.1667), abs=1e-4)

    (path,) = autoneb(of, *pairs([a], [b])[:2], SURFACE, [Stream.of("surface")])
    assert -1e-9 <= highest(of, path.controls) - top < 0.05
    assert distance(path.controls, high) < 0.01
    assert distance(path.controls, low) < 0.01
    kept = next(record for record in path.cycles if record.kept)
    assert kept.saddle == pytest.approx(top, abs=0.05)


VALLEY = NebRecipe((Cycle(60, 0.01),) * 4 + (Cycle(60, 0.001),), pivots=4, weight_decay=0.0, threshold=0.02)


def test_a_curved_valley_in_many_dimensions() -> None:
    """The straight line climbs high; the valley's saddle is 1. One end is past its minimum: no pivot meets the saddle
    for reasons of symmetry.

    Corners as above: h = 20, segments of 0.2 about the saddle and a bend of 2: 20 (0.04 * 2 / 8)^2 / 2 = 0.001.
    """
    of = Valley()
    a, b = of.at(-1.0), of.at(1.2, 1 - 1.2**2)
    assert highest(of, torch.stack([a, b])) > 8.0
    (path,) = autoneb(of, *pairs([a], [b])[:2], VALLEY, [Stream.of("valley")])
    assert -1e-9 <= highest(of, path.controls) - 1.0 < 0.01
    assert distance(path.controls, of.at(0.0, 1.0)) < 0.02
    top = next(record for record in path.cycles if record.kept)
    assert top.saddle == pytest.approx(1.0, abs=0.01)
    assert 0.3 < top.argmax < 0.7


def test_insertion_happens_where_the_path_bulges_and_lowers_the_saddle() -> None:
    """One pivot in a bent valley: a long segment cuts the corner on both sides of it."""
    of = Valley(P=5, h=50.0)
    ends = pairs([of.at(-1.0)], [of.at(1.0)])
    recipe = replace(VALLEY, pivots=1, cycles=(Cycle(150, 0.005),) * 4)
    (grown,), (fixed,) = (autoneb(of, *ends[:2], replace(recipe, insert=n), ends[2]) for n in (2, 0))
    assert [c.pivots for c in fixed.cycles] == [1] * 4
    assert grown.cycles[0].inserted == 2
    for before, after in pairwise(grown.cycles):
        assert after.pivots == before.pivots + before.inserted
    assert grown.cycles[-1].inserted == 0, "nothing comes after the last cycle"
    assert grown.cycles[0].saddle == pytest.approx(fixed.cycles[0].saddle)
    assert grown.cycles[-1].saddle < fixed.cycles[-1].saddle - 0.1
    (few,) = autoneb(of, *ends[:2], replace(recipe, most=2), ends[2])
    assert [c.pivots for c in few.cycles] == [1, 2, 2, 2]


class Bumps(Quadratic):
    """Bumps of heights 1 and 1/2 on a line, at 0.35 and 0.8; notes where its gradient is taken."""

    def __init__(self) -> None:
        super().__init__(torch.zeros(1, dtype=torch.float64))
        self.visited: list[list[float]] = []

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        w = points.theta[:, 0]
        loss = (-((w - 0.35) ** 2) / 0.004).exp() + 0.5 * (-((w - 0.8) ** 2) / 0.004).exp()
        return loss, torch.zeros_like(loss)

    def gradient(
        self, points: Points, batch: Any, precision: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        self.visited.append(points.theta[:, 0].tolist())
        return super().gradient(points, batch, precision)


@pytest.mark.parametrize(
    ("changes", "inserted"),
    [
        ({"insert": 2}, [0.35, 0.8]),
        ({"insert": 1}, [0.35]),
        ({"most": 4}, [0.35]),
        ({"threshold": 0.6}, [0.35]),
        ({"threshold": 0.99}, []),
    ],
)
def test_the_worst_segments_are_divided_where_they_are_worst(changes: dict[str, Any], inserted: list[float]) -> None:
    """From 0 to 1 by quarters, each looked at in tenths; nothing moves, so that pivots are seen where they were put.

    Both tops are such tenths, and too sharp for the slope of the straight line to shift the greatest excess.
    """
    of = Bumps()
    a, b, streams = pairs([torch.zeros(1, dtype=torch.float64)], [torch.ones(1, dtype=torch.float64)])
    recipe = NebRecipe((Cycle(1, 0.0),) * 2, weight_decay=0.0)
    autoneb(of, a, b, replace(recipe, **changes), streams)
    before, after = of.visited
    assert before == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    found = [w for w in after if min(abs(w - p) for p in before) > 1e-9]
    assert len(after) == 5 + len(found)
    assert found == pytest.approx(inserted)


def test_segments_stay_short_where_pivots_were_inserted() -> None:
    of = MuellerBrown()
    a, b = stationary(of, [-0.56, 1.44])[0], stationary(of, [0.62, 0.03])[0]
    paths = {
        refine: autoneb(of, *pairs([a], [b])[:2], replace(SURFACE, refine=refine), [Stream.of("surface")])[0]
        for refine in (True, False)
    }
    shares = {refine: _lengths(path.controls) for refine, path in paths.items()}
    assert float(shares[True].max() / shares[True].min()) > 3.0
    # equal along the polyline as it was before, whose corners the new chords cut
    assert float(shares[False].max() / shares[False].min()) < 1.1


def _lengths(controls: Tensor) -> Tensor:
    return controls.diff(dim=0).norm(dim=1)


class Unsteady(Valley):
    """The valley, measured a little differently each time."""

    calls = 0

    def evaluate(self, *args: Any, **options: Any) -> dict[str, Tensor]:
        self.calls += 1
        return {name: values - 1e-12 * self.calls for name, values in super().evaluate(*args, **options).items()}


@pytest.mark.parametrize(("cycles", "kept"), [((3, 0.01, 30, 0.01), 1), ((30, 0.01, 2, -0.005), 0)])
def test_where_an_end_is_the_highest_point_the_lowest_mean_decides(
    cycles: tuple[int, float, int, float], kept: int
) -> None:
    """Not the rounding of the end's own loss. A negative rate climbs a little again."""
    of = Unsteady(P=5)
    a, b, streams = pairs([of.at(-1.0)], [of.at(0.9, 0.0, 1.3)])
    recipe = replace(VALLEY, cycles=(Cycle(*cycles[:2]), Cycle(*cycles[2:])))
    (path,) = autoneb(of, a, b, recipe, streams)
    top = float(of.loss(b, None)[0])
    assert path.cycles[0].saddle == path.cycles[1].saddle == pytest.approx(top, abs=1e-9)
    assert [record.argmax for record in path.cycles] == [1.0, 1.0]
    assert [record.kept for record in path.cycles] == [kept == 0, kept == 1]


def test_the_lowest_cycle_is_kept_where_a_later_one_is_worse() -> None:
    """The last cycle's rate is high, and noise of the minibatches throws the pivots about."""
    of = Valley(noise=0.3)
    a, b, streams = pairs([of.at(-1.0)], [of.at(1.0)])
    recipe = replace(VALLEY, cycles=(*VALLEY.cycles[:3], Cycle(20, 0.03)))
    (path,) = autoneb(of, a, b, recipe, streams)
    assert path.diverged is None
    saddles = [record.saddle for record in path.cycles]
    best = saddles.index(min(saddles))
    assert best < 3
    assert [record.kept for record in path.cycles] == [i == best for i in range(4)]
    assert len(path.controls) == path.cycles[best].pivots + 2
    assert highest(of, path.controls, per_segment=10) == pytest.approx(saddles[best])


def test_what_was_found_before_a_divergence_is_kept() -> None:
    of = Valley(P=5)
    a, b, streams = pairs([of.at(-1.0)], [of.at(1.0)])
    (path,) = autoneb(of, a, b, replace(VALLEY, cycles=(Cycle(20, 0.01), Cycle(300, 3.0), Cycle(20, 0.01))), streams)
    assert path.diverged is not None
    assert 20 < path.diverged < 320
    assert [record.kept for record in path.cycles] == [True, False]
    assert path.controls.isfinite().all()
    assert highest(of, path.controls, per_segment=10) == pytest.approx(path.cycles[0].saddle)


def test_ends_that_are_not_finite_diverge_at_once() -> None:
    of = Valley(P=5)
    a, b, streams = pairs([of.at(math.nan)], [of.at(1.0)])
    assert autoneb(of, a, b, VALLEY, streams)[0].diverged == 0


def test_it_lowers_the_barrier_of_a_network_with_batchnorm() -> None:
    """Between end points of plain gradient descent; at least half of the straight line's barrier goes."""
    of = problem(normed)
    ends = []
    for seeds in ([0, 1], [2, 3]):
        points, streams = starts(of, seeds)
        for epoch in range(40):
            for batch in of.batches(streams, epoch, 11):
                points.theta.sub_(of.gradient(points, batch)[2], alpha=0.3)
        ends.append(points)
    a, b = ends
    recipe = NebRecipe((Cycle(60, 0.1), Cycle(60, 0.1), Cycle(60, 0.01)), batch_size=11, dense=4)
    paths = autoneb(of, a, b, recipe, [Stream.of("neb", k) for k in range(2)])
    for k, path in enumerate(paths):
        line = a[k].at(on_chord(a.theta[k : k + 1], b.theta[k : k + 1], 29)[0])
        losses = of.evaluate(of.settle(line), splits=("train",))["train_loss"]
        ends_loss = max(float(losses[0]), float(losses[-1]))
        assert float(losses.max()) > ends_loss + 0.1, "a test in which there is no barrier shows nothing"
        lowest = min(record.saddle for record in path.cycles)
        assert lowest - ends_loss < 0.5 * (float(losses.max()) - ends_loss)


def test_published_schedules() -> None:
    assert sum(steps for steps, _ in SCHEDULES["long"]) == 16_000
    assert len(SCHEDULES["long"]) == 14
    assert scaled(SCHEDULES["short"], 0.1)[0] == Cycle(2000, 0.1)
    assert [c.lr for c in scaled(SCHEDULES["short"], 0.1)] == pytest.approx([0.1] * 3 + [0.01] * 2 + [0.001] * 2)
    assert [c.steps for c in scaled(SCHEDULES["long"], 1.0, 0.0016)] == [2] * 4 + [3] * 2 + [2] * 8
    assert {c.steps for c in scaled(SCHEDULES["long"], 1.0, 1e-9)} == {1}
