"""AutoNEB on landscapes whose saddles are known, and on small networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import root
from support.tracing import AsTraced
from torch import Tensor

from mcdist.science.autoneb import SCHEDULES, Cycle, NebPath, NebRecipe, autoneb, scaled
from mcdist.science.paths import on_chord
from mcdist.science.points import Points
from mcdist.science.problem import Problem, gradient
from mcdist.science.streams import Stream

from .examples import Quadratic, dropped, normed, plain, problem, starts
from .test_neb import henkelman_jonsson, on_polyline


class MuellerBrown(Quadratic):
    """The surface of Mueller & Brown 1979: V = sum_i A_i exp(a_i dx^2 + b_i dx dy + c_i dy^2), in the plane."""

    A, a, b, c, x, y = torch.tensor(
        [
            [-200.0, -100.0, -170.0, 15.0],
            [-1.0, -1.0, -6.5, 0.7],
            [0.0, 0.0, 11.0, 0.6],
            [-10.0, -10.0, -6.5, 0.7],
            [1.0, 0.0, -0.5, -1.0],
            [0.0, 0.5, 1.5, 1.0],
        ],
        dtype=torch.float64,
    )

    def __init__(self) -> None:
        super().__init__(torch.zeros(2, dtype=torch.float64))

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        dx, dy = points.theta[:, :1] - self.x, points.theta[:, 1:] - self.y
        loss = (self.A * (self.a * dx**2 + self.b * dx * dy + self.c * dy**2).exp()).sum(1)
        return loss, torch.zeros_like(loss)


class Valley(Quadratic):
    """(u0^2 - 1)^2 + h/2 (u1 - bend (1 - u0^2))^2 + sum of h/2 ui^2, in turned coordinates u = R w.

    Minima of 0 at u = (+-1, 0, 0, ...); the one saddle between them is at (0, bend, 0, ...): 1. noise: each minibatch
    adds a random linear term to the loss, the same for points of the same stream.
    """

    def __init__(self, P: int = 30, h: float = 20.0, bend: float = 1.0, noise: float = 0.0) -> None:
        super().__init__(torch.zeros(P, dtype=torch.float64))
        self.turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(0).standard_normal((P, P)))[0])
        self.h, self.bend, self.noise = h, bend, noise

    def at(self, *u: float) -> Tensor:
        """w of the given first coordinates; the others are 0."""
        full = torch.zeros(len(self.turn), dtype=torch.float64)
        full[: len(u)] = torch.tensor(u)
        return full @ self.turn

    def batches(self, streams: Sequence[Stream], epoch: int, batch_size: int) -> Iterator[Any]:
        draws = [s.child(epoch).generator().standard_normal((5, len(self.turn))) for s in streams]
        yield from self.noise * torch.from_numpy(np.stack(draws, axis=1))

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        u = points.theta @ self.turn.T
        stiff = u[:, 1:].clone()
        stiff[:, 0] -= self.bend * (1 - u[:, 0] ** 2)
        loss = (u[:, 0] ** 2 - 1) ** 2 + 0.5 * self.h * stiff.square().sum(1)
        return loss if batch is None else loss + (batch * u).sum(1), torch.zeros_like(loss)


def pairs(a: Sequence[Tensor], b: Sequence[Tensor]) -> tuple[Points, Points, list[Stream]]:
    return (
        Points(torch.stack(list(a)), {}),
        Points(torch.stack(list(b)), {}),
        [Stream.of("neb", k) for k in range(len(a))],
    )


def stationary(of: Problem, guess: Sequence[float]) -> tuple[Tensor, float]:
    """Where the gradient is zero near a guess, and the loss there."""

    def grad(theta: np.ndarray) -> np.ndarray:
        return gradient(of, Points(torch.from_numpy(theta)[None], {}), None)[2][0].numpy()

    found = root(grad, np.array(guess), tol=1e-12)
    assert found.success
    theta = torch.from_numpy(found.x)
    return theta, float(of.loss(Points(theta[None], {}), None)[0])


def highest(of: Problem, controls: Tensor, per_segment: int = 200) -> float:
    """The greatest loss on a chain, looked at far more closely than the search does."""
    u = torch.linspace(0.0, 1.0, per_segment + 1, dtype=torch.float64)[:, None]
    places = torch.cat([torch.lerp(p, q, u) for p, q in pairwise(controls)])
    return float(of.loss(Points(places, {}), None)[0].max())


def distance(controls: Tensor, point: Tensor) -> float:
    """From a point to a chain."""
    start, along = controls[:-1], controls.diff(dim=0)
    u = ((point - start) * along).sum(1) / along.square().sum(1)
    return float((start + u.clamp(0, 1)[:, None] * along - point).norm(dim=1).min())


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


NOISY = NebRecipe((Cycle(7, 0.01), Cycle(8, 0.01), Cycle(4, 0.002)), weight_decay=1e-3, threshold=0.05)


def noisy_pairs(of: Valley) -> tuple[Points, Points, list[Stream]]:
    """Pairs whose chains grow differently: across the valley, along a side of it, and very near."""
    a = [of.at(-1.0), of.at(-1.0), of.at(-1.0, 0.1), of.at(1.0)]
    b = [of.at(1.0), of.at(-1.0, 0.0, 0.8), of.at(1.0, 0.0, 0.3), of.at(1.0, 0.3)]
    return pairs(a, b)


def run_valley(members: Sequence[int]) -> list[NebPath]:
    of = Valley(P=6, noise=0.5)
    a, b, streams = noisy_pairs(of)
    index = list(members)
    return autoneb(of, Points(a.theta[index], {}), Points(b.theta[index], {}), NOISY, [streams[k] for k in index])


def run_network(make: Callable[[], Any], members: Sequence[int]) -> list[NebPath]:
    of = problem(make)
    a, _ = starts(of, list(members))
    b, _ = starts(of, [100 + k for k in members])
    recipe = NebRecipe((Cycle(5, 0.1), Cycle(4, 0.05)), batch_size=8, dense=4)
    return autoneb(of, a, b, recipe, [Stream.of("neb", k) for k in members])


def same(one: NebPath, other: NebPath, close: float) -> None:
    assert one.diverged == other.diverged
    assert (one.controls - other.controls).abs().max() < close
    for a, b in zip(one.cycles, other.cycles, strict=True):
        for name in ("cycle", "steps", "lr", "pivots", "inserted", "kept", "argmax"):
            assert getattr(a, name) == getattr(b, name)
        assert (a.saddle, a.loss) == pytest.approx((b.saddle, b.loss), abs=close)


@pytest.mark.parametrize("make", [None, plain, normed, dropped])
def test_a_pack_is_its_paths_alone(make: Callable[[], Any] | None) -> None:
    """In float64 a step's rounding is near 1e-16; two dozen steps amplify it little."""

    def run(members: Sequence[int]) -> list[NebPath]:
        return run_valley(members) if make is None else run_network(make, members)

    together = run(range(4))
    assert make is not None or len({len(path.controls) for path in together}) > 1, "chains of several sizes"
    for members in ([0], [1], [2], [3], [3, 1]):
        for k, path in zip(members, run(members), strict=True):
            same(path, together[k], 1e-10)


