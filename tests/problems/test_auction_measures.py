"""What is measured at and moved through weight space in general: curvature, dynamics, elastic bands, of auctions."""

from __future__ import annotations

import pytest
import torch
from science.curvature.matrices import dense_hessian

from mcdist.science.curvature.measure import curvature
from mcdist.science.curvature.operators import Hessian
from mcdist.science.curvature.records import CurvatureRecipe
from mcdist.science.dynamics.walk import Dynamics, Walk
from mcdist.science.neb import Band
from mcdist.science.optimizers import Adam, Sgd
from mcdist.science.schedules import Cosine
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, train

from .auctioned import auction, over, scattered, streams

EVERY = pytest.mark.parametrize("kind", ["additive", "unit demand", "bidders", "learned"])
"""Training by logits is another way to the same points."""

# Two second derivatives in float64, of numbers up to some thousand: kappa^2.
CLOSE = 1e-8


@EVERY
def test_products_with_the_hessian_are_those_of_a_dense_one(kind: str) -> None:
    of = auction(kind, options=4)
    points, examples = scattered(of, 3), of.sample(50, Stream.of("subset"))
    operator = Hessian(of, points, examples)
    eye = torch.eye(of.layout.size, dtype=torch.float64).expand(3, -1, -1)
    found = operator.apply(eye)
    for k in range(3):
        dense = dense_hessian(of, points[k], examples)
        assert torch.allclose(found[k], dense, atol=CLOSE * float(dense.abs().max()) + CLOSE)


def test_curvature_is_that_of_the_surrogate_on_a_sample() -> None:
    of = auction(options=4)
    points = scattered(of, 2)
    recipe = CurvatureRecipe(measures=("lambda_max",), samples=60)
    found = curvature(of, points, recipe, streams(0, 1))
    examples = of.sample(60, Stream.of("curvature", "subset", recipe.seed))
    for k in range(2):
        values = torch.linalg.eigvalsh(dense_hessian(of, points[k], examples))
        assert found[k].value("lambda_max") == pytest.approx(float(values[-1]), rel=1e-2)


def test_samples_of_curvature_are_a_streams_own() -> None:
    of = auction()
    (few,), (many,) = (of.sample(n, Stream.of("a")) for n in (5, 9))
    assert torch.equal(many[:5], few)
    assert not torch.equal(of.sample(5, Stream.of("b"))[0], few)
    assert torch.equal(of.sample(None, Stream.of("a"))[0], of.fit)
    assert len(of.fit) == of.examples


@EVERY
def test_noisy_steps_stay_among_mechanisms(kind: str) -> None:
    of = auction(kind)
    points = scattered(of, 2)
    walk = Walk(of, points, Dynamics(lr=0.5, optimizer=Sgd, batch_size=4), streams(0, 1))
    for _ in range(10):
        before = walk.points.theta.clone()
        walk.advance(1)
        assert not torch.equal(walk.points.theta, before)
        assert over(of, walk.points.theta) <= 1e-12


@EVERY
def test_the_pivots_of_an_elastic_band_stay_mechanisms(kind: str) -> None:
    of = auction(kind)
    ends = scattered(of, 2).theta
    t = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)[:, None]
    pivots = torch.lerp(ends[:1], ends[1:], t)[None].contiguous()
    band = Band(pivots, torch.full((1, 4), 0.25, dtype=torch.float64))
    train(of, band, {}, Recipe(1, 8, Adam(), 0.3, 0.0, Cosine()), streams(*range(pivots.shape[1])))
    assert over(of, band.held.reshape(-1, of.layout.size)) <= 1e-12
    assert torch.equal(band.held.reshape(5, -1)[[0, -1]], ends)
