"""AutoNEB step by step: packs, streams, minibatches, and what must stay as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.tracing import AsTraced
from torch import Tensor

from mcdist.science.autoneb import Cycle, NebPath, NebRecipe, autoneb
from mcdist.science.points import Points
from mcdist.science.problem import gradient
from mcdist.science.streams import Stream

from .examples import Quadratic, dropped, normed, plain, problem, starts
from .landscapes import Valley, pairs
from .test_neb import henkelman_jonsson, on_polyline

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


def test_a_path_that_diverges_says_so_and_harms_no_other() -> None:
    """The quartic of (u0^2 - 1)^2 sends off pivots that start far out: its slope is 4e3 at u0 = 10."""
    of = Valley(P=5)
    a, b, streams = pairs([of.at(-1.0), of.at(-10.0)], [of.at(1.0), of.at(10.0, 5.0)])
    recipe = NebRecipe((Cycle(20, 0.01), Cycle(20, 0.01)), weight_decay=0.0)
    sound, lost = autoneb(of, a, b, recipe, streams)
    (alone,) = autoneb(of, a[0], b[0], recipe, streams[:1])
    same(sound, alone, 1e-10)
    assert lost.diverged is not None
    assert 0 < lost.diverged < 20
    (record,) = lost.cycles
    assert not record.kept
    assert math.isnan(record.saddle)
    assert torch.equal(lost.controls[[0, -1]], torch.stack([a.theta[1], b.theta[1]]))


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
