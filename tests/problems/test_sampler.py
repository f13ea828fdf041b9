"""A sampler of one's own is a law like any other."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mcdist.problems.auctions.sampler import Sampled
from mcdist.science.auctions import Scaled, profiles
from mcdist.science.streams import Stream


def squares(generator: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Two items of values u^2."""
    return generator.random((n, 2)) ** 2


LAW = Sampled(f"{__name__}:squares", items=2, greatest=2.0)


def test_it_draws_from_the_stream() -> None:
    stream = Stream.of("valuations")
    assert torch.equal(LAW.sample(stream, 5), torch.from_numpy(squares(stream.generator(), 5)))


def test_it_can_be_scaled_and_had_by_several_bidders() -> None:
    stream, half = Stream.of("valuations"), Scaled(LAW, 0.5)
    assert half.bound == 1.0
    assert torch.equal(half.sample(stream, 5), 0.5 * LAW.sample(stream, 5))
    assert torch.equal(profiles([half, LAW], stream, 5)[:, 1], LAW.sample(stream.child("bidder", 1), 5))
