"""Mechanisms in training: feasible after every step, the same in a pack or traced, and as good as is known."""

from __future__ import annotations

import pytest
import torch
from science.examples import Traced
from support.tracing import AsTraced
from torch import Tensor

from mcdist.problems.auctions import AffineMaximizer, Auction, RochetNet, Sampling
from mcdist.science.auctions import SETTINGS
from mcdist.science.motion import CurveBends, Motion
from mcdist.science.optimizers import Adam, Sgd
from mcdist.science.paths import FAMILIES, on_chord
from mcdist.science.points import Points
from mcdist.science.schedules import Cosine
from mcdist.science.training import Recipe, Trained, train

from .auctioned import KINDS, auction, over, scattered, starts, streams

# The same float64 operations in another order now and then: some 1e-16 a step, over twelve steps, and Adam divides by
# gradients that may be small.
CLOSE = 1e-10
ROUNDING = 1e-12

EVERY = pytest.mark.parametrize("kind", KINDS)


def recipe(epochs: int = 2, lr: float = 0.05) -> Recipe:
    return Recipe(epochs, 16, Adam(), lr, 0.0, Cosine())


def places(of: Auction, visited: Tensor) -> Tensor:
    """Points [..., P] of all states [..., 1, P] of a training of end points."""
    flat = visited.reshape(-1, of.layout.size)
    motion = of.motion(flat.clone())
    motion.held.copy_(flat)
    return motion.place(motion.where(0)[0])


@EVERY
@pytest.mark.parametrize("optimizer", [Adam, Sgd])
def test_every_step_ends_at_a_mechanism(kind: str, optimizer: type[Adam] | type[Sgd]) -> None:
    """With steps so large that most of them lead out of what is feasible."""
    of = auction(kind)
    motion = Traced(of.motion(starts(of, 0, 1).theta))
    train(of, motion, {}, Recipe(2, 16, optimizer(), 0.5, 0.0, Cosine()), streams(0, 1))
    assert over(of, places(of, motion.visited())) <= ROUNDING


@EVERY
def test_every_step_of_a_curve_leaves_its_bends_mechanisms(kind: str) -> None:
    of = auction(kind)
    controls = on_chord(scattered(of, 2).theta, scattered(of, 2, seed=1).theta, 2)
    ends = controls[:, [0, -1]].clone()
    motion = Traced(CurveBends(FAMILIES["bezier"], controls, streams(0, 1)))
    train(of, motion, {}, Recipe(2, 16, Adam(), 0.5, 0.0, Cosine()), streams(0, 1))
    assert over(of, motion.visited().reshape(-1, of.layout.size)) <= ROUNDING
    assert torch.equal(controls[:, [0, -1]], ends)


@EVERY
def test_what_is_learned_moves_and_what_is_fixed_does_not(kind: str) -> None:
    of = auction(kind)
    before = starts(of, 0).theta
    motion = of.motion(before.clone())
    train(of, motion, {}, recipe(), streams(0))
    after = motion.place(motion.where(0)[0])
    for name, part in of.layout.views(after).items():
        assert not torch.equal(part, of.layout.views(before)[name])
    if isinstance(of, AffineMaximizer) and not of.learned:
        assert of.options(after).w.tolist() == [[1.0, 2.0] if kind == "bidders" else [1.0, 1.0]]


def trained(of: Auction, curves: bool, members: list[int], how: AsTraced | None) -> tuple[Tensor, Trained]:
    own = streams(*members)
    motion: Motion = of.motion(starts(of, *members).theta)
    if curves:
        controls = [on_chord(scattered(of, 1, seed=k).theta, scattered(of, 1, seed=k + 9).theta, 1) for k in members]
        motion = CurveBends(FAMILIES["bezier"], torch.cat(controls), own, draws=2)
    record = train(of, motion, {}, recipe(), own, how)
    return motion.held, record


@EVERY
@pytest.mark.parametrize("curves", [False, True])
def test_a_pack_is_trained_as_its_members_alone(kind: str, curves: bool) -> None:
    of = auction(kind)
    together, _ = trained(of, curves, [0, 1, 2], None)
    for k in range(3):
        assert torch.allclose(together[k], trained(of, curves, [k], None)[0][0], rtol=0, atol=CLOSE)


@EVERY
@pytest.mark.parametrize("curves", [False, True])
def test_a_traced_training_is_the_plain_one(kind: str, curves: bool) -> None:
    of, graphs = auction(kind), AsTraced()
    got, record = trained(of, curves, [0, 1], graphs)
    expected, plainly = trained(of, curves, [0, 1], None)
    assert graphs.calls == 2 * 6, "no minibatch is short"
    assert torch.allclose(got, expected, rtol=0, atol=CLOSE)
    for one, other in zip(record.history, plainly.history, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=CLOSE)


def revenue(name: str, **more: object) -> Tensor:
    """What two mechanisms of a setting earn after training, held out or exactly."""
    setting = SETTINGS[name]
    sampling = Sampling(iterations=50, held_out=20_000, fit=100)
    of: Auction
    if setting.bidders == 1:
        unit = setting.unit_demand
        of = RochetNet(setting.law, 32, unit_demand=unit, logits=unit, sampling=sampling, setting=setting)
    else:
        of = AffineMaximizer([setting.law] * setting.bidders, 32, logits=True, sampling=sampling, setting=setting)
    motion = of.motion(starts(of, 0, 1).theta)
    train(of, motion, {}, Recipe(20, 256, Adam(), 0.02, 0.0, Cosine()), streams(0, 1))
    found = of.evaluate(Points(motion.place(motion.where(0)[0]), {}), splits=["test"])
    return found.get("revenue_exact", found["revenue"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uniform_1", "uniform_2", "triangle", "unit_demand_2_3"])
def test_trained_menus_earn_nearly_what_the_best_do(name: str) -> None:
    best = SETTINGS[name].revenue
    assert best is not None
    found = revenue(name)
    assert bool((found > 0.995 * best).all())
    assert bool((found <= best + 1e-6).all()), "known to the sixth decimal at least"


@pytest.mark.slow
def test_trained_maximizers_earn_more_than_items_apart() -> None:
    """Myerson's auction of each item: 5/6. A thousand steps; sampling errs by some .003."""
    assert bool((revenue("bidders_2_items_2") > 0.845).all())
