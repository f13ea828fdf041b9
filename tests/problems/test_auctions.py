"""A mechanism as a point of weight space: its loss, its minibatches, its packs, its metrics, its state."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.problems.auctions import Auction, RochetNet, Sampling
from mcdist.science.auctions import SETTINGS, Atoms, Menus
from mcdist.science.points import Points
from mcdist.science.problem import gradient
from mcdist.science.streams import Stream

from .auctioned import BUYER, KINDS, SAMPLING, auction, scattered, starts, streams

# A few hundred float64 numbers near 1 are summed in another order.
CLOSE = 1e-12
PACKED = 1e-10

EVERY = pytest.mark.parametrize("kind", KINDS)


def surrogate(of: Auction, theta: Tensor, v: Tensor) -> Tensor:
    """Loss of one point [P] by the definition, valuation by valuation, option by option."""
    parts = {name: part[0] for name, part in of.layout.views(theta[None]).items()}
    x, M, bidders = parts["allocations"], of.size, len(of.laws)
    none = torch.zeros((), dtype=torch.float64)
    total = none
    for one in v:
        if isinstance(of, RochetNet):
            worth = [none] + [(one * x[k]).sum() - parts["prices"][k] for k in range(M)]
            chances = torch.softmax(of.kappa * torch.stack(worth), 0)
            total = total + sum(chances[k + 1] * parts["prices"][k] for k in range(M))
            continue
        w = parts["weights"] if "weights" in parts else of.options(theta[None]).w[0]
        terms = [[w[i] * (one[i] * x[k, i]).sum() for i in range(bidders)] for k in range(M)]
        everyone = torch.stack([none] + [sum(terms[k]) + parts["boosts"][k] for k in range(M)])
        for i in range(bidders):
            without = torch.stack([none, *(everyone[k + 1] - terms[k][i] for k in range(M))])
            apart, here = torch.softmax(of.kappa * without, 0), torch.softmax(of.kappa * everyone, 0)
            total = total + ((apart - here) * without).sum() / w[i]
    return -total / len(v)


@EVERY
def test_the_loss_and_its_gradient_are_those_of_the_definition(kind: str) -> None:
    """Each of three points on a minibatch of its own; by autograd of the loop above."""
    of = auction(kind)
    points = scattered(of, 3)
    batch = next(of.batches(streams(0, 1, 2), 0, 5))
    loss, _, grad = of.gradient(points, batch)
    for k in range(3):
        theta = points.theta[k].clone().requires_grad_()
        expected = surrogate(of, theta, batch[k])
        (slope,) = torch.autograd.grad(expected, theta)
        assert float(loss[k]) == pytest.approx(float(expected), abs=CLOSE)
        assert torch.allclose(grad[k], slope, atol=1e-11)


@EVERY
@pytest.mark.parametrize("near", [1, 1 << 18])
def test_the_gradient_is_the_differentiated_loss(kind: str, near: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all points at once, or of one after the other."""
    monkeypatch.setattr("mcdist.problems.auctions.auction._NEAR", near)
    of = auction(kind)
    points = scattered(of, 4, seed=1)
    batch = next(of.batches(streams(0, 1, 2, 3), 0, 64))
    found, plain = of.gradient(points, batch), gradient(of, points, batch)
    for one, other in zip(found, plain, strict=True):
        assert torch.allclose(one, other, atol=CLOSE)


@EVERY
@pytest.mark.parametrize("K", [2, 9])
def test_a_pack_is_its_points_one_by_one(kind: str, K: int) -> None:
    of = auction(kind)
    points, own = scattered(of, K), streams(*range(K))
    batch = next(of.batches(own, 2, 16))
    loss, _, grad = of.gradient(points, batch)
    for k in range(K):
        alone = of.gradient(points[k], next(of.batches(own[k : k + 1], 2, 16)))
        assert torch.allclose(loss[k], alone[0][0], atol=PACKED)
        assert torch.allclose(grad[k], alone[2][0], atol=PACKED)