class Shifted(Quadratic):
    """A bowl about a place that is in the point's buffers, where a network has its frozen parameters."""

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        return super().loss(Points(points.theta - points.buffers["shift"], {}), batch)


def test_each_path_has_the_buffers_of_its_own_end() -> None:
    of = Shifted(torch.zeros(4, dtype=torch.float64))
    a, b, shift = torch.randn(3, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    ends_a, ends_b = Points(a, {"shift": shift}), Points(b, {"shift": shift})
    streams = [Stream.of("neb", k) for k in range(3)]
    recipe = NebRecipe((Cycle(6, 0.1), Cycle(6, 0.1)))
    together = autoneb(of, ends_a, ends_b, recipe, streams)
    for k, path in enumerate(together):
        same(path, autoneb(of, ends_a[k], ends_b[k], recipe, streams[k : k + 1])[0], 1e-10)


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


def test_a_cycle_is_the_published_step_again_and_again() -> None:
    """Against the step written out pivot by pivot: some twelve steps of rounding near 1e-16, little amplified."""
    of = Valley(P=6, noise=0.5)
    a, b, streams = noisy_pairs(of)
    recipe = replace(NOISY, cycles=(Cycle(12, 0.01),), weight_decay=0.3)
    for path, first, last, stream in zip(autoneb(of, a, b, recipe, streams), a.theta, b.theta, streams, strict=True):
        even = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)
        pivots = torch.lerp(first, last, even[:, None])
        velocity = torch.zeros(5, 6, dtype=torch.float64)
        for step in range(12):
            pivots = on_polyline(pivots, even)
            batch = list(of.batches([stream.child("cycle", 0)] * 5, step // 5, 512))[step % 5]
            losses, _, grads = gradient(of, Points(pivots, {}), batch)
            for i in (1, 2, 3):
                tangent = henkelman_jonsson(*pivots[i - 1 : i + 2], losses[i - 1 : i + 2].tolist())
                pull = grads[i] + 0.3 * pivots[i]
                velocity[i] = 0.9 * velocity[i] + pull - pull.dot(tangent) * tangent
            pivots = pivots - 0.01 * velocity
        assert torch.allclose(path.controls, on_polyline(pivots, even), rtol=0, atol=1e-10)


def test_the_same_streams_give_the_same_path_and_others_another() -> None:
    of = Valley(P=6, noise=0.5)
    a, b, streams = noisy_pairs(of)
    one, again, other = (
        autoneb(of, a, b, NOISY, names)[0].controls for names in (streams, streams, [s.child("other") for s in streams])
    )
    assert torch.equal(one, again)
    assert (one - other).abs().max() > 1e-3


def test_all_pivots_of_a_path_see_the_same_minibatches() -> None:
    of = Valley(P=6)
    seen: list[tuple[Stream, ...]] = []
    plainly = of.batches
    of.batches = lambda streams, epoch, size: seen.append(tuple(streams)) or plainly(streams, epoch, size)  # type: ignore
    autoneb(of, *noisy_pairs(of)[:2], replace(NOISY, cycles=(Cycle(7, 0.01),)), noisy_pairs(of)[2])
    assert len(seen) == 2, "five minibatches an epoch"
    assert [len(set(seen[0][5 * k : 5 * k + 5])) for k in range(4)] == [1] * 4
    assert len(set(seen[0])) == 4


def test_ends_stay_bit_for_bit_and_what_was_given_stays_as_it_was() -> None:
    of = problem(normed)
    a, streams = starts(of, [0, 1])
    b, _ = starts(of, [2, 3])
    given = [t.clone() for t in (a.theta, b.theta, *a.buffers.values(), *b.buffers.values())]
    paths = autoneb(of, a, b, NebRecipe((Cycle(5, 0.5), Cycle(5, 0.5)), batch_size=8), streams)
    for k, path in enumerate(paths):
        assert torch.equal(path.controls[0], a.theta[k])
        assert torch.equal(path.controls[-1], b.theta[k])
    for now, before in zip((a.theta, b.theta, *a.buffers.values(), *b.buffers.values()), given, strict=True):
        assert torch.equal(now, before)


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


def test_a_path_that_diverges_says_so_and_harms_no_other() -> None:
    """The quartic of (u0^2 - 1)^2 sends off pivots that start far out: its slope is 4e3 at u0 = 10."""
    of = Valley(P=5)
    a, b, streams = pairs([of.at(-1.0), of.at(-10.0)], [of.at(1.0), of.at(10.0, 5.0)])
    recipe = replace(VALLEY, cycles=(Cycle(20, 0.01), Cycle(20, 0.01)))
    sound, lost = autoneb(of, a, b, recipe, streams)
    (alone,) = autoneb(of, a[0], b[0], recipe, streams[:1])
    same(sound, alone, 1e-10)
    assert lost.diverged is not None
    assert 0 < lost.diverged < 20
    (record,) = lost.cycles
    assert not record.kept
    assert math.isnan(record.saddle)
    assert torch.equal(lost.controls[[0, -1]], torch.stack([a.theta[1], b.theta[1]]))


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
    """End points trained by the search's own rule on a path of one pivot would prove little: plain descent is used."""
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


@pytest.mark.parametrize("make", [plain, normed])
def test_traced_steps_are_the_plain_ones(make: Callable[[], Any]) -> None:
    """The same float64 operations in another order now and then; the short minibatch of an epoch goes the plain way."""
    of, graphs = problem(make), AsTraced()
    a, streams = starts(of, [0, 1])
    b, _ = starts(of, [2, 3])
    recipe = NebRecipe((Cycle(5, 0.1), Cycle(4, 0.05)), batch_size=8, dense=4)
    for one, other in zip(autoneb(of, a, b, recipe, streams, graphs), autoneb(of, a, b, recipe, streams), strict=True):
        same(one, other, 1e-10)
    assert any(name.startswith("step band") for name in graphs.names)


def test_published_schedules() -> None:
    assert sum(steps for steps, _ in SCHEDULES["long"]) == 16_000
    assert len(SCHEDULES["long"]) == 14
    assert scaled(SCHEDULES["short"], 0.1)[0] == Cycle(2000, 0.1)
    assert [c.lr for c in scaled(SCHEDULES["short"], 0.1)] == pytest.approx([0.1] * 3 + [0.01] * 2 + [0.001] * 2)
    assert [c.steps for c in scaled(SCHEDULES["long"], 1.0, 0.0016)] == [2] * 4 + [3] * 2 + [2] * 8
    assert {c.steps for c in scaled(SCHEDULES["long"], 1.0, 1e-9)} == {1}