def test_a_price_for_one_item_in_closed_form() -> None:
    """v uniform on [0, 1], all of the item for p: revenue p E[sigmoid(kappa (v - p))], on a fine grid of valuations."""
    of = auction("additive", options=1, law=SETTINGS["uniform_1"].law, kappa=100.0)
    v = (torch.arange(20_000, dtype=torch.float64) + 0.5)[None, :, None] / 20_000
    theta = torch.tensor([[1.0, 0.4]], dtype=torch.float64)
    loss, _ = of.loss(Points(theta, {}), v)
    softplus = [math.log1p(math.exp(100.0 * x)) / 100.0 for x in (0.6, -0.4)]
    assert float(loss) == pytest.approx(-0.4 * (softplus[0] - softplus[1]), abs=1e-8)


@EVERY
def test_minibatches_are_fresh_and_of_the_points_own_stream(kind: str) -> None:
    of = auction(kind)
    a, b = streams(0, 1)
    epochs = [list(of.batches([a, b], epoch, 4)) for epoch in (0, 1)]
    everything = torch.cat([batch.flatten(2) for epoch in epochs for batch in epoch], dim=1)
    assert of.batch_sizes(4) == [4] * 6
    assert everything.shape[1] == 2 * 6 * 4
    assert len(np.unique(everything[..., 0].numpy())) == 2 * everything.shape[1]  # no value is there twice
    alone = list(of.batches([b], 1, 4))
    swapped = list(of.batches([b, a], 1, 4, independent=True))
    for one, other, both in zip(alone, swapped, epochs[1], strict=True):
        assert torch.equal(one[0], both[1])
        assert torch.equal(other[0], both[1])
        assert torch.equal(of.some(both, torch.tensor([1])), one)


def test_valuations_are_those_of_the_law() -> None:
    drawn = torch.cat(list(auction().batches(streams(0), 0, 4000)), dim=1)[0]
    assert torch.allclose(drawn.mean(0), torch.tensor([0.5, 1.0], dtype=torch.float64), atol=0.02)
    assert (drawn.amax(0) > torch.tensor([0.99, 1.98], dtype=torch.float64)).all()


@EVERY
def test_initial_points_are_feasible_and_differ(kind: str) -> None:
    of = auction(kind)
    points = starts(of, 0, 1, 0)
    of.options(points.theta).check(getattr(of, "unit_demand", False))
    assert torch.equal(points.theta[0], points.theta[2])
    assert not torch.equal(points.theta[0], points.theta[1])
    assert bool((of.evaluate(points)["n_active"] > 2).all())


@EVERY
def test_metrics_are_the_mechanisms_own(kind: str) -> None:
    of = auction(kind)
    points = scattered(of, 3)
    found = of.evaluate(points)
    for k in range(3):
        outcome = of.options(points.theta[k : k + 1]).outcome(of.held_out)
        paid = outcome.revenue[0].numpy()
        assert float(found["revenue"][k]) == pytest.approx(paid.mean(), abs=CLOSE)
        assert float(found["stderr"][k]) == pytest.approx(paid.std(ddof=1) / math.sqrt(500), abs=CLOSE)
        assert float(found["n_active"][k]) == len({0, *outcome.taken.flatten().tolist()})
        soft, _ = of.loss(points[k], of.fit[None])
        assert float(found["train_loss"][k]) == pytest.approx(float(soft), abs=CLOSE)
        assert float(found["l2_norm"][k]) == pytest.approx(np.linalg.norm(points.theta[k].numpy()))
    assert ("revenue_exact" in found) == isinstance(of, RochetNet)
    assert all(values.dtype == torch.float64 and values.shape == (3,) for values in found.values())


def test_splits_are_judged_as_asked() -> None:
    of = auction()
    points = scattered(of, 2)
    everything = of.evaluate(points)
    assert set(of.evaluate(points, splits=["train"])) == {"train_loss", "l2_norm"}
    test = of.evaluate(points, splits=["test"])
    assert set(test) == set(everything) - {"train_loss"}
    assert all(torch.equal(test[name], everything[name]) for name in test)


def test_samples_are_the_settings_own() -> None:
    """Of their seed alone: problems of other options have the same, of another seed others; no two are one."""
    of, other = auction(), auction(options=3)
    assert torch.equal(of.held_out, other.held_out)
    assert torch.equal(of.fit, other.fit)
    assert not torch.equal(of.fit, of.held_out[:200])
    assert not torch.equal(of.fit, auction(sampling=Sampling(6, 500, 200, 4)).fit)


def test_revenue_is_that_without_sampling_but_for_its_error() -> None:
    of = auction(sampling=Sampling(held_out=20_000, fit=100))
    found = of.evaluate(starts(of, *range(20)), splits=["test"])
    off = (found["revenue"] - found["revenue_exact"]).abs() / found["stderr"]
    assert float(off.max()) < 4.0
    assert float(off.mean()) > 0.1  # it is a sample's


def test_ties_are_parted_by_the_price() -> None:
    """Half of the valuations are indifferent between an item for 1, an item for less of it, and nothing."""
    law = Atoms(((1.0,), (2.0,)), (1.0, 1.0))
    of = RochetNet(law, 3, sampling=Sampling(held_out=1000, fit=10))
    menu = Menus(torch.tensor([[[0.5], [1.0], [0.5]]]).double(), torch.tensor([[0.5, 1.0, 0.5]]).double())
    found = of.evaluate(Points(of.theta(menu), {}))
    assert float(found["revenue"]) == 1.0
    assert float(found["revenue_exact"]) == 1.0
    assert float(found["n_active"]) == 2.0


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if setting.menu])
def test_optimal_menus_given_as_a_start_earn_what_is_published(name: str) -> None:
    setting = SETTINGS[name]
    optimum = setting.optimum()
    assert optimum is not None
    of = RochetNet(setting.law, optimum.size, unit_demand=setting.unit_demand, start=[optimum], sampling=SAMPLING)
    found = of.evaluate(of.initial(Stream.of("endpoint", 5)))
    assert float(found["revenue_exact"]) == pytest.approx(setting.revenue, abs=1e-12)


def test_starts_are_numbered() -> None:
    given = [Menus(x, torch.zeros(1, 7)) for x in torch.rand(2, 1, 7, 2).double()]
    of = auction(start=given)
    for i in (0, 1):
        assert torch.equal(starts(of, i).theta, of.theta(given[i]))


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_state_is_the_point_bit_for_bit(kind: str, dtype: torch.dtype) -> None:
    of = auction(kind, dtype=dtype)
    points = scattered(of, 2)
    state = of.state(points, 1)
    assert list(state) == list(of.layout.names)
    assert state["allocations"].shape == of.layout.shapes[0]
    assert torch.equal(of.point(state).theta, points.theta[1:])
    assert torch.equal(of.theta(of.options(points.theta)), points.theta)


@EVERY
def test_a_difference_is_doubted_on_the_same_valuations(kind: str) -> None:
    of = auction(kind)
    points = scattered(of, 2)
    apart = [of.options(points.theta[k : k + 1]).outcome(of.held_out).revenue[0] for k in (0, 1)]
    expected = float((apart[0] - apart[1]).std()) / math.sqrt(500)
    assert of.doubt("revenue", points[0], points[1]) == pytest.approx(expected, abs=CLOSE)
    assert of.doubt("revenue", points[0], points[0]) == 0.0
    assert of.doubt("train_loss", points[0], points[1]) is None


def test_options_are_matched_and_nothing_else() -> None:
    for kind in ("additive", "learned"):
        structure = auction(kind).structure()
        assert [group.name for group in structure.groups] == ["options"]
        assert "weights" not in structure.shapes
    with pytest.raises(RequestError, match="leave structure out"):
        auction().structure({})


def test_a_law_without_exact_revenue_has_no_such_metric() -> None:
    of = auction(law=SETTINGS["beta_1_2"].law)
    assert "revenue_exact" not in of.evaluate(scattered(of, 1))
    assert "revenue_exact" in auction(law=BUYER).evaluate(scattered(of, 1))
